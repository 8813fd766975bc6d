"""Which frames are fitted and which are kept back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transferbench.errors import UserError


class Split(NamedTuple):
    """Places of the frames to fit, to watch and to judge by."""

    train: tuple[int, ...]
    val: tuple[int, ...] = ()
    test: tuple[int, ...] = ()


def every(count: int, step: int = 8) -> Split:
    """Keep every ``step``-th of ``count`` frames back, from the first on, as NeRF does with LLFF's scenes."""
    test = tuple(range(0, count, step))
    return Split(_rest(count, test), (), test)


def evenly(count: int, share: float = 0.9) -> Split:
    """Fit the ``share`` of ``count`` frames, evenly spaced with both ends; the rest is the test (nerfstudio's rule)."""
    train = tuple(int(place) for place in np.linspace(0, count - 1, math.ceil(count * share)))
    return Split(train, (), _rest(count, train))


def alternating(count: int, step: int = 8) -> Split:
    """Keep every ``step``-th frame back, in turn for judging and for watching, as EPIC-Diff does."""
    test, val = tuple(range(0, count, 2 * step)), tuple(range(step, count, 2 * step))
    return Split(_rest(count, (*test, *val)), val, test)


def ruled(split: float | None, count: int, default: Split) -> Split:
    """Return the split of ``count`` frames that the user asks for: a whole step, a share below 1, None for ``default``.

    Raises UserError for a number that is neither.
    """
    if split is None:
        return default
    return every(count, int(_valid(split))) if split > 1 else evenly(count, _valid(split))


def refuse(split: float | None, source: Path | str) -> None:
    """Raise UserError if a split is asked for where ``source`` has one of its own."""
    if split is not None:
        raise UserError(f"data.split is {split}, but {source} has a split of its own; set data.split=null.")


def train_needed(split: Split, source: Path | str) -> Split:
    """Return ``split``; raises UserError where it leaves nothing to fit."""
    if not split.train:
        raise UserError(f"{source}: no frame is left to fit; expected frames for training, or set data.split=0.9.")
    return split


def _valid(split: float) -> float:
    if not (0 < split < 1 or (split >= 2 and split % 1 == 0)):
        raise UserError(
            f"data.split is {split}; expected a step, such as 8 (every 8th frame is a test view), "
            "or a share to fit, such as 0.9."
        )
    return split


def _rest(count: int, taken: Sequence[int]) -> tuple[int, ...]:
    gone = set(taken)
    return tuple(place for place in range(count) if place not in gone)
