"""The transfer accuracies of one run, read from its flat metrics: the model's and the floors', by set and probe."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PROBES = ("logreg", "knn", "ncm")
FLOORS = ("pixels", "colour_histogram", "random_backbone")
_LEVEL = re.compile(r"level_(\d+)")
_MODEL_KEY = re.compile(r"transfer/([^/]+)/([^/]+)/top1")
_FLOOR_KEY = re.compile(r"floors/([^/]+)/([^/]+)/([^/]+)/top1")


def level_number(name: str) -> int | None:
    """Return 3 for ``level_3`` and None for any other set."""
    found = _LEVEL.fullmatch(name)
    return int(found.group(1)) if found else None


def in_order(sets: Iterable[str]) -> tuple[str, ...]:
    """Sort set names: ``seen``, then the levels by number, then the others by name."""

    def place(name: str) -> tuple[int, int, str]:
        number = level_number(name)
        return (0, 0, "") if name == "seen" else (2, 0, name) if number is None else (1, number, "")

    return tuple(sorted(set(sets), key=place))


def _known_first(names: Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    found = set(names)
    return tuple(name for name in known if name in found) + tuple(sorted(found - set(known)))


def binomial_error(accuracy: float, count: int) -> float:
    """Return the standard error ``sqrt(p (1 - p) / n)`` of an accuracy measured on ``count`` test images."""
    return math.sqrt(max(accuracy * (1.0 - accuracy), 0.0) / count)


@dataclass(frozen=True)
class Scores:
    """Top-1 accuracies in [0, 1]; ``model`` is keyed by (set, probe), ``floors`` by (floor, set, probe)."""

    model: dict[tuple[str, str], float]
    floors: dict[tuple[str, str, str], float]

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
        return _known_first((probe for _, probe in self.model), PROBES)

    @property
    def main_probe(self) -> str:
        """The probe that headlines quote: logistic regression where there is one."""
        return self.probes[0] if self.probes else PROBES[0]

    @property
    def floor_names(self) -> tuple[str, ...]:
        """The floors measured."""
        return _known_first((floor for floor, _, _ in self.floors), FLOORS)

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
    """Read the ``transfer/<set>/<probe>/top1`` and ``floors/<floor>/<set>/<probe>/top1`` keys of flat ``metrics``.

    An accuracy that is not finite counts as not measured.
    """
    model: dict[tuple[str, str], float] = {}
    floors: dict[tuple[str, str, str], float] = {}
    for key, value in metrics.items():
        if not math.isfinite(value):
            continue
        if own := _MODEL_KEY.fullmatch(key):
            model[own.group(1), own.group(2)] = float(value)
        elif floor := _FLOOR_KEY.fullmatch(key):
            floors[floor.group(1), floor.group(2), floor.group(3)] = float(value)
    return Scores(model, floors)


def is_score(key: str) -> bool:
    """Tell whether a metric's key is one of those that ``read_scores`` reads."""
    return bool(_MODEL_KEY.fullmatch(key) or _FLOOR_KEY.fullmatch(key))
