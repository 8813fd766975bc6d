"""The sun's shadows over a wide place: a finer map than that of a single object, over an extent that is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transferbench.nerf.cameras import look_at
from transferbench.world.light import SunView
from transferbench.world.solids import Floats, Solids
from transferbench.world.trace import Grid, rectangles, trace


@dataclass(frozen=True)
class SunMap(SunView):
    """A sun's view with as many pixels a side as ``depth`` (S, S) has; the shadows of ``other`` come on top."""

    other: SunMap | None = None

    @classmethod
    def over(
        cls, solids: Solids, towards: Floats, extent: Floats, pixels: int = 512, other: SunMap | None = None
    ) -> SunMap:
        """Return the map of the shadows that ``solids`` cast over ``extent`` (N, 3), points that it has to hold.

        ``towards`` (3,) is the unit vector to the sun. Two maps over one extent have the same pixels, so that a
        shadow keeps its outline when another thing is taken away.
        """
        centre = (extent.min(axis=0) + extent.max(axis=0)) / 2
        axes = look_at(towards, (0.0, 0.0, 0.0))[:3, :3].astype(np.float32).T
        reach = float(np.abs((extent - centre) @ axes.T).max()) * 1.02
        local = (solids.corners() - centre) @ axes.T
        pixel = np.float32(2 * reach / pixels)
        right, up, towards = axes
        start = centre + np.float32(2 * reach) * towards - np.float32(reach) * right + np.float32(reach) * up
        zero = np.zeros(3, np.float32)
        grid = Grid(pixels, pixels, (start, right * pixel, -up * pixel), (-towards, zero, zero))
        points = np.stack([(local[..., 0] + reach) / pixel, (reach - local[..., 1]) / pixel], axis=-1)
        return cls(axes, centre, reach, trace(solids, rectangles(points), grid).depth, other)

    def lit(self, points: Floats, bias: float) -> Floats:
        """Return the share (N,) of the sun that reaches ``points`` (3, N): 0 in shadow, soft over a map pixel."""
        local = self.axes @ (points - self.centre[:, None])
        pixels = self.depth.shape[0]
        scale = np.float32(pixels / (2 * self.reach))
        v = (np.float32(self.reach) - local[1]) * scale - np.float32(0.5)
        u = (local[0] + np.float32(self.reach)) * scale - np.float32(0.5)
        depth = np.float32(2 * self.reach - bias) - local[2]
        i, j = np.floor(v), np.floor(u)
        a, b = v - i, u - j
        framed = np.pad(self.depth, 1, constant_values=np.inf)
        row = np.clip(i.astype(np.intp) + 1, 0, pixels)
        column = np.clip(j.astype(np.intp) + 1, 0, pixels)
        near = (framed[row, column] > depth) * (1 - b) + (framed[row, column + 1] > depth) * b
        far = (framed[row + 1, column] > depth) * (1 - b) + (framed[row + 1, column + 1] > depth) * b
        beyond = (i < -1) | (j < -1) | (i > pixels) | (j > pixels)
        result: Floats = np.where(beyond, np.float32(1), near * (1 - a) + far * a)
        return result if self.other is None else result * self.other.lit(points, bias)
