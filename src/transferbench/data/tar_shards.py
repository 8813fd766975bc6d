"""Image-caption pairs streamed from the tar shards of a webdataset."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from torch.utils.data import IterableDataset, get_worker_info

from transferbench.data.annotation_files import Skipped
from transferbench.data.images import UnreadableImage, decode_image
from transferbench.data.loading import Failure, OnError
from transferbench.data.shard_list import count_samples, find_shards
from transferbench.data.tar_samples import TarSample, samples_in
from transferbench.data.unreadable import UnreadableLog
from transferbench.errors import UserError
from transferbench.storage import digest_of

Pair: TypeAlias = tuple[Image.Image, tuple[str, ...], str]
"""An RGB image, its captions and the key of the sample."""

UNREADABLE = "image not readable"


class TarShards(IterableDataset[Pair | Failure]):
    """A stream of ``(image, captions, key)``, or of one ``Failure`` where a process finds no sample at all.

    For training, every epoch shuffles the shards anew, deals them out to ranks and then to workers, and shuffles the
    samples of each worker in a buffer. All follows from seed, epoch, rank and worker. Every worker of every rank gives
    equally many samples, ``samples`` divided by their number: one whose shards hold fewer goes over them again, so that
    no rank waits for another. For evaluation (``training=False``) every rank reads all samples once, in order, the
    shards being dealt out to workers alone.

    Only the buffer of still compressed samples is held in memory.

    Attributes:
        epoch: decides the shuffles; set it with ``set_epoch`` before the workers start.
        skipped: what was left out in this process since the pass began; a worker process warns of its own.

    Args:
        sources: folders or paths with braces, joined by ``::``; see ``shard_list.find_shards``.
        samples: how many samples an epoch has; None takes it from ``sizes.json`` or ``__len__`` beside the shards.
        training: whether to shuffle and to deal out to ranks.
        resampled: draw shards at random with replacement, for any number of workers and ranks.
        weights: how often to draw a shard of each source, in ``resampled`` alone; equally often when None.
        buffer: samples in the shuffle buffer.
        initial: samples in it before the first one is given.
        caption_field: the field of the ``.json`` member with the caption, a text or a list; None for ``.txt``.
        seed: of the run.
        rank: of this process.
        world: how many ranks there are.
        workers: loading processes of each rank, 0 for none beside it.
        held_out: samples at the beginning of the first shard that are not given.
        unreadable: takes note of the unreadable images, which ``skipped`` then does not warn of.
        on_error: ``raise`` ends the stream with a ``Failure`` at the first unreadable image.

    Raises:
        UserError: shards are missing, the number of samples is unknown, or there are fewer shards than workers of all
            ranks.
    """

    def __init__(
        self,
        sources: str,
        samples: int | None = None,
        training: bool = True,
        resampled: bool = False,
        weights: Sequence[float] | None = None,
        buffer: int = 5000,
        initial: int = 1000,
        caption_field: str | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        held_out: int = 0,
        unreadable: UnreadableLog | None = None,
        on_error: OnError = "skip",
    ) -> None:
        groups = find_shards(sources)
        self.shards = [shard for group in groups for shard in group]
        self.training, self.resampled = training, resampled and training
        self.buffer, self.initial = max(1, buffer), max(1, min(initial, buffer))
        self.caption_field = caption_field
        self.seed, self.rank, self.world, self.workers = seed, rank, world, max(1, workers)
        self.held_out, self.unreadable, self.on_error = held_out, unreadable, on_error
        self.epoch = 0
        self.skipped = Skipped(sources)
        self._odds = _odds(groups, weights)
        self.samples = samples
        if training:
            self._check_number()
            self.samples = count_samples(self.shards) if samples is None else samples
            if self.samples < world * self.workers:
                raise UserError(
                    f"{sources}: {self.samples:,} samples for {world} ranks of {self.workers} workers; expected at "
                    "least one each. Set data.workers or data.samples=N."
                )

    def _check_number(self) -> None:
        needed, there = self.world * self.workers, len(self.shards)
        if self.resampled or there >= needed:
            return
        fewer = f"data.workers={there // self.world}" if there >= self.world else f"trainer.devices={there}"
        raise UserError(
            f"{there} shards for {needed} readers ({self.world} ranks of {self.workers} workers), which need at least "
            f"one each; set {fewer} or data.resampled=true."
        )

    def __len__(self) -> int:
        """Return the samples of an epoch on this rank; raises ``TypeError`` where an evaluation was not told."""
        if self.samples is None:
            raise TypeError("the number of samples is not known; set data.samples=N")
        return self.samples // (self.world * self.workers) * self.workers if self.training else self.samples

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass; worker processes that live on from an earlier one do not hear of it."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Pair | Failure]:
        """Yield this worker's samples; warn at the end of all that was left out."""
        info = get_worker_info()
        return self.share(0, 1) if info is None else self.share(info.id, info.num_workers)

    def share(self, worker: int, workers: int) -> Generator[Pair | Failure, None, None]:
        """Yield the samples of one of ``workers``; warn at the end, or when closed, of all that was left out."""
        self.skipped = Skipped(self.skipped.source)
        try:
            yield from self._training(worker, workers) if self.training else self._evaluation(worker, workers)
        finally:
            if self.unreadable is not None:
                self.skipped.counts.pop(UNREADABLE, None)
            self.skipped.report()

    def _evaluation(self, worker: int, workers: int) -> Iterator[Pair | Failure]:
        for index in range(worker, len(self.shards), workers):
            for sample in self._samples_of(index):
                if (pair := self._decoded(sample)) is not None:
                    yield pair

    def _training(self, worker: int, workers: int) -> Iterator[Pair | Failure]:
        """Yield this worker's share, going over its shards until it is full."""
        share = len(self)
        left, round_ = share // workers + (worker < share % workers), 0
        while left > 0:
            given = 0
            rng = self._generator("samples", self.rank, worker, round_)
            raw = self._raw(worker, workers, round_)
            for sample in _shuffled(raw, self.buffer, self.initial, rng):
                if (pair := self._decoded(sample)) is None:
                    continue
                yield pair
                left, given = left - 1, given + 1
                if left == 0 or isinstance(pair, Failure):
                    return
            if given == 0:
                yield Failure(
                    f"{self.skipped.source}: no usable sample in the shards of rank {self.rank}, worker {worker} "
                    f"({self.skipped}); expected an image and a caption of one name. Check data.shards and "
                    "data.caption_field."
                )
                return
            round_ += 1

    def _raw(self, worker: int, workers: int, round_: int) -> Iterator[TarSample]:
        """Yield the samples of one round over this worker's shards, still compressed."""
        if self.resampled:
            rng = self._generator("shards", self.rank, worker, round_)
            chosen = rng.choice(len(self.shards), len(self.shards), p=self._odds)
        else:
            order = self._generator("shards").permutation(len(self.shards))
            chosen = order[self.rank :: self.world][worker::workers]
        for index in chosen.tolist():
            yield from self._samples_of(index)

    def _samples_of(self, index: int) -> Iterator[TarSample]:
        samples = samples_in(self.shards[index], self.skipped, self.caption_field)
        return islice(samples, 0 if index else self.held_out, None)

    def _generator(self, *purpose: object) -> np.random.Generator:
        return np.random.default_rng(int(digest_of("tar", self.seed, self.epoch, *purpose), 16))

    def _decoded(self, sample: TarSample) -> Pair | Failure | None:
        """Return the sample with its image decoded; count one that cannot be, and return None."""
        try:
            return decode_image(io.BytesIO(sample.image)), sample.captions, sample.key
        except Exception as error:  # decoders raise almost anything on damaged files
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            self.skipped.note(UNREADABLE, f"{sample.key[:80]} ({reason})")
            found = UnreadableImage(f"{sample.key[:80]} in {self.skipped.source}", reason)
            if self.on_error == "raise":
                return Failure(f"{found} (mend the shard, or set data.on_error=skip).")
            if self.unreadable is not None:
                self.unreadable.note(found)
            return None


