"""Which probes are fitted to the features of one set, with which settings, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError
from transferbench.features.extract import Features
from transferbench.features.store import StoredFeatures
from transferbench.probes.aggregate import mean_and_spread, top1
from transferbench.probes.knn import find_voters
from transferbench.probes.logreg import fit_logreg, search_logreg
from transferbench.probes.names import ALL_PROBES, PROBES, shot_probe
from transferbench.probes.ncm import class_means
from transferbench.probes.scaling import Norm
from transferbench.probes.scores import IGNORE, by_frequency, mean_average_precision, mean_per_class, top_k
from transferbench.probes.sgd import SPACE, Recipe, search_sgd
from transferbench.probes.splits import Short
from transferbench.probes.svm import fit_svm

AnyFeatures: TypeAlias = Features | StoredFeatures
Found: TypeAlias = dict[str, float]
"""``"<probe>/<metric>"`` -> value."""
Solver = Literal["lbfgs", "sgd"]


class SetScore(NamedTuple):
    """What the probes found on one set."""

    scores: Found
    test_count: int
    cost: float | None
    stopped_early: int


@dataclass(frozen=True)
class Probing:
    """The probes and their settings.

    The defaults of nearest neighbours are DINO's (k = 20, temperature 0.07); ``holdout`` is t-ReX's 20 % of each class
    for the choice of hyper-parameters.
    """

    probes: Sequence[str] = PROBES
    """Some of ``ALL_PROBES``. Where the published protocol fits a set by SGD, ``logreg`` means ``sgd``."""
    costs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    """The grid of C of logistic regression, unless there are ``trials``."""
    trials: int | None = None
    """How many points of ``cost_range`` TPE tries for logistic regression in place of the grid; 30 as published."""
    cost_range: Sequence[float] = (1e-5, 1e6)
    sgd_trials: int = 30
    """How many pairs of learning rate and weight decay TPE tries for the classifier trained by SGD."""
    lr_range: Sequence[float] = SPACE["lr"]
    weight_decay_range: Sequence[float] = SPACE["weight_decay"]
    sgd_epochs: int = 100
    holdout: float = 0.2
    neighbours: int = 20
    temperature: float = 0.07
    norm: Norm = "standard"
    """How features are scaled for logistic regression (``probes.scaling``) ..."""
    sgd_norm: Norm = "l2"
    """... and for the classifier trained by SGD."""
    seeds: Sequence[int] | None = None
    """Of held-out parts, draws and SGD: probes are repeated and scores are means over them. None: the run's."""
    shots: Sequence[int] = ()
    """Training images a class of further, few-shot fits of the linear probe (ImageNet-CoG)."""
    short: Short = "refuse"
    """What few-shot fits do with a class that has fewer images: ``refuse``, or take ``all`` that it has."""
    faithful: bool = False
    """Hold out as t-ReX's released evaluation does, where a small class changes the share of all after it."""

    def __post_init__(self) -> None:
        ranges = ("cost_range", "lr_range", "weight_decay_range")
        sound = {
            "probes": (set(self.probes) <= set(ALL_PROBES) and bool(self.probes), f"some of {', '.join(ALL_PROBES)}"),
            "costs": (len(self.costs) > 0 and min(self.costs) > 0, "positive numbers, such as [0.001, 0.01, 0.1]"),
            "trials": (self.trials is None or self.trials >= 1, "at least 1, or null for the grid transfer.costs"),
            "sgd_trials": (self.sgd_trials >= 1, "at least 1"),
            "sgd_epochs": (self.sgd_epochs >= 1, "at least 1"),
            "holdout": (0 < self.holdout < 1, "a fraction between 0 and 1, such as 0.2"),
            "neighbours": (self.neighbours >= 1, "at least 1"),
            "temperature": (self.temperature > 0, "a positive number, such as 0.07"),
            "norm": (self.norm in get_args(Norm), f"one of {', '.join(get_args(Norm))}"),
            "sgd_norm": (self.sgd_norm in get_args(Norm), f"one of {', '.join(get_args(Norm))}"),
            "seeds": (
                self.seeds is None or (len(set(self.seeds)) == len(self.seeds) > 0 and all(map(is_seed, self.seeds))),
                "different whole numbers from 0 to 2**32 - 1",
            ),
            "shots": (all(count >= 1 for count in self.shots), "numbers of images, such as [1, 2, 4, 8]"),
            "short": (self.short in get_args(Short), f"one of {', '.join(get_args(Short))}"),
        } | {
            key: (
                len(pair := getattr(self, key)) == 2 and 0 < pair[0] < pair[1],
                "two positive numbers, the lesser first",
            )
            for key in ranges
        }
        for key, (holds, expected) in sound.items():
            if not holds:
                raise UserError(f"transfer.{key}={getattr(self, key)}: expected {expected}")

    def probe_settings(self) -> dict[str, Any]:
        """Return the plain values that scores of given features depend on."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), (list, tuple)) else value
            for field in fields(Probing)
        }

    def score(
        self, train: AnyFeatures, test: AnyFeatures, seed: int, device: str = "cpu", solver: Solver = "lbfgs"
    ) -> SetScore:
        """Return what the probes fitted to ``train`` find on ``test``.

        ``seed`` is used where there are no ``seeds``; ``solver`` is the published protocol's for this set. Scores are
        ``<probe>/top1``, for linear probes also ``top5``, ``mean_per_class`` and, over several seeds, ``top1_std``;
        ``<probe>_<n>shot/top1``; a multi-label set has ``svm/map`` alone.
        """
        if train.y.ndim == 2:
            return self._multi_label(train, test, seed)
        scores = self._without_fitting(train, test, device)
        repeats = [self._linear(train, test, one, device, solver) for one in self.seeds or (seed,)]
        for key in repeats[0].scores:
            values = [repeat.scores[key] for repeat in repeats]
            scores[key], spread = mean_and_spread(values)
            if len(values) > 1 and key.endswith("/top1"):
                scores[f"{key}_std"] = spread
        costs = [repeat.cost for repeat in repeats if repeat.cost is not None]
        cost = float(np.exp(np.mean(np.log(costs)))) if len(costs) > 1 else costs[0] if costs else None
        return SetScore(scores, len(test.y), cost, sum(repeat.stopped_early for repeat in repeats))

    def _without_fitting(self, train: AnyFeatures, test: AnyFeatures, device: str) -> Found:
        scores: Found = {}
        if "knn" in self.probes:
            voters = find_voters(train.x, train.y, test.x, self.neighbours, device)
            scores["knn/top1"] = top1(voters.predict(self.neighbours, self.temperature), test.y)
        if "ncm" in self.probes:
            scores["ncm/top1"] = top1(class_means(train.x, train.y).predict(test.x), test.y)
        return scores

    def _linear(self, train: AnyFeatures, test: AnyFeatures, seed: int, device: str, solver: Solver) -> SetScore:
        """Fit the linear probes once, on all training images and on a few a class."""
        by_sgd = solver == "sgd" and "logreg" in self.probes
        wanted = {"logreg": "logreg" in self.probes and not by_sgd, "sgd": "sgd" in self.probes or by_sgd}
        fits: Mapping[str, Callable[..., Any]] = {"logreg": self._logreg, "sgd": self._sgd}
        scores: Found = {}
        cost, early = None, 0
        for name, fit in fits.items():
            if not wanted[name]:
                continue
            probe = fit(train, seed, device, None)
            scores |= _linear_scores(name, probe, train.y, test)
            for count in self.shots:
                few = fit(train, seed, device, count)
                scores[f"{shot_probe(name, count)}/top1"] = top1(few.predict(test.x), test.y)
            if name == "logreg":
                cost, early = probe.cost, probe.stopped_early
        return SetScore(scores, len(test.y), cost, early)

    def _logreg(self, train: AnyFeatures, seed: int, device: str, shots: int | None) -> Any:
        options: dict[str, Any] = {"holdout": self.holdout, "norm": self.norm, "seed": seed, "device": device}
        options |= {"shots": shots, "short": self.short, "faithful": self.faithful}
        if self.trials is None:
            return fit_logreg(train.x, train.y, costs=self.costs, **options)
        low, high = self.cost_range
        return search_logreg(train.x, train.y, trials=self.trials, cost_range=(low, high), **options)

    def _sgd(self, train: AnyFeatures, seed: int, device: str, shots: int | None) -> Any:
        space = {"lr": tuple(self.lr_range), "weight_decay": tuple(self.weight_decay_range)}
        return search_sgd(
            train.x,
            train.y,
            seed=seed,
            trials=self.sgd_trials,
            holdout=self.holdout,
            shots=shots,
            short=self.short,
            faithful=self.faithful,
            space=space,  # type: ignore[arg-type]
            recipe=Recipe(epochs=self.sgd_epochs, norm=self.sgd_norm),
            device=device,
        )

    def _multi_label(self, train: AnyFeatures, test: AnyFeatures, seed: int) -> SetScore:
        """Fit one SVM a class, as VISSL does on VOC2007, whatever ``probes`` says."""
        probe = fit_svm(np.asarray(train.x), _with_ignored(train.y))
        mean, _ = mean_average_precision(probe.scores(np.asarray(test.x)), _with_ignored(test.y))
        return SetScore({"svm/map": mean}, len(test.y), None, probe.stopped_early)


def is_seed(number: int) -> bool:
    """Tell whether the generators take ``number`` for a seed."""
    return 0 <= number < 2**32


def _with_ignored(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return multi-label targets (N, C) of an image set, where -1 leaves a class open, in the probes' words."""
    return np.where(labels < 0, IGNORE, labels)


def _linear_scores(name: str, probe: Any, train_y: NDArray[np.int64], test: AnyFeatures) -> Found:
    values = probe.scores(test.x)
    predicted = probe.classes[values.argmax(axis=1)]
    scores = {f"{name}/top1": top1(predicted, test.y), f"{name}/mean_per_class": mean_per_class(predicted, test.y)}
    if len(probe.classes) > 5:
        scores[f"{name}/top5"] = top_k(values, test.y, probe.classes)
    parts = by_frequency(predicted, test.y, train_y)
    return scores | ({f"{name}/mean_per_class_{part}": one for part, one in parts.items()} if len(parts) > 1 else {})
