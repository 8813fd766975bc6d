"""Figures of levels: where they lie in the ranking, how similarity is spread, and how many images the classes have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transferbench.concepts.measures import ALIKE
from transferbench.jobs.level_files import Selection
from transferbench.report.style import PALETTE, WIDTH, in_house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("model", "green", "amber", "red", "plum")
_BINS = 60


def colour_of(level: int) -> str:
    """The colour of a level in every figure."""
    return PALETTE[_COLOURS[(level - 1) % len(_COLOURS)]]


@in_house_style
def similarity_figure(selection: Selection) -> Figure:
    """Draw how many concepts have which similarity, stacked by level; grey are the candidates between the levels."""
    figure, axes = new_figure(WIDTH, 2.8)
    chosen = {wnid for wnids in selection.levels.values() for wnid in wnids}
    groups = [np.array([selection.similarity[wnid] for wnid in wnids]) for wnids in selection.levels.values()]
    rest = np.array([value for wnid, value in selection.similarity.items() if wnid not in chosen])
    found = np.concatenate([*groups, rest])
    bounded = selection.measure in ("lin", "path", "wup")
    top = 1.0 if bounded else float(found[found < ALIKE].max(initial=0.0)) or 1.0
    groups, rest = [np.minimum(group, top) for group in groups], np.minimum(rest, top)
    edges = np.linspace(0.0, top, _BINS + 1)
    colours = [colour_of(level) for level in selection.levels]
    axes.hist(
        [*groups, rest],
        edges.tolist(),
        stacked=True,
        color=[*colours, PALETTE["muted"]],
        linewidth=0.3,
        edgecolor="white",
    )
    _name_levels(axes, selection, [float(np.mean(group)) for group in groups])
    axes.set_xlabel("similarity to the nearest seen concept")
    axes.set_ylabel("concepts")
    axes.set_xlim(edges[-1], 0.0)
    return figure


@in_house_style
def images_figure(selection: Selection) -> Figure | None:
    """Draw how many images the classes of each level have; None where they all have the same number."""
    counts = [np.array([selection.source.images[wnid] for wnid in wnids]) for wnids in selection.levels.values()]
    every = np.concatenate(counts)
    if every.min() == every.max():
        return None
    figure, axes = new_figure(WIDTH, 2.4)
    edges = np.linspace(every.min(), every.max(), 40)
    for level, group in zip(selection.levels, counts):
        axes.hist(group, edges.tolist(), histtype="step", color=colour_of(level), linewidth=1.3, label=f"level {level}")
    most = selection.sizes.test_images + selection.sizes.max_train
    if every.min() < most < every.max():
        axes.axvline(most, color=PALETTE["muted"], linestyle=(0, (2, 2)), linewidth=1.0)
        axes.annotate(
            f"all training images\nbeyond {most} left out",
            (most, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, -2),
            textcoords="offset points",
            va="top",
            color=PALETTE["muted"],
            size=7,
        )
    axes.set_xlabel("images of a class")
    axes.set_ylabel("classes")
    axes.margins(x=0.01)
    axes.legend(fontsize=7, handlelength=1.2, labelcolor="linecolor")
    return figure


def _name_levels(axes: Axes, selection: Selection, means: list[float]) -> None:
    """Write each level's number above its mean similarity."""
    for level, mean in zip(selection.levels, means):
        axes.annotate(
            f"level {level}",
            (mean, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=colour_of(level),
            weight="bold",
        )
