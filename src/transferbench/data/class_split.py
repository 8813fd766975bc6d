"""A split drawn class by class, for data sets that come without an official one."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError

REST = "rest"
"""The part that gets what the others leave."""

NAMED = 5
"""How many classes a message names; the others are counted."""


def class_generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator of one class: its draws depend on ``seed`` and its name, not on the other classes."""
    return np.random.default_rng([seed, zlib.crc32(os.fsencode(name))])


def split_per_class(
    labels: NDArray[np.int64],
    classes: Sequence[str],
    sizes: Mapping[str, int | float],
    seed: int,
    source: Path | str,
    most: int | None = None,
) -> dict[str, NDArray[np.int64]]:
    """Draw the parts of a split from every class; return their sorted positions, and the others as ``REST``.

    Args:
        labels: (N,) indices into ``classes``.
        classes: the names of the classes.
        sizes: the name of a part to its images a class: a number, or a share of the class below 1 (rounded, at least
            one image).
        seed: decides which images; a class's draw depends on it, on the class's name and on its number of images.
        source: where the images are, for the message.
        most: at most so many images a class go to ``REST``, drawn as well.

    Raises:
        UserError: a class has fewer images than the parts and one more need.
    """
    counts = np.bincount(labels, minlength=len(classes))
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    taken = {
        part: np.maximum(1, np.rint(size * counts)) if size < 1 else 0 * counts + size for part, size in sizes.items()
    }
    needed = np.sum(list(taken.values()), axis=0).astype(np.int64) + 1
    if (short := np.flatnonzero(counts < needed)).size:
        raise UserError(_too_few(source, classes, short, counts, needed, sizes))
    parts: dict[str, list[NDArray[np.int64]]] = {part: [] for part in (*sizes, REST)}
    for label, name in enumerate(classes):
        order = class_generator(seed, name).permutation(members[label])
        start = 0
        for part, count in taken.items():
            parts[part].append(order[start : start + int(count[label])])
            start += int(count[label])
        parts[REST].append(order[start : None if most is None else start + most])
    return {part: np.sort(np.concatenate(drawn)) for part, drawn in parts.items()}


def _too_few(
    source: Path | str,
    classes: Sequence[str],
    short: NDArray[np.int64],
    counts: NDArray[np.int64],
    needed: NDArray[np.int64],
    sizes: Mapping[str, int | float],
) -> str:
    told = [f"{classes[label]} ({counts[label]:,} of {needed[label]:,})" for label in short[:NAMED]]
    more = f" and {len(short) - NAMED} more" if len(short) > NAMED else ""
    parts = ", ".join(f"{size:,} {part}" if size >= 1 else f"{size:.0%} {part}" for part, size in sizes.items())
    which = "class has" if len(short) == 1 else "classes have"
    return (
        f"{source}: {len(short)} {which} fewer images than the split needs: {', '.join(told)}{more}; it takes {parts} "
        f"and at least one more of every class. Add images or remove the folders of these classes."
    )
