"""Which image goes to which rank: shuffled shares for training, strided shares without repetition for evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler

from transferbench.storage import digest_of

PADDING = -1
"""The index of no image: it fills the last batches so that all ranks have equally many."""


class _Indices(Dataset[int]):
    """What ``DistributedSampler`` asks of a data set: a length."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length


class TrainingShare(DistributedSampler[tuple[int, int]]):
    """One rank's share of a new shuffle every epoch, as ``(index, seed of the image's crops)``.

    The shuffle and the seeds follow from ``seed`` and the epoch alone, so an image is cropped in the same way whatever
    the number of ranks and workers, and a resumed epoch repeats itself. What cannot be shared out evenly is left out.

    A ``DistributedSampler``, so that Lightning leaves it in place and tells it the epoch.

    Attributes:
        skip: images at the beginning of the share to leave out, once: a run taken up again has seen them.

    Args:
        length: images in the whole set.
        seed: of the run; the same on every rank.
        rank: which share.
        world: how many shares.
    """

    def __init__(self, length: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        super().__init__(_Indices(length), num_replicas=world, rank=rank, seed=seed, drop_last=True)
        self.length = length
        self.num_samples = length // world
        self.total_size = self.num_samples * world
        self.skip = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the share of the epoch last given to ``set_epoch``."""
        entropy = int(digest_of("shuffle", self.seed, self.epoch), 16)
        generator = torch.Generator().manual_seed(entropy >> 1)
        order = torch.randperm(self.length, generator=generator)
        seeds = torch.randint(2**62, (self.length,), generator=generator)
        share = order[self.rank : self.total_size : self.num_replicas][self.skip :]
        self.skip = 0
        return zip(share.tolist(), seeds[share].tolist())


class EvaluationShare(DistributedSampler[int]):
    """Every ``world``-th image from ``rank`` on, each image once in total; short shares end with ``PADDING``.

    Args:
        length: images in the whole set.
        rank: which share.
        world: how many shares.
    """

    def __init__(self, length: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(_Indices(length), num_replicas=world, rank=rank, shuffle=False)
        self.length = length
        self.num_samples = -(-length // world)
        self.total_size = self.num_samples * world

    def __iter__(self) -> Iterator[int]:
        """Yield the share, in the order of the set."""
        share = list(range(self.rank, self.length, self.num_replicas))
        return iter(share + [PADDING] * (self.num_samples - len(share)))
