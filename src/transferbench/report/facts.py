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
class HiddenWord:
    """A word hidden in a caption: (H, W, 3) picture, where the model looked (h, w, sum 1), its guesses, best first.

    ``blind`` are the guesses from the other words alone.
    """

    picture: Picture
    attention: NDArray[np.float32]
    caption: str
    word: str
    guesses: list[str]
    blind: list[str]


@dataclass(frozen=True)
class WrittenCaption:
    """A (H, W, 3) picture, the best captions that a model wrote for it, one it drew, and one that a person wrote."""

    picture: Picture
    captions: list[str]
    sampled: str
    reference: str


@dataclass(frozen=True)
class Panel:
    """A row of captioned pictures under a ``title``, with a ``note`` where there is something to say."""

    title: str
    pictures: list[tuple[str, Picture]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What only a run's own objects can tell; a piece left empty is left out of the report.

    ``test_counts`` has the number of test images of each set; ``crops`` pairs of a picture and its crops as the network
    saw them; ``concepts`` readable names, ``trained`` how many of them are names of classes trained on, and
    ``similarity`` their mean similarity to the seen concepts, all three by set; ``ties_at_cuts`` counts the ends of
    levels that cut through concepts of equal similarity (None without levels). ``notes`` are sentences about a task's
    own measurements; ``hidden_words`` and ``written`` come from captions, ``panels`` from scenes.
    """

    test_counts: dict[str, int] = field(default_factory=dict)
    crops: list[tuple[Picture, list[Picture]]] = field(default_factory=list)
    neighbours: list[Neighbours] = field(default_factory=list)
    concepts: dict[str, list[str]] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    similarity: dict[str, float] = field(default_factory=dict)
    ties_at_cuts: int | None = None
    notes: list[str] = field(default_factory=list)
    hidden_words: list[HiddenWord] = field(default_factory=list)
    written: list[WrittenCaption] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RunFacts(Shown):
    """All that the report of one finished run shows.

    ``metrics`` has the flat keys of ``summary.json`` (``transfer/level_1/logreg/top1``, accuracies as fractions);
    ``timings`` seconds by name; ``history`` the rows of ``metrics.csv`` as numbers, a missing cell being an absent key
    or NaN.
    """

    name: str
    run: str
    seed: int
    commit: str
    versions: dict[str, str]
    metrics: dict[str, float]
    config: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
