"""Sets of labelled images behind one contract, whether they lie in files or in memory."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from transferbench.data.images import read_image
from transferbench.storage import digest_of


class ImageSet(ABC):
    """N images with one label each, or with one for each of C classes.

    Attributes:
        labels: (N,) int64, indices into ``classes``; of a multi-label set (N, C) int64, a column a class: 1 where the
            image shows it, 0 where it does not, -1 where that is left open and is neither learnt nor scored.
        classes: the names of the classes, in the order of the labels.
    """

    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def multi_label(self) -> bool:
        """Whether an image may show several of the classes."""
        return self.labels.ndim == 2

    @property
    def names(self) -> tuple[str, ...]:
        """One readable name an image, in order."""
        return tuple(self.name(index) for index in range(len(self)))

    @abstractmethod
    def name(self, index: int) -> str:
        """Return the readable name of one image."""

    @abstractmethod
    def image(self, index: int) -> Image.Image:
        """Return one image, mode RGB and upright.

        Raises:
            UnreadableImage: the file is missing or damaged.
        """

    @abstractmethod
    def digest(self) -> str:
        """Return 16 hexadecimal digits that change when an image, a name, a label or a class changes."""


@dataclass(frozen=True)
class Splits:
    """A training set and a test set over the same classes."""

    train: ImageSet
    test: ImageSet


def _as_labels(labels: npt.ArrayLike, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return ``labels`` as int64; raises ``ValueError`` unless they are (N,) or (N, C), C the number of ``classes``."""
    found = np.asarray(labels, dtype=np.int64)
    if found.ndim != 1 and found.shape[1:] != (len(classes),):
        raise ValueError(f"labels of shape {found.shape} for {len(classes)} classes")
    return found


class FolderImages(ImageSet):
    """Images in files, read when asked for.

    Args:
        root: the folder that the names are relative to.
        names: N paths relative to ``root``, with forward slashes.
        labels: (N,) indices into ``classes``, or (N, C) of a multi-label set.
        classes: the names of the classes.
    """

    def __init__(self, root: Path | str, names: Sequence[str], labels: npt.ArrayLike, classes: Sequence[str]) -> None:
        self.root = Path(root)
        self.labels = _as_labels(labels, classes)
        self.classes = tuple(classes)
        encoded = [os.fsencode(name) for name in names]
        # One block of bytes and not a list of strings: counting references to a million strings would copy their
        # pages into every worker process.
        self._names = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)

    def name(self, index: int) -> str:
        """Return the path of one image relative to ``root``."""
        at = range(len(self))[index]
        start, end = self._ends[at], self._ends[at + 1]
        return os.fsdecode(self._names[start:end].tobytes())

    def path(self, index: int) -> Path:
        """Return the path of one image."""
        return self.root / self.name(index)

    def image(self, index: int) -> Image.Image:
        """Read one image; raises ``UnreadableImage``."""
        return read_image(f"{self.root}/{self.name(index)}")

    def select(self, indices: npt.ArrayLike) -> FolderImages:
        """Return the set of the images at ``indices``, with the same classes and labels."""
        chosen = np.asarray(indices, dtype=np.int64)
        return FolderImages(self.root, [self.name(i) for i in chosen], self.labels[chosen], self.classes)

    def digest(self) -> str:
        """Digest the names, labels, sizes and modification times: one ``stat`` a file, once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        stamps = np.zeros((len(self), 2), dtype=np.int64)
        for index in range(len(self)):
            try:
                found = os.stat(f"{self.root}/{self.name(index)}")  # noqa: PTH116 - a million of these: no Path each
            except OSError:
                stamps[index] = -1  # gone since the folder was read: a different content
            else:
                stamps[index] = found.st_size, found.st_mtime_ns
        return digest_of(
            list(self.classes), self._names.tobytes(), self._ends.tobytes(), self.labels.tobytes(), stamps.tobytes()
        )


class ArrayImages(ImageSet):
    """Images in memory.

    Args:
        pixels: (N, H, W, 3) or (N, H, W) uint8.
        labels: (N,) indices into ``classes``, or (N, C) of a multi-label set.
        classes: the names of the classes.
        prefix: what the names begin with (``cifar10/train`` gives ``cifar10/train/0``).
    """

    def __init__(
        self, pixels: npt.NDArray[np.uint8], labels: npt.ArrayLike, classes: Sequence[str], prefix: str = "image"
    ) -> None:
        self.pixels = pixels
        self.labels = _as_labels(labels, classes)
        self.classes = tuple(classes)
        self.prefix = prefix

    def name(self, index: int) -> str:
        """Return ``<prefix>/<index>``."""
        return f"{self.prefix}/{range(len(self))[index]}"

    def image(self, index: int) -> Image.Image:
        """Return one image as RGB."""
        return Image.fromarray(self.pixels[index]).convert("RGB")

    def digest(self) -> str:
        """Digest the pixels, labels and classes, once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        pixels = hashlib.sha256(np.ascontiguousarray(self.pixels).data).digest()
        return digest_of(list(self.classes), self.prefix, list(self.pixels.shape), pixels, self.labels.tobytes())
