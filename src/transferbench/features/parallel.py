"""Extraction over all devices of Lightning's Trainer: every process writes its own rows into the same file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import get_args

import torch.distributed as dist
from lightning import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from transferbench.distributed import is_distributed, world_size
from transferbench.errors import RunFailed, UserError
from transferbench.features.entry import Entry
from transferbench.features.extract import Load, Precision, autocast, features_of, frozen
from transferbench.features.shards import Shard
from transferbench.features.writer import ShardWriter

Batch = tuple[Tensor, Tensor]
_UNLIMITED = "expected a trainer that predicts all batches: trainer.limit_predict_batches=1.0, no fast_dev_run"


def extract_together(
    trainer: Trainer, backbone: nn.Module, entry: Entry, load: Load, precision: Precision
) -> tuple[Entry, list[Shard]]:
    """Return process 0's ``entry`` and its shards, the missing ones extracted by all processes of ``trainer``.

    The entry and the weights are those of process 0, whatever statistics the others have gathered in training. Beside
    them only the sentence of an error travels, which all processes raise. The Trainer has its LightningModule back
    afterwards.

    Raises:
        UserError: the trainer's precision or strategy would change the weights, or as ``FeatureStore.features``.
        RunFailed: as ``FeatureStore.features``.
    """
    if trainer.precision not in get_args(Precision):
        raise UserError(f"trainer.precision={trainer.precision}: expected one of {', '.join(get_args(Precision))}")
    if not isinstance(trainer.strategy, DDPStrategy):
        name = type(trainer.strategy).__name__
        raise UserError(f"features cannot be extracted under {name}, which divides the weights; expected trainer=ddp")
    if is_distributed():  # else the processes are yet to start, and have to find out together
        entry, shards = trainer.strategy.broadcast((entry, entry.complete() if trainer.is_global_zero else None))
        if shards is not None:
            return entry, shards
    before = trainer.strategy.lightning_module
    extraction = Extraction(backbone, entry, load, precision)
    try:
        with frozen(backbone):
            trainer.predict(extraction, return_predictions=False)
    finally:
        extraction.release()
        if before is not None:
            trainer.strategy.connect(before)
    shards = extraction.entry.complete(check=False)
    if shards is None:
        raise RunFailed(f"{entry.folder}: no features were written; {_UNLIMITED}")
    return extraction.entry, shards


class Extraction(LightningModule):
    """The part of one process: its share of the missing shards of ``entry``.

    Process 0 alone holds the entry's lock, prepares and finishes it. An error in one process stops the others at the
    end of the work instead of leaving them waiting.
    """

    def __init__(self, backbone: nn.Module, entry: Entry, load: Load, arithmetic: Precision) -> None:
        super().__init__()
        self.backbone = backbone
        self.entry, self.load, self.arithmetic = entry, load, arithmetic
        self.failure: UserError | RunFailed | None = None
        self.writer: ShardWriter | None = None
        self.all_read = False
        self._lock = ExitStack()

    def setup(self, stage: str) -> None:
        """Find out what is missing, before any process writes."""
        count, self.entry = self.entry.count, self.trainer.strategy.broadcast(self.entry)
        if count != self.entry.count:
            text = f"process 0 has a set of {self.entry.count} images, process {self.global_rank} one of {count}"
            self.failure = UserError(f"{text}; expected the same data on every machine")
        if self.trainer.is_global_zero:
            with self._noted():
                self._lock.enter_context(self.entry.held())
                self.entry.prepare()
        self._agree()

    def predict_dataloader(self) -> _Share:
        """Return this process's share: one in ``world_size`` of the missing shards."""
        mine = self.entry.missing()[self.global_rank :: self.trainer.world_size]
        self.writer = ShardWriter(self.entry, mine, self.global_rank)
        return _Share(self, mine)

    def predict_step(self, batch: Batch, batch_idx: int) -> int:
        """Write the features of one batch; return its length."""
        where, pictures = batch
        if self.failure is None and self.writer is not None:
            with self._noted(), autocast(self.device, self.arithmetic):
                self.writer.add(where.cpu().numpy(), features_of(self.backbone, pictures))
        return len(where)

    def on_predict_epoch_end(self) -> None:
        """Bring the rows to the disk; when all processes have, finish the entry."""
        with self._noted():
            if self.failure is None and self.writer is not None:
                if not self.all_read:  # the rest would pass for unreadable images
                    raise RunFailed(f"{self.entry.folder}: the trainer stopped early; {_UNLIMITED}")
                self.writer.complete()
        self._agree()
        with self._noted():
            if self.trainer.is_global_zero:
                self.entry.finish()
        self._agree()
        self.release()

    def release(self) -> None:
        """Close the file and give the lock back."""
        if self.writer is not None:
            self.writer.release()
        self._lock.close()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except (UserError, RunFailed) as error:
            self.failure = error

    def _agree(self) -> None:
        """Wait for all processes; raise the first failure among them."""
        failures = [self.failure] * world_size()
        if is_distributed():
            dist.all_gather_object(failures, self.failure)
        for failure in failures:
            if failure is not None:
                raise failure


class _Share:
    """The batches of some shards, until something fails; of no length, as it may have none on one of the devices."""

    def __init__(self, extraction: Extraction, shards: Sequence[range]) -> None:
        self.extraction, self.shards = extraction, shards

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.extraction.load(self.shards):
            if self.extraction.failure is not None:
                return
            yield batch
        self.extraction.all_read = True
