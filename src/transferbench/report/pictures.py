"""Pictures as figures: the crops as the network saw them, and test pictures beside their nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from transferbench.report.facts import Neighbours, Picture
from transferbench.report.style import PALETTE, WIDTH, in_house_style, new_figure
from transferbench.report.wording import clipped, set_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def fitted(pixels: Picture, box: float) -> tuple[float, float]:
    """Return the width and height that ``pixels`` takes when its longer side is ``box``."""
    height, width = pixels.shape[:2]
    scale = box / max(height, width)
    return width * scale, height * scale


def enlarged(picture: Picture, side: int) -> Picture:
    """Return ``picture`` (H, W, 3), each pixel repeated so that no side is shorter than ``side``."""
    times = -(-side // min(picture.shape[:2]))
    return picture.repeat(times, 0).repeat(times, 1)


@in_house_style
def crops_figure(crops: Sequence[tuple[Picture, Sequence[Picture]]]) -> Figure:
    """Draw a row an image: the picture, fitted to its largest crop's size, then its crops at their relative sizes."""
    heights = [max(crop.shape[0] for crop in views) if views else picture.shape[0] for picture, views in crops]
    gap = 0.08 * max(heights)
    widths = [
        fitted(picture, height)[0] + 2 * gap + sum(crop.shape[1] + gap for crop in views)
        for (picture, views), height in zip(crops, heights)
    ]
    total = sum(heights) + gap * len(crops)
    figure, axes = _canvas(WIDTH, max(widths), total)
    y = 0.0
    for (picture, views), height in zip(crops, heights):
        width, tall = fitted(picture, height)
        _place(axes, picture, 0.0, y + (height - tall) / 2, width, tall)
        x = width + 3 * gap
        for crop in views:
            _place(axes, crop, x, y + (height - crop.shape[0]) / 2, crop.shape[1], crop.shape[0])
            x += crop.shape[1] + gap
        y += height + gap
    return figure


@in_house_style
def neighbours_figure(shown: Sequence[Neighbours]) -> Figure:
    """Draw a row a test picture: the picture, then its neighbours, framed green when they show the same concept.

    Frames differ by more than colour: those of another concept are dashed.
    """
    columns = 1 + max(len(one.neighbours) for one in shown)
    side, gap, text = 1.0, 0.14, 0.34
    figure, axes = _canvas(WIDTH, columns * (side + gap) + 2 * gap, len(shown) * (side + text + gap))
    for row, one in enumerate(shown):
        y = row * (side + text + gap)
        cells = [(one.query, f"{one.label}\n({set_name(one.set_name)})", None), *one.neighbours]
        for column, (pixels, label, same) in enumerate(cells):
            x = column * (side + gap) + (2 * gap if column else 0.0)
            width, height = fitted(pixels, side)
            left, top = x + (side - width) / 2, y + (side - height) / 2
            _place(axes, pixels, left, top, width, height)
            if same is not None:
                _frame(axes, left, top, width, height, same)
            lines = "\n".join(clipped(line, 20) for line in label.split("\n"))
            axes.text(x + side / 2, y + side + 0.06, lines, ha="center", va="top", size=6, linespacing=1.1)
    return figure


def _canvas(inches: float, width: float, height: float) -> tuple[Figure, Axes]:
    margin = 0.02 * width
    figure, axes = new_figure(inches, inches * (height + 2 * margin) / (width + 2 * margin))
    figure.set_layout_engine("none")
    axes.set_position((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(-margin, width + margin)
    axes.set_ylim(height + margin, -margin)
    axes.set_axis_off()
    return figure, axes


def _place(axes: Axes, pixels: Picture, x: float, y: float, width: float, height: float) -> None:
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(pixels, extent=(x, x + width, y + height, y), interpolation="nearest", aspect="auto")
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def _frame(axes: Axes, x: float, y: float, width: float, height: float, same: bool) -> None:
    from matplotlib.patches import Rectangle

    colour = PALETTE["green"] if same else PALETTE["red"]
    style = "-" if same else (0, (3, 1.5))
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=2.2, linestyle=style))
