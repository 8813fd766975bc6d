"""The search for C of logistic regression on frozen features: ours against scikit-learn, as ratios in one run.

python benchmarks/logreg.py [--whole] [--features FILE.npz] [--json FILE]

t-ReX's protocol (arXiv:2206.15369): 30 trials of Optuna's TPE over C, log-uniform in 1e-5 to 1e6, each valued by top-1
on a class-wise fifth of the training features that is not fitted, and a refit to all. The peer is scikit-learn's
``LogisticRegression`` as the protocol has it: L-BFGS in float32, at most 2,000 iterations, its own tolerance (1e-4); it
gets the number of BLAS threads that is faster for it. Without ``--whole`` it fits some of the values of C that our
search tried, evenly spread, and its seconds are their mean times 30, and a refit; with it, it searches by itself.
A second peer is asked for the same optimum: the same in float64, at the loosest tolerance, in steps of ten, at which
its objective is within 1e-4 of ours. All objectives are computed in float64 from the weights.

The features come from no trained network, but look like one's: 10 classes are clouds in 48 dimensions whose centres lie
closer to each other than their width, seen at nine positions with noise of their own; a random ReLU network of two
layers makes 2,048 non-negative numbers of each position and their mean is the feature, correlated, skewed and of about
the length of a ResNet-50's; 4 % of the labels are drawn anew. ``--features`` takes x (N, D) and y (N,) of your own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from transferbench.probes.logreg import COST_RANGE, fit_logreg, search_logreg
from transferbench.probes.search import tpe
from transferbench.probes.splits import holdout_split

Array = NDArray[Any]
Labels = NDArray[np.int64]

TRIALS = 30
SAME = 1e-4
LENGTH = 30.0
"""About the mean length of a ResNet-50's pooled features."""


class Fit(NamedTuple):
    """One fit of scikit-learn's."""

    seconds: float
    objective: float
    accuracy: float
    iterations: int
    tolerance: float


class Task(NamedTuple):
    """Training features, and which of them are fitted and held out while C is chosen."""

    x: Array
    y: Labels
    fitted: NDArray[np.int64]
    held: NDArray[np.int64]
    threads: int


def make_features(count: int, width: int, classes: int = 10, seed: int = 0) -> tuple[Array, Labels]:
    """Return features (N, D) as the module's text says, and labels (N,)."""
    generator = np.random.default_rng(seed)
    latent, positions, hidden = 48, 9, 2 * width
    spread = np.arange(1, latent + 1) ** -0.5
    y = generator.permutation(np.arange(count) % classes)
    centres = 0.45 * generator.normal(size=(classes, latent)) * spread
    shared = centres[y] + generator.normal(size=(count, latent)) * spread
    first = generator.normal(size=(latent, hidden)).astype(np.float32) / np.sqrt(latent)
    offsets = (0.2 * generator.normal(size=hidden) - 0.2).astype(np.float32)
    second = generator.normal(size=(hidden, width)) / np.sqrt(hidden) * np.exp(0.5 * generator.normal(size=width))
    second = second.astype(np.float32)
    x = np.zeros((count, width), np.float32)
    for _ in range(positions):
        seen = (shared + generator.normal(size=shared.shape) * spread).astype(np.float32)
        inner = np.maximum(seen @ first + offsets, 0)
        x += np.maximum((inner - inner.mean(axis=1, keepdims=True)) @ second, 0)
    x *= LENGTH / np.linalg.norm(x, axis=1).mean()
    return x, np.where(generator.random(count) < 0.04, generator.integers(0, classes, count), y)


def objective(weight: NDArray[Any], bias: NDArray[Any], x: Array, y: Labels, cost: float) -> float:
    """Return C times the summed cross-entropy and half the squared norm of the weights, in float64."""
    logits = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    margins = logits - np.take_along_axis(logits, y[:, None], axis=1)
    top = margins.max(axis=1)
    losses = top + np.log(np.exp(margins - top[:, None]).sum(axis=1))
    return float(cost * losses.sum() + (weight.astype(np.float64) ** 2).sum() / 2)


