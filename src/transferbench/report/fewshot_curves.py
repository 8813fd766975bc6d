"""Few-shot accuracies of several settings beside each other: means over the sets that they share, over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transferbench.probes.names import LINEAR, TRAINED_ON
from transferbench.report.intervals import Estimate, estimate
from transferbench.report.scores import in_order, read_scores
from transferbench.report.sweep import Group, Sweep


class _SetCurve(NamedTuple):
    few: Mapping[int, float]
    """Accuracy by training images a class."""
    whole: float | None
    """Of the same probe fitted to all images."""


_Run = Mapping[str, _SetCurve]
"""The curves of one run, by set."""


@dataclass(frozen=True)
class ShotCurve:
    """One setting's accuracy by training images a class, and fitted to all images (None where a run lacks that)."""

    group: Group
    few: dict[int, Estimate]
    whole: Estimate | None


@dataclass(frozen=True)
class ShotCurves:
    """The settings that have few-shot scores, in the order of the sweep's groups.

    ``sets`` are those of the mean; ``without`` are the labels of the settings that have no scores.
    """

    sets: tuple[str, ...]
    curves: tuple[ShotCurve, ...]
    without: tuple[str, ...]

    @property
    def counts(self) -> list[int]:
        """The numbers of training images a class, ascending."""
        return sorted({count for curve in self.curves for count in curve.few})


def shot_curves(sweep: Sweep) -> ShotCurves | None:
    """Return the curves of the settings of ``sweep``; None where none has any, or no set is shared by all that have.

    A run counts by the mean of its linear probe's accuracies over the sets that all runs share, those that a model is
    trained on left out unless there is no other; the estimates are over these means, seed by seed.
    """
    by_group = [(group, _runs(sweep, group)) for group in sweep.groups]
    every = [run for _, runs in by_group for run in runs]
    shared = in_order(set.intersection(*map(set, every))) if every else ()
    sets = tuple(name for name in shared if name not in TRAINED_ON) or shared
    if not sets:
        return None
    curves = tuple(_curve(group, runs, sets) for group, runs in by_group if runs)
    return ShotCurves(sets, curves, tuple(group.label for group, runs in by_group if not runs))


def _runs(sweep: Sweep, group: Group) -> list[_Run]:
    """Return the curves of a group's runs that have any; of two with one seed the later run counts, as in the group."""
    found = {}
    for job in sweep.jobs:
        if job.run is not None and job.settings == group.settings:
            found[job.seed or 0] = _curves(job.metrics)
    return [run for run in found.values() if run]


def _curves(metrics: Mapping[str, float]) -> _Run:
    scores = read_scores(metrics)
    return {
        name: _SetCurve(scores.few[name, probe], scores.model.get((name, probe)))
        for probe in reversed(LINEAR)  # logistic regression last: where both were fitted, it counts
        for name in in_order(own for own, fitted in scores.few if fitted == probe)
    }


def _curve(group: Group, runs: Sequence[_Run], sets: Sequence[str]) -> ShotCurve:
    few: dict[int, list[float]] = {}
    whole = []
    for run in runs:
        for count in sorted(set.intersection(*(set(run[name].few) for name in sets))):
            few.setdefault(count, []).append(_mean([run[name].few[count] for name in sets]))
        fitted = [run[name].whole for name in sets]
        known = [value for value in fitted if value is not None]
        whole += [_mean(known)] if len(known) == len(sets) else []
    estimates = {count: estimate(values) for count, values in sorted(few.items())}
    return ShotCurve(group, estimates, estimate(whole) if len(whole) == len(runs) else None)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
