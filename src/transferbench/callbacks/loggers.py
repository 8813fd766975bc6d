"""Where the curves go: ``metrics.csv`` always, Weights & Biases on request."""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from transferbench.distributed import is_main
from transferbench.outputs import read_columns
from transferbench.storage import digest_of, write_text


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

    def drop_from(self, step: int) -> int:
        """Drop the rows of ``step`` and later, which a run that goes on from there writes again; return how many."""
        rows = self._written()
        kept = [row for row in rows if row["step"].isdigit() and int(row["step"]) < step]
        if self._columns and is_main():
            self._rewrite(kept)
        return len(rows) - len(kept)

    def _written(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if None not in row.values()]

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        lines = [self._columns] + [[row.get(column, "") for column in self._columns] for row in rows]
        write_text(self.path, "".join(",".join(map(str, line)) + "\n" for line in lines))


def csv_only(folder: Path, config: Mapping[str, Any], step: int | None = None) -> list[Logger]:
    """Return the loggers of ``logger=csv``; ``step`` is where a run that is taken up again goes on, else None."""
    file = MetricsFile(folder / "metrics.csv")
    if step is not None:
        file.drop_from(step)
    return [file]


def with_wandb(
    folder: Path,
    config: Mapping[str, Any],
    step: int | None = None,
    project: str = "transferbench",
    offline: bool = True,
    job_type: str = "pretrain",
    tags: list[str] | None = None,
) -> list[Logger]:
    """Return the loggers of ``logger=wandb``: a resumed run continues its own W&B run, a sweep is one group."""
    from transferbench.callbacks.wandb_run import WandbRun

    file = MetricsFile(folder / "metrics.csv")
    again = file.drop_from(step) if step is not None else 0
    sweep = folder.parent.name != str(config["name"])
    run = WandbRun(
        skip=again,
        project=project,
        name=f"{config['name']}-s{config['seed']}",
        group=folder.parent.name if sweep else str(config["name"]),
        job_type=job_type,
        id=digest_of(str(folder.resolve())),
        resume="allow",
        offline=offline,
        save_dir=str(folder),
        tags=tags,
        config=dict(config),
    )
    return [file, run]