def peer(task: Task, cost: float, tolerance: float = 1e-4, iterations: int = 2000, *, whole: bool = False) -> Fit:
    """Fit scikit-learn's to the fitted part, or to all, and value it on the rest."""
    x, y = (task.x, task.y) if whole else (task.x[task.fitted], task.y[task.fitted])
    model = LogisticRegression(C=cost, tol=tolerance, max_iter=iterations)
    begin = time.perf_counter()
    with warnings.catch_warnings(), threadpool_limits(task.threads, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
        accuracy = float(model.score(task.x[task.held], task.y[task.held]))
    seconds = time.perf_counter() - begin
    value = objective(model.coef_, model.intercept_, x, y, cost)
    return Fit(seconds, value, accuracy, int(model.n_iter_.max()), tolerance)


def peer_at_optimum(task: Task, cost: float, least: float, patience: float) -> Fit | None:
    """Return the first fit within ``SAME`` of ``least`` at ever smaller tolerances; none in ``patience`` seconds."""
    begin = time.perf_counter()
    exact = task._replace(x=task.x.astype(np.float64))
    for power in range(4, 12):
        fit = peer(exact, cost, 10.0**-power, 100_000)
        if fit.objective <= least * (1 + SAME):
            return fit
        if time.perf_counter() - begin > patience:
            return None
    return None


def best_threads(task: Task) -> int:
    """Return the number of BLAS threads with which one fit of scikit-learn's is fastest."""
    counts = sorted({1, max((os.cpu_count() or 2) // 2, 1), os.cpu_count() or 1})
    times = {count: peer(task._replace(threads=count), 1e-2).seconds for count in counts}
    return min(times, key=times.__getitem__)


def ours_at(task: Task, cost: float) -> float:
    """Return our objective on the fitted part."""
    probe = fit_logreg(task.x[task.fitted], task.y[task.fitted], costs=[cost], norm="none")
    return objective(probe.weight, probe.bias, task.x[task.fitted], task.y[task.fitted], cost)


def search_of_peer(task: Task, seed: int) -> dict[str, Any]:
    """Make the whole search with scikit-learn."""
    fits: dict[float, Fit] = {}

    def accuracy(values: dict[str, float]) -> float:
        fits[values["cost"]] = peer(task, values["cost"])
        return fits[values["cost"]].accuracy

    begin = time.perf_counter()
    search = tpe(accuracy, {"cost": COST_RANGE}, TRIALS, seed)
    peer(task, search.best["cost"], whole=True)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "accuracy": search.value, "cost": search.best["cost"], "fits": fits}


def some_of_peer(task: Task, costs: list[float], best: float, count: int) -> dict[str, Any]:
    """Fit scikit-learn's at some of ``costs``, evenly spread in their order, and reckon the seconds of a search."""
    ordered = sorted(costs)
    chosen = [ordered[round(i)] for i in np.linspace(0, len(ordered) - 1, min(count, len(ordered)))]
    fits = {cost: peer(task, cost) for cost in dict.fromkeys([*chosen, best])}
    each = float(np.mean([fits[cost].seconds for cost in chosen]))
    return {
        "seconds": TRIALS * each + peer(task, best, whole=True).seconds,
        "accuracy": max(fit.accuracy for fit in fits.values()),
        "cost": max(fits, key=lambda cost: fits[cost].accuracy),
        "fits": fits,
    }


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "numpy", "scikit-learn", "optuna")},
    }


