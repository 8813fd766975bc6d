"""The jobs of a sweep, grouped by the settings that vary: estimates over seeds and paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferbench.errors import UserError
from transferbench.probes.aggregate import log_odds
from transferbench.probes.names import LINEAR, TRAINED_ON
from transferbench.report.compare import LEVELS
from transferbench.report.intervals import Estimate, Verdict, estimate, verdict
from transferbench.report.scores import read_scores
from transferbench.report.sweep_jobs import SweepJob, read_jobs
from transferbench.report.sweep_settings import is_numeric, said, short_names

TRAINING, TRANSFER, BALANCE = "training", "transfer", "balance"
"""Accuracy on the training task; mean log-odds of the transfer; the second minus the first's log-odds."""
TRAINING_KEYS = (*(f"transfer/{name}/{probe}/top1" for name in TRAINED_ON for probe in LINEAR), "val/top1")
"""Metrics that say how well the training task is done, the better one first."""
_TRANSFER_KEY = "transfer/mean_log_odds"
MOST_PAIRED = 4
"""With more groups, each is compared with the first alone."""
_ABOVE_ZERO = math.ulp(0.0)
"""The smallest positive number: a difference has to exceed zero, not to reach it."""


@dataclass(frozen=True)
class Group:
    """Finished jobs that differ in nothing but the seed: their measures by seed, and over seeds."""

    settings: dict[str, Any]
    values: dict[int, dict[str, float]]
    estimates: dict[str, Estimate]

    @property
    def label(self) -> str:
        """The settings as they are typed, without the groups of their keys."""
        names = short_names(list(self.settings))
        return ", ".join(f"{names[key]}={said(value)}" for key, value in self.settings.items())


@dataclass(frozen=True)
class PairedDifference:
    """A group's measure minus an earlier one's, paired by seed; ``verdict`` tells whether it is above zero."""

    group: int
    against: int
    measure: str
    change: Estimate
    verdict: Verdict


@dataclass(frozen=True)
class Trend:
    """How a measure changes from one value of the numeric setting to the next: least squares, then over seeds."""

    measure: str
    slope: Estimate
    verdict: Verdict


@dataclass(frozen=True)
class Sweep:
    """All that is known of a sweep; ``groups`` are in the order of their settings, the first is the reference.

    A few groups of a real sweep without a trend are compared pair by pair, all others with the reference alone.
    """

    folder: Path
    keys: tuple[str, ...]
    jobs: tuple[SweepJob, ...]
    groups: tuple[Group, ...]
    measures: tuple[str, ...]
    training_key: str
    differences: tuple[PairedDifference, ...]
    trends: tuple[Trend, ...]
    notes: tuple[str, ...]

    def unfinished(self) -> list[SweepJob]:
        """Return the jobs without a result: failed, broken, or not at their end."""
        return [job for job in self.jobs if job.run is None]

    def numeric(self) -> str | None:
        """Return the one setting that is a number in every group and takes several values; None without or with two."""
        found = [key for key in self.keys if is_numeric(group.settings[key] for group in self.groups)]
        return found[0] if len(found) == 1 else None

    def difference(self, group: int, against: int, measure: str) -> PairedDifference | None:
        """Return one paired difference; None where it was not taken, or no seed has both."""
        wanted = (group, against, measure)
        return next((one for one in self.differences if (one.group, one.against, one.measure) == wanted), None)

    def pairs(self) -> list[tuple[int, int]]:
        """Return the pairs of groups that were compared, the later one first, sorted by what they stand against."""
        return sorted({(one.group, one.against) for one in self.differences}, key=lambda pair: pair[::-1])


def read_sweep(
    folder: Path, runs: Sequence[Path] | None = None, training: str | None = None, baseline: str | None = None
) -> Sweep:
    """Return the sweep in ``folder``: whatever is there, with the jobs that have no result named.

    Args:
        folder: where the jobs lie, and where the sweep's page goes.
        runs: run folders to take as the jobs, wherever they lie.
        training: the metric that says how well the training task is done; None for the best known one that is there.
        baseline: the group that the others are compared with, by its label or one of its values; None for the first.

    Raises:
        UserError: no group is the ``baseline``.
    """
    keys, jobs = read_jobs(Path(folder), runs)
    finished = [job for job in jobs if job.run is not None]
    known = (k for k in TRAINING_KEYS if any(k in job.metrics for job in finished))
    training = training or next(known, TRAINING_KEYS[0])
    groups = _led_by(baseline, _groups(finished, training))
    measures = tuple(dict.fromkeys(measure for group in groups for measure in group.estimates))
    trends = tuple(_trends(groups, keys, measures))
    few = len(groups) <= MOST_PAIRED and runs is None
    references = range(len(groups)) if few and not trends else range(min(len(groups), 1))
    return Sweep(
        folder=Path(folder),
        keys=keys,
        jobs=tuple(jobs),
        groups=groups,
        measures=measures,
        training_key=training,
        differences=tuple(_differences(groups, measures, references)),
        trends=trends,
        notes=tuple(_notes(finished, groups)),
    )


