"""The charts of a comparison set by set: every setting's accuracy, and how far it lies from the reference's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from transferbench.report.compare import LEVELS
from transferbench.report.figures import draw_series, dress_sets, label_ends, set_places
from transferbench.report.intervals import Estimate
from transferbench.report.style import PALETTE, SERIES, WIDTH, in_house_style, new_figure
from transferbench.report.sweep import BALANCE, TRAINING, TRANSFER, Sweep
from transferbench.report.wording import clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_DRAWN = 9
"""Beyond as many settings a chart of lines cannot be read; the table has them all."""
_STYLES = ((PALETTE["model"], "o"), *SERIES, *((colour, "x") for colour, _ in SERIES))


def drawable(sweep: Sweep) -> list[str]:
    """Return the sets that a chart shows: those that every setting was measured on; none without two settings."""
    if not 2 <= len(sweep.groups) <= MOST_DRAWN:
        return []
    sets = [name for name in sweep.measures if name not in (TRAINING, TRANSFER, BALANCE, LEVELS)]
    return [name for name in sets if all(name in group.estimates for group in sweep.groups)]


@in_house_style
def absolute_figure(sweep: Sweep) -> Figure:
    """Draw every setting's accuracy on each set, with 95 % intervals over seeds."""
    figure, axes = new_figure(WIDTH, 3.3)
    rows = {group.label: {name: group.estimates[name] for name in drawable(sweep)} for group in sweep.groups}
    top = 100 * max(one.mean for found in rows.values() for one in found.values())
    _draw(axes, rows)
    dress_sets(axes, set_places(drawable(sweep)), {}, top)
    ends = [(clipped(label, 26), [*found.values()][-1].mean) for label, found in rows.items()]
    _label(axes, sweep, ends, 1.12 * top)
    return figure


@in_house_style
def relative_figure(sweep: Sweep) -> Figure:
    """Draw each setting's accuracy minus the first one's, in points, paired by seed where both have the seed."""
    figure, axes = new_figure(WIDTH, 2.9)
    sets = drawable(sweep)
    rows: dict[str, dict[str, Estimate]] = {}
    for number, group in enumerate(sweep.groups):
        paired = {name: sweep.difference(number, 0, name) for name in sets}
        rows[group.label] = {
            name: one.change if one is not None else Estimate(_apart(sweep, number, name), None, None, 1)
            for name, one in paired.items()
        }
    _draw(axes, rows)
    values = [bound for found in rows.values() for one in found.values() for bound in (one.low, one.mean, one.high)]
    low, high = (100 * bound for bound in (min(filter(None, values), default=0), max(filter(None, values), default=0)))
    dress_sets(axes, set_places(sets), {}, max(high, 1.0))
    margin = 0.08 * (max(high, 0) - min(low, 0)) or 1.0
    axes.set_ylim(min(low, 0) - margin, max(high, 0) + margin)
    axes.set_ylabel(f"points from {clipped(sweep.groups[0].label, 26)}")
    ends = [(clipped(label, 26), [*found.values()][-1].mean) for label, found in rows.items()]
    _label(axes, sweep, ends, max(high, 0) - min(low, 0) + 2 * margin)
    return figure


def _apart(sweep: Sweep, number: int, name: str) -> float:
    return sweep.groups[number].estimates[name].mean - sweep.groups[0].estimates[name].mean


def _draw(axes: Axes, rows: Mapping[str, Mapping[str, Estimate]]) -> None:
    for found, (colour, marker) in zip(rows.values(), _STYLES):
        places = set_places(list(found))
        errors = {name: one.high - one.mean for name, one in found.items() if one.high is not None}
        draw_series(axes, places, {name: one.mean for name, one in found.items()}, errors, colour, marker, quiet=True)


def _label(axes: Axes, sweep: Sweep, ends: list[tuple[str, float]], span: float) -> None:
    labels = [(name, value, colour) for (name, value), (colour, _) in zip(ends, _STYLES)]
    label_ends(axes, labels, max(set_places(drawable(sweep)).values()), span, height=2.3)
