"""How the head with the camera moves: smooth arcs around the worktop, with pauses between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import look_at

MOVING = 0.65  # of the time between two stops, the head moves; then it rests
STOP_EVERY = 20  # frames
# Ranges of a stop: degrees from straight before the worktop, degrees above it, units away, where it looks (x, y), roll.
LOWEST = (-32.0, 30.0, 1.9, -0.45, -0.12, -4.0)
HIGHEST = (32.0, 46.0, 2.5, 0.45, 0.22, 4.0)


@dataclass(frozen=True)
class HeadPath:
    """``stops`` (S, 6) of azimuth and elevation in degrees, distance, the point looked at (x, y), and roll in degrees.

    Stop s is reached at the time s ``every``.
    """

    stops: NDArray[np.float64]
    every: float

    def pose(self, time: float) -> NDArray[np.float64]:
        """Return the pose (4, 4) of the camera at a time."""
        place, part = divmod(min(max(time / self.every, 0.0), len(self.stops) - 1 - 1e-9), 1.0)
        done = min(max((part - 1 + MOVING) / MOVING, 0.0), 1.0)  # it rests first
        done = done * done * (3 - 2 * done)
        first, second = self.stops[int(place)], self.stops[int(place) + 1]
        azimuth, elevation, away, x, y, roll = first + (second - first) * done
        a, e = np.radians([azimuth - 90, elevation])
        target = np.array([x, y, 0.1])
        eye = target + away * np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
        return look_at(eye, target, roll=float(np.radians(roll)))


def draw_head(rng: np.random.Generator, frames: int) -> HeadPath:
    """Return a random path for ``frames`` frames, that goes from side to side."""
    count = max(round(frames / STOP_EVERY), 1) + 1
    stops = rng.uniform(LOWEST, HIGHEST, (count, len(LOWEST)))
    sides = np.where(np.arange(count) % 2, 1.0, -1.0) * (1.0 if rng.random() < 0.5 else -1.0)
    stops[:, 0] = sides * np.abs(stops[:, 0])
    return HeadPath(stops, frames / (count - 1))
