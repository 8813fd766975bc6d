"""How a place is put on paper: from the air, from the side, and as an onlooker sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import look_at, project
from transferbench.nerf.frusta import Page
from transferbench.report.capture import Capture

Array = NDArray[np.float64]

BESIDE, BEHIND, LIFT = 55.0, 30.0, 24.0
"""Degrees by which the onlooker stands to the right: of cameras that look one way, of others; and above the ground."""
AWAY = 1.35
"""Distance of the onlooker from the middle, in diagonals of what there is to see."""


class Seen(NamedTuple):
    """One way of looking: ``onto`` takes points (..., 3) to x, y on the paper and the distance (..., 3).

    What cannot be seen is NaN. ``deep`` tells whether distances show: what is far away is then smaller and paler.
    """

    onto: Callable[[Array], Array]
    deep: bool = False

    def strength(self, places: Array) -> Array:
        """Return the opacity (n,) of what stands at ``places`` (n, 3)."""
        depth = self.onto(places)[:, 2]
        reach = float(np.ptp(depth))
        if not self.deep or reach == 0:
            return np.ones(len(places))
        faded: Array = 1 - 0.6 * (depth - depth.min()) / reach
        return faded


def flat(page: Page, right: int, up: int) -> Seen:
    """Return the view along one axis of the page, with its axes ``right`` and ``up`` on the paper."""
    rows = np.stack([page.axes[right], page.axes[up], np.zeros(3)])
    return Seen(lambda points: points @ rows.T)


def perspective(capture: Capture, page: Page) -> Seen:
    """Return the view of an onlooker above the ground, behind and beside the cameras where they look one way."""
    extent = capture.extent @ page.axes.T
    middle = (extent.min(0) + extent.max(0)) / 2
    turn, lift = np.radians([BESIDE if page.facing else BEHIND, LIFT])
    towards = np.array([np.sin(turn) * np.cos(lift), -np.cos(turn) * np.cos(lift), np.sin(lift)])
    pose = look_at(middle + AWAY * capture.span * towards, middle)

    def onto(points: Array) -> Array:
        pixels, depth = project(points @ page.axes.T, pose, 1.0, (0.0, 0.0))
        before = depth[..., None] > 0.01 * capture.span
        return np.concatenate([np.where(before, pixels * (1, -1), np.nan), depth[..., None]], axis=-1)

    return Seen(onto, deep=True)
