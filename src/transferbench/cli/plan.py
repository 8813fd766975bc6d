"""From one composed configuration to the runs it asks for, needs first, everything checked."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transferbench.cli.usage import conf_dir
from transferbench.errors import UserError
from transferbench.schema import KEPT

STARTED = time.time()
SCENES = "transferbench.data.scenes."
"""Where data modules of posed images are."""
RUN_VARIABLE = "TRANSFERBENCH_RUN"
"""Rank 0 hands its choice of ``run`` to the processes it starts."""


@dataclass(frozen=True)
class Job:
    """One run to do: its resolved configuration, its folder and its digest."""

    config: dict[str, Any]
    folder: Path
    digest: str


def plan(config: DictConfig, sweeping: bool = False) -> list[Job]:
    """Return the runs that ``config`` asks for, its needs first, all of them checked.

    Raises:
        UserError: with every problem of the whole tree, one a line.
    """
    problems: list[str] = []
    jobs = list({job.folder: job for job in _plan(config, (), sweeping, problems)}.values())
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
    return jobs


def _plan(config: DictConfig, trail: tuple[str, ...], sweeping: bool, problems: list[str]) -> Iterator[Job]:
    folders: dict[str, str] = {}
    digests: dict[str, str] = {}
    taken = [key for key in KEPT if key not in config]
    if taken:
        raise UserError(f"{taken[0]} was taken away; leave ~{taken[0]} out")
    for name in _used_needs(config):
        need = config.needs[name]
        if isinstance(need, str):
            folders[name], digests[name] = need, _digest_of_run(name, need, problems)
            continue
        experiment = str(need.get("experiment"))
        if experiment in trail:
            raise UserError(f"needs.{name}: a cycle, {' needs '.join([*trail, experiment])}")
        composed = _compose_need(config, need)
        if _of_another_scene(config, composed):
            problems.append(
                f"needs.{name} would be fitted to a scene of the embedded world, and these data are another one; "
                f"type needs.{name}=outputs/{experiment}/RUN, a run on these data"
            )
            folders[name], digests[name] = "RUN", ""
            continue
        before = list(_plan(composed, (*trail, experiment), False, problems))
        yield from before
        if before:
            folders[name], digests[name] = str(before[-1].folder), before[-1].digest
    resolved = _resolve(_with_needs(config, folders), problems)
    if resolved is not None and not problems:
        # Where a need lies is no part of what is computed: its digest is.
        computed = OmegaConf.to_container(_with_needs(config, digests), resolve=True)
        yield _job(resolved, config_digest_of(computed), bool(trail), sweeping)


def _with_needs(config: DictConfig, values: dict[str, str]) -> DictConfig:
    """Return ``config`` with each need that it refers to replaced by a string, and without the others."""
    filled = config.copy()
    filled.needs = dict(values)
    return filled


def _digest_of_run(name: str, path: str, problems: list[str]) -> str:
    """Return the digest of the finished run at ``path``; anything else there is a problem."""
    from transferbench.outputs import read_summary

    try:
        return str(read_summary(path)["digest"])
    except (UserError, KeyError):
        problems.append(f"needs.{name}={path}: no finished run there; name its folder, such as outputs/trex/<run>")
        return ""


def _of_another_scene(config: DictConfig, need: DictConfig) -> bool:
    """Tell whether a need is fitted to a scene of the embedded world for a run on one in a folder."""
    own, other = (str(OmegaConf.select(one, "data._target_")) for one in (config, need))
    return own != other and own.startswith(SCENES) and other == f"{SCENES}world.WorldScene"


def _used_needs(config: DictConfig) -> list[str]:
    """Return the needs that the configuration, as it stands unresolved, still refers to."""
    parts = {key: value for key, value in OmegaConf.to_container(config, resolve=False).items() if key != "needs"}  # type: ignore[union-attr]
    text = str(parts)
    return [str(name) for name in config.needs if f"${{needs.{name}}}" in text]


def _compose_need(config: DictConfig, need: DictConfig) -> DictConfig:
    overrides = [str(o) for o in need.get("overrides") or []]
    seed = [] if any(o.startswith("seed=") for o in overrides) else [f"seed={config.seed}"]
    return compose(
        "config", overrides=[f"+experiment={need.experiment}", f"outputs={config.outputs}", *seed, *overrides]
    )


def _resolve(config: DictConfig, problems: list[str]) -> dict[str, Any] | None:
    """Return ``config`` as plain values; what is missing, unresolvable or wrong is added to ``problems``."""
    from transferbench.build import build
    from transferbench.check import check

    try:
        missing = sorted(OmegaConf.missing_keys(config))
        problems.extend(f"{key} has no value: set {key}=..." for key in missing)
        if missing:
            return None
        resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        wanted = re.search(r"(?:key '|trying to access )([\w.]+)", str(error))
        word = wanted[1] if wanted else "a key"
        where, group = error.full_key or "a key", word.split(".")[0]
        problems.append(f"{where} takes its value from {word}, which is not set: choose {group}=...")
        return None
    try:
        check(resolved, scale_keys())
        build(resolved.get("logger"))  # a dashboard that cannot be reached is said before any need is trained
    except UserError as error:
        problems.extend(str(error).split("\n"))
    return resolved


def scale_keys() -> list[str]:
    """Return the keys a scale may have: those of the base that every scale inherits."""
    base = OmegaConf.load(conf_dir() / "scale" / "world.yaml")
    return [str(key) for key in base]


def config_digest_of(config: Any) -> str:
    """Return the digest of a resolved configuration, the package's and the world's version included."""
    from transferbench.outputs import config_digest
    from transferbench.world.cache import world_digest

    return config_digest(config, world_digest())


def _job(config: dict[str, Any], digest: str, needed: bool, sweeping: bool) -> Job:
    root, name, trainer = Path(config["outputs"]), str(config["name"]), config["trainer"] or {}
    if needed:
        config["run"] = f"need-{digest}"
    elif sweeping:
        placed = (trainer.get("strategy", "auto"), trainer.get("devices", 1), trainer.get("num_nodes", 1))
        if placed != ("auto", 1, 1):
            raise UserError(
                "a sweep (-m) runs its jobs on one device each: drop trainer=ddp and trainer.devices, or start the "
                "jobs one by one"
            )
        return Job(config, root / str(config["sweep_name"]) / f"{name}_{digest}", digest)
    elif not config["run"]:
        config["run"] = _run_name(int(config["seed"]))
    return Job(config, root / name / str(config["run"]), digest)


def _run_name(seed: int) -> str:
    """Return the name of a run without one: the same for all processes of a job."""
    for variable in (RUN_VARIABLE, "SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        handed = os.environ.get(variable)
        if handed and handed != "none":
            return handed
    name = f"{time.strftime('%Y-%m-%d_%H-%M-%S', time.localtime(STARTED))}_s{seed}"
    os.environ[RUN_VARIABLE] = name
    return name
