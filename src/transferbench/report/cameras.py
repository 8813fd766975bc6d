"""The cameras of a scene as a figure: what each one sees, the box they look into, in perspective and from two sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.frusta import EDGES, Page, image_corners, page_of
from transferbench.report.capture import SPLITS, Capture, capture_of, page_names, pyramids_of
from transferbench.report.onlooker import Seen, flat, perspective
from transferbench.report.style import PALETTE, WIDTH, in_house_style, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

POINTS = 2000
"""Points on surfaces that are drawn at most."""
COLOURS = {"train": PALETTE["model"], "val": PALETTE["amber"], "test": PALETTE["plum"], "": PALETTE["muted"]}
MARKERS = {"train": "o", "val": "s", "test": "^", "": "x"}


HEIGHT = 4.7
"""Of the figure, inches."""
PLACES = {"space": (0.0, 0.15, 0.63, 0.79), "above": (0.7, 0.625, 0.29, 0.315), "side": (0.7, 0.19, 0.29, 0.29)}
"""Left, bottom, width and height of the panels, in shares of the figure."""


@in_house_style
def camera_figure(capture: Capture) -> Figure:
    """Draw every camera of a capture: a pyramid to the image, its top edge marked, with a line to where it looks.

    Beside the perspective stand a map and a view from the side, both in units of the poses.
    """
    from matplotlib.figure import Figure

    page, figure = page_of(capture.poses), Figure(figsize=(WIDTH, HEIGHT))
    axes = {name: figure.add_axes(place) for name, place in PLACES.items()}
    _dress_space(axes["space"], capture, page)
    names, across = page_names(page), 1 if page.facing else 0
    for key, title, (right, up) in (("above", "From above", (0, 1)), ("side", "From the side", (across, 2))):
        axes[key].set(title=title, xlabel=names[right], ylabel=names[up])
        axes[key].grid(visible=True, axis="both")
        axes[key].locator_params(nbins=5)
        axes[key].ticklabel_format(useOffset=False)
        _draw(axes[key], capture, flat(page, right, up))
    for row, handles in enumerate(_legend(capture)):
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 0.055 - 0.05 * row), ncols=len(handles))
    return figure


def write_cameras(scene: Any, path: Path, ndc: bool = False) -> Path:
    """Draw the cameras of a ``data.scenes.scene.Scene`` into the PNG ``path``; return it. ``ndc``: as it is fitted."""
    return save_png(camera_figure(capture_of(scene, ndc)), path)


def _dress_space(axes: Axes, capture: Capture, page: Page) -> None:
    """Draw the perspective: the ground with its squares, the directions of the world, then all the rest."""
    seen = perspective(capture, page)
    extent = capture.extent @ page.axes.T
    cell = nice(float(np.ptp(extent[:, :2], axis=0).max()) / 6)
    low, high = np.floor(extent.min(0) / cell) * cell, np.ceil(extent.max(0) / cell) * cell
    floor = float(extent[:, 2].min())
    lines = []
    for axis in (0, 1):
        for at in np.arange(low[axis], high[axis] + cell / 2, cell):
            ends = np.array([low, high])
            ends[:, axis], ends[:, 2] = at, floor
            lines.append(ends @ page.axes)
    _lines(axes, seen, np.array(lines), PALETTE["rule"], 0.6, zorder=0)
    _draw(axes, capture, seen)
    _compass(axes, seen, capture)
    cameras, drawn = len(capture.poses), len(pyramids_of(capture)[0])
    title = f"{cameras:,} camera{'s' if cameras > 1 else ''}"
    axes.set_title(title if drawn == cameras else f"{title}, {drawn} of them with what they see", x=0.02)
    axes.set_axis_off()
    note = f"A square of the ground is {cell:g} wide, in units of the poses."
    axes.annotate(note, (0.02, -0.01), xycoords="axes fraction", color=PALETTE["muted"], size=7, va="top")


def _compass(axes: Axes, seen: Seen, capture: Capture) -> None:
    """Draw which way the axes of the world run, in the upper right corner."""
    ends = seen.onto(capture.look + 0.01 * capture.span * np.concatenate([np.zeros((1, 3)), np.eye(3)]))[:, :2]
    directions = (ends[1:] - ends[0]) / np.linalg.norm(ends[1:] - ends[0], axis=1).max()
    middle, turned = np.array([0.93, 0.9]), np.array([PLACES["space"][3] * HEIGHT / (PLACES["space"][2] * WIDTH), 1.0])
    for name, direction in zip("xyz", directions):
        tip, label = middle + 0.06 * turned * direction, tuple(middle + 0.085 * turned * direction)
        axes.plot(*np.stack([middle, tip]).T, color=PALETTE["muted"], linewidth=1.0, transform=axes.transAxes)
        style: Any = {"color": PALETTE["muted"], "size": 7, "ha": "center", "va": "center"}
        axes.annotate(name, label, xycoords="axes fraction", **style)


def _draw(axes: Axes, capture: Capture, seen: Seen) -> None:
    """Draw room, points, cameras and the place they look at, and fit the axes to them."""
    chosen, depth = pyramids_of(capture)
    images = image_corners(capture.poses, capture.intrinsics, capture.size, depth)[chosen]
    room = capture.room[np.array(EDGES)]
    _points(axes, capture, seen)
    if seen.deep:
        _sight(axes, capture, seen)
    _lines(axes, seen, room, _tinted([PALETTE["ink"]] * len(room), seen.strength(room.mean(1))), 0.9, zorder=3)
    _gazes(axes, capture, seen, chosen, depth)
    for split in capture.counts:
        x, y, _ = seen.onto(capture.origins[capture.splits == split]).T
        small = 4.0 if seen.deep and len(chosen) == len(capture.poses) else 1.5
        axes.scatter(x, y, s=small, color=COLOURS[split], marker=MARKERS[split], linewidths=0.3, zorder=4)
    _pyramids(axes, capture, seen, chosen, images)
    x, y, _ = seen.onto(capture.look)
    axes.plot(x, y, "+", color=PALETTE["red"], markersize=9 if seen.deep else 6, markeredgewidth=1.5, zorder=6)
    _fit(axes, seen.onto(np.concatenate([capture.extent, images.reshape(-1, 3)]))[:, :2])


def _fit(axes: Axes, held: Array) -> None:
    """Set the limits so that all that is ``held`` (n, 2) is inside and a unit is as long to both sides."""
    low, high = held.min(0), held.max(0)
    share = axes.get_position()
    inches = np.array([share.width * WIDTH, share.height * HEIGHT])
    half = 0.54 * float(((high - low) / inches).max()) * inches
    (left, bottom), (right, top) = (low + high) / 2 - half, (low + high) / 2 + half
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _pyramids(axes: Axes, capture: Capture, seen: Seen, chosen: NDArray[np.int64], images: Array) -> None:
    """Draw the images (n, 4, 3) of the ``chosen`` cameras, a roof on their top edge, and lines to them."""
    from matplotlib.collections import PolyCollection

    roofs = images[:, :2].mean(1) + 0.3 * (images[:, 0] - images[:, 3])
    outlines = np.stack([images[:, 0], roofs, *images[:, 1:].swapaxes(0, 1)], axis=1)
    origins = capture.origins[chosen]
    order = np.argsort(-seen.onto(origins)[:, 2], kind="stable")  # what is near is drawn last
    colours = _tinted([COLOURS[split] for split in capture.splits[chosen]], seen.strength(origins))
    faces = colours * (1, 1, 1, 0.22)
    width = 0.75 if seen.deep and len(chosen) <= 60 else 0.45
    drawn = PolyCollection(
        list(seen.onto(outlines[order])[..., :2]),
        facecolors=faces[order].tolist(),
        edgecolors=colours[order].tolist(),
        linewidths=width,
        zorder=5,
    )
    axes.add_collection(drawn, autolim=False)
    sides = np.stack([np.broadcast_to(origins[:, None], images.shape), images], axis=2)[order].reshape(-1, 2, 3)
    _lines(axes, seen, sides, np.repeat(colours[order], 4, axis=0), width, zorder=5)


def _gazes(axes: Axes, capture: Capture, seen: Seen, chosen: NDArray[np.int64], depth: float) -> None:
    """Draw the viewing axes, each until it is nearest to the place that all look at."""
    origins, ahead = capture.origins[chosen], -capture.poses[chosen, :3, 2]
    to_look = capture.look - origins
    reach = np.clip((to_look * ahead).sum(1), 3 * depth, np.maximum(np.linalg.norm(to_look, axis=1), 3 * depth))
    strength = np.clip(12 / len(chosen), 0.2, 0.5) * seen.strength(origins)
    colours = _tinted([COLOURS[split] for split in capture.splits[chosen]], strength)
    ends = np.stack([origins, origins + reach[:, None] * ahead], axis=1)
    _lines(axes, seen, ends, colours, 0.6 if seen.deep else 0.4, zorder=2)


def _sight(axes: Axes, capture: Capture, seen: Seen) -> None:
    """Draw between which planes one of the cameras looks for things, where the scene says that."""
    if (sight := capture.sight) is None:
        return
    at, begins, ends = sight
    one = capture.poses[[at]], capture.intrinsics[[at]], capture.size
    near, far = image_corners(*one, begins)[0], image_corners(*one, min(ends, capture.span))[0]
    rings = [near, far] if ends <= capture.span else [near]
    lines = [*(np.stack([ring, np.roll(ring, -1, axis=0)], axis=1) for ring in rings), np.stack([near, far], axis=1)]
    _lines(axes, seen, np.concatenate(lines), PALETTE["green"], 0.7, zorder=2, dashed=True)


def _points(axes: Axes, capture: Capture, seen: Seen) -> None:
    """Draw some points on surfaces, those around the room and the cameras."""
    if not len(capture.points):
        return
    extent = capture.extent
    spare = 0.1 * capture.span
    inside = ((capture.points > extent.min(0) - spare) & (capture.points < extent.max(0) + spare)).all(1)
    kept = capture.points[inside]
    x, y, _ = seen.onto(kept[:: max(1, -(-len(kept) // POINTS))]).T
    axes.scatter(x, y, s=0.6, color=PALETTE["muted"], alpha=0.5, linewidths=0, zorder=1)


def _lines(
    axes: Axes, seen: Seen, ends: Array, colour: str | Array, width: float, zorder: int, dashed: bool = False
) -> None:
    """Draw lines between ``ends`` (n, 2, 3), of one colour or of (n, 4)."""
    from matplotlib.collections import LineCollection

    style: Any = (0, (4, 2)) if dashed else "solid"
    drawn = LineCollection(list(seen.onto(ends)[..., :2]), linewidths=width, zorder=zorder, linestyles=style)
    drawn.set_color(colour if isinstance(colour, str) else colour.tolist())
    axes.add_collection(drawn, autolim=False)


def _tinted(colours: Sequence[str], strength: Array) -> Array:
    """Return ``colours`` as (n, 4), as opaque as ``strength`` (n,) says."""
    from matplotlib.colors import to_rgba_array

    found: Array = to_rgba_array(list(colours))
    found[:, 3] = strength
    return found


def nice(length: float) -> float:
    """Return 1, 2 or 5 times a power of ten, the smallest that is not below ``length``."""
    power = 10.0 ** np.floor(np.log10(length))
    return next(float(step * power) for step in (1, 2, 5, 10) if step * power >= length * (1 - 1e-9))


def _legend(capture: Capture) -> list[list[Any]]:
    """Return two rows of entries: what frames are for, and what else is drawn."""
    from matplotlib.lines import Line2D

    frames = [
        Line2D([], [], color=COLOURS[split], marker=MARKERS[split], markersize=4, label=f"{SPLITS[split]} ({count:,})")
        for split, count in capture.counts.items()
    ]
    place = Line2D([], [], color=PALETTE["red"], marker="+", linestyle="none", markersize=7, markeredgewidth=1.5)
    place.set_label("where they look")
    box = Line2D([], [], color=PALETTE["ink"], linewidth=0.9, label=f"scene box, {capture.lies}")
    sight = Line2D([], [], color=PALETTE["green"], linestyle=(0, (4, 2)), linewidth=0.7)
    sight.set_label("from near to far, of one fitted camera")
    return [[*frames, place], [box] if capture.sight is None else [box, sight]]
