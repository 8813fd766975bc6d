"""The jobs of a sweep as they lie in its folder: finished, unfinished, failed or broken."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

from transferbench.errors import UserError
from transferbench.outputs import flatten
from transferbench.report.compare import Summary, read_run
from transferbench.report.sweep_records import JobRecord, read_records
from transferbench.report.sweep_settings import ABSENT, asked_for, is_numeric, leaves, said, varying, with_model_run

State: TypeAlias = Literal["finished", "unfinished", "failed", "broken"]


@dataclass(frozen=True)
class SweepJob:
    """One job: ``run`` is its summary, None when it has none that can be read; ``reason`` says why in a sentence.

    ``folder`` is relative to the sweep's.
    """

    folder: str
    state: State
    number: int | None = None
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    run: Summary | None = None
    reason: str = ""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The flat metrics of its summary, none without one."""
        return {} if self.run is None else self.run.metrics

    @property
    def label(self) -> str:
        """The settings that set it apart, as they are typed; the seed is none of them."""
        return " ".join(f"{key}={said(value)}" for key, value in self.settings.items())


@dataclass(frozen=True)
class _Found:
    job: SweepJob
    config: dict[str, Any] | None
    record: JobRecord | None
    begun: float
    """When its configuration was written, in seconds since the epoch."""


def read_jobs(sweep: Path, runs: Sequence[Path] | None = None) -> tuple[tuple[str, ...], list[SweepJob]]:
    """Return the keys of the settings that vary, and all jobs below the folder ``sweep`` in the order of these.

    With ``runs``, these run folders, wherever they lie, are the jobs. Nothing that is unfinished or broken is an error
    here: such a job has its state and its reason.
    """
    records = read_records(sweep)
    inside = sorted(sweep.iterdir()) if runs is None and sweep.is_dir() else []
    found = [*_in_folders(sweep, inside if runs is None else runs, records), *_without_folder(sweep, records)]
    found.sort(key=lambda one: (-1 if one.job.number is None else one.job.number, one.begun))
    finished = [one for one in found if one.job.run is not None and one.config is not None]
    configs = [one.config for one in finished if one.config is not None]
    columns = varying(configs, [one.record for one in finished], records, _hints(sweep))
    rows = {one.job.folder: dict(zip(columns, row)) for one, row in zip(finished, zip(*columns.values()))}
    jobs = [
        replace(one.job, settings=rows.get(one.job.folder) or _settings(one, tuple(columns)), seed=_seed(one))
        for one in found
    ]
    return tuple(columns), _in_order(jobs, tuple(columns))


def _in_folders(sweep: Path, paths: Iterable[Path], records: list[JobRecord]) -> Iterator[_Found]:
    """Yield the jobs that have a folder, among ``paths``."""
    of_folder = {record.folder: record for record in records}
    for path in paths:
        if not ((path / "config.yaml").exists() or (path / "summary.json").exists()):
            continue
        record = of_folder.get(path.name)
        reasons: list[str] = []
        config, run = _config(path, reasons), _run(path, reasons)
        done = (path / "summary.json").exists()
        state: State = "broken" if reasons else "finished"
        if not done and not reasons:
            state = "failed" if record and record.error else "unfinished"
            reasons.append(record.error if record and record.error else "no summary.json yet")
        number = record.number if record else None
        at, said_why = os.path.relpath(path, sweep), "; ".join(reasons)
        job = SweepJob(at, state, number, run=None if reasons else run, reason=said_why)
        yield _Found(job, config, record, _begun(path))


def _begun(path: Path) -> float:
    file = path / "config.yaml"
    return file.stat().st_mtime if file.exists() else 0.0


def _config(path: Path, reasons: list[str]) -> dict[str, Any] | None:
    """Return the resolved configuration of a job; what is wrong with it is added to ``reasons``."""
    file = path / "config.yaml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        reasons.append(f"{file.name} cannot be read ({type(error).__name__})")
        return None
    if isinstance(content, dict):
        return with_model_run({str(key): value for key, value in content.items()})
    reasons.append(f"{file.name} holds no configuration")
    return None


def _run(path: Path, reasons: list[str]) -> Summary | None:
    """Return the summary of a job, None before there is one; what is wrong with it is added to ``reasons``."""
    if not (path / "summary.json").exists():
        return None
    try:
        return read_run(path)
    except UserError as error:
        reasons.append(str(error).replace(f"{path}/", ""))
        return None


def _without_folder(sweep: Path, records: list[JobRecord]) -> Iterator[_Found]:
    """Yield the jobs that ended before they had a folder."""
    for record in records:
        if record.folder is None or not (sweep / record.folder).is_dir():
            state: State = "failed" if record.error else "unfinished"
            reason = record.error or "not begun"
            yield _Found(SweepJob("", state, record.number, reason=reason), None, record, 0.0)


def _settings(one: _Found, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of a job that is not finished, as far as they are known."""
    flat = {} if one.config is None else leaves(one.config)
    asked = {} if one.record is None else asked_for(one.record, keys)
    known = {key: value for key, value in asked.items() if value != ABSENT}
    return {key: known.get(key, flat.get(key, ABSENT)) for key in keys}


def _seed(one: _Found) -> int | None:
    known = [one.config.get("seed")] if one.config is not None else []
    if one.record is not None:
        known.append(asked_for(one.record, ["seed"])["seed"])
    seed = one.job.run.seed if one.job.run is not None else known[0] if known else None
    return seed if isinstance(seed, int) else None


def _hints(sweep: Path) -> list[str]:
    """Return the keys of the last command line, from the record that Hydra keeps of it."""
    try:
        content = flatten(yaml.safe_load((sweep / "multirun.yaml").read_text(encoding="utf-8")))
    except (OSError, UnicodeError, yaml.YAMLError):
        return []
    words = content.get("hydra.overrides.task")
    typed = [str(word).partition("=")[0].lstrip("+~") for word in words] if isinstance(words, list) else []
    swept = "hydra.sweeper.params."
    return typed + [key.removeprefix(swept) for key in content if key.startswith(swept)]


def _in_order(jobs: list[SweepJob], keys: tuple[str, ...]) -> list[SweepJob]:
    """Sort jobs by their settings and seed: numbers by size, other values as they first appear."""
    places: list[dict[str, int]] = []
    for key in keys:
        values: list[Any] = [job.settings[key] for job in jobs]
        counted = [job.settings[key] for job in jobs if job.run is not None]
        if counted and is_numeric(counted):
            values = sorted(counted) + values
        places.append({value: place for place, value in enumerate(dict.fromkeys(map(said, values)))})

    def place(job: SweepJob) -> tuple[object, ...]:
        row = [at[said(job.settings[key])] for key, at in zip(keys, places)]
        return (*row, -1 if job.seed is None else job.seed)

    return sorted(jobs, key=place)
