"""SUN397 by an official partition (Xiao et al., CVPR 2010): lists of 50 training and 50 test images a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transferbench.data.image_set import FolderImages, Splits
from transferbench.errors import UserError

CLASSES = "ClassName.txt"
"""Comes with the images: one class a line, ``/a/abbey``, in the order of the labels."""

PARTITIONS = "Partitions"
"""The folder of the lists, unless they lie beside the images."""


def read_partition(root: Path | str, number: int = 1) -> Splits:
    """Read the images of ``root`` by ``Training_<number>.txt`` and ``Testing_<number>.txt``.

    A line of a list is ``/a/apartment_building/outdoor/sun_xxx.jpg``: the class is the folder, without the letter. (The
    reader of torchvision knows the images but no split.)

    Raises:
        UserError: a list is missing, or a line has no class of ``ClassName.txt``.
    """
    folder = Path(root)
    classes = [line.strip() for line in _lines(folder / CLASSES) if line.strip()]
    train, test = (_listed(folder, f"{part}_{number:02d}.txt", classes) for part in ("Training", "Testing"))
    return Splits(train, test)


def _listed(folder: Path, name: str, classes: list[str]) -> FolderImages:
    lists = folder / PARTITIONS if (folder / PARTITIONS / name).exists() else folder
    rank = {path: label for label, path in enumerate(classes)}
    names, labels = [], []
    for number, line in enumerate(_lines(lists / name), start=1):
        if path := line.strip():
            label = rank.get(path.rpartition("/")[0])
            if label is None:
                raise UserError(
                    f"{lists / name}, line {number}: {path} is in none of the {len(classes)} classes of {CLASSES}; "
                    f"expected lines such as /a/abbey/sun_aaaa.jpg."
                )
            names.append(path.lstrip("/"))
            labels.append(label)
    readable = [path.lstrip("/").partition("/")[2] or path for path in classes]
    return FolderImages(folder, names, np.array(labels, dtype=np.int64), readable)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read it ({error}); expected a list of SUN397, one path a line.") from None