def _led_by(baseline: str | None, groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """Return the groups with the one called ``baseline`` in front."""
    if baseline is None:
        return groups
    named = [group for group in groups if baseline in (group.label, *map(said, group.settings.values()))]
    if len(named) != 1:
        found = "more than one" if named else "none"
        labels = "; ".join(group.label for group in groups if group.label) or "no other, for all have the same settings"
        raise UserError(
            f"task.baseline={baseline}: {found} of the runs compared is called so; expected one of: {labels}"
        )
    return (named[0], *(group for group in groups if group is not named[0]))


def measured(metrics: Mapping[str, float], training_key: str) -> dict[str, float]:
    """Return the measures of one job: training, transfer, their balance, the mean of the levels, every set."""
    scores = read_scores(metrics)
    own, odds = metrics.get(training_key, math.nan), metrics.get(_TRANSFER_KEY, math.nan)
    found = {TRAINING: own, TRANSFER: odds}
    found[BALANCE] = odds - log_odds(own) if 0 < own < 1 else math.nan
    linear = {name: scores.linear(name) for name in scores.sets if name not in TRAINED_ON}
    sets = {name: value for name, value in linear.items() if value is not None}
    levels = [sets[name] for name in scores.levels if name in sets]
    found |= ({LEVELS: sum(levels) / len(levels)} if len(levels) == len(scores.levels) > 1 else {}) | sets
    return {measure: value for measure, value in found.items() if math.isfinite(value)}


def _groups(jobs: Sequence[SweepJob], training_key: str) -> tuple[Group, ...]:
    """Return the groups of jobs; of two with the same settings and seed the later one counts."""
    rows: dict[str, tuple[dict[str, Any], dict[int, dict[str, float]]]] = {}
    for job in jobs:
        _, values = rows.setdefault(job.label, (job.settings, {}))
        values[job.seed or 0] = measured(job.metrics, training_key)
    return tuple(Group(settings, values, _estimates(values.values())) for settings, values in rows.values())


def _estimates(rows: Iterable[Mapping[str, float]]) -> dict[str, Estimate]:
    found: dict[str, list[float]] = {}
    for row in rows:
        for measure, value in row.items():
            found.setdefault(measure, []).append(value)
    return {measure: estimate(values) for measure, values in found.items()}


def _differences(
    groups: Sequence[Group], measures: Sequence[str], references: Sequence[int]
) -> Iterable[PairedDifference]:
    """Yield what every group has more than each group of ``references`` before it."""
    for against in references:
        base = groups[against].values
        for number, group in enumerate(groups[against + 1 :], start=against + 1):
            both = [(group.values[seed], base[seed]) for seed in group.values if seed in base]
            for measure in measures:
                pairs = [own[measure] - other[measure] for own, other in both if measure in own and measure in other]
                if pairs:
                    change = estimate(pairs)
                    yield PairedDifference(number, against, measure, change, verdict(change, _ABOVE_ZERO))


def _trends(groups: Sequence[Group], keys: Sequence[str], measures: Sequence[str]) -> Iterable[Trend]:
    """Yield the change a step for each measure, where one numeric setting of three values or more varies alone."""
    if len(keys) != 1 or len(groups) < 3 or not is_numeric(group.settings[keys[0]] for group in groups):
        return
    steps = [place - (len(groups) - 1) / 2 for place in range(len(groups))]
    for measure in measures:
        slopes = []
        for seed in groups[0].values:
            row = [group.values.get(seed, {}).get(measure, math.nan) for group in groups]
            slopes.append(sum(step * value for step, value in zip(steps, row)) / sum(step * step for step in steps))
        complete = [slope for slope in slopes if math.isfinite(slope)]
        if complete:
            slope = estimate(complete)
            yield Trend(measure, slope, verdict(slope, _ABOVE_ZERO))


def _notes(jobs: Sequence[SweepJob], groups: Sequence[Group]) -> Iterable[str]:
    seeds = [set(group.values) for group in groups]
    if groups and max(map(len, seeds)) < 2:
        yield "One seed a setting gives no interval: every verdict is undecided."
    elif any(one != seeds[0] for one in seeds):
        yield "Not every setting has every seed; a difference rests on the seeds that both have."
    if len(jobs) > sum(map(len, seeds)):
        yield "Some settings ran twice with one seed (another version of the package): the later run counts."
    commits = sorted({job.run.commit for job in jobs if job.run})
    if len(commits) > 1:
        yield f"The jobs come from {len(commits)} commits: {', '.join(commits)}."
