"""What tells a data set on disk from the one that was published."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from transferbench.data.class_split import NAMED
from transferbench.data.image_set import FolderImages, ImageSet, Splits
from transferbench.data.target_table import KnownClasses, Published


def differences(splits: Splits, published: Published, others: Mapping[str, Published]) -> list[str]:
    """Return a phrase for each way in which ``splits`` differs from the ``published`` set; no image is opened.

    Args:
        splits: what was read.
        published: what it should be.
        others: the sets that its classes may belong to instead, by name.
    """
    return [
        *_counts(splits, published),
        *_classes(splits.train.classes, published.known, others),
        *_empty_classes(splits),
        *_shared(splits),
        *_absent(splits),
    ]


def one_class_only(splits: Splits) -> str | None:
    """Return the complaint that there is nothing to tell apart, if so."""
    for part, images in (("trainval", splits.train), ("test", splits.test)):
        if len(images) == 0:
            return f"it has no {part} images"
    train = splits.train
    shown = np.arange(len(train.classes)) if train.multi_label else np.unique(train.labels)
    return f"its trainval images are of one class only ({train.classes[shown[0]]})" if len(shown) < 2 else None


def _counts(splits: Splits, published: Published) -> Iterator[str]:
    found = (
        ("classes", len(splits.train.classes), published.classes),
        ("trainval images", len(splits.train), published.trainval),
        ("test images", len(splits.test), published.test),
    )
    for what, count, expected in found:
        if count != expected:
            by = f"{abs(count - expected):,} {'fewer' if count < expected else 'more'}"
            yield f"{count:,} {what}, published {expected:,} ({by})"


def _classes(classes: Sequence[str], known: KnownClasses | None, others: Mapping[str, Published]) -> Iterator[str]:
    if known is None or not classes or _are(classes, known):
        return
    for name, other in others.items():
        if other.known is not None and other.known != known and _are(classes, other.known):
            yield f"its classes are those of {name}"
            return
    ends = f"{classes[0]} to {classes[-1]}, published {known.first} to {known.last}"
    yield f"its classes are not the published ones ({ends})"


def _are(classes: Sequence[str], known: KnownClasses) -> bool:
    if (classes[0], classes[-1]) != (known.first, known.last):
        return False
    digest = hashlib.sha256("\n".join(classes).encode("utf-8")).hexdigest()[:16]
    return known.digest is None or digest == known.digest


def _empty_classes(splits: Splits) -> Iterator[str]:
    for part, images in (("trainval", splits.train), ("test", splits.test)):
        if images.multi_label:
            counts = np.count_nonzero(images.labels == 1, axis=0)
        else:
            counts = np.bincount(images.labels, minlength=len(images.classes))
        empty = [images.classes[label] for label in np.flatnonzero(counts == 0)]
        if empty:
            yield f"no {part} images of {_listing('class', 'classes', empty)}"


def _shared(splits: Splits) -> Iterator[str]:
    train, test = splits.train, splits.test
    if isinstance(train, FolderImages) and isinstance(test, FolderImages) and train.root == test.root:
        shared = sorted(set(train.names).intersection(test.names))
        if shared:
            yield f"{len(shared):,} images are for training and for testing, such as {shared[0]}"


def _absent(splits: Splits) -> Iterator[str]:
    for part, images in (("trainval", splits.train), ("test", splits.test)):
        absent = absent_files(images)
        if absent:
            yield f"{len(absent):,} of {len(images):,} {part} images are not on disk, such as {absent[0]}"


def absent_files(images: ImageSet) -> list[str]:
    """Return the names of the images that are no files; every folder is listed once, whatever its number of images."""
    if not isinstance(images, FolderImages):
        return []
    listed: dict[str, frozenset[str]] = {}
    absent = []
    for name in images.names:
        folder, _, file = name.rpartition("/")
        if folder not in listed:
            try:
                listed[folder] = frozenset(os.listdir(images.root / folder))  # noqa: PTH208 - names, no paths
            except OSError:
                listed[folder] = frozenset()
        if file not in listed[folder]:
            absent.append(name)
    return absent


def _listing(one: str, several: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{one} {names[0]}"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {several} ({', '.join(names[:NAMED])}{more})"
