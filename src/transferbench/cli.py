"""The command line: Hydra composes, everything is checked, then the needs and the run are handed on as plain dicts."""

from __future__ import annotations

import functools
import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transferbench import schema, usage
from transferbench.errors import RunFailed, UserError

STARTED = time.time()
RUN_VARIABLE = "TRANSFERBENCH_RUN"
"""Rank 0 hands its choice of ``run`` to the processes it starts."""

EXPECTED = (UserError, RunFailed, HydraException, OmegaConfBaseException, yaml.YAMLError)
"""What is said in a sentence; anything else is a fault of ours and keeps its traceback."""

schema.register()


def conf_dir() -> Path:
    """Return the folder of configurations: inside the installed package, or beside ``src`` in a checkout."""
    here = Path(__file__).resolve().parent
    inside = here / "conf"
    return inside if inside.is_dir() else here.parent.parent / "conf"


@dataclass(frozen=True)
class Job:
    """One run to do: its resolved configuration, its folder and its digest."""

    config: dict[str, Any]
    folder: Path
    digest: str


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong configuration or input, 143 after SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # OpenMP's threads spin while they wait, and take the cores from the loading processes: a third of the speed here.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(command(sys.argv))


def command(argv: list[str]) -> int:
    """Carry out ``argv`` and return the exit code, with what went wrong said in sentences on stderr."""
    if len(argv) == 1 or argv[1:] in (["--help"], ["-h"]) or {"--help", "-h"} & set(argv[1:]):
        usage.show([conf_dir(), *_own_folders(argv)])
        return 0
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    before = dict(os.environ)
    failures: list[Exception] = []
    try:
        _refuse_null_groups(argv)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises inside this process, and we print
        sys.argv = argv
        application = functools.partial(_application, failures)
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(application)()
    except EXPECTED as caught:
        failures = failures or [caught]
    finally:
        os.environ.clear()
        os.environ.update(before)
    if failures and full:
        raise failures[0]
    sweeping = bool({"-m", "--multirun"} & set(argv))
    for error in failures:
        _say(_sentence(error, argv))
    return _exit_code(failures, sweeping)


def _exit_code(failures: list[Exception], sweeping: bool) -> int:
    if not failures:
        return 0
    return 1 if sweeping or any(isinstance(error, RunFailed) for error in failures) else 2


def _say(text: str) -> None:
    sys.stderr.write(text.rstrip() + "\n")


def _own_folders(argv: list[str]) -> list[Path]:
    return [Path(after) for flag, after in itertools.pairwise(argv) if flag in {"--config-dir", "-cd"}]


def _refuse_null_groups(argv: list[str]) -> None:
    for word in argv[1:]:
        found = re.fullmatch(r"\+?(\w+)=(null|None|)", word)
        if found and found[1] in usage.GROUPS:
            raise UserError(f"{word}: a group is left out with a tilde, use ~{found[1]}")


def _application(failures: list[Exception], config: DictConfig) -> None:
    """Plan and run one job; a job of a sweep raises too, so that its launcher knows, and the others go on."""
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        jobs = plan(config, sweeping)
        from transferbench.run import run

        for position, job in enumerate(jobs):
            first = position == 0 and not (sweeping and HydraConfig.get().job.num)
            run(job.config, job.folder, job.digest, started=STARTED if first else time.time())
    except EXPECTED as error:
        failures.append(error)
        if sweeping:
            raise


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
    digests: dict[str, str] = {}
    for name in _used_needs(config):
        need = config.needs[name]
        if isinstance(need, str):
            if not Path(need).exists():
                problems.append(f"needs.{name}={need}: no such run; name the folder of a finished one")
            continue
        experiment = str(need.get("experiment"))
        if experiment in trail:
            raise UserError(f"needs.{name}: a cycle, {' needs '.join([*trail, experiment])}")
        before = list(_plan(_compose_need(config, need), (*trail, experiment), False, problems))
        yield from before
        if before:
            digests[name] = before[-1].digest
            OmegaConf.update(config, f"needs.{name}", str(before[-1].folder), force_add=True)
    resolved = _resolve(config, problems)
    if resolved is not None:
        yield _job(resolved, digests, bool(trail), sweeping)


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
    except UserError as error:
        problems.extend(str(error).split("\n"))
    return resolved


def scale_keys() -> list[str]:
    """Return the keys a scale may have: those of the base that every scale inherits."""
    base = OmegaConf.load(conf_dir() / "scale" / "world.yaml")
    return [str(key) for key in base]


def _job(config: dict[str, Any], needs: dict[str, str], needed: bool, sweeping: bool) -> Job:
    from transferbench.outputs import config_digest
    from transferbench.world.cache import world_digest

    digest = config_digest(config, needs, world_digest())
    root, name = Path(config["outputs"]), str(config["name"])
    if needed:
        config["run"] = f"need-{digest}"
    elif sweeping:
        if config["trainer"]["strategy"] != "auto":
            raise UserError(
                "a sweep (-m) runs its jobs on one device each: drop trainer=ddp, or start the jobs one by one"
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


def _sentence(error: BaseException, argv: list[str]) -> str:
    """Say an error the way a colleague would: what was found, and what to type."""
    from transferbench.check import did_you_mean

    text = "\n".join(str(e) for e in (error, error.__cause__) if e is not None)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        known = list(error.options or [])
        return (
            f"{group or 'config'}={option}: no such option{did_you_mean(option, known)}; there are: {', '.join(known)}"
        )
    unknown = re.search(r"Key '[^']+' (?:is not in struct|not in '\w+')\s+full_key: (\S+)", text)
    if unknown:
        path, _, key = unknown[1].rpartition(".")
        return f"{unknown[1]}: no such key{did_you_mean(key, _keys_at(path, argv))}; --cfg job shows all keys"
    kept = [
        line for line in text.splitlines() if line and not re.match(r"\s*(full_key|object_type|reference_type)", line)
    ]
    return "\n".join(dict.fromkeys(kept))


def _keys_at(path: str, argv: list[str]) -> list[str]:
    """Return the keys that stand at ``path`` when only the groups of the command line are composed."""
    groups = [word for word in argv[1:] if re.match(r"\+?(experiment|" + "|".join(usage.GROUPS) + r")=", word)]
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            node = OmegaConf.select(compose("config", overrides=groups), path) if path else compose("config", groups)
        return [str(key) for key in node]
    except (HydraException, OmegaConfBaseException, TypeError, ValueError):
        return []
