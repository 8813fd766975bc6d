"""From what a run leaves in memory and on disk to the plain facts a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.outputs import read_metrics
from transferbench.report.facts import HiddenWord, Neighbours, Panel, Picture, RunFacts, Shown, WrittenCaption

SHOWN_CROPS = 5
THUMBNAIL = 160
"""Longest side in pixels of a neighbour's picture: twice the side at which the page shows it."""
NO_RESULT = ("step", "epoch", "train/lr")
"""Columns of ``metrics.csv`` whose last value says nothing about the run."""


def final_metrics(folder: Path) -> dict[str, float]:
    """Return the last value of each curve in ``metrics.csv``."""
    found: dict[str, float] = {}
    for row in read_metrics(folder / "metrics.csv"):
        found |= row
    return {key: value for key, value in found.items() if key not in NO_RESULT}


def gather(
    data: Any, sets: Mapping[str, Any], result: Any, examined: Any = None, trained: Sequence[str] | None = ()
) -> Shown:
    """Collect pictures, names and counts from the data module, a transfer result and a task's own examination.

    Each of the last two may be None. ``trained`` are the classes that the model was trained on, None for unknown.

    ``sets`` are all that were evaluated on, those that the transfer protocol adds included.
    """
    draw: Any = getattr(data, "draw", None)
    names: Mapping[str, str] = {}
    if draw is not None:
        names = data.world.names
    elif data is not None:
        names = dict(zip(data.classes, data.class_names))
    found = () if result is None else result.neighbours
    means = () if draw is None else draw.mean_similarity()
    return Shown(
        test_counts={} if result is None else dict(result.test_counts),
        crops=data.sample_crops(SHOWN_CROPS) if getattr(data, "crops", None) is not None else [],
        neighbours=[_neighbours(one, sets[one.dataset], names) for one in found],
        concepts={name: [names.get(c, c) for c in splits.train.classes] for name, splits in sets.items()},
        trained={name: len(set(splits.train.classes) & set(trained)) for name, splits in sets.items()}
        if trained is not None
        else {},
        similarity={f"level_{k}": mean for k, mean in enumerate(means, start=1)},
        ties_at_cuts=None if draw is None else draw.ties_at_cuts,
        notes=[] if examined is None else list(examined.facts),
        hidden_words=[] if examined is None else [HiddenWord(**word) for word in examined.words],
        written=[] if examined is None else [WrittenCaption(**one) for one in examined.written],
        panels=[] if examined is None else [Panel(**one) for one in examined.panels],
    )


def _neighbours(one: Any, splits: Any, names: Mapping[str, str]) -> Neighbours:
    near = [
        (_thumbnail(splits.train.image(p.position)), names.get(p.label, p.label), p.label == one.query.label)
        for p in one.nearest
    ]
    query = _thumbnail(splits.test.image(one.query.position))
    return Neighbours(query, names.get(one.query.label, one.query.label), one.dataset, near)


def _thumbnail(image: Any) -> Picture:
    """Return a PIL image as an array, no longer than ``THUMBNAIL``."""
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(image)


def facts_of_summary(summary: Mapping[str, Any]) -> RunFacts:
    """Return the facts that a ``summary.json`` holds, enough for the table."""
    keys = ("name", "run", "seed", "commit", "versions", "metrics", "timings", "test_counts")
    return RunFacts(**{key: summary[key] for key in keys if key in summary})
