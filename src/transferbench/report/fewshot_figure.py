"""The chart of few-shot accuracy: how it grows with the number of training images a class, set by set."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from transferbench.report.facts import RunFacts
from transferbench.report.figures import label_ends
from transferbench.report.scores import in_order, read_scores
from transferbench.report.style import PALETTE, SERIES, WIDTH, in_house_style, new_figure
from transferbench.report.wording import set_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALL = 1.0
"""How far right of the largest draw, in doublings, the fit to all images stands."""


def has_shots(facts: RunFacts) -> bool:
    """Tell whether there is anything to draw."""
    return bool(read_scores(facts.metrics).few)


@in_house_style
def fewshot_figure(facts: RunFacts) -> Figure:
    """Draw the linear probe's accuracy over the training images a class, one line a set, and for all images at last.

    Bars are one population standard deviation over the seeds of the draws.
    """
    scores = read_scores(facts.metrics)
    figure, axes = new_figure(WIDTH, 3.3)
    counts = sorted({count for curve in scores.few.values() for count in curve})
    styles = ((PALETTE["model"], "o"), *SERIES, *((colour, "x") for colour, _ in SERIES))
    ends, top = [], 0.0
    sets = in_order(name for name, _ in scores.few)
    for name, (colour, marker) in zip(sets, styles):
        probe = next(probe for own, probe in scores.few if own == name)
        curve = scores.few[name, probe]
        x = [math.log2(count) for count in counts if count in curve]
        y = [100 * curve[count] for count in counts if count in curve]
        keys = [f"transfer/{name}/{probe}_{count}shot/top1_std" for count in counts if count in curve]
        bars = [100 * facts.metrics.get(key, 0.0) for key in keys]
        axes.errorbar(x, y, yerr=bars, fmt=marker, linestyle="-", color=colour, elinewidth=0.9, capsize=2.0)
        whole = scores.model.get((name, probe))
        if whole is not None:
            axes.plot([x[-1], x[-1] + _ALL], [y[-1], 100 * whole], color=colour, linestyle=(0, (2, 2)), linewidth=1.0)
            axes.plot([x[-1] + _ALL], [100 * whole], marker, color=colour, markerfacecolor="white")
        last = y[-1] if whole is None else 100 * whole
        ends.append((set_name(name), last / 100, colour))
        top = max(top, *y, last)
    right = math.log2(counts[-1]) + _ALL
    axes.set_xticks([*map(math.log2, counts), right], [*map(str, counts), "all"])
    axes.set_xlim(math.log2(counts[0]) - 0.2, right + 0.1)
    axes.set_xlabel("training images a class")
    axes.set_ylabel("top-1 accuracy (%)")
    axes.set_ylim(0, 1.08 * top)
    label_ends(axes, ends, right, 1.08 * top, height=2.5)
    return figure
