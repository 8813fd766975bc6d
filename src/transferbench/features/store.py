"""Features on disk: extracted once for each backbone, transform and image set, read back from a memory map."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transferbench.data.image_set import ImageSet
from transferbench.errors import UserError
from transferbench.features.entry import Entry
from transferbench.features.extract import Features, Load, Pictures, Precision, Transform, batches, run_backbone
from transferbench.features.keys import key_parts
from transferbench.features.rows import Storage, StoredRows, disk_dtype
from transferbench.features.shards import Shard
from transferbench.features.writer import ShardWriter
from transferbench.storage import digest_of

if TYPE_CHECKING:
    from lightning import Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredFeatures:
    """The features of the readable images of a set, in its order, on disk."""

    x: StoredRows
    """(N, D), read as float32 a part at a time."""
    y: NDArray[np.int64]
    """The labels in the set: (N,) class indices, or (N, C) of a set with several labels an image."""
    positions: NDArray[np.int64]
    """(N,) where each row stands in the image set: ``range(N)`` unless images were unreadable."""

    def in_memory(self) -> Features:
        """Return the same as arrays of float32; stored as such, ``x`` stays a memory map, which is not writable."""
        return Features(np.asarray(self.x), self.y, self.positions)


class FeatureStore:
    """A folder of features, each set of images under a digest of all that they depend on.

    An extraction that was interrupted goes on where it was; rows that are damaged are made again, with a warning; of
    two processes that ask for the same features the second waits. Nothing is ever deleted but by the user: each entry
    is one folder, with what it holds in its ``meta.json``.

    Args:
        folder: where they lie; with several machines, one that all of them see.
        dtype: how numbers are stored: ``float32``, ``float16`` or ``bfloat16``. They are read as float32.

    Raises:
        UserError: for another ``dtype``.
    """

    def __init__(self, folder: Path | str, dtype: Storage = "float32") -> None:
        disk_dtype(dtype)
        self.folder = Path(folder).expanduser()
        self.dtype = dtype

    def features(
        self,
        backbone: nn.Module,
        images: ImageSet,
        transform: Transform,
        *,
        batch_size: int = 256,
        workers: int = 0,
        device: str | torch.device = "cpu",
        trainer: Trainer | None = None,
        precision: Precision = "32-true",
        architecture: str = "",
    ) -> StoredFeatures:
        """Return ``backbone``'s features of ``images``, extracted now as far as they are not stored.

        Args:
            backbone: maps (B, 3, S, S) uint8 pictures to features (B, D).
            images: unreadable ones are left out with a warning, as ``extract`` does.
            transform: from an RGB picture to (3, S, S) uint8; its ``repr`` must tell its settings.
            batch_size: pictures at once, on each device.
            workers: processes a device that decode pictures; 0 decodes in this one.
            device: where the backbone runs, unless a ``trainer`` is given.
            trainer: one that is not fitting; its devices share the work, and each of its processes makes this call.
            precision: the computation's, in Lightning's words, also where the trainer has another.
            architecture: what else tells this network from others with the same weights and structure.

        Raises:
            UserError: the transform does not tell its settings, or no image could be read.
            RunFailed: a feature is not finite or does not fit the stored type, or the folder cannot be written.
        """
        if not len(images):
            raise UserError("the set holds no image; expected at least one")
        parts = key_parts(
            backbone, images, transform, precision=precision, storage=self.dtype, architecture=architecture
        )
        entry = Entry(self.folder / digest_of(parts), parts, len(images), self.dtype)
        load = partial(_load, images, transform, batch_size, workers)
        if trainer is not None and trainer.world_size > 1:
            from transferbench.features.parallel import extract_together

            entry, shards = extract_together(trainer, backbone, entry, load, precision)
        else:
            place = device if trainer is None else trainer.strategy.root_device
            shards = _extract_alone(backbone, entry, load, place, precision)
        return _opened(entry, shards, images)


def _load(
    images: ImageSet, transform: Transform, batch_size: int, workers: int, shards: Sequence[range]
) -> Iterator[tuple[Tensor, Tensor]]:
    positions = np.concatenate([np.arange(0), *(np.arange(shard.start, shard.stop) for shard in shards)])
    return batches(Pictures(images, transform, positions), batch_size, workers)


def _extract_alone(
    backbone: nn.Module, entry: Entry, load: Load, device: str | torch.device, precision: Precision
) -> list[Shard]:
    """Return the shards of ``entry``, the missing ones extracted in this process."""
    shards = entry.complete()
    if shards is not None:
        return shards
    with entry.held():
        entry.prepare()
        todo = entry.missing()
        if todo:
            with ShardWriter(entry, todo) as writer:
                run_backbone(backbone, load(todo), writer.add, device=device, precision=precision)
        return entry.finish()


def _opened(entry: Entry, shards: Sequence[Shard], images: ImageSet) -> StoredFeatures:
    rows, positions = entry.rows(shards)
    left_out = len(images) - len(rows)
    if left_out:
        log.warning("%s: %d of %d images could not be read and are left out", entry.folder, left_out, len(images))
    return StoredFeatures(rows, np.asarray(images.labels, dtype=np.int64)[positions], positions)
