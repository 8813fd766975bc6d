"""The two charts of a comparison over seeds: accuracies with their intervals, and leads over the floors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transferbench.report.compare import BEST, LEVELS, Comparison
from transferbench.report.figures import draw_series, dress_sets, label_ends, set_places
from transferbench.report.style import PALETTE, SERIES, WIDTH, in_house_style, new_figure
from transferbench.report.wording import clipped, floor_name, set_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _floors(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(floor for floor, _ in comparison.floors if floor != BEST))


@in_house_style
def accuracy_figure(comparison: Comparison) -> Figure:
    """Draw the mean accuracy of the model and of each floor on each set, with 95 % intervals over seeds."""
    sets = [name for name in comparison.model if name != LEVELS]
    places = set_places(sets)
    figure, axes = new_figure(WIDTH, 3.3)
    rows = [
        (
            floor_name(floor),
            colour,
            marker,
            {n: comparison.floors[floor, n] for n in sets if (floor, n) in comparison.floors},
        )
        for floor, (colour, marker) in zip(_floors(comparison), SERIES * len(comparison.floors))
    ]
    rows.append((clipped(comparison.name), PALETTE["model"], "o", {name: comparison.model[name] for name in sets}))
    labels = []
    for label, colour, marker, found in rows:
        values = {name: one.mean for name, one in found.items()}
        errors = {name: one.high - one.mean for name, one in found.items() if one.high is not None}
        draw_series(axes, places, values, errors, colour, marker, quiet=colour != PALETTE["model"])
        if values:
            labels.append((label, list(values.values())[-1], colour))
    top = 100 * max(one.high or one.mean for *_, found in rows for one in found.values())
    dress_sets(axes, places, {}, top)
    label_ends(axes, labels, max(places.values()), 1.12 * top, height=2.4)
    return figure


@in_house_style
def lead_figure(comparison: Comparison) -> Figure:
    """Draw the paired leads over each floor, a row a set, with 95 % intervals, zero and the threshold."""
    floors = _floors(comparison)
    shown = [one for one in comparison.differences if one.floor != BEST]
    sets = [name for name in comparison.model if any(one.set_name == name for one in shown)]
    figure, axes = new_figure(WIDTH, 0.9 + len(sets) * (0.12 + 0.14 * len(floors)))
    step = 0.7 / max(len(floors), 1)
    for i, (floor, (colour, marker)) in enumerate(zip(floors, SERIES * len(floors))):
        found = [one for one in shown if one.floor == floor]
        y = [sets.index(one.set_name) + (i - (len(floors) - 1) / 2) * step for one in found]
        half = [0.0 if one.lead.high is None else 100 * (one.lead.high - one.lead.mean) for one in found]
        x = [100 * one.lead.mean for one in found]
        axes.errorbar(x, y, xerr=half, fmt=marker, color=colour, elinewidth=1.3, capsize=2.5, label=floor_name(floor))
    axes.set_yticks(range(len(sets)), [set_name(name) for name in sets])
    axes.set_ylim(len(sets) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.hlines(
        [i + 0.5 for i in range(len(sets) - 1)],
        0,
        1,
        PALETTE["rule"],
        linewidth=0.7,
        transform=axes.get_yaxis_transform(),
    )
    axes.axvline(0, color=PALETTE["muted"], linewidth=0.9)
    axes.axvline(100 * comparison.threshold, color=PALETTE["ink"], linewidth=1.1, linestyle=(0, (4, 2)))
    axes.annotate(
        f"threshold: {100 * comparison.threshold:g} points",
        (100 * comparison.threshold, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, 3),
        textcoords="offset points",
        size=7,
    )
    axes.set_xlabel("lead over the floor, in points")
    figure.legend(loc="outside lower center", ncols=max(len(floors), 1), labelcolor="linecolor")
    return figure
