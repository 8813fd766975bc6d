"""ImageNet-CoG (Sariyildiz et al., ICCV 2021): five levels of concepts over a folder of ImageNet-21K.

Beside the folders of ImageNet-21K stand either the two official files, ``cog_levels_mapping_file.pkl`` (five lists of
wnids) and ``cog_concepts_split_file.pkl`` (a wnid to the paths of its training and test images), or a text file a
level, ``level_<k>.txt``, one wnid a line.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.concepts.lists import MAPPING, read_levels
from transferbench.data.class_split import REST, split_per_class
from transferbench.data.image_set import FolderImages, Splits
from transferbench.data.labelled import read_folder
from transferbench.errors import UserError
from transferbench.unpickle import unpickle

log = logging.getLogger(__name__)

IMAGES = "imagenet21k"
"""Below the root: a folder a wnid."""
LISTS = "cog"
"""Below the root: the lists of concepts."""

SPLIT = "cog_concepts_split_file.pkl"
"""ImageNet-CoG's official split: a dict of wnid to the paths of its ``train`` and ``test`` images."""

TEST = 50
"""Test images a concept ..."""
MOST = 1300
"""... and the most training images: all others up to this number."""


def read_level(root: Path | str, level: int, seed: int) -> Splits:
    """Read the images of a level, 1 (closest to ImageNet-1K) to 5; the label is the rank of the sorted wnid.

    Without the official split, 50 test images and at most 1300 training images a concept are drawn from ``seed``, and a
    warning says so.

    Raises:
        UserError: no list of concepts, a broken one, a concept without a folder or with too few images, or without
            paths in the official split.
    """
    lists, images = Path(root) / LISTS, Path(root) / IMAGES
    source, wnids = _concepts(lists, level)
    if (lists / SPLIT).exists():
        listed = _official(lists / SPLIT, _stamp(lists / SPLIT))
        train, test = (_listed(images, wnids, listed, part, lists / SPLIT) for part in ("train", "test"))
        return Splits(train, test)
    if lacking := [wnid for wnid in wnids if not (images / wnid).is_dir()]:
        raise UserError(
            f"{source}: {len(lacking):,} of {len(wnids):,} concepts have no folder in {images}, such as "
            f"{lacking[0]}; expected the folders of ImageNet-21K and a list of level {level} of ImageNet-CoG."
        )
    found = read_folder(images, wnids)
    parts = split_per_class(found.labels, found.classes, {"test": TEST}, seed, images, MOST)
    log.warning(
        "cog_l%d: %s is not there, so that %d test images a concept are drawn from seed %d: they are not the published "
        "ones", level, lists / SPLIT, TEST, seed,
    )  # fmt: skip
    return Splits(found.select(parts[REST]), found.select(parts["test"]))


def _concepts(folder: Path, level: int) -> tuple[Path, tuple[str, ...]]:
    """Return the sorted wnids of a level and the file they stand in, ``level_<k>.txt`` or else the official mapping."""
    text = folder / f"level_{level}.txt"
    source, place = (text, folder) if text.exists() else (folder / MAPPING, folder / MAPPING)
    levels = read_levels(place)
    if level not in levels:
        raise UserError(f"{source}: {len(levels)} levels, none of them {level}; expected the five of ImageNet-CoG.")
    return source, levels[level]


def forget_split() -> None:
    """Let go of the official split, some millions of paths, which is kept from one level to the next."""
    _official.cache_clear()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1)
def _official(path: Path, stamp: tuple[int, int]) -> Mapping[str, Any]:
    """Return the content of the split file; ``stamp`` tells a changed file from the one last read."""
    content = unpickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a dict of wnid to the paths of its train and test images.")
    return content


def _listed(images: Path, wnids: Sequence[str], listed: Mapping[str, Any], part: str, source: Path) -> FolderImages:
    names: list[str] = []
    counts: list[int] = []
    for wnid in wnids:
        paths = listed[wnid].get(part) if isinstance(listed.get(wnid), dict) else None
        if paths is None or not len(paths):
            raise UserError(f"{source}: no {part} images of concept {wnid}; expected the split of the same benchmark.")
        names.extend(sorted(str(path).lstrip("/") for path in paths))
        counts.append(len(paths))
    return FolderImages(images, names, np.repeat(np.arange(len(wnids)), counts), wnids)
