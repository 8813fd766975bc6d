"""The search for hyper-parameters: Optuna's tree-structured Parzen estimator (Bergstra et al., NIPS 2011)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transferbench.errors import RunFailed, UserError

if TYPE_CHECKING:
    import optuna

Values = dict[str, float]
Space = Mapping[str, tuple[float, float]]
"""Each hyper-parameter's smallest and largest value, both positive: it is drawn uniformly in its logarithm."""

STARTUP = 10
"""The first trials are random; from then on a trial depends on all before it (Optuna's own default)."""


@dataclass(frozen=True)
class Trial:
    """One point that was tried."""

    values: Values
    value: float
    """What the objective gave; NaN where it had none, as for a fit that diverged."""


@dataclass(frozen=True)
class Search:
    """What a search found."""

    best: Values
    """The point with the largest value, the first of equal ones."""
    value: float
    trials: tuple[Trial, ...]
    """All points, in the order of their asking."""


def tpe(
    objective: Callable[[Values], float], space: Space, trials: int, seed: int, multivariate: bool = False
) -> Search:
    """Return the point of ``space`` at which ``objective`` is largest among ``trials`` that TPE asks for.

    t-ReX and CoG: 30 trials, nothing pruned, ``multivariate`` (with Optuna's groups) for the two dimensions of SGD. The
    points follow from ``seed``, the space and the objective's values; the order in which ``space`` lists its dimensions
    is of no account. An objective that is NaN counts as the worst. Raises ``UserError`` for an empty or reversed range
    and for no trial, ``RunFailed`` when every trial was NaN.
    """
    return tpe_batched(lambda points: [objective(point) for point in points], space, trials, seed, multivariate)


def tpe_batched(
    objective: Callable[[Sequence[Values]], Sequence[float]],
    space: Space,
    trials: int,
    seed: int,
    multivariate: bool = False,
    parallel: int = 1,
) -> Search:
    """Return what ``tpe`` does, for an ``objective`` that values several points at once.

    The first 10 points are random, so they are asked for ``parallel`` at a time; every later one needs all values
    before it and comes alone. The points are the same whatever ``parallel`` is. Raises as ``tpe`` does.
    """
    _check(space, trials, parallel)
    found: list[Trial] = []
    with _silenced():
        study = _study(seed, multivariate)
        while len(found) < trials:
            count = min(parallel, STARTUP - len(found), trials - len(found)) if len(found) < STARTUP else 1
            asked = [study.ask() for _ in range(count)]
            points = [_suggest(trial, space) for trial in asked]
            for trial, point, value in zip(asked, points, objective(points), strict=True):
                study.tell(trial, -math.inf if math.isnan(value) else value)
                found.append(Trial(point, float(value)))
    sound = [trial for trial in found if not math.isnan(trial.value)]
    if not sound:
        raise RunFailed(f"none of the {trials} trials over {', '.join(space)} gave a value: every fit diverged")
    best = max(sound, key=lambda trial: trial.value)
    return Search(best.values, best.value, tuple(found))


def _check(space: Space, trials: int, parallel: int) -> None:
    for name, (low, high) in space.items():
        if not 0 < low < high < math.inf:
            raise UserError(
                f"{name}=[{low:g}, {high:g}]: expected a range of positive values, the smaller one first, "
                f"for example {name}=[1e-5, 1e6]"
            )
    for name, value in (("dimensions of the search", len(space)), ("trials", trials), ("parallel", parallel)):
        if value < 1:
            raise UserError(f"{name}: found {value}, expected at least 1")


def _study(seed: int, multivariate: bool) -> optuna.Study:
    import optuna

    # constant_liar, by default on or off as Optuna's version has it, is about trials that run beside each other
    sampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=STARTUP, multivariate=multivariate, group=multivariate, constant_liar=False
    )
    return optuna.create_study(direction="maximize", sampler=sampler)


def _suggest(trial: optuna.Trial, space: Space) -> Values:
    return {name: trial.suggest_float(name, *space[name], log=True) for name in sorted(space)}


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep Optuna's log lines and its remarks on experimental arguments away, and leave its settings as they were."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
