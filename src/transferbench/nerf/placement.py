"""Where a scene is: the box that is worth looking into, from its cameras."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Placement(NamedTuple):
    """The corners ``low`` and ``high`` (3,) of a box, and whether there is something ``unbounded`` around it."""

    low: Floats
    high: Floats
    unbounded: bool


def focus_point(poses: Floats) -> Floats:
    """Return the point (3,) that is nearest to the viewing axes of ``poses`` (N, 4, 4), by least squares.

    A faint pull towards the cameras' mean keeps it defined where all axes are parallel.
    """
    origins, axes = poses[:, :3, 3], -poses[:, :3, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    pull = 1e-6 * np.eye(3)
    target = (across @ origins[:, :, None])[..., 0].mean(0) + pull @ origins.mean(0)
    found: Floats = np.linalg.solve(across.mean(0) + pull, target)
    return found


def signature(poses: Floats, pixel_centre: float = 0.5, projected: bool = False) -> Floats:
    """Return what tells the cameras of one capture from those of another (11,), whatever the size of its images.

    That is how many ``poses`` (N, 4, 4) there are, how far they are from 0 in the mean and, in units of that, where
    they are in the mean and how far apart; their mean viewing axis; where in a pixel rays go through, and whether they
    are ``projected`` into normalised device coordinates.
    """
    origins = poses[:, :3, 3]
    unit = float(np.linalg.norm(origins, axis=1).mean()) or 1.0
    return np.array(
        [
            len(poses),
            unit,
            *(origins.mean(0) / unit),
            *poses[:, :3, 2].mean(0),
            np.linalg.norm(origins.std(0)) / unit,
            pixel_centre,
            float(projected),
        ]
    )


def placed(
    poses: Floats, near: Floats | None = None, far: Floats | None = None, box: Floats | None = None
) -> Placement:
    """Return the box of a scene: its own ``box`` (2, 3), else one that the cameras look into.

    Without a box the scene is unbounded. Cameras that look at one thing have it in the middle, and stand on the box's
    border; of cameras that look away from each other, or the same way, the middle is where they look on average: at the
    harmonic mean of ``near`` and ``far`` (N,), or, where those are not known, where their axes come nearest to each
    other, between one and ten times as far as the cameras are apart.
    """
    if box is not None:
        return Placement(np.asarray(box[0], float), np.asarray(box[1], float), False)
    origins, axes = poses[:, :3, 3], -poses[:, :3, 2]
    centre = focus_point(poses)
    ahead = ((centre - origins) * axes).sum(1)
    spread = float(np.linalg.norm(origins - origins.mean(0), axis=1).max())
    if near is not None and far is not None:
        depth = 2 / (1 / np.maximum(near, 1e-6 * far) + 1 / far)
    else:
        depth = np.full(len(origins), max(np.clip(np.median(ahead), spread, 10 * spread), 1e-6))
    facing = float(np.linalg.norm(axes.mean(0)))
    if (ahead <= 0).mean() > 0.1 or facing > 0.95 or ahead.min() > 10 * max(spread, 1e-6):
        centre = (origins + depth[:, None] * axes).mean(0)
    reach = np.linalg.norm(origins - centre, axis=1)
    half = float(np.mean(reach)) or 1.0
    return Placement(centre - half, centre + half, True)
