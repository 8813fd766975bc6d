"""Random crops and captions out of a stream of tar shards, behind the loader that all data modules have."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from transferbench.data.caption_module import CaptionCrops, CaptionRows
from transferbench.data.loading import Failure, Sample, seeded
from transferbench.data.samplers import TrainingShare
from transferbench.data.tar_shards import Pair, TarShards
from transferbench.storage import digest_of
from transferbench.text.batch import CaptionBatch


@dataclass(frozen=True)
class PairRow(CaptionRows):
    """The ``captions`` of the one image at hand, whatever its index; shards say nothing else of an image."""

    captions: tuple[str, ...] = ()

    def drawn(self, index: int) -> str:
        """Return one of the captions, at random from torch's default generator."""
        return self.captions[int(torch.randint(len(self.captions), ()))]

    def row(self, index: int | None, caption: str = "") -> CaptionBatch:
        """Return ``caption`` as a row."""
        return self.encoder(caption, torch.zeros(0), -1 if index is None else index)


class StreamShare(TrainingShare):
    """The places of a rank's epoch in order, as ``(epoch, place)``: what comes there is the stream's affair.

    Args:
        length: samples of this rank in an epoch.
    """

    def __init__(self, length: int) -> None:
        super().__init__(length)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the places of the epoch last given to ``set_epoch``, without the first ``skip``."""
        start, self.skip = self.skip, 0
        return ((self.epoch, place) for place in range(start, self.num_samples))


class CaptionStream(CaptionCrops):
    """Random crops of the images of tar shards, each with one of its captions.

    Batches go to the loading processes in turn, so the process that is asked for a place is the reader whose share of
    the shards comes there, and it is asked for one place after the other. Asked for a place further on, as in a run
    that is taken up again, it reads and drops what comes before. The crop of a place is drawn from a seed that follows
    from seed, epoch, rank and place.

    Args:
        shards: the stream, which knows how many readers there are.
        length: samples of this rank in an epoch, whole batches.
        batch_size: of the loader.
        rows: what encodes a caption.
        faithful: as in ``CaptionCrops``.
        *options: those of ``CropSet`` behind the images.
    """

    def __init__(
        self, shards: TarShards, length: int, batch_size: int, rows: PairRow, faithful: bool, *options: Any
    ) -> None:
        super().__init__(rows, faithful, *options)
        self.shards, self.length, self.batch_size, self.row = shards, length, batch_size, rows
        self._pairs: Generator[Pair | Failure, None, None] | None = None
        self._share, self._next = (-1, -1), 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: tuple[int, int] | int) -> Sample:
        """Return the crop and a caption for ``(epoch, place)``; a place alone is one of the first epoch."""
        epoch, place = draw if isinstance(draw, tuple) else (0, draw)
        pair = self._pair(epoch, place)
        if isinstance(pair, Failure):
            return pair
        image, captions, _ = pair
        self.rows = replace(self.row, captions=captions)
        with seeded(int(digest_of("crop", self.shards.seed, epoch, self.shards.rank, place), 16) >> 1):
            return self.sample(image, place)

    def _pair(self, epoch: int, place: int) -> Pair | Failure:
        """Read on to ``place``, from the beginning of its reader's share where that is another one or behind us."""
        readers = self.shards.workers
        batch, inside = divmod(place, self.batch_size)
        turn, reader = divmod(batch, readers)
        wanted = turn * self.batch_size + inside
        if self._pairs is None or self._share != (epoch, reader) or wanted < self._next:
            self.shards.set_epoch(epoch)
            self._pairs = self.shards.share(reader, readers)
            self._share, self._next = (epoch, reader), 0
        last = inside == self.batch_size - 1 and batch + readers >= self.length // self.batch_size
        for pair in self._pairs:
            self._next += 1
            if isinstance(pair, Failure) or self._next > wanted:
                if last:
                    self._pairs.close()  # now it warns of what was left out; the process may end before the next epoch
                return pair
        raise RuntimeError(f"place {place} lies behind the end of the stream")
