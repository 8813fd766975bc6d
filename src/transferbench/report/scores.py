"""The transfer accuracies of one run, read from its flat metrics: the model's and the floors', by set and probe."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from transferbench.probes.names import ALL_PROBES, LINEAR, PROBES, TRAINED_ON, level_number, shots_of

_MODEL_KEY = re.compile(r"transfer/([^/]+)/([^/]+)/(?:top1|map)")
_COST_KEY = re.compile(r"transfer/([^/]+)/logreg/cost")
_FLOOR_KEY = re.compile(r"floors/([^/]+)/([^/]+)/([^/]+)/(?:top1|map)")


def in_order(sets: Iterable[str]) -> tuple[str, ...]:
    """Sort set names: those trained on, then the levels by number, then the others by name."""

    def place(name: str) -> tuple[int, int, str]:
        number = level_number(name)
        return (
            (0, TRAINED_ON.index(name), "")
            if name in TRAINED_ON
            else (2, 0, name)
            if number is None
            else (1, number, "")
        )

    return tuple(sorted(set(sets), key=place))


def binomial_error(accuracy: float, count: int) -> float:
    """Return the standard error ``sqrt(p (1 - p) / n)`` of an accuracy measured on ``count`` test images."""
    return math.sqrt(max(accuracy * (1.0 - accuracy), 0.0) / count)


@dataclass(frozen=True)
class Scores:
    """Top-1 accuracies in [0, 1]; ``model`` is keyed by (set, probe), ``floors`` by (floor, set, probe).

    A multi-label set has its mean average precision there. ``costs`` has the C that logistic regression chose, by set;
    ``few`` the accuracies of few-shot fits, by (set, probe) and then by the number of training images a class.
    """

    model: dict[tuple[str, str], float]
    floors: dict[tuple[str, str, str], float]
    costs: dict[str, float]
    few: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)

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
        return (*(probe for probe in ALL_PROBES if probe in found), *sorted(found.difference(ALL_PROBES)))

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

    def linear(self, name: str) -> float | None:
        """Return the accuracy of the linear probe on the set ``name``, whichever the protocol took; None without."""
        return next((self.model[name, probe] for probe in LINEAR if (name, probe) in self.model), None)

    def mean(self, sets: Iterable[str], probe: str) -> float | None:
        """Return the model's mean accuracy over ``sets``; None when there are none or one of them is missing."""
        found = [self.model.get((name, probe)) for name in sets]
        present = [value for value in found if value is not None]
        return sum(present) / len(present) if present and len(present) == len(found) else None


def read_scores(metrics: Mapping[str, float]) -> Scores:
    """Read the scores among flat ``metrics``.

    Their keys are ``transfer/<set>/<probe>/top1`` (or ``map``), ``floors/<floor>/<set>/<probe>/top1`` and
    ``transfer/<set>/logreg/cost``. An accuracy that is not finite counts as not measured.
    """
    model: dict[tuple[str, str], float] = {}
    floors: dict[tuple[str, str, str], float] = {}
    costs: dict[str, float] = {}
    few: dict[tuple[str, str], dict[int, float]] = {}
    for key, value in metrics.items():
        if not math.isfinite(value):
            continue
        if own := _MODEL_KEY.fullmatch(key):
            if shots := shots_of(own.group(2)):
                few.setdefault((own.group(1), shots[0]), {})[shots[1]] = float(value)
            else:
                model[own.group(1), own.group(2)] = float(value)
        elif floor := _FLOOR_KEY.fullmatch(key):
            if not shots_of(floor.group(3)):
                floors[floor.group(1), floor.group(2), floor.group(3)] = float(value)
        elif cost := _COST_KEY.fullmatch(key):
            costs[cost.group(1)] = float(value)
    return Scores(model, floors, costs, few)


def is_score(key: str) -> bool:
    """Tell whether a metric's key is one of those that ``read_scores`` reads."""
    return any(pattern.fullmatch(key) for pattern in (_MODEL_KEY, _FLOOR_KEY, _COST_KEY))
