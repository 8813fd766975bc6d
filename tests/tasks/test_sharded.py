"""Training shared out over two processes is training on one with the joint batch, and so are its checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import transferbench
from transferbench.errors import UserError
from transferbench.outputs import read_summary
from transferbench.tasks.sharded import FullySharded, skeleton


class Stack(LightningModule):
    """A stack of odd widths, with parameter groups in another order than the parameters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(5, 7), nn.Sequential(nn.Tanh(), nn.Linear(7, 9)), nn.Linear(9, 3))

    def parts(self) -> list[nn.Module]:
        return [self.net]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        biases = [p for p in self.net.parameters() if p.ndim == 1]
        weights = [p for p in self.net.parameters() if p.ndim > 1]
        return torch.optim.AdamW([{"params": biases, "weight_decay": 0.0}, {"params": weights}], lr=0.01)


class Images(LightningDataModule):
    """Two steps an epoch: of two ranks, r takes r, r + 2, ...; one takes what both take."""

    def train_dataloader(self) -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(1)
        data = TensorDataset(torch.randn(16, 5, generator=generator), torch.arange(16) % 3)
        if self.trainer.world_size == 2:
            return DataLoader(data, batch_size=4, sampler=DistributedSampler(data, shuffle=False))
        return DataLoader(data, batch_size=8, shuffle=False)


class Keep(Callback):
    """Save after the first epoch, and note how many weights and averages rank 0 holds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 0:
            trainer.save_checkpoint(self.path)
            (state,) = (optimizer.state for optimizer in trainer.optimizers)
            held = [*pl_module.parameters(), *(one["exp_avg"] for one in state.values())]
            local = [one.to_local() if isinstance(one, DTensor) else one for one in held]
            if trainer.is_global_zero:
                self.path.with_suffix(".txt").write_text(str(sum(one.numel() for one in local)))


def fit(devices: int, path: Path, task: LightningModule | None = None, **settings: Any) -> LightningModule:
    made = task or Stack()
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    more = {"enable_model_summary": False, "accelerator": "cpu", "max_epochs": 2, "use_distributed_sampler": False}
    strategy = FullySharded(smallest=40, start_method="fork") if devices == 2 else "auto"
    trainer = Trainer(**quiet, **more, devices=devices, strategy=strategy, callbacks=[Keep(path)])
    trainer.fit(made, datamodule=Images(), weights_only=True, **settings)
    return made


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A forked process would wait for its parent's threads for ever; Lightning sets the port."""
    monkeypatch.setenv("MASTER_PORT", "")
    monkeypatch.delenv("MASTER_PORT")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    for (key, value), wanted in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(value, wanted, msg=lambda text, key=key: f"{key}: {text}")


def flat(node: Any, path: str = "") -> dict[str, Any]:
    if isinstance(node, (dict, list)):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        return {k: v for name, child in items for k, v in flat(child, f"{path}/{name}").items()}
    return {path: node}


def test_weights_and_checkpoint_are_those_of_one_process(tmp_path: Path) -> None:
    shared, alone = tmp_path / "shared.ckpt", tmp_path / "alone.ckpt"
    assert_same_weights(fit(2, shared), fit(1, alone))
    ours, wanted = (torch.load(path, weights_only=True) for path in (shared, alone))
    for key in ("state_dict", "optimizer_states"):
        one, other = flat(ours[key]), flat(wanted[key])
        assert list(one) == list(other)
        for name, value in one.items():
            torch.testing.assert_close(value, other[name], msg=lambda text, name=name: f"{name}: {text}")


def test_a_rank_holds_about_half_of_the_weights_and_of_the_optimisers_state(tmp_path: Path) -> None:
    fit(2, tmp_path / "shared.ckpt")
    whole = 2 * sum(parameter.numel() for parameter in Stack().parameters())
    assert 0.5 * whole <= int((tmp_path / "shared.txt").read_text()) < 0.6 * whole


@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 1), (1, 2)])
def test_a_run_goes_on_shared_out_or_not(before: int, after: int, tmp_path: Path) -> None:
    whole = fit(1, tmp_path / "whole.ckpt")
    fit(before, tmp_path / "first.ckpt")
    assert_same_weights(fit(after, tmp_path / "second.ckpt", ckpt_path=tmp_path / "first.ckpt"), whole)


@pytest.mark.parametrize(
    "trainer",
    [
        ("trainer=ddp", "trainer.strategy=ddp_fork"),
        ("trainer=fsdp", "+trainer.strategy.start_method=fork", "+trainer.strategy.smallest=100"),
    ],
)
def test_a_whole_run_trains_validates_and_evaluates(
    trainer: tuple[str, ...], launch: Callable[..., int], tmp_path: Path
) -> None:
    """Batch norms are joined on the CPU, online kNN has all ranks' shares of the weights, the evaluation needs none."""
    two = ("trainer.devices=2", "trainer.accelerator=cpu", "scale.batch_size=4", "scale.epochs=1")
    assert launch(tmp_path, "run=a", *trainer, *two) == 0
    found = read_summary(tmp_path / "trex" / "a")["metrics"]
    assert {"val/top1", "val/knn", "transfer/seen/logreg/top1"} <= set(found)
    network = transferbench.load(tmp_path / "trex" / "a")
    assert not [key for key, value in network.state_dict().items() if isinstance(value, DTensor)]


def test_a_task_that_names_no_parts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Stack, "parts")
    monkeypatch.setattr("torch.distributed.broadcast", lambda *_: None)
    strategy = FullySharded()
    strategy.connect(Stack())
    with pytest.raises(UserError, match="Stack does not say what to shard; use trainer=ddp"):
        strategy.configure_ddp()


def test_a_skeleton_has_the_shape_of_a_network_and_none_of_its_weights() -> None:
    net = Stack().net
    hollow = skeleton(net)
    assert {p.device.type for p in hollow.parameters()} == {"meta"}
    hollow.load_state_dict(net.state_dict(), assign=True)
    images = torch.randn(2, 5)
    assert torch.equal(hollow(images), net(images))
    assert not copy.deepcopy(hollow)[0].weight.is_meta
