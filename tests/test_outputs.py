"""The run folder: who may write, what is the same run, what stands in metrics.csv."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferbench.errors import RunFailed, UserError
from transferbench.outputs import RunFolder, checkpoint_in, config_digest, flatten, read_metrics, read_summary

CONFIG = {"name": "x", "run": "r", "seed": 1, "trainer": {"devices": 1, "max_epochs": 3}, "head": {"layers": 3}}


def folder(path: Path, config: dict = CONFIG) -> RunFolder:
    return RunFolder(path, config_digest(config))


def test_the_digest_covers_what_is_computed_and_nothing_else() -> None:
    same = {**CONFIG, "name": "y", "run": "q", "logger": "wandb", "trainer": {"devices": 8, "max_epochs": 3}}
    assert config_digest(CONFIG) == config_digest(same)
    assert config_digest(CONFIG) != config_digest({**CONFIG, "seed": 2})
    assert config_digest(CONFIG) != config_digest({**CONFIG, "trainer": {"devices": 1, "max_epochs": 4}})
    assert config_digest(CONFIG, world="a") != config_digest(CONFIG, world="b")


def test_a_folder_is_taken_up_again_by_the_same_run_only(tmp_path: Path) -> None:
    first = folder(tmp_path / "r")
    first.claim(CONFIG)
    with pytest.raises(UserError, match="another process is writing"):
        folder(tmp_path / "r").claim(CONFIG)
    first.release()
    again = folder(tmp_path / "r")
    again.claim(CONFIG)
    again.release()
    other = {**CONFIG, "head": {"layers": 2}}
    with pytest.raises(UserError, match=r"head\.layers: there 3, now 2"):
        folder(tmp_path / "r", other).claim(other)


def test_a_garbled_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{[")
    with pytest.raises(UserError, match="cannot be read"):
        folder(tmp_path).claim(CONFIG)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFailed, match="cannot write the run folder"):
        folder(tmp_path / "file" / "run").claim(CONFIG)


def test_the_newest_checkpoint_is_last(tmp_path: Path) -> None:
    run = folder(tmp_path)
    assert run.last_checkpoint() is None
    with pytest.raises(UserError, match="no checkpoint there"):
        checkpoint_in(tmp_path)
    run.checkpoints.mkdir()
    for step in (5, 100, 20):
        (run.checkpoints / f"step-{step:09d}.ckpt").write_text("")
    (run.checkpoints / ".step-000000200.ckpt.part").write_text("")
    assert checkpoint_in(tmp_path).name == "step-000000100.ckpt"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metrics": 3}'])
def test_a_broken_summary_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(UserError, match="cannot be read"):
        read_summary(tmp_path)


def test_metrics_leave_out_empty_cells_and_a_line_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,train/loss,val/top1\n0,2.5,\n1,,0.25\n2,1.")
    assert read_metrics(file)[:2] == [{"step": 0.0, "train/loss": 2.5}, {"step": 1.0, "val/top1": 0.25}]
    assert read_metrics(tmp_path / "none.csv") == []


def test_flatten() -> None:
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}
