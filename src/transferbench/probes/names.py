"""The names that metrics carry: probes, and the sets they are fitted and scored on."""

from __future__ import annotations

import re
from collections.abc import Mapping

PROBES = ("logreg", "knn", "ncm")
"""Logistic regression, k nearest neighbours, nearest class mean: the one that headlines quote comes first."""
LINEAR = ("logreg", "sgd")
"""Logistic regression at its optimum, and the same classifier trained by SGD, as published for the largest sets."""
ALL_PROBES = (*PROBES, "sgd")
SEEN = "seen"
"""The set whose concepts a representation is trained on ..."""
TRAINED_ON = (SEEN, "in1k")
"""... which, as ImageNet-1K, is no part of the transfer average."""
_LEVEL = re.compile(r"(?:level_|cog_l)(\d+)")
_SHOTS = re.compile(r"(\w+)_(\d+)shot")


def level_number(name: str) -> int | None:
    """Return 3 for the set ``level_3`` or ``cog_l3`` and None for any other set."""
    found = _LEVEL.fullmatch(name)
    return int(found.group(1)) if found else None


def shot_probe(probe: str, shots: int) -> str:
    """Return the name of ``probe`` fitted to a few images a class: ``logreg_8shot``."""
    return f"{probe}_{shots}shot"


def shots_of(probe: str) -> tuple[str, int] | None:
    """Return the probe and the number of images of a name that ``shot_probe`` made; None for any other."""
    found = _SHOTS.fullmatch(probe)
    return (found.group(1), int(found.group(2))) if found else None


def linear_top1(scores: Mapping[str, float]) -> float | None:
    """Return the accuracy that headlines quote among one set's ``<probe>/<metric>``; None without a linear probe."""
    return next((scores[f"{probe}/top1"] for probe in LINEAR if f"{probe}/top1" in scores), None)
