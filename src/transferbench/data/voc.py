"""PASCAL VOC 2007 classification: which of 20 kinds of object an image shows (Everingham et al., IJCV 2010)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transferbench.data.image_set import FolderImages, Splits
from transferbench.errors import UserError

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

_LABELS = {"1": 1, "-1": 0, "0": -1}
"""What the lists say: the class is shown, it is not, or only by objects marked as difficult, which are left open."""


def read_voc(root: Path | str) -> Splits:
    """Read the trainval and test images of ``root`` (``VOCdevkit/VOC2007``) as a multi-label set.

    The labels are those of the official classification task, ``ImageSets/Main/<class>_trainval.txt`` and
    ``<class>_test.txt``: (N, 20) with 1 positive, 0 negative, -1 for classes of which the image shows difficult objects
    alone.

    Raises:
        UserError: a list is missing or damaged, or the lists of the classes name different images.
    """
    folder = Path(root)
    return Splits(_part(folder, "trainval"), _part(folder, "test"))


def _part(folder: Path, part: str) -> FolderImages:
    lists = {name: _read(folder / "ImageSets" / "Main" / f"{name}_{part}.txt") for name in CLASSES}
    images = list(lists[CLASSES[0]])
    labels: NDArray[np.int64] = np.zeros((len(images), len(CLASSES)), dtype=np.int64)
    for column, (name, listed) in enumerate(lists.items()):
        if listed.keys() != lists[CLASSES[0]].keys():
            raise UserError(
                f"{folder}: {name}_{part}.txt and {CLASSES[0]}_{part}.txt name different images; fetch the lists again."
            )
        labels[:, column] = [listed[image] for image in images]
    return FolderImages(folder, [f"JPEGImages/{image}.jpg" for image in images], labels, CLASSES)


def _read(path: Path) -> dict[str, int]:
    """Return the label by the image's number, ``000005``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read it ({error}); expected an image and 1, -1 or 0 a line.") from None
    found = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in _LABELS:
            raise UserError(f"{path}, line {number}: {line.strip()!r}; expected an image and 1, -1 or 0.")
        found[words[0]] = _LABELS[words[1]]
    return found
