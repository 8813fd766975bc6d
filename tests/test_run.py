"""The whole chain on small data: what a run leaves, and what happens when it is repeated or broken."""

from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import transferbench
from transferbench import cli
from transferbench.outputs import read_metrics

pytestmark = pytest.mark.usefixtures("own_cache")
Launch = Callable[..., int]


def test_a_run_leaves_its_folder_complete(launch: Launch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch(tmp_path, "run=a") == 0
    folder = tmp_path / "trex" / "a"
    summary = json.loads((folder / "summary.json").read_text())
    assert {"name", "run", "seed", "commit", "versions", "seconds", "metrics", "digest"} <= set(summary)
    metrics = summary["metrics"]
    for probe in ("knn", "ncm", "logreg"):
        assert 0 <= metrics[f"transfer/seen/{probe}/top1"] <= 1
    assert {"val/top1", "val/knn", "train/loss", "floors/pixels/seen/logreg/top1"} <= set(metrics)
    assert "transfer/mean_log_odds" not in metrics  # no concepts but its own
    rows = read_metrics(folder / "metrics.csv")
    assert sum("val/top1" in row for row in rows) == 2
    assert [f.name for f in sorted((folder / "checkpoints").iterdir())] == [
        "step-000000004.ckpt",
        "step-000000008.ckpt",
    ]
    assert (folder / "report.html").stat().st_size > 50_000
    out, err = capsys.readouterr()
    assert "report:" in out.replace("\n", " ")
    assert "Traceback" not in err
    network = transferbench.load(folder)
    assert network.class_names == ("class0", "class1", "class2")

    before = (folder / "summary.json").stat().st_mtime_ns
    assert launch(tmp_path, "run=a") == 0  # finished: shown again, nothing done
    assert (folder / "summary.json").stat().st_mtime_ns == before
    assert "seen" in capsys.readouterr().out
    assert launch(tmp_path, "run=a", "seed=2") == 2
    assert "seed: there 1, now 2" in capsys.readouterr().err


@pytest.mark.parametrize("experiment", ["supervised", "multicrop", "trex_plain", "trex_star", "deepncm"])
def test_every_method_trains(launch: Launch, tmp_path: Path, experiment: str) -> None:
    assert launch(tmp_path, "run=a", "scale.epochs=1", "~transfer", experiment=experiment) == 0
    assert transferbench.load(tmp_path / experiment / "a").head is not None


def test_crops_can_be_finished_on_the_device(launch: Launch, tmp_path: Path) -> None:
    more = ("scale.epochs=1", "scale.workers=1", "~transfer", "callbacks.knn=null")  # null: without that callback
    assert launch(tmp_path, "run=a", "crops.batched=true", *more) == 0


def test_the_world_brings_its_levels(
    tiny: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import transferbench.data.world as world

    few = functools.partial(world.open_world, train_images=4, val_images=2)
    monkeypatch.setattr(world, "open_world", few)
    words = ["+experiment=trex", *tiny[1:], f"outputs={tmp_path}", "run=a", "scale.epochs=1"]
    assert cli.command(["transferbench", *words]) == 0
    metrics = json.loads((tmp_path / "trex" / "a" / "summary.json").read_text())["metrics"]
    for level in range(1, 6):
        assert f"cog/level_{level}/top1" in metrics
        assert f"floors/random_backbone/level_{level}/logreg/top1" in metrics
    assert "transfer/mean_log_odds" in metrics
    assert "level 5" in capsys.readouterr().out


def test_divergence_is_a_sentence_and_keeps_the_last_good_checkpoint(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from transferbench.tasks.supervised import Supervised

    step = Supervised.training_step

    def poisoned(self: Supervised, batch: Any, index: int) -> Any:
        if self.global_step == 6:
            batch[0][0] = batch[0][0].float() * float("nan")
        return step(self, batch, index)

    monkeypatch.setattr(Supervised, "training_step", poisoned)
    assert launch(tmp_path, "run=a", experiment="multicrop") == 1
    err = capsys.readouterr().err
    assert "the loss became nan at step 6" in err
    assert "Traceback" not in err
    folder = tmp_path / "multicrop" / "a"
    assert [f.name for f in (folder / "checkpoints").iterdir()] == ["step-000000004.ckpt"]
    assert not (folder / "summary.json").exists()


def test_wrong_inputs_leave_nothing_behind(
    photos: Path, tiny: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, sentence in (
        (["data.root=/nowhere"], "/nowhere"),
        (["scale.batch_size=1000"], "scale.batch_size=36"),
        (["+transfer.folders.x=/nowhere"], "/nowhere"),
        (["transfer.probes=[svm]"], "svm"),
        (["model=timm", "model.name=resnet999", "~model.width", "~model.layers"], "resnet"),
    ):
        base = [word for word in tiny if not (word.startswith("model.") and "model=timm" in words)]
        words = ["+experiment=trex", "data=folder", f"data.root={photos}", *base, *words, f"outputs={tmp_path / 'o'}"]
        words = [word for word in words if not word.startswith("~model")]
        assert cli.command(["transferbench", *words]) == 2, words
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_full_disk_is_a_sentence(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lightning import Trainer

    def full(self: Trainer, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Trainer, "save_checkpoint", full)
    assert launch(tmp_path, "run=a") == 1
    err = capsys.readouterr().err
    assert "No space left on device" in err
    assert "Traceback" not in err
    assert not [*(tmp_path / "trex" / "a" / "checkpoints").iterdir()]


def test_a_loading_process_that_dies_is_a_sentence(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from transferbench.data.multicrop import MultiCrop

    def killed(*_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(MultiCrop, "__call__", killed)
    assert launch(tmp_path, "run=a", "scale.workers=1") == 1
    err = capsys.readouterr().err
    assert "a loading process died" in err
    assert "scale.workers" in err
    assert "Traceback" not in err


def test_two_sweep_jobs_make_two_wandb_runs(photos: Path, tiny: tuple[str, ...], tmp_path: Path) -> None:
    words = ["-m", "+experiment=supervised", "data=folder", f"data.root={photos}", *tiny, f"outputs={tmp_path}"]
    words += ["~transfer", "scale.epochs=1", "seed=1,2", "sweep_name=s", "logger=wandb"]
    assert cli.command(["transferbench", *words]) == 0
    folders = sorted((tmp_path / "s").glob("supervised_*"))
    runs = [f.name for folder in folders for f in (folder / "wandb").glob("offline-run-*")]
    assert len(folders) == 2
    assert len({name.rsplit("-", 1)[-1] for name in runs}) == 2
