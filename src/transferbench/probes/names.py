"""The names that metrics carry: probes, and the sets they are fitted and scored on."""

from __future__ import annotations

import re

PROBES = ("logreg", "knn", "ncm")
"""Logistic regression, k nearest neighbours, nearest class mean: the one that headlines quote comes first."""
SEEN = "seen"
"""The set whose concepts a representation is trained on: no part of the transfer average."""
_LEVEL = re.compile(r"level_(\d+)")


def level_number(name: str) -> int | None:
    """Return 3 for the set ``level_3`` and None for any other set."""
    found = _LEVEL.fullmatch(name)
    return int(found.group(1)) if found else None
