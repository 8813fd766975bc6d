"""Where the curves go: ``metrics.csv`` always, Weights & Biases on request."""

from __future__ import annotations

import csv
import functools
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from transferbench.outputs import read_columns, read_metrics
from transferbench.storage import write_text


class MetricsFile(Logger):
    """``metrics.csv``: one row a log call, its columns growing with the metrics; appended to when a run is resumed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._columns: list[str] = read_columns(path)

    @property
    def name(self) -> str:
        """The logger's name."""
        return "csv"

    @property
    def version(self) -> str:
        """A run folder has one file."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: ``config.yaml`` holds the settings."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row; a new metric rewrites the file with one more column."""
        row = {"step": step, **metrics}
        new = [key for key in row if key not in self._columns]
        if new:
            rows = self._written()
            self._columns += new
            self._rewrite([*rows, row])
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def drop_from(self, step: int) -> list[dict[str, str]]:
        """Drop the rows of ``step`` and later, which a run that goes on from there writes again; return them.

        Their empty cells are left out.
        """
        kept: list[dict[str, str]] = []
        dropped: list[dict[str, str]] = []
        for row in self._written():
            before = row["step"].isdigit() and int(row["step"]) < step
            (kept if before else dropped).append(row)
        if self._columns:
            self._rewrite(kept)
        return [{key: value for key, value in row.items() if value} for row in dropped]

    def _written(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if None not in row.values()]

    @rank_zero_only  # not by the process group: none stands yet when a run is taken up again
    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        lines = [self._columns] + [[row.get(column, "") for column in self._columns] for row in rows]
        write_text(self.path, "".join(",".join(map(str, line)) + "\n" for line in lines))


def csv_only(folder: Path, config: Mapping[str, Any], step: int | None = None) -> list[Logger]:
    """Return the loggers of ``logger=csv``; ``step`` is where a run goes on, None where it begins."""
    file = MetricsFile(folder / "metrics.csv")
    file.drop_from(step or 0)  # killed before its first checkpoint, a run begins again, and so do its rows
    return [file]


def with_wandb(
    project: str = "transferbench",
    entity: str | None = None,
    offline: bool = True,
    job_type: str = "pretrain",
    tags: list[str] | None = None,
) -> Callable[..., list[Logger]]:
    """Return what makes the loggers of ``logger=wandb``, called like ``csv_only`` when the run folder is ours.

    Args:
        project: of W&B.
        entity: the user or team; None for the account's own.
        offline: write only into the run folder; so does ``WANDB_MODE=offline``, and ``WANDB_MODE=disabled`` nothing.
        job_type: what kind of run it is.
        tags: more of them, beside those for data, model, crops and head.

    Raises:
        UserError: wandb is missing or broken, or a run that is to be online has no key.
    """
    from transferbench.callbacks.wandb_run import ready

    options = {"project": project, "entity": entity, "job_type": job_type, "mode": ready(offline)}
    return functools.partial(_csv_and_wandb, options, list(tags or []))


def _csv_and_wandb(
    options: Mapping[str, Any], tags: list[str], folder: Path, config: Mapping[str, Any], step: int | None = None
) -> list[Logger]:
    from transferbench.callbacks.wandb_run import WandbRun

    file = MetricsFile(folder / "metrics.csv")
    again = file.drop_from(step or 0)
    run = WandbRun(folder, config, tags=tags, **options)
    run.start()
    run.go_on(read_metrics(file.path), again)
    return [file, run]
