"""Extraction by two gloo processes that are started as ``torchrun`` starts them."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from lightning import LightningModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy
from torch import nn

from transferbench.data.evaluation import CentreCrop
from transferbench.errors import RunFailed, UserError
from transferbench.features.extract import extract
from transferbench.features.store import FeatureStore

CROP = CentreCrop(8, 6)
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "enable_model_summary": False,
}  # fmt: skip

pytestmark = [
    pytest.mark.usefixtures("small_shards"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec"),
]


def _rank(number: int, port: int, work: Callable[[int, Trainer], None], options: dict[str, Any]) -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    place = {"RANK": number, "LOCAL_RANK": number, "GROUP_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update({key: str(value) for key, value in {**place, **meeting}.items()})
    work(number, Trainer(devices=2, strategy="ddp", **QUIET, **options))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def on_two_ranks(work: Callable[[int, Trainer], None], **options: Any) -> None:
    """Call ``work(rank, trainer)`` in two processes; raises if one of them does."""
    mp.start_processes(_rank, args=(free_port(), work, options), nprocs=2, start_method="fork")


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "store")


def entry_in(folder: Path) -> Path:
    (found,) = (place for place in folder.iterdir() if place.is_dir())
    return found


def test_two_processes_share_the_work(tallying, pictures, store, tmp_path):
    images = pictures(57)  # shards of 10: rank 0 has those that begin at 0, 20, 40, rank 1 those at 10, 30, 50

    def work(rank, trainer):
        own = tallying
        own.tally = tmp_path / f"tally{rank}"
        own.train()
        for _ in range(2):
            found = store.features(own, images, CROP, trainer=trainer, batch_size=4, workers=rank)
        assert own.seen == (30, 27)[rank]
        assert own.training
        assert own.body[1].training
        own(torch.zeros(2, 3, 6, 6)).sum().backward()  # still trainable
        np.save(tmp_path / f"{rank}.npy", found.x[:])

    on_two_ranks(work)
    expected = extract(tallying, images, CROP)
    for rank in (0, 1):
        np.testing.assert_allclose(np.load(tmp_path / f"{rank}.npy"), expected.x, atol=1e-6)
    seen = tallying.seen
    np.testing.assert_allclose(store.features(tallying, images, CROP).x[:], expected.x, atol=1e-6)
    assert tallying.seen == seen  # one process alone finds them, too
    assert json.loads((entry_in(store.folder) / "meta.json").read_text())["readable"] == 57
    assert {place.name for place in entry_in(store.folder).iterdir()} == {"meta.json", "x.bin"}


def test_the_weights_are_those_of_the_first_process(tallying, pictures, store):
    expected = extract(tallying, pictures(57), CROP)

    def work(rank, trainer):
        tallying.body[1].running_mean.add_(rank)  # as in training, where each process has statistics of its own
        store.features(tallying, pictures(57), CROP, trainer=trainer)

    on_two_ranks(work)
    np.testing.assert_allclose(store.features(tallying, pictures(57), CROP).x[:], expected.x, atol=1e-6)


class Marked(nn.Module):
    """Gives the number ``mark`` in place of a feature of the one white picture."""

    def __init__(self, network: nn.Module, mark: float) -> None:
        super().__init__()
        self.network = network
        self.mark = mark

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.network(images).clone()
        x[(images == 255).flatten(1).all(dim=1), 2] = self.mark
        return x


def test_all_processes_end_with_the_sentence_of_one(tallying, pictures, store, tmp_path):
    images = pictures(57)
    images.pixels[34] = 255  # of rank 1

    def work(rank, trainer):
        with pytest.raises(RunFailed) as error:
            store.features(Marked(tallying, float("inf")), images, CROP, trainer=trainer, batch_size=4)
        (tmp_path / f"{rank}.txt").write_text(str(error.value))

    on_two_ranks(work)
    assert [("not finite" in (tmp_path / f"{rank}.txt").read_text()) for rank in (0, 1)] == [True, True]
    assert not (entry_in(store.folder) / "meta.json").exists()
    seen = tallying.seen
    with pytest.raises(RunFailed, match="not finite"):
        store.features(Marked(tallying, float("inf")), images, CROP, batch_size=4)
    assert tallying.seen - seen <= 8  # all but the shard of that picture and the last one of rank 1 were there


def test_what_is_damaged_is_shared_out_again(tallying, pictures, store):
    images = pictures(57)
    expected = store.features(tallying, images, CROP).x[:].copy()
    data = bytearray((entry_in(store.folder) / "x.bin").read_bytes())
    for row in (5, 55):
        data[row * 20] ^= 1
    (entry_in(store.folder) / "x.bin").write_bytes(data)
    on_two_ranks(lambda rank, trainer: store.features(tallying, images, CROP, trainer=trainer) and None)
    assert tallying.seen == 57 + 17
    np.testing.assert_allclose(store.features(tallying, images, CROP).x[:], expected, atol=1e-6)


def test_fewer_shards_than_processes(tallying, pictures, store):
    on_two_ranks(lambda rank, trainer: store.features(tallying, pictures(8), CROP, trainer=trainer) and None)
    assert tallying.seen == 8
    np.testing.assert_allclose(
        store.features(tallying, pictures(8), CROP).x[:], extract(tallying, pictures(8), CROP).x, atol=1e-6
    )


def test_batches_that_the_trainer_leaves_out_are_said(tallying, pictures, store):
    def work(rank, trainer):
        with pytest.raises(RunFailed, match=r"the trainer stopped early.*limit_predict_batches=1\.0"):
            store.features(tallying, pictures(57), CROP, trainer=trainer, batch_size=4)

    on_two_ranks(work, limit_predict_batches=3)


def test_different_sets_are_said(tallying, pictures, store):
    def work(rank, trainer):
        with pytest.raises(UserError, match="process 0 has a set of 57 images, process 1 one of 58"):
            store.features(tallying, pictures(57 + rank), CROP, trainer=trainer)

    on_two_ranks(work)


def test_a_precision_that_changes_the_weights_is_refused(tallying, pictures, store):
    def work(rank, trainer):
        with pytest.raises(UserError, match=r"trainer\.precision=bf16-true: expected one of 32-true, bf16-mixed"):
            store.features(tallying, pictures(57), CROP, trainer=trainer)

    on_two_ranks(work, precision="bf16-true")


def test_a_strategy_that_divides_the_weights_is_refused(tallying, pictures, store):
    trainer = SimpleNamespace(world_size=2, precision="32-true", strategy=object.__new__(FSDPStrategy))
    with pytest.raises(UserError, match="under FSDPStrategy, which divides the weights; expected trainer=ddp"):
        store.features(tallying, pictures(57), CROP, trainer=trainer)


def test_a_process_that_is_killed_leaves_what_all_had(tallying, pictures, store):
    images = pictures(57)

    def work(rank, trainer):
        batches = iter(range(100))
        tallying.before = lambda shown: os.kill(os.getpid(), signal.SIGKILL) if rank and next(batches) == 2 else None
        store.features(tallying, images, CROP, trainer=trainer, batch_size=5)

    with pytest.raises(mp.ProcessExitedException, match="SIGKILL"):
        on_two_ranks(work)
    assert not (entry_in(store.folder) / "meta.json").exists()
    seen = tallying.seen
    np.testing.assert_allclose(
        store.features(tallying, images, CROP).x[:], extract(tallying, images, CROP).x, atol=1e-6
    )
    assert tallying.seen - 57 - seen <= 47  # one shard of the killed process, and what the other had


@pytest.mark.parametrize(("trained_in", "precision"), [("32-true", "bf16-mixed"), ("bf16-mixed", "32-true")])
def test_the_precision_is_the_callers(tallying, pictures, store, trained_in, precision):
    images = pictures(20)
    expected = extract(tallying, images, CROP, precision=precision)

    def work(rank, trainer):
        store.features(tallying, images, CROP, trainer=trainer, precision=precision)

    on_two_ranks(work, precision=trained_in)
    np.testing.assert_allclose(store.features(tallying, images, CROP, precision=precision).x[:], expected.x, atol=1e-6)


def test_processes_that_the_trainer_starts_itself(tallying, pictures, store, monkeypatch):
    monkeypatch.setenv("MASTER_PORT", str(free_port()))  # Lightning would set it, and leave it set
    trainer = Trainer(devices=2, strategy="ddp_fork", **QUIET)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = store.features(tallying, pictures(57), CROP, trainer=trainer, batch_size=4)
    torch.set_num_threads(threads)
    assert tallying.seen == 57
    np.testing.assert_allclose(found.x[:], extract(tallying, pictures(57), CROP).x, atol=1e-6)


def test_the_trainer_has_its_module_back(tallying, pictures, store):
    class Task(LightningModule):
        def predict_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
            return batch

    def work(rank, trainer):
        task = Task()
        trainer.predict(task, [torch.zeros(1)], return_predictions=False)
        store.features(tallying, pictures(57), CROP, trainer=trainer)
        assert trainer.lightning_module is task

    on_two_ranks(work)
