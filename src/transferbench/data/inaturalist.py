"""iNaturalist 2018 and 2019 by their official annotation files (Van Horn et al., CVPR 2018)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.data.image_set import FolderImages, Splits
from transferbench.errors import UserError

PARTS = ("images", "annotations", "categories")


def read_inaturalist(root: Path | str, year: int) -> Splits:
    """Read ``train<year>.json`` and, as the test set, ``val<year>.json``; the images lie in ``root/train_val<year>``.

    An image gets the category of the annotation that names its id, wherever either stands in its list. The label is the
    rank of the category's id.

    Raises:
        UserError: a file is missing or damaged, the two have different categories, or an image has no annotation, or
            several that contradict each other.
    """
    files = [Path(root) / f"{part}{year}.json" for part in ("train", "val")]
    train, test = (_read(file) for file in files)
    categories = [_categories(file, content) for file, content in zip(files, (train, test))]
    if set(categories[0]) != set(categories[1]):
        apart = len(set(categories[0]) ^ set(categories[1]))
        raise UserError(f"{files[0]} and {files[1].name} differ in {apart} categories; expected two files of one year.")
    return Splits(*(_images(file, content, categories[0]) for file, content in zip(files, (train, test))))


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot read it ({error}); expected the official annotations as JSON.") from None
    lacking = [part for part in PARTS if not isinstance(content, dict) or not isinstance(content.get(part), list)]
    if lacking:
        raise UserError(f"{file}: no list of {' and of '.join(lacking)}; expected the official annotations.")
    return dict(content)


def _entries(file: Path, entries: Sequence[Any], number: str, other: str) -> list[tuple[int, Any]]:
    """Return two values of every entry: a number, and a number or a name."""
    found = []
    for entry in entries:
        first, second = (entry.get(key) if isinstance(entry, dict) else None for key in (number, other))
        if not isinstance(first, int) or not isinstance(second, (int, str)):
            raise UserError(
                f"{file}: an entry without {number} and {other} ({str(entry)[:80]}); expected the official annotations."
            )
        found.append((first, second))
    return found


def _categories(file: Path, content: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of the categories by their ids, sorted."""
    return {number: str(name) for number, name in sorted(_entries(file, content["categories"], "id", "name"))}


def _images(file: Path, content: Mapping[str, Any], categories: Mapping[int, str]) -> FolderImages:
    rank = {number: label for label, number in enumerate(categories)}
    paths = dict(_entries(file, content["images"], "id", "file_name"))
    labels: dict[Any, int] = {}
    for image, category in _entries(file, content["annotations"], "image_id", "category_id"):
        if image not in paths:
            raise UserError(f"{file}: an annotation of image {image}, which is not in its list of images.")
        if category not in rank:
            raise UserError(f"{file}: image {image} is of category {category}, which is not in its list of categories.")
        if labels.setdefault(image, rank[category]) != rank[category]:
            raise UserError(f"{file}: image {image} has annotations of different categories; expected one category.")
    if bare := [str(path) for image, path in paths.items() if image not in labels]:
        raise UserError(f"{file}: {len(bare):,} of {len(paths):,} images have no annotation, such as {bare[0]}.")
    names = [str(path) for path in paths.values()]
    return FolderImages(
        file.parent, names, np.array([labels[image] for image in paths], dtype=np.int64), list(categories.values())
    )
