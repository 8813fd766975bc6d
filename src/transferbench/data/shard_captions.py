"""Image-caption pairs streamed from the tar shards of a webdataset, as a data module."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from transferbench.data.annotation_files import Skipped
from transferbench.data.caption_module import CaptionData
from transferbench.data.captions import CaptionRecords
from transferbench.data.loading import CropLoader, CropSet
from transferbench.data.shard_list import count_samples, find_shards
from transferbench.data.tar_captions import CaptionStream, PairRow, StreamShare
from transferbench.data.tar_images import read_first
from transferbench.data.tar_samples import samples_in
from transferbench.data.tar_shards import TarShards
from transferbench.distributed import rank, world_size
from transferbench.errors import UserError


class ShardCaptions(CaptionData):
    """Captioned images in tar shards (``data.tar_shards``), too many to be listed.

    Training goes through the shards without listing them. Tokeniser and concepts come from the first ``text_samples``,
    whose images are not decoded; these samples alone are ``train_records``. Held out are some samples of other shards,
    or of the beginning of the first one, which training then leaves out.

    An epoch has the same number of batches for every number of workers. Which samples are in a batch depends on the
    number of ranks and workers, so a run is taken up in the middle of an epoch by as many as it was left by; what was
    seen is read again and dropped.

    Args:
        shards: folders or paths with braces, joined by ``::`` (``shard_list.find_shards``).
        test_shards: shards of held-out samples, written alike; None takes the beginning of the first of ``shards``.
        held_out: at most this many held-out samples, in order; of the first of ``shards`` no more than its half.
        samples: how many samples ``shards`` hold; None takes it from ``sizes.json`` or ``__len__`` beside them.
        text_samples: how many samples' captions tokeniser and concepts are learnt from.
        caption_field: the field of the ``.json`` members with the caption, a text or a list; None for ``.txt``.
        resampled: draw shards at random with replacement, for any number of workers and ranks.
        weights: how often to draw a shard of each source, in ``resampled`` alone; equally often when None.
        buffer: samples that a worker shuffles among, compressed, in memory.
        **options: those of ``CaptionData``. With ``text_only`` the captions of the first ``text_samples`` are all.

    Raises:
        UserError: shards are missing or too few, a number is out of range, or ``labels`` is ``clusters``.
    """

    name = "tar_captions"

    def __init__(
        self,
        shards: str,
        test_shards: str | None = None,
        held_out: int = 500,
        samples: int | None = None,
        text_samples: int = 100_000,
        caption_field: str | None = None,
        resampled: bool = False,
        weights: Sequence[float] | None = None,
        buffer: int = 5000,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        numbers = {"held_out": held_out, "samples": samples, "text_samples": text_samples, "buffer": buffer}
        for key, value in numbers.items():
            if value is not None and value < 1:
                raise UserError(f"data.{key}={value}: expected 1 or more")
        if self.label_kind == "clusters":
            raise UserError("data.labels=clusters: tar shards are streamed and not clustered; set data.labels=tags.")
        self.shards, self.test_shards, self.held_out = shards, test_shards, held_out
        self.samples, self.text_samples, self.caption_field = samples, text_samples, caption_field
        self.resampled, self.weights, self.buffer = resampled, weights, buffer
        self._left_out = 0

    def read_records(self) -> tuple[CaptionRecords, CaptionRecords]:
        """Read the first samples to train on, for their captions, and the held-out ones."""
        shards = _flat(self.shards)
        if self.samples is None and not self.text_only:
            self.samples = count_samples(shards)
        if self.test_shards is None:
            self._left_out = self._beginning(shards[0])
            test = read_first(self.shards, shards[:1], self._left_out, self.caption_field)
        else:
            test = read_first(self.test_shards, self._others(shards), self.held_out, self.caption_field)
        train = read_first(self.shards, shards, self.text_samples, self.caption_field, self._left_out)
        return train, test

    def _beginning(self, shard: Path) -> int:
        """Return how many samples at the beginning of ``shard`` are held out."""
        samples = samples_in(shard, Skipped(shard), self.caption_field)
        there = sum(1 for _ in islice(samples, 2 * self.held_out))
        if there < 2:
            raise UserError(
                f"{shard}: {there} samples with an image and a caption, of which none can be held out; expected 2 or "
                "more. Name shards of held-out samples with data.test_shards, or check data.caption_field."
            )
        return there // 2

    def _others(self, shards: Sequence[Path]) -> list[Path]:
        found = _flat(str(self.test_shards))
        known = {shard.resolve() for shard in shards}
        both = [shard for shard in found if shard.resolve() in known]
        if both:
            raise UserError(
                f"{both[0]}: named by data.shards and by data.test_shards; train and test on different ones."
            )
        return found

    def check_batch(self, devices: int) -> None:
        """Raise ``UserError`` when crops are left out, or the shards serve not each device and worker with a batch."""
        if self.text_only:
            return
        if self.crops is None:
            raise UserError("crops is left out, and training needs them; choose crops=...")
        self._stream(0, devices)

    def training_set(self) -> CropSet:
        """Return this rank's stream of crops and captions, or the captions of the first samples alone."""
        return super().training_set() if self.text_only else self._stream(rank(), world_size())

    def _stream(self, of: int, ranks: int) -> CaptionStream:
        """Return the stream of one of ``ranks``."""
        readers, total = workers_of(self.workers), (self.samples or 0) - self._left_out
        batches = total // (self.batch_size * ranks)
        if batches < 1:
            each = f" on each of {ranks} devices" if ranks > 1 else ""
            raise UserError(
                f"{self.shards} has {total} training samples, fewer than one batch of {self.batch_size}{each}; "
                f"set scale.batch_size={max(1, total // ranks)} or lower, or data.samples=N to their number."
            )
        most = -(-batches // readers) * self.batch_size  # of the readers whose turn comes once more than others'
        shards = TarShards(
            self.shards,
            samples=most * readers * ranks,
            resampled=self.resampled,
            weights=self.weights,
            buffer=self.buffer,
            caption_field=self.caption_field,
            seed=self.seed,
            rank=of,
            world=ranks,
            workers=readers,
            held_out=self._left_out,
            unreadable=self._log(),
            on_error=self.on_error,
        )
        row = PairRow(self.test_records, self.encoder, torch.zeros(1, 0))
        options = (self.crops, self._log(), self.on_error)
        return CaptionStream(shards, batches * self.batch_size, self.batch_size, row, self.faithful, *options)

    def train_dataloader(self) -> CropLoader:
        """Return this rank's loader of training crops; raises ``UserError`` as ``check_batch`` does."""
        if self.text_only:
            return super().train_dataloader()
        self.check_batch(world_size())
        stream = self.training_set()
        loader = self._loader(stream, sampler=StreamShare(len(stream)), drop_last=True)
        loader.skip = self.behind()
        return loader

    def state_dict(self) -> dict[str, int]:
        """Return how many batches of this epoch the run was trained on, and by how many readers they were read."""
        return {**super().state_dict(), "workers": workers_of(self.workers), "ranks": world_size()}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next training loader go on behind the batches of ``state_dict``.

        Raises:
            UserError: these were read by other numbers of ranks or workers.
        """
        super().load_state_dict(state_dict)
        then = state_dict.get("workers"), state_dict.get("ranks")
        now = workers_of(self.workers), world_size()
        if self._batches_done and not self.text_only and then != now:
            raise UserError(
                f"the checkpoint is from the middle of an epoch that {then[1]} ranks of {then[0]} workers read from "
                f"{self.shards}, and there are {now[1]} ranks of {now[0]} workers: the rest of it is not the same; set "
                f"data.workers={then[0]} and trainer.devices to the {then[1]} of then."
            )


def workers_of(workers: int) -> int:
    """Return how many processes of a rank read: the main one where there are no ``workers``."""
    return max(1, workers)


def _flat(sources: str) -> list[Path]:
    return [shard for group in find_shards(sources) for shard in group]
