"""From what a run leaves in memory and on disk to the plain facts a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.outputs import read_metrics
from transferbench.report.facts import Neighbours, Picture, RunFacts

SHOWN_CROPS = 5
LAST = ("val/top1", "val/loss", "val/knn", "train/loss", "train/top1")


@dataclass(frozen=True)
class Shown:
    """What only the run's own objects can tell: pictures, names, counts."""

    test_counts: dict[str, int] = field(default_factory=dict)
    crops: list[tuple[Picture, list[Picture]]] = field(default_factory=list)
    neighbours: list[Neighbours] = field(default_factory=list)
    concepts: dict[str, list[str]] = field(default_factory=dict)
    similarity: dict[str, float] = field(default_factory=dict)


def final_metrics(folder: Path) -> dict[str, float]:
    """Return the last value of each curve in ``metrics.csv``."""
    found: dict[str, float] = {}
    for row in read_metrics(folder / "metrics.csv"):
        found.update({key: row[key] for key in LAST if key in row})
    return found


def gather(data: Any, sets: Mapping[str, Any], result: Any) -> Shown:
    """Collect pictures, names and counts from the data module and a transfer result (None: no evaluation)."""
    draw: Any = getattr(data, "draw", None)
    names = dict(zip(data.classes, data.class_names)) if draw is None else data.world.names
    levels = {} if draw is None else {f"level_{k}": level for k, level in enumerate(draw.levels, 1)}
    similarity = {name: float(np.mean([draw.similarity[c] for c in level])) for name, level in levels.items()}
    concepts = {name: [names.get(c, c) for c in splits.train.classes] for name, splits in sets.items()}
    found = () if result is None else result.neighbours
    neighbours = [_neighbours(one, sets[one.dataset], names) for one in found if one.dataset in sets]
    counts = {} if result is None else dict(result.test_counts)
    return Shown(counts, data.sample_crops(SHOWN_CROPS), neighbours, concepts, similarity)


def _neighbours(one: Any, splits: Any, names: Mapping[str, str]) -> Neighbours:
    query = np.asarray(splits.test.image(one.query.position))
    near = [
        (np.asarray(splits.train.image(p.position)), names.get(p.label, p.label), p.label == one.query.label)
        for p in one.nearest
    ]
    return Neighbours(query, names.get(one.query.label, one.query.label), one.dataset, near)


def complete(
    shown: Shown,
    origin: Mapping[str, Any],
    versions: dict[str, str],
    config: Mapping[str, Any],
    metrics: dict[str, float],
    timings: dict[str, float],
    folder: Path,
) -> RunFacts:
    """Return the facts of a run that has just ended."""
    return RunFacts(
        **origin,
        versions=versions,
        config=dict(config),
        metrics=metrics,
        timings=dict(timings),
        history=read_metrics(folder / "metrics.csv"),
        test_counts=shown.test_counts,
        crops=shown.crops,
        neighbours=shown.neighbours,
        concepts=shown.concepts,
        similarity=shown.similarity,
    )


def facts_of_summary(summary: Mapping[str, Any]) -> RunFacts:
    """Return the facts that a ``summary.json`` holds, enough for the table."""
    kept = {key: summary[key] for key in ("name", "run", "seed", "commit", "versions", "metrics")}
    empty = replace(RunFacts(**kept, config={}), test_counts=dict(summary.get("test_counts", {})))
    return replace(empty, timings=dict(summary.get("timings", {})))
