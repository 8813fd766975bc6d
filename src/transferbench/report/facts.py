"""What a report is made of: plain values, gathered by the run and handed over whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""An RGB picture, ``(H, W, 3)`` uint8."""


@dataclass(frozen=True)
class Neighbours:
    """One test picture and the training pictures whose features are nearest to its own.

    ``neighbours`` holds (picture, label name, whether it shows the query's concept), nearest first.
    """

    query: Picture
    label: str
    set_name: str
    neighbours: list[tuple[Picture, str, bool]]


@dataclass(frozen=True)
class RunFacts:
    """All that the report of one finished run shows; a piece left empty is left out of the report.

    ``metrics`` has the flat keys of ``summary.json`` (``transfer/level_1/logreg/top1``, accuracies as fractions);
    ``test_counts`` the number of test images of each set; ``timings`` seconds by name; ``history`` the rows of
    ``metrics.csv`` as numbers, a missing cell being an absent key or NaN; ``crops`` pairs of a picture and its crops
    as the network saw them; ``concepts`` readable names and ``similarity`` the mean similarity to the seen concepts,
    both by set.
    """

    name: str
    run: str
    seed: int
    commit: str
    versions: dict[str, str]
    config: dict[str, Any]
    metrics: dict[str, float]
    test_counts: dict[str, int] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    crops: list[tuple[Picture, list[Picture]]] = field(default_factory=list)
    neighbours: list[Neighbours] = field(default_factory=list)
    concepts: dict[str, list[str]] = field(default_factory=dict)
    similarity: dict[str, float] = field(default_factory=dict)
