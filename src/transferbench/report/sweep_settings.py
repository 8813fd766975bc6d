"""Which settings tell the jobs of a sweep apart, under the names the user gave them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from transferbench.outputs import PLACEMENT, UNIDENTIFYING, flatten, identity
from transferbench.report.sweep_records import JobRecord

ABSENT = "–"
"""Stands for the value of a setting that a job does not have."""
_EXPERIMENT = "experiment"


def leaves(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a resolved configuration computes with, by dotted key: no placement, no names, no paths of needs."""
    needs = config.get("needs")
    paths = {str(path) for path in flatten(needs).values()} if isinstance(needs, Mapping) else set()
    flat = {str(key): value for key, value in flatten(identity(config)).items()}
    return {key: value for key, value in flat.items() if not (isinstance(value, str) and value in paths)}


def varying(
    configs: Sequence[Mapping[str, Any]],
    records: Sequence[JobRecord | None],
    asked: Sequence[JobRecord] = (),
    hints: Sequence[str] = (),
) -> dict[str, list[Any]]:
    """Return the settings that differ among finished jobs, by key, each with its value in every job; never the seed.

    ``configs`` are resolved. A setting that the user named (in a job's record, or by a key of ``hints``) is shown under
    that name, a group by the option chosen; so is one that differs only among all jobs ``asked`` for. Beyond those,
    only as many keys are added as it takes to tell the jobs apart: numbers that vary together stand under one name.
    """
    flat = [leaves(config) for config in configs]
    columns = _columns(flat, [config.get("seed") for config in configs])
    choices = _choices(configs, records)
    chosen = {key: _values(key, flat, records) for key in _tried(asked)}
    typed = (key for record in (*records, *asked) if record for key in record.named())
    for key in dict.fromkeys([*typed, *hints]):
        column = choices.get(key) or columns.get(key) or _of_need(key, records)
        if column and not any(_same(column, other) for other in chosen.values()):
            chosen[key] = column
    named = [] if any(records) else list(choices.values())  # without records, runs of two experiments are two things
    wanted = _count([*columns.values(), *named])
    others = choices | {key: columns[key] for key in sorted(columns, key=_rank)}
    for key, column in others.items():
        now = _count(list(chosen.values()))
        if now >= wanted:
            break
        if _count([*chosen.values(), column]) > now:
            chosen[key] = column
    return chosen


def with_model_run(config: dict[str, Any]) -> dict[str, Any]:
    """Return a resolved configuration that names the run its model came from by what that run was, not by its path.

    ``model.experiment`` and the settings of that run stand under ``model``, without its seed.
    """
    model = config.get("model")
    path = model.get("path") if isinstance(model, Mapping) else None
    file = Path(str(path)) / "config.yaml"
    if path is None or not file.exists():
        return config
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        kept = {key: value for key, value in identity(content).items() if key not in ("seed", "transfer", "callbacks")}
        return {**config, "model": {"experiment": content["name"], **kept}}
    except (OSError, UnicodeError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return config


def _tried(asked: Sequence[JobRecord]) -> list[str]:
    """Return the keys whose typed values differ among all jobs that were asked for, where all of them name it."""
    rows = [record.named() for record in asked]
    keys = dict.fromkeys(key for row in rows for key in row if all(key in other for other in rows))
    apart = (*UNIDENTIFYING, "seed", "sweep")
    kept = [key for key in keys if key.split(".")[0] not in apart and not _is_placement(key)]
    return [key for key in kept if len({row[key] for row in rows}) > 1]


def _values(key: str, flat: Sequence[Mapping[str, Any]], records: Sequence[JobRecord | None]) -> list[Any]:
    """Return what a key is in each finished job: the option of a group, a value of the configuration."""
    asked = [asked_for(record, [key])[key] if record else ABSENT for record in records]
    return [one.get(key, typed) for one, typed in zip(flat, asked)]


def _columns(flat: Sequence[Mapping[str, Any]], seeds: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the keys whose values differ, without those that are the seed under another name."""
    keys = dict.fromkeys(key for one in flat for key in one if not _is_placement(key))
    columns = {key: [one.get(key, ABSENT) for one in flat] for key in keys if key != "seed"}
    return {key: column for key, column in columns.items() if _count([column]) > 1 and not _follows(column, seeds)}


def _follows(column: Sequence[Any], seeds: Sequence[Any]) -> bool:
    """Tell whether a column is the seed under another name, in some of the jobs; in the others it is always the same.

    A draw that a job takes from its seed tells no two settings apart, and neither does the draw of a job without one.
    """
    own = {seed for value, seed in zip(column, seeds) if value == seed}
    others = {_frozen(value) for value, seed in zip(column, seeds) if value not in (seed, ABSENT)}
    return len(own) > 1 and len(others) <= 1


def _is_placement(key: str) -> bool:
    return key in {f"trainer.{name}" for name in PLACEMENT}


def _choices(configs: Sequence[Mapping[str, Any]], records: Sequence[JobRecord | None]) -> dict[str, list[Any]]:
    """Return the options of the groups that differ; without records of all jobs, only the experiment by its name."""
    known = [record.choices for record in records if record is not None and record.choices]
    if len(known) == len(configs):
        groups = dict.fromkeys(group for one in known for group in one if group not in UNIDENTIFYING)
        columns = {group: [one.get(group, ABSENT) for one in known] for group in groups}
    else:
        columns = {_EXPERIMENT: [config.get("name", ABSENT) for config in configs]}
    return {group: column for group, column in columns.items() if _count([column]) > 1}


def _of_need(key: str, records: Sequence[JobRecord | None]) -> list[str] | None:
    """Return the runs that ``needs.<name>=...`` named, which no configuration keeps apart."""
    column = [record.named().get(key, ABSENT) if record else ABSENT for record in records]
    return column if key.startswith("needs.") and _count([column]) > 1 else None


def _rank(key: str) -> tuple[bool, int, str]:
    """Order keys by how well they name what varies: components copy from the scale, so it comes first."""
    return not key.startswith("scale."), len(key), key


def _count(columns: Sequence[Sequence[Any]]) -> int:
    """Return how many jobs the columns tell apart; 1 without columns."""
    return len({tuple(map(_frozen, row)) for row in zip(*columns)}) if columns else 1


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Tell whether a column says no more than another: the same values, or numbers that always change together."""
    if list(map(_frozen, one)) == list(map(_frozen, other)):
        return True
    return is_numeric([*one, *other]) and _count([one]) == _count([other]) == _count([one, other])


def _frozen(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def asked_for(record: JobRecord, keys: Iterable[str]) -> dict[str, Any]:
    """Return the values of ``keys`` for a job of which only the record is known."""
    named = record.named()
    return {key: record.choices.get(key, _value(named[key]) if key in named else ABSENT) for key in keys}


def _value(text: str) -> Any:
    """Return what an override's value means, the text itself where it is no YAML."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def said(value: Any) -> str:
    """Return a setting's value as it is typed on the command line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_numeric(values: Iterable[Any]) -> bool:
    """Tell whether all values are numbers."""
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each dotted key where that says enough and tells them apart."""
    last = [key.rpartition(".")[2] for key in keys]
    plain = [last.count(name) == 1 and not name.startswith("_") for name in last]
    return {key: name if enough else key for key, name, enough in zip(keys, last, plain)}
