"""The charts of a report: accuracy by level beside the floors, and the curves of the training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from transferbench.probes.names import SEEN, level_number
from transferbench.report.facts import RunFacts
from transferbench.report.scores import binomial_error, read_scores
from transferbench.report.style import PALETTE, SERIES, WIDTH, in_house_style, new_figure, spread
from transferbench.report.wording import clipped, floor_name, set_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVE_NAMES = {
    "train/loss": "training",
    "val/loss": "validation",
    "train/top1": "training",
    "val/top1": "validation",
    "val/knn": "online kNN",
}


@in_house_style
def accuracy_figure(facts: RunFacts, probe: str, width: float = WIDTH) -> Figure:
    """Draw the model's accuracy with ``probe`` on each set, +- a binomial standard error, over the floors' and chance.

    Levels are joined by lines; other sets stand alone, since nothing lies between them.
    """
    scores = read_scores(facts.metrics)
    sets = [name for name in scores.sets if (name, probe) in scores.model]
    figure, axes = new_figure(width, 3.3 if width > 5 else 2.7)
    places = set_places(sets)
    labels = []
    for floor, (colour, marker) in zip(scores.floor_names, SERIES * len(scores.floor_names)):
        values = {name: scores.floors[floor, name, probe] for name in sets if (floor, name, probe) in scores.floors}
        draw_series(axes, places, values, {}, colour, marker, quiet=True)
        if values:
            labels.append((floor_name(floor), values[list(values)[-1]], colour))
    own = {name: scores.model[name, probe] for name in sets}
    errors = {name: binomial_error(own[name], facts.test_counts[name]) for name in sets if facts.test_counts.get(name)}
    draw_series(axes, places, own, errors, PALETTE["model"], "o")
    labels.append((clipped(facts.name), own[sets[-1]], PALETTE["model"]))
    top = max(
        [own[name] + errors.get(name, 0.0) for name in sets] + [v for k, v in scores.floors.items() if k[2] == probe]
    )
    _draw_chance(axes, places, facts.concepts)
    dress_sets(axes, places, facts.similarity if width > 5 else {}, 100 * top)
    label_ends(axes, labels, max(places.values()), 100 * top * 1.12, height=2.4 if width > 5 else 1.8)
    return figure


def set_places(sets: Sequence[str]) -> dict[str, float]:
    """Give each set its place on the horizontal axis; a gap keeps the levels apart from the other sets."""
    places: dict[str, float] = {}
    at = 0.0
    for i, name in enumerate(sets):
        is_level = level_number(name) is not None
        if i and is_level != (level_number(sets[i - 1]) is not None):
            at += 0.4
        places[name] = at
        at += 1.0
    return places


def draw_series(
    axes: Axes,
    places: Mapping[str, float],
    values: Mapping[str, float],
    errors: Mapping[str, float],
    colour: str,
    marker: str,
    quiet: bool = False,
) -> None:
    """Draw one method's accuracies (fractions, shown in percent): dots, error bars, lines between levels only.

    Unless ``quiet``, each dot carries its number, below it where the line comes down from both sides.
    """
    levels = [name for name in values if level_number(name) is not None]
    if len(levels) > 1:
        y = [100 * values[name] for name in levels]
        axes.plot([places[name] for name in levels], y, color=colour, linewidth=1.1 if quiet else 2.0, zorder=2)
    x = [places[name] for name in values]
    y = [100 * value for value in values.values()]
    bars = [100 * errors.get(name, 0.0) for name in values] if errors else None
    size = 4.0 if quiet else 5.5
    axes.errorbar(
        x,
        y,
        yerr=bars,
        fmt=marker,
        color=colour,
        markersize=size,
        elinewidth=1.3,
        capsize=2.5,
        zorder=2 if quiet else 3,
    )
    if not quiet:
        for name, at, value, bar in zip(values, x, y, bars or [0.0] * len(y)):
            i = levels.index(name) if name in levels else 0
            low = 0 < i < len(levels) - 1 and values[name] < min(values[levels[i - 1]], values[levels[i + 1]])
            axes.annotate(
                f"{value:.1f}",
                (at, value - bar if low else value + bar),
                xytext=(0, -4 if low else 4),
                textcoords="offset points",
                ha="center",
                va="top" if low else "bottom",
                color=colour,
                weight="bold",
            )


def _draw_chance(axes: Axes, places: Mapping[str, float], concepts: Mapping[str, Sequence[str]]) -> None:
    counts = [len(concepts[name]) for name in places if concepts.get(name)]
    if len(counts) < len(places):
        return
    for name in places:
        axes.hlines(
            100 / len(concepts[name]), places[name] - 0.4, places[name] + 0.4, PALETTE["muted"], linestyles=(0, (2, 2))
        )
    axes.annotate(
        "chance",
        (places[next(iter(places))] - 0.4, 100 / counts[0]),
        xytext=(0, -2),
        textcoords="offset points",
        va="top",
        color=PALETTE["muted"],
        size=7,
    )


def dress_sets(axes: Axes, places: Mapping[str, float], similarity: Mapping[str, float], top: float) -> None:
    """Name the sets below the axis, with their mean similarity to the seen concepts, and scale to ``top`` percent."""
    names = [
        set_name(name) + (f"\nsim. {similarity[name]:.2f}" if name in similarity and name != SEEN else "")
        for name in places
    ]
    crowded = len(names) > 8
    axes.set_xticks(list(places.values()), names, rotation=40 if crowded else 0, ha="right" if crowded else "center")
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, max(top * 1.12, 1.0))
    axes.set_xlim(-0.5, max(places.values()) + 0.35)
    axes.set_ylabel("top-1 accuracy (%)")
    levels = [place for name, place in places.items() if level_number(name) is not None]
    if levels and len(levels) < len(places):
        axes.axvline(min(levels) - 0.7, color=PALETTE["rule"], linewidth=0.9)


def label_ends(
    axes: Axes, labels: Sequence[tuple[str, float, str]], x: float, top: float, height: float, percent: bool = True
) -> None:
    """Write each series' name (name, last value, colour) right of its last dot at ``x``, moved apart where they meet.

    ``top`` is the axis's upper limit and ``height`` its length in inches; together they turn a line of text into units.
    """
    scale = 100.0 if percent else 1.0
    moved = spread([scale * value for _, value, _ in labels], gap=0.145 / height * top)
    for (name, value, colour), y in zip(labels, moved):
        axes.annotate(
            name,
            (x, scale * value),
            xytext=(x + 0.2, y),
            ha="left",
            va="center",
            color=colour,
            annotation_clip=False,
            weight="bold" if colour == PALETTE["model"] else "normal",
        )


@in_house_style
def curve_figures(history: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    """Draw the training curves: ``loss``, ``accuracy`` and ``learning_rate``, each left out when nothing was logged.

    Only ``train/<curve>`` and ``val/<curve>`` are: scores of the evaluation may stand in the last row of ``history``.
    """
    logged = dict.fromkeys(key for row in history for key in row)
    keys = [key for key in logged if key.count("/") == 1 and key.startswith(("train/", "val/"))]
    groups = {
        "loss": [key for key in keys if key.endswith("/loss")],
        "accuracy": [key for key in keys if key.endswith(("/top1", "/knn"))],
        "learning_rate": [key for key in keys if key.endswith("/lr")],
    }
    titles = {"loss": "Loss", "accuracy": "Top-1 accuracy (%)", "learning_rate": "Learning rate"}
    drawn = {
        name: _curves(history, groups[name], titles[name], 100.0 if name == "accuracy" else 1.0) for name in groups
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _curves(history: Sequence[Mapping[str, float]], keys: Sequence[str], title: str, scale: float) -> Figure | None:
    axis = "step" if any("step" in row for row in history) else "epoch"
    found = {key: curve for key in keys if len((curve := _column(history, axis, key))[0])}
    if not found:
        return None
    figure, axes = new_figure(3.3, 2.3)
    colours = (PALETTE["model"], PALETTE["amber"], PALETTE["green"], PALETTE["plum"], PALETTE["slate"])
    for (key, (x, y)), colour in zip(found.items(), colours * len(found)):
        label = _CURVE_NAMES.get(key, key)
        if len(y) > 80 and title == "Loss":
            axes.plot(x, scale * y, color=colour, linewidth=0.6, alpha=0.35)
            axes.plot(x, scale * _smooth(y, len(y) // 40), color=colour, label=label)
        else:
            axes.plot(x, scale * y, color=colour, label=label, marker="o" if len(y) < 12 else "", markersize=2.6)
    axes.set_title(title)
    axes.set_xlabel(axis)
    axes.margins(x=0.02)
    axes.locator_params(axis="x", nbins=5, integer=True)
    if title != "Loss":
        axes.set_ylim(bottom=0)
    if len(found) > 1:
        axes.legend(fontsize=7, handlelength=1.2, labelcolor="linecolor", borderaxespad=0.2)
    return figure


def _column(history: Sequence[Mapping[str, float]], axis: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(row[axis], row[key]) for row in history if axis in row and math.isfinite(row.get(key, math.nan))]
    found = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _smooth(values: np.ndarray, half: int) -> np.ndarray:
    """Return the centred running mean over ``2 half + 1`` values, over fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    smoothed: np.ndarray = (total[high] - total[low]) / (high - low)
    return smoothed
