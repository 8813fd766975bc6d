"""PatchCamelyon (Veeling et al., MICCAI 2018): patches of tissue in HDF5 files, read when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from transferbench.data.image_set import ImageSet, Splits
from transferbench.data.images import UnreadableImage
from transferbench.errors import UserError
from transferbench.storage import digest_of

CLASSES = ("no tumour", "tumour")
"""Whether the centre of the patch shows tumour tissue."""

FILES = tuple(
    f"pcam/camelyonpatch_level_2_split_{part}_{what}.h5" for part in ("train", "valid", "test") for what in "xy"
)
"""The patches (x) and the labels (y) of each part, as torchvision fetches them."""


def read_patches(root: Path | str) -> Splits:
    """Read the training and validation patches below ``root`` as training set, and the test patches.

    Raises:
        UserError: ``h5py`` is not installed, or a file is missing or damaged.
    """
    train_x, train_y, valid_x, valid_y, test_x, test_y = (Path(root) / name for name in FILES)
    return Splits(HDF5Images([train_x, valid_x], [train_y, valid_y]), HDF5Images([test_x], [test_y]))


class HDF5Images(ImageSet):
    """Images in HDF5 files: ``x`` (N, H, W, 3) uint8, and their labels ``y``, N numbers of any shape.

    Args:
        files: the files of the images; they are joined.
        labels: the files of the labels, in the same order.
    """

    def __init__(self, files: Sequence[Path], labels: Sequence[Path]) -> None:
        self.files = tuple(files)
        found = [_labels(images, file) for images, file in zip(files, labels)]
        self.labels = np.concatenate(found)
        self.classes = CLASSES
        self._starts = np.cumsum([0, *(len(part) for part in found[:-1])])

    def name(self, index: int) -> str:
        """Return ``<file>/<index in the file>``."""
        file, at = self._place(index)
        return f"{file.stem}/{at}"

    def image(self, index: int) -> Image.Image:
        """Read one image; raises ``UnreadableImage``."""
        file, at = self._place(index)
        try:
            with _open(file) as content:
                return Image.fromarray(np.asarray(content["x"][at])).convert("RGB")
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise UnreadableImage(f"{file}[{at}]", " ".join(str(error).split())) from error

    def digest(self) -> str:
        """Digest the labels and the files' names, sizes and modification times."""
        stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files if file.exists()]
        return digest_of(list(self.classes), stamps, self.labels.tobytes())

    def _place(self, index: int) -> tuple[Path, int]:
        at = range(len(self))[index]
        part = int(np.searchsorted(self._starts, at, side="right")) - 1
        return self.files[part], at - int(self._starts[part])


def _open(file: Path) -> AbstractContextManager[Any]:
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise UserError("pcam is stored in HDF5 files, and h5py is not installed; run: pip install h5py") from None
    opened: AbstractContextManager[Any] = h5py.File(file, "r")
    return opened


def _labels(images: Path, file: Path) -> np.ndarray[Any, np.dtype[np.int64]]:
    try:
        with _open(file) as content:
            labels = np.asarray(content["y"][:]).reshape(-1).astype(np.int64)
        with _open(images) as content:
            count = content["x"].shape[0]
    except (OSError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{images.parent}: {images.name} and {file.name} cannot be read ({reason}).") from None
    if count != len(labels):
        raise UserError(f"{images} has {count:,} images and {file.name} {len(labels):,} labels; fetch them again.")
    return labels
