"""What stands around the jobs of a sweep, whatever launcher runs them: a record of each, and the page at the end."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from transferbench.cli.sentences import sentence
from transferbench.errors import UserError
from transferbench.report.sweep_records import JobRecord, begin_launch, group_choices, read_records, write_record

FOLDER: ContextVar[Path | None] = ContextVar("FOLDER", default=None)
"""The folder of the sweep that this command line launches; None for a single run."""
LAUNCHERS = ("joblib", "submitit_local", "submitit_slurm")
"""Hydra's launchers of the extra ``sweep``."""


class SweepWatch(Callback):
    """Learns from Hydra where the sweep's folder is: the jobs themselves may run in other processes.

    ``conf/config.yaml`` names it among ``hydra.callbacks``.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Note the folder, and make its records ready for another launch."""
        FOLDER.set(Path(str(config.hydra.sweep.dir)))
        begin_launch(Path(str(config.hydra.sweep.dir)))


@dataclass
class Recorder:
    """Keeps the record of the job that runs in this process."""

    sweep: Path
    record: JobRecord

    def placed(self, folder: Path) -> None:
        """Note that the job's configuration is good and where it runs."""
        self.record = replace(self.record, folder=folder.name)
        write_record(self.sweep, self.record)


@contextmanager
def recorded(expected: tuple[type[Exception], ...]) -> Iterator[Recorder]:
    """Record the job that Hydra runs now, and why it failed if it does; the error goes on to the launcher.

    An error that is not ``expected`` shows its traceback here: from another process the launcher brings none.
    """
    hydra = HydraConfig.get()
    words = tuple(map(str, hydra.overrides.task))
    choices = OmegaConf.to_container(hydra.runtime.choices)
    record = JobRecord(words, number=hydra.job.num, choices=group_choices(dict(choices)))  # type: ignore[arg-type]
    recorder = Recorder(Path(str(hydra.sweep.dir)), record)
    try:
        yield recorder
    except Exception as error:
        said = sentence(error, sys.argv).strip()
        if not isinstance(error, expected):
            traceback.print_exc()
            said = f"{type(error).__name__}: {said}"
        write_record(recorder.sweep, replace(recorder.record, error=said))
        raise


def failures(folder: Path) -> list[str]:
    """Return what the jobs of the last launch say they failed of, those in other processes included."""
    return [record.error for record in read_records(folder) if record.error is not None]


def began(folder: Path) -> bool:
    """Tell whether any job of the last launch has begun."""
    return any(record.number is not None for record in read_records(folder))


def conclude(folder: Path, full_error: bool) -> None:
    """Write the sweep's page and print its table; what goes wrong here hides nothing of the jobs' results."""
    try:
        from rich.console import Console

        from transferbench.report import sweep_page

        sweep_page.conclude(folder, Console())
    except Exception as error:
        if full_error:
            traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"{folder}: the page of the sweep could not be made ({reason}); its jobs are not affected\n")


def in_plain_words(error: Exception) -> Exception:
    """Return an error that says what to install where a launcher is missing; any other as it is."""
    missing = error.missing_cfg_file if isinstance(error, MissingConfigException) else None
    group, _, option = str(missing).rpartition("/")
    if group == "hydra/launcher" and option in LAUNCHERS:
        return UserError(f"hydra/launcher={option} is not installed: pip install 'transferbench[sweep]'")
    return error
