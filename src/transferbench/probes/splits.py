"""Parts of a training set, drawn class by class: a held-out part to tune on, and a few images a class to fit to."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError

SEEDS = (22, 37, 45, 77, 93)
"""The seeds over which CoG repeats its classifiers (arXiv:2012.05649)."""
SHOTS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Training images a class of CoG's few-shot protocol."""

Short = Literal["refuse", "all"]
"""What to do with a class that has fewer images than are asked for: raise, or take all of them."""

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996 in floating point, and 29 images is what was asked for


class Parts(NamedTuple):
    """Sorted positions in a training set: what is fitted and held out while tuning, and what is fitted at last."""

    fitted: NDArray[np.int64]
    held: NDArray[np.int64]
    final: NDArray[np.int64]


def holdout_counts(counts: NDArray[np.int64], fraction: float, *, faithful: bool = False) -> NDArray[np.int64]:
    """Return how many images of each class are held out: ``fraction`` of them rounded down, at least 1, never all.

    Every class follows the same rule whatever the classes before it hold: 20 % of (10, 3, 10) is (2, 1, 2).
    ``faithful`` counts as t-ReX's evaluation does instead: a class of n images that is too small for the fraction
    holds one out and raises the fraction to 1/n for all classes after it, which gives (2, 1, 3). Classes of a single
    image, of which the published sets have none, take no part in that. ``counts`` (C,) may hold zeros.
    """
    spare = np.maximum(counts - 1, 0)
    if not faithful:
        wanted = np.floor(counts * fraction + _ROUNDING).astype(np.int64)
        return np.asarray(np.minimum(np.maximum(wanted, 1), spare))
    held = np.zeros_like(spare)
    for index in np.flatnonzero(spare):
        if counts[index] * fraction < 1:
            fraction = 1 / int(counts[index])
        held[index] = max(int(counts[index] * fraction), 1)
    return np.asarray(np.minimum(held, spare))


def _members(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the ascending positions of each class that occurs, by ascending label."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(labels) else []


def holdout_split(
    labels: NDArray[np.int64], fraction: float = 0.2, seed: int = 0, *, faithful: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sorted positions (into ``labels`` (N,)) of the fitted and of the held-out part, drawn class by class.

    A class with a single image keeps it in the fitted part. ``faithful`` takes the published counts of
    ``holdout_counts``. Raises ``UserError`` for a fraction outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise UserError(f"holdout={fraction:g}: expected a fraction between 0 and 1, for example holdout=0.2")
    generator = np.random.default_rng(seed)
    members = _members(labels)
    counts = holdout_counts(np.array([len(rows) for rows in members], dtype=np.int64), fraction, faithful=faithful)
    is_held = np.zeros(len(labels), dtype=bool)
    for rows, count in zip(members, counts):
        is_held[generator.permutation(rows)[:count]] = True
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def draw_shots(
    labels: NDArray[np.int64], shots: int, generator: np.random.Generator, short: Short = "refuse"
) -> NDArray[np.int64]:
    """Return the sorted positions (into ``labels`` (N,)) of ``shots`` images of each class, drawn at random.

    Raises ``UserError`` for a class with fewer (``short="all"`` takes all that it has) and for less than one shot.
    """
    if shots < 1:
        raise UserError(f"shots={shots}: expected at least 1 image a class, for example shots=8")
    if short not in get_args(Short):
        raise UserError(f"short={short}: expected one of {', '.join(get_args(Short))}")
    members = _members(labels)
    scarce = [rows for rows in members if len(rows) < shots]
    if scarce and short == "refuse":
        fewest = min(scarce, key=len)
        raise UserError(
            f"shots={shots}: {len(scarce)} of {len(members)} classes have fewer images to draw from (class "
            f"{labels[fewest[0]]} has {len(fewest)}); expected at most {len(fewest)} shots, or short=all to take all "
            "that such a class has"
        )
    drawn = [generator.permutation(rows)[:shots] for rows in members]
    return np.sort(np.concatenate(drawn)) if drawn else np.zeros(0, dtype=np.int64)


def tuning_parts(
    labels: NDArray[np.int64],
    fraction: float = 0.2,
    seed: int = 0,
    *,
    shots: int | None = None,
    faithful: bool = False,
    short: Short = "refuse",
) -> Parts:
    """Return the parts that hyper-parameters are tuned on, and the one that the last classifier is fitted to.

    With ``shots`` as in CoG's few-shot protocol: the held-out part is ``holdout_split``'s whole one whatever the shots
    are, the fitted part is drawn from the rest, so that neither sees the other, and the final part is a draw of its own
    from all images. Without ``shots``, the fitted part is the whole rest and the final part everything. Raises
    ``UserError`` as ``holdout_split`` and ``draw_shots`` do.
    """
    fitted, held = holdout_split(labels, fraction, seed, faithful=faithful)
    if shots is None:
        return Parts(fitted, held, np.arange(len(labels)))
    tuning, last = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    return Parts(fitted[draw_shots(labels[fitted], shots, tuning, short)], held, draw_shots(labels, shots, last, short))
