"""The W&B run, offline: what is sent is read back from W&B's own files."""

from __future__ import annotations

import importlib
import json
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from lightning.pytorch.loggers import Logger

from transferbench.callbacks.loggers import csv_only, with_wandb
from transferbench.callbacks.wandb_run import WandbRun, ready
from transferbench.errors import UserError
from transferbench.outputs import read_metrics

BLOCK = 32768
CONFIG: dict[str, Any] = {"name": "trex", "seed": 1, "sweep_name": "s", "scale": {"lr": 0.1}, "model": {"name": "r18"}}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep W&B out of the user's home, and undo what it sets in the environment."""
    import wandb

    before = dict(os.environ)
    for variable in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    for variable in ("WANDB_API_KEY", "NETRC", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    wandb.finish()
    monkeypatch.undo()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "outputs" / "trex" / "a"
    made.mkdir(parents=True)
    (made / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return made


def records(file: Path) -> Iterator[Any]:
    """Yield the records of an offline ``.wandb`` file: LevelDB's log format behind a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    data, place, whole = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        if place + 7 + length > len(data):  # it is being written
            return
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def name_of(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def sent(folder: Path) -> list[Any]:
    """Finish the run and return all records of its folder, those of earlier processes first."""
    import wandb

    wandb.finish()
    found: list[Any] = []
    for file in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        deadline = time.monotonic() + 20  # W&B's own process writes the file
        while not any(record.HasField("exit") for record in records(file)) and time.monotonic() < deadline:
            time.sleep(0.02)
        found += records(file)
    return found


def of_kind(folder: Path, kind: str) -> list[Any]:
    return [getattr(record, kind) for record in sent(folder) if record.WhichOneof("record_type") == kind]


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the curves, with W&B's own number ``_step``."""
    found = of_kind(folder, "history")
    return [{name_of(item): json.loads(item.value_json) for item in history.item} for history in found]


def finals(folder: Path) -> dict[str, Any]:
    """Return the final values that were set."""
    found = of_kind(folder, "summary")
    return {name_of(item): json.loads(item.value_json) for summary in found for item in summary.update}


def begin(folder: Path, step: int | None = None, **options: Any) -> list[Logger]:
    return with_wandb(**options)(folder=folder, config=CONFIG, step=step)


def test_the_run_says_what_it_is(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import wandb

    begin(folder, tags=["mine"])
    directory = Path(wandb.run.dir)
    run = of_kind(folder, "run")[0]
    assert (run.project, run.run_group, run.job_type) == ("transferbench", "trex", "pretrain")
    assert run.display_name == "trex-s1"
    assert sorted(run.tags) == ["mine", "r18"]
    config = {name_of(item): json.loads(item.value_json) for item in run.config.update}
    assert config["scale"] == {"lr": 0.1}
    assert yaml.safe_load((directory / "transferbench" / "config.yaml").read_text()) == CONFIG
    axes = {metric.glob_name or metric.name: metric.step_metric for metric in of_kind(folder, "metric")}
    assert axes["train/*"] == axes["val/*"] == "trainer/global_step"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["outputs"]
    out, err = capfd.readouterr()
    assert out + err == ""  # no prompt, no advertisement


def test_scores_are_final_values_and_no_curves(folder: Path) -> None:
    file, run = begin(folder)
    for logger in (file, run):
        logger.log_metrics({"train/loss": 1.0, "epoch": 0}, 0)
        logger.log_metrics({"transfer/seen/knn/top1": 0.5, "floors/pixels/seen/knn/top1": 0.1}, 1)
    assert [row["train/loss"] for row in rows(folder)] == [1.0]
    assert finals(folder)["transfer/seen/knn/top1"] == 0.5
    assert "transfer/seen/knn/top1" in read_metrics(folder / "metrics.csv")[-1]


def log(loggers: list[Logger], steps: range, validated: int) -> None:
    for step in steps:
        for logger in loggers:
            logger.log_metrics({"train/loss": float(step), "epoch": 0}, step)
            if step == validated:
                logger.log_metrics({"val/top1": 0.5, "epoch": 0}, step)


def test_a_resumed_run_has_each_row_once(folder: Path) -> None:
    loggers = begin(folder)
    log(loggers, range(10), validated=7)
    loggers[1].finalize("failed")
    assert [end.exit_code for end in of_kind(folder, "exit")] == [1]
    identity = of_kind(folder, "run")[0].run_id
    loggers = begin(folder, step=6)  # the last checkpoint was written after step 6
    log(loggers, range(6, 14), validated=7)
    found = rows(folder)
    assert [row["trainer/global_step"] for row in found if "train/loss" in row] == list(range(14))
    assert [row["trainer/global_step"] for row in found if "val/top1" in row] == [7]
    assert [row["step"] for row in read_metrics(folder / "metrics.csv") if "train/loss" in row] == list(range(14))
    assert [run.run_id for run in of_kind(folder, "run")] == [identity]
    assert len([*(folder / "wandb" / "earlier").iterdir()]) == 1  # wandb sync does not look there


@pytest.mark.parametrize("known", [0, 4, 6, 8, 11])
def test_what_the_server_has_is_not_sent_again(folder: Path, monkeypatch: pytest.MonkeyPatch, known: int) -> None:
    log(csv_only(folder, CONFIG), range(10), validated=7)  # 11 rows
    server: list[dict[str, Any]] = read_metrics(folder / "metrics.csv")[:known]

    class Online:
        step = known

        def log(self, row: dict[str, Any]) -> None:
            server.append({"step": row["trainer/global_step"], **row})

    monkeypatch.setattr(WandbRun, "start", lambda self: setattr(self, "_experiment", Online()))
    loggers = begin(folder, step=6)
    log(loggers, range(6, 14), validated=7)
    told = [(row["step"], "val/top1" in row) for row in server]
    assert told == [(step, val) for step in range(14) for val in (False, True) if not val or step == 7]


def test_a_run_that_began_without_wandb_has_no_gap(folder: Path) -> None:
    (folder / "metrics.csv").write_text("step,train/loss\n0,2.0\n1,1.0\n2,0.5\n")
    begin(folder, step=2)[1].log_metrics({"train/loss": 0.4}, 2)
    assert [(row["trainer/global_step"], row["train/loss"]) for row in rows(folder)] == [(0, 2.0), (1, 1.0), (2, 0.4)]


def test_the_facts_of_a_finished_run_stay_in_its_folder(folder: Path, tmp_path: Path) -> None:
    import wandb

    run: Any = begin(folder)[1]
    picture = wandb.Image(np.zeros((8, 8, 3), np.uint8), caption="x")
    table = wandb.Table(columns=["set"], data=[["seen"]])
    run.log_facts({"media/crops": [picture], "tables/accuracy": table, "seconds/training": 3.0})
    assert "WANDB_DATA_DIR" not in os.environ
    (row,) = rows(folder)
    assert row["tables/accuracy/_type"] == "table-file"
    assert row["media/crops/captions"] == ["x"]
    assert finals(folder)["seconds/training"] == 3.0
    assert [*folder.rglob("*.png")]
    outside = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and "logs" not in path.parts]
    assert outside == []


def test_the_environment_can_switch_it_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    _, run = begin(folder)
    run.log_metrics({"train/loss": 1.0, "transfer/x/y/top1": 0.1}, 0)
    assert not [*(folder / "wandb").glob("*run*")]
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert ready(offline=False) == "offline"


def test_online_without_a_key_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE")
    with pytest.raises(UserError, match=r"no key for W&B; type: wandb login, or leave logger.offline=true") as caught:
        with_wandb(offline=False)
    assert "\n" not in str(caught.value)


def test_wandb_that_is_broken_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def broken(name: str, *rest: Any) -> Any:
        if name == "wandb":
            raise TypeError("Descriptors cannot\nbe created directly")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(UserError, match=r"cannot be imported \(Descriptors cannot be created directly\); type: pip"):
        with_wandb()
