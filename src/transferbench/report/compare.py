"""Finished runs of one experiment over several seeds, compared with the floors measured beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from transferbench.errors import UserError
from transferbench.outputs import read_summary
from transferbench.report.intervals import Estimate, Verdict, estimate, verdict
from transferbench.report.scores import Scores, read_scores

LEVELS = "levels"
"""The set name under which the mean over the levels stands."""
BEST = "best"
"""The floor name under which the strongest floor of each seed and set stands."""
THRESHOLD = 0.10
"""The lead over a floor that a claim of transfer asks for: 10 percentage points."""
_KEYS = {"name": str, "run": str, "seed": int, "commit": str}


@dataclass(frozen=True)
class Summary:
    """What the comparison reads of a finished run's ``summary.json``."""

    folder: Path
    name: str
    run: str
    seed: int
    commit: str
    metrics: dict[str, float]
    seconds: float | None = None


@dataclass(frozen=True)
class Difference:
    """The model's lead over one floor on one set, paired by seed; fractions, not points."""

    set_name: str
    floor: str
    lead: Estimate
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """Accuracies over seeds, as fractions: ``model`` by set, ``floors`` by (floor, set), and the paired leads.

    Sets end with ``LEVELS``, the mean over the levels, when there are two levels or more; ``BEST`` is a floor, too.
    """

    name: str
    probe: str
    threshold: float
    runs: tuple[Summary, ...]
    model: dict[str, Estimate]
    floors: dict[tuple[str, str], Estimate]
    differences: tuple[Difference, ...]
    log_odds: Estimate | None
    notes: tuple[str, ...]


def read_run(folder: Path) -> Summary:
    """Return the summary of the finished run in ``folder``; raise ``UserError`` when there is none that can be used."""
    path, content = folder / "summary.json", read_summary(folder)
    for key, kind in _KEYS.items():
        if not isinstance(content.get(key), kind) or isinstance(content.get(key), bool):
            found = f"{key} is {content[key]!r}" if key in content else f"no {key}"
            raise UserError(f"{path}: {found}; a run's summary has {key} as {kind.__name__}.")
    metrics = content["metrics"]
    wrong = [key for key in metrics if not isinstance(metrics[key], (int, float)) or isinstance(metrics[key], bool)]
    if wrong:
        raise UserError(f"{path}: the metric {wrong[0]} is {metrics[wrong[0]]!r}; every metric is a number.")
    scores = read_scores(metrics)
    outside = [value for value in (*scores.model.values(), *scores.floors.values()) if not 0.0 <= value <= 1.0]
    if outside:
        raise UserError(f"{path}: an accuracy of {outside[0]}; accuracies are fractions between 0 and 1.")
    numbers = {key: float(value) for key, value in metrics.items()}
    seconds = content.get("seconds")
    took = float(seconds) if isinstance(seconds, (int, float)) else None
    return Summary(folder, content["name"], content["run"], content["seed"], content["commit"], numbers, took)


def compare(folders: Sequence[Path], probe: str = "logreg", threshold: float = THRESHOLD) -> Comparison:
    """Compare the runs in ``folders``, one a seed, all of one experiment, with the floors they measured.

    ``probe`` names the classifier whose top-1 accuracies count; a lead of ``threshold`` (a fraction) is what each
    verdict asks for. Raises ``UserError`` for unreadable runs, several experiments, a seed given twice, or no scores.
    """
    if not folders:
        raise UserError("no runs to compare; give at least two folders of finished runs with different seeds.")
    runs = sorted((read_run(Path(folder)) for folder in folders), key=lambda run: run.seed)
    _check_together(runs)
    scores = [read_scores(run.metrics) for run in runs]
    for run, found in zip(runs, scores):
        if probe not in found.probes:
            known = f"it has {', '.join(found.probes)}" if found.probes else "it has no transfer scores at all"
            raise UserError(f"{run.folder}: no scores of the probe {probe}; {known}.")
    own = [_model(one, probe) for one in scores]
    floors = [_floors(one, probe) for one in scores]
    leads = [
        {(name, floor): mine[name] - value for (floor, name), value in theirs.items() if name in mine}
        for mine, theirs in zip(own, floors)
    ]
    differences = [
        Difference(name, floor, lead, verdict(lead, threshold)) for (name, floor), lead in _estimates(leads).items()
    ]
    odds = [run.metrics["transfer/mean_log_odds"] for run in runs if "transfer/mean_log_odds" in run.metrics]
    return Comparison(
        name=runs[0].name,
        probe=probe,
        threshold=threshold,
        runs=tuple(runs),
        model=_estimates(own),
        floors=_estimates(floors),
        differences=tuple(differences),
        log_odds=estimate(odds) if len(odds) == len(runs) and all(map(math.isfinite, odds)) else None,
        notes=_notes(runs, [*own, *floors]),
    )


def _check_together(runs: Sequence[Summary]) -> None:
    names = sorted({run.name for run in runs})
    if len(names) > 1:
        raise UserError(f"runs of different experiments ({', '.join(names)}); compare the seeds of one at a time.")
    for first, second in pairwise(runs):
        if first.seed == second.seed:
            raise UserError(f"seed {first.seed} twice, {first.folder} and {second.folder}; give one run a seed.")


def _model(scores: Scores, probe: str) -> dict[str, float]:
    found = {name: scores.model[name, probe] for name in scores.sets if (name, probe) in scores.model}
    mean = scores.mean(scores.levels, probe)
    return found | ({LEVELS: mean} if mean is not None and len(scores.levels) > 1 else {})


def _floors(scores: Scores, probe: str) -> dict[tuple[str, str], float]:
    rows: dict[str, dict[str, float]] = {floor: {} for floor in (*scores.floor_names, BEST)}
    for name in scores.sets:
        for floor in scores.floor_names:
            if (floor, name, probe) in scores.floors:
                rows[floor][name] = scores.floors[floor, name, probe]
        if best := scores.best_floor(name, probe):
            rows[BEST][name] = best[1]
    for row in rows.values():
        if len(scores.levels) > 1 and all(level in row for level in scores.levels):
            row[LEVELS] = math.fsum(row[level] for level in scores.levels) / len(scores.levels)
    return {(floor, name): value for floor, row in rows.items() for name, value in row.items()}


def _estimates(rows: Sequence[Mapping[Any, float]]) -> dict[Any, Estimate]:
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: estimate([row[key] for row in rows if key in row]) for key in keys}


def _notes(runs: Sequence[Summary], rows: Iterable[Mapping[Any, float]]) -> tuple[str, ...]:
    notes = []
    if len(runs) < 2:
        notes.append("One seed gives no interval: every verdict is undecided.")
    if len(commits := sorted({run.commit for run in runs})) > 1:
        notes.append(f"The runs come from {len(commits)} commits: {', '.join(commits)}.")
    counts: dict[Any, int] = {}
    for row in rows:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    if any(count < len(runs) for count in counts.values()):
        notes.append("Some scores are missing in some runs; an interval rests on the seeds that have them.")
    return tuple(notes)
