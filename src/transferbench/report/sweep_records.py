"""What each job of a sweep was asked for and whether it failed: small files in the sweep's folder, one a job.

A job writes its own, on whatever machine it runs, so that a failed job stands in the sweep's table even when it never
got a folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from transferbench.storage import digest_of, write_text

RECORDS = "jobs"
"""The folder of records below a sweep's."""


@dataclass(frozen=True)
class JobRecord:
    """One job as the command line asked for it.

    ``number`` counts within the last launch (None for jobs that an earlier one ran); ``overrides`` are the words that
    make this job, ``choices`` the option of each configuration group; ``folder`` is its name below the sweep's, None
    until the configuration was found good; ``error`` says in a sentence why it failed.
    """

    overrides: tuple[str, ...]
    number: int | None = None
    choices: dict[str, str] = field(default_factory=dict)
    folder: str | None = None
    error: str | None = None

    def named(self) -> dict[str, str]:
        """Return the values of the overrides by key, as they were typed, without the marks ``+`` and ``~``."""
        pairs = (word.partition("=") for word in self.overrides)
        return {key.lstrip("+~"): value for key, _, value in pairs}


def write_record(sweep: Path, record: JobRecord) -> None:
    """Write the record of one job below the folder ``sweep``."""
    name = record.folder or digest_of(*record.overrides)
    write_text(sweep / RECORDS / f"{name}.json", json.dumps(asdict(record), indent=2) + "\n")


def read_records(sweep: Path) -> list[JobRecord]:
    """Return the records below ``sweep``, jobs of earlier launches first; files that are none are passed over."""
    found = [record for file in sorted((sweep / RECORDS).glob("*.json")) if (record := _read(file)) is not None]
    return sorted(found, key=lambda record: -1 if record.number is None else record.number)


def _read(file: Path) -> JobRecord | None:
    """Return one record; None for a damaged file: the job's own folder still tells how far it got."""
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        return JobRecord(**content | {"overrides": tuple(map(str, content["overrides"]))})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def begin_launch(sweep: Path) -> None:
    """Make ready for another launch into ``sweep``: earlier failures are dropped, earlier jobs lose their numbers."""
    for record in read_records(sweep):
        if record.error is None and record.folder is not None:
            write_record(sweep, replace(record, number=None))
        else:
            name = record.folder or digest_of(*record.overrides)
            (sweep / RECORDS / f"{name}.json").unlink(missing_ok=True)


def group_choices(choices: Mapping[str, Any]) -> dict[str, str]:
    """Return the options chosen of the groups that say what a job computes: not Hydra's, nor how it is launched."""
    own = {str(group): str(option) for group, option in choices.items() if not str(group).startswith("hydra/")}
    return {group: option for group, option in own.items() if group != "sweep"}