def measure(task: Task, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Run both searches and compare them."""
    search_logreg(task.x[:200, :64], task.y[:200], trials=2)  # imports and threads
    begin = time.perf_counter()
    probe = search_logreg(task.x, task.y, seed=options.seed, trials=TRIALS)
    seconds = time.perf_counter() - begin
    trials = {trial.values["cost"]: trial.value for trial in probe.search.trials} if probe.search else {}
    best = max(trials.values())
    console.print(f"ours: {seconds:.2f} s for {TRIALS} trials and the refit, top-1 {best:.4f} at C {probe.cost:.3g}")
    theirs = (
        search_of_peer(task, options.seed)
        if options.whole
        else some_of_peer(task, list(trials), probe.cost, options.peer_trials)
    )
    table = Table("C", "objective, ours", "scikit-learn", "above ours", "top-1", "theirs", "iterations", "seconds")
    rows = []
    for cost, fit in sorted(theirs["fits"].items()):
        value = ours_at(task, cost)
        rows.append({"cost": cost, "ours": value, "accuracy": trials.get(cost), **fit._asdict()})
        own = f"{trials[cost]:.4f}" if cost in trials else "-"
        above = f"{fit.objective / value - 1:.1e}"
        cells = [f"{cost:.3g}", f"{value:.8g}", f"{fit.objective:.8g}", above, own, f"{fit.accuracy:.4f}"]
        table.add_row(*cells, str(fit.iterations), f"{fit.seconds:.2f}")
    console.print(table)
    ratio = theirs["seconds"] / seconds
    how = "measured" if options.whole else f"reckoned from {len(rows)} values of C"
    console.print(
        f"scikit-learn, {task.threads} threads: {theirs['seconds']:.1f} s ({how}), top-1 {theirs['accuracy']:.4f}: "
        f"ours is {ratio:.1f} times as fast"
    )
    result = {"seconds": seconds, "accuracy": best, "cost": probe.cost, "ratio": ratio, "fits": rows}
    return result | {"peer": {key: value for key, value in theirs.items() if key != "fits"}}


def measure_optimum(task: Task, options: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Compare single fits, from nothing, to the same optimum."""
    table = Table("C", "ours, seconds", "scikit-learn", "iterations", "tolerance", "above ours", "ratio")
    rows: list[dict[str, Any]] = []
    for cost in options.costs:
        begin = time.perf_counter()
        value = ours_at(task, cost)
        seconds = time.perf_counter() - begin
        fit = peer_at_optimum(task, cost, value, options.patience)
        rows.append({"cost": cost, "seconds": seconds, "objective": value, "peer": fit._asdict() if fit else None})
        if fit is None:
            table.add_row(f"{cost:.3g}", f"{seconds:.2f}", f"not in {options.patience:.0f} s")
            continue
        cells = [f"{fit.seconds:.2f}", str(fit.iterations), f"{fit.tolerance:.0e}", f"{fit.objective / value - 1:.1e}"]
        table.add_row(f"{cost:.3g}", f"{seconds:.2f}", *cells, f"{fit.seconds / seconds:.1f}")
    console.print("one fit each, from nothing, to within 1e-4 of the same optimum:")
    console.print(table)
    return rows


def main() -> None:
    """Measure, print and, if asked for, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--features", type=Path, help="an .npz file with x (N, D) and y (N,)")
    parser.add_argument("--whole", action="store_true", help="let scikit-learn make all trials of a search of its own")
    parser.add_argument("--peer-trials", type=int, default=8)
    parser.add_argument("--costs", type=float, nargs="*", default=[1e-2, 1.0, 1e3])
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for one C's fits to the same optimum")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console()
    about = machine()
    console.print(", ".join(f"{key} {value}" for key, value in about.items()), highlight=False)
    if options.features:
        with np.load(options.features) as stored:
            x, y = stored["x"].astype(np.float32), np.unique(stored["y"], return_inverse=True)[1]
    else:
        x, y = make_features(options.count, options.width)
    fitted, held = holdout_split(y, 0.2, options.seed)
    task = Task(x, y, fitted, held, threads=1)
    task = task._replace(threads=best_threads(task))
    console.print(f"{len(x)} x {x.shape[1]} features, {len(np.unique(y))} classes, torch on {torch.get_num_threads()}")
    results = {"search": measure(task, options, console), "optimum": measure_optimum(task, options, console)}
    if options.json:
        options.json.write_text(json.dumps({"machine": about, **results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
