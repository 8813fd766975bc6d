"""``metrics.csv``: every row once, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

from transferbench.callbacks.loggers import MetricsFile, csv_only
from transferbench.outputs import read_metrics


def test_columns_grow_with_the_metrics(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    file.log_metrics({"train/loss": 2.0}, 0)
    file.log_metrics({"train/loss": 1.0}, 1)
    file.log_metrics({"val/top1": 0.5}, 1)
    assert read_metrics(file.path) == [
        {"step": 0, "train/loss": 2.0},
        {"step": 1, "train/loss": 1.0},
        {"step": 1, "val/top1": 0.5},
    ]


def test_a_resumed_run_drops_what_comes_again(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    for step in range(4):
        file.log_metrics({"train/loss": float(step)}, step)
    file.log_metrics({"val/top1": 0.5}, 3)
    again = MetricsFile(file.path)
    assert again.drop_from(3) == [{"step": "3", "train/loss": "3.0"}, {"step": "3", "val/top1": "0.5"}]
    again.log_metrics({"train/loss": 9.0}, 3)
    assert [row["step"] for row in read_metrics(file.path)] == [0, 1, 2, 3]


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,train/loss,val/top1\n0,1.0,\n1,0.")
    assert [row["step"] for row in MetricsFile(path)._written()] == ["0"]


def test_a_run_that_begins_again_begins_its_rows_again(tmp_path: Path) -> None:
    for _ in range(2):  # the first one is killed before its first checkpoint
        (file,) = csv_only(tmp_path, {}, step=None)
        file.log_metrics({"train/loss": 1.0}, 0)
    assert read_metrics(tmp_path / "metrics.csv") == [{"step": 0, "train/loss": 1.0}]
