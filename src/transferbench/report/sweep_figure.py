"""The chart of a sweep: training accuracy against transfer, a point a setting, with intervals over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from transferbench.report.intervals import Estimate
from transferbench.report.style import PALETTE, SERIES, WIDTH, in_house_style, new_figure
from transferbench.report.sweep import TRAINING, TRANSFER, Group, Sweep
from transferbench.report.sweep_settings import said, short_names
from transferbench.report.wording import clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 30
"""Beyond as many settings the points go without names: the table has them."""
_LETTER, _LINE = 4.7, 10.5
"""Width of a letter and height of a line of the labels, in points."""


def has_tradeoff(sweep: Sweep) -> bool:
    """Tell whether there is a group with both training accuracy and transfer."""
    return any({TRAINING, TRANSFER} <= group.estimates.keys() for group in sweep.groups)


@in_house_style
def tradeoff_figure(sweep: Sweep) -> Figure:
    """Draw transfer over training accuracy: means with 95 % intervals both ways, the seeds faintly behind.

    ``sweep`` has a group with both (``has_tradeoff``). Where one setting is a number, the points that differ in it
    alone are joined in its order.
    """
    figure, axes = new_figure(WIDTH, 4.4)
    line, names = sweep.numeric(), short_names(sweep.keys)
    series = _series(sweep, line)
    styles = ((PALETTE["model"], "o"), *SERIES * len(series))
    labels: list[tuple[str, float, float, str]] = []
    for (name, groups), (colour, marker) in zip(series.items(), styles):
        _draw_seeds(axes, groups, colour, line is not None)
        x = [100 * group.estimates[TRAINING].mean for group in groups]
        y = [group.estimates[TRANSFER].mean for group in groups]
        if line is not None:
            axes.plot(x, y, color=colour, linewidth=1.8, zorder=4)
        bars: dict[str, Any] = {"xerr": _half(groups, TRAINING, 100), "yerr": _half(groups, TRANSFER, 1)}
        axes.errorbar(x, y, **bars, fmt="none", ecolor=colour, elinewidth=0.9, capsize=2.0, alpha=0.5, zorder=3)
        axes.plot(x, y, marker, color=colour, markersize=5.5, zorder=5, label=name)
        for number, group in enumerate(groups):
            own = said(group.settings[line]) if line else clipped(group.label, 34)
            labels.append((own, x[number], y[number], colour))
    _dress(axes, [group for groups in series.values() for group in groups])
    if line is not None:
        axes.set_title(f"at the points: {names[line]}", weight="normal")
    if line is not None and len(series) > 1:
        figure.legend(loc="outside lower center", ncols=min(len(series), 3), labelcolor="linecolor")
    if len(labels) <= MOST_LABELS:
        _write_labels(figure, axes, [one for one in labels if one[0]])
    return figure


def _dress(axes: Axes, groups: Sequence[Group]) -> None:
    """Name the axes and fit them to the seeds and the intervals; an interval much wider than all seeds leaves them."""
    axes.set_xlabel("accuracy on the training task (%)")
    axes.set_ylabel("transfer (mean log-odds)")
    axes.grid(visible=True, axis="both")
    for measure, scale, limit in ((TRAINING, 100.0, axes.set_xlim), (TRANSFER, 1.0, axes.set_ylim)):
        values = [scale * row[measure] for group in groups for row in group.values.values() if measure in row]
        means = [scale * group.estimates[measure].mean for group in groups]
        halves = _half(groups, measure, scale)
        room = 0.5 * (max(values) - min(values))
        low = max(min(mean - half for mean, half in zip(means, halves)), min(values) - room)
        high = min(max(mean + half for mean, half in zip(means, halves)), max(values) + room)
        low, high = min(low, *values), max(high, *values)
        margin = 0.06 * (high - low) or 0.02 * scale
        limit(low - margin, high + margin)


def _series(sweep: Sweep, line: str | None) -> dict[str, list[Group]]:
    """Return the groups that are drawn in one colour and joined: those that differ in the numeric setting alone."""
    found: dict[str, list[Group]] = {}
    names = short_names(sweep.keys)
    for group in sweep.groups:
        if {TRAINING, TRANSFER} <= group.estimates.keys():
            others = (f"{names[key]}={said(value)}" for key, value in group.settings.items() if key != line)
            found.setdefault(", ".join(others) if line else "", []).append(group)
    return found


def _half(groups: Sequence[Group], measure: str, scale: float) -> list[float]:
    """Return half the widths of the intervals, 0 where there is none."""

    def half(one: Estimate) -> float:
        return 0.0 if one.high is None else scale * (one.high - one.mean)

    return [half(group.estimates[measure]) for group in groups]


def _draw_seeds(axes: Axes, groups: Sequence[Group], colour: str, joined: bool) -> None:
    """Draw every seed as a faint dot, those of one seed joined where the means are."""
    for seed in dict.fromkeys(seed for group in groups for seed in group.values):
        rows = [group.values[seed] for group in groups if seed in group.values]
        rows = [row for row in rows if {TRAINING, TRANSFER} <= row.keys()]
        x, y = [100 * row[TRAINING] for row in rows], [row[TRANSFER] for row in rows]
        axes.plot(
            x, y, color=colour, alpha=0.22, linewidth=0.7 if joined else 0.0, marker="o", markersize=2.6, zorder=2
        )


def _write_labels(figure: Figure, axes: Axes, labels: Sequence[tuple[str, float, float, str]]) -> None:
    """Write each label (text, x, y, colour) beside its point, at the place of sixteen that hides least."""
    figure.draw_without_rendering()
    to_points = 72 / figure.dpi
    frame = axes.get_window_extent().get_points() * to_points
    at = axes.transData.transform([(x, y) for _, x, y, _ in labels]) * to_points
    taken = _drawn(axes) * to_points
    boxes: list[NDArray[np.float64]] = []
    for (text, x, y, colour), point in zip(labels, at):
        width = _LETTER * len(text) + 2
        choices = [_box(point, width, angle, far) for far in (7.0, 14.0) for angle in np.arange(1, 16, 2) * np.pi / 8]
        box = min(choices, key=lambda one: _hidden(one, taken, boxes, frame))
        boxes.append(box)
        middle = (box[0] + box[1]) / 2 - point
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": colour, "weight": "bold", "zorder": 5}
        axes.annotate(text, (x, y), xytext=tuple(middle), textcoords="offset points", **style)


def _box(point: NDArray[np.float64], width: float, angle: float, far: float) -> NDArray[np.float64]:
    """Return the lower left and the upper right corner of a label that lies at ``angle`` from its point."""
    way = np.array([np.cos(angle), np.sin(angle)])
    middle = (
        point + way * far + np.array([np.sign(way[0]) * width / 2 * min(1.0, 1.5 * abs(way[0])), way[1] * _LINE / 3])
    )
    half = np.array([width / 2, _LINE / 2])
    return np.array([middle - half, middle + half])


def _drawn(axes: Axes) -> NDArray[np.float64]:
    """Return points along all that is drawn, in pixels: lines, the bars of intervals, dots."""
    paths = [axes.transData.transform(line.get_xydata()) for line in axes.lines]
    for bars in axes.collections:
        paths += [axes.transData.transform(path.vertices) for path in bars.get_paths()]
    steps = np.linspace(0, 1, 25)[:, None]
    dense = [path[:-1, None] * (1 - steps) + path[1:, None] * steps for path in paths if len(path) > 1]
    return np.concatenate([*paths, *(one.reshape(-1, 2) for one in dense)])


def _hidden(
    box: NDArray[np.float64],
    taken: NDArray[np.float64],
    boxes: Sequence[NDArray[np.float64]],
    frame: NDArray[np.float64],
) -> float:
    """Return how much a label in ``box`` would hide: what is drawn, other labels, what lies beyond the frame."""
    inside = np.all((taken >= box[0]) & (taken <= box[1]), axis=1).sum()
    over = sum(bool(np.all((box[0] < other[1]) & (other[0] < box[1]))) for other in boxes)
    outside = bool(np.any(box[0] < frame[0]) or np.any(box[1] > frame[1]))
    return float(inside) + 100 * over + 1000 * outside
