"""The transfer accuracies of one run, read from its flat metrics: the model's and the floors', by set and probe."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from transferbench.probes.names import PROBES, SEEN, level_number

_MODEL_KEY = re.compile(r"transfer/([^/]+)/([^/]+)/top1")
_COST_KEY = re.compile(r"transfer/([^/]+)/logreg/cost")
_FLOOR_KEY = re.compile(r"floors/([^/]+)/([^/]+)/([^/]+)/top1")


def in_order(sets: Iterable[str]) -> tuple[str, ...]:
    """Sort set names: ``seen``, then the levels by number, then the others by name."""

    def place(name: str) -> tuple[int, int, str]:
        number = level_number(name)
        return (0, 0, "") if name == SEEN else (2, 0, name) if number is None else (1, number, "")

    return tuple(sorted(set(sets), key=place))


def binomial_error(accuracy: float, count: int) -> float:
    """Return the standard error ``sqrt(p (1 - p) / n)`` of an accuracy measured on ``count`` test images."""
    return math.sqrt(max(accuracy * (1.0 - accuracy), 0.0) / count)


@dataclass(frozen=True)
class Scores:
    """Top-1 accuracies in [0, 1]; ``model`` is keyed by (set, probe), ``floors`` by (floor, set, probe).

    ``costs`` has the C that logistic regression chose, by set.
    """

    model: dict[tuple[str, str], float]
    floors: dict[tuple[str, str, str], float]
    costs: dict[str, float]

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets the model was scored on, in reading order."""
        return in_order(name for name, _ in self.model)

    @property
    def levels(self) -> tuple[str, ...]:
        """The sets named ``level_<k>``, closest first."""
        return tuple(name for name in self.sets if level_number(name) is not None)

    @property
    def probes(self) -> tuple[str, ...]:
        """The probes used, logistic regression first."""
        found = {probe for _, probe in self.model}
        return (*(probe for probe in PROBES if probe in found), *sorted(found.difference(PROBES)))

    @property
    def main_probe(self) -> str:
        """The probe that headlines quote: logistic regression where there is one."""
        return self.probes[0] if self.probes else PROBES[0]

    @property
    def floor_names(self) -> tuple[str, ...]:
        """The floors, in the order in which they were measured."""
        return tuple(dict.fromkeys(floor for floor, _, _ in self.floors))

    def best_floor(self, name: str, probe: str) -> tuple[str, float] | None:
        """Return the strongest floor on the set ``name`` and its accuracy; None where no floor was measured."""
        found = [(self.floors[key], key[0]) for key in self.floors if key[1:] == (name, probe)]
        accuracy, floor = max(found, default=(0.0, ""))
        return (floor, accuracy) if found else None

    def lead(self, name: str, probe: str) -> float | None:
        """Return the model's accuracy minus the best floor's; None where either is missing."""
        best, own = self.best_floor(name, probe), self.model.get((name, probe))
        return None if best is None or own is None else own - best[1]

    def mean(self, sets: Iterable[str], probe: str) -> float | None:
        """Return the model's mean accuracy over ``sets``; None when there are none or one of them is missing."""
        found = [self.model.get((name, probe)) for name in sets]
        present = [value for value in found if value is not None]
        return sum(present) / len(present) if present and len(present) == len(found) else None


def read_scores(metrics: Mapping[str, float]) -> Scores:
    """Read the scores among flat ``metrics``.

    Their keys are ``transfer/<set>/<probe>/top1``, ``floors/<floor>/<set>/<probe>/top1`` and
    ``transfer/<set>/logreg/cost``. An accuracy that is not finite counts as not measured.
    """
    model: dict[tuple[str, str], float] = {}
    floors: dict[tuple[str, str, str], float] = {}
    costs: dict[str, float] = {}
    for key, value in metrics.items():
        if not math.isfinite(value):
            continue
        if own := _MODEL_KEY.fullmatch(key):
            model[own.group(1), own.group(2)] = float(value)
        elif floor := _FLOOR_KEY.fullmatch(key):
            floors[floor.group(1), floor.group(2), floor.group(3)] = float(value)
        elif cost := _COST_KEY.fullmatch(key):
            costs[cost.group(1)] = float(value)
    return Scores(model, floors, costs)


def is_score(key: str) -> bool:
    """Tell whether a metric's key is one of those that ``read_scores`` reads."""
    return any(pattern.fullmatch(key) for pattern in (_MODEL_KEY, _FLOOR_KEY, _COST_KEY))