def _shuffled(samples: Iterator[TarSample], buffer: int, initial: int, rng: np.random.Generator) -> Iterator[TarSample]:
    """Yield ``samples`` in an order drawn from a buffer that grows from ``initial`` to ``buffer`` while it is read."""
    held: list[TarSample] = []
    for sample in samples:
        held.append(sample)
        if len(held) < buffer and (follower := next(samples, None)) is not None:
            held.append(follower)  # two in, one out: the buffer fills up
        if len(held) >= initial:
            yield _drawn(held, rng)
    while held:
        yield _drawn(held, rng)


def _drawn(held: list[TarSample], rng: np.random.Generator) -> TarSample:
    """Take one out at random, the last one filling its place."""
    at = int(rng.integers(len(held)))
    held[at], held[-1] = held[-1], held[at]
    return held.pop()


def _odds(groups: Sequence[Sequence[Path]], weights: Sequence[float] | None) -> list[float] | None:
    """Return the probability of each shard, from one weight a source."""
    if weights is None:
        return None
    if len(weights) != len(groups) or not all(0 <= weight < float("inf") for weight in weights) or not any(weights):
        raise UserError(
            f"data.weights is {list(weights)} for {len(groups)} sources; expected a number from 0 on for each."
        )
    single = [weight for weight, group in zip(weights, groups) for _ in group]
    return [weight / sum(single) for weight in single]
