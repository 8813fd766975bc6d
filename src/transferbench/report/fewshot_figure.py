"""The charts of few-shot accuracy over training images a class: one run set by set, or several runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from transferbench.report.facts import RunFacts
from transferbench.report.fewshot_curves import ShotCurves
from transferbench.report.figures import label_ends
from transferbench.report.intervals import Estimate
from transferbench.report.scores import in_order, read_scores
from transferbench.report.style import PALETTE, SERIES, WIDTH, in_house_style, new_figure
from transferbench.report.wording import clipped, set_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 11
"""So many can be told apart by colour and marker."""
_ALL = 1.0
"""How far right of the largest draw, in doublings, the fit to all images stands."""
_STYLES = ((PALETTE["model"], "o"), *SERIES, *((colour, "x") for colour, _ in SERIES))


class _Line(NamedTuple):
    name: str
    few: Mapping[int, float]
    """Accuracy by training images a class, a fraction."""
    bars: Mapping[int, float]
    """Half the length of a dot's bar; none where it is not listed."""
    whole: float | None
    """Fitted to all images."""
    whole_bar: float = 0.0


def has_shots(facts: RunFacts) -> bool:
    """Tell whether there is anything to draw."""
    return bool(read_scores(facts.metrics).few)


@in_house_style
def fewshot_figure(facts: RunFacts) -> Figure:
    """Draw the linear probe's accuracy over the training images a class, one line a set, and for all images at last.

    Bars are one population standard deviation over the seeds of the draws.
    """
    scores = read_scores(facts.metrics)
    lines = []
    for name in in_order(name for name, _ in scores.few):
        probe = next(probe for own, probe in scores.few if own == name)
        few = scores.few[name, probe]
        bars = {count: facts.metrics.get(f"transfer/{name}/{probe}_{count}shot/top1_std", 0.0) for count in few}
        lines.append(_Line(set_name(name), few, bars, scores.model.get((name, probe))))
    return _drawn(lines)


@in_house_style
def fewshot_comparison_figure(curves: ShotCurves) -> Figure:
    """Draw one line a setting, the first ``MOST_LINES`` of them; bars are 95 % intervals over seeds."""
    lines = []
    for curve in curves.curves[:MOST_LINES]:
        few = {count: one.mean for count, one in curve.few.items()}
        bars = {count: _half(one) for count, one in curve.few.items()}
        whole = None if curve.whole is None else curve.whole.mean
        bar = 0.0 if curve.whole is None else _half(curve.whole)
        lines.append(_Line(clipped(curve.group.label, 26), few, bars, whole, bar))
    return _drawn(lines)


def _half(one: Estimate) -> float:
    return 0.0 if one.high is None else one.high - one.mean


def _drawn(lines: Sequence[_Line]) -> Figure:
    figure, axes = new_figure(WIDTH, 3.3)
    counts = sorted({count for line in lines for count in line.few})
    right = math.log2(counts[-1]) + _ALL
    ends, top = [], 0.0
    for line, (colour, marker) in zip(lines, _STYLES):
        last = _draw(axes, line, right, colour, marker)
        ends.append((line.name, last, colour))
        top = max(top, *(100 * value for value in line.few.values()), 100 * last)
    axes.set_xticks([*map(math.log2, counts), right], [*map(str, counts), "all"])
    axes.set_xlim(math.log2(counts[0]) - 0.2, right + 0.1)
    axes.set_xlabel("training images a class")
    axes.set_ylabel("top-1 accuracy (%)")
    axes.set_ylim(0, max(1.08 * top, 1.0))
    label_ends(axes, [end for end in ends if end[0]], right, 1.08 * top, height=2.5)
    return figure


def _draw(axes: Axes, line: _Line, right: float, colour: str, marker: str) -> float:
    """Draw a line with its dashed continuation to the fit to all images; return its last value."""
    few = dict(sorted(line.few.items()))
    x, y = [math.log2(count) for count in few], [100 * value for value in few.values()]
    bars = [100 * line.bars.get(count, 0.0) for count in few]
    axes.errorbar(x, y, yerr=bars, fmt=marker, linestyle="-", color=colour, elinewidth=0.9, capsize=2.0)
    if line.whole is None:
        return y[-1] / 100
    end = 100 * line.whole
    axes.plot([x[-1], right], [y[-1], end], color=colour, linestyle=(0, (2, 2)), linewidth=1.0)
    bar = 100 * line.whole_bar or None
    axes.errorbar(
        [right], [end], yerr=bar, fmt=marker, color=colour, markerfacecolor="white", elinewidth=0.9, capsize=2.0
    )
    return line.whole
