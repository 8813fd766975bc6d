"""Where a scene is empty: a grid that a field's samples need not visit (instant-ngp, arXiv:2201.05989, appendix C)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class OccupancyGrid(nn.Module):
    """Cells of the unit cube, each with the highest density met in it lately; -1 where nobody has looked yet.

    Occupied cells are judged by the samples of training themselves, which cost nothing more; only empty ones, in which
    nobody samples, are looked at now and then for something that has grown.

    Args:
        side: cells along each axis.
        decay: of what is remembered, at each update.
        threshold: optical thickness of a step through a cell below which the cell counts as empty.
        warmup: updates before any cell counts as empty; one that nobody has looked at never does.
        share: of all cells that an update looks at.
    """

    density: Tensor
    occupied: Tensor
    updates: Tensor
    recent: Tensor

    def __init__(
        self, side: int = 64, decay: float = 0.5, threshold: float = 0.01, warmup: int = 4, share: float = 0.03
    ) -> None:
        super().__init__()
        self.side, self.decay, self.threshold, self.warmup, self.share = side, decay, threshold, warmup, share
        self.register_buffer("density", torch.full((side**3,), -1.0))
        self.register_buffer("recent", torch.full((side**3,), -1.0))
        self.register_buffer("occupied", torch.ones(side**3, dtype=torch.bool))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def cells_of(self, points: Tensor) -> Tensor:
        """Return the cells (...) that hold ``points`` (..., 3) in [0, 1]; those outside count as on the border."""
        x, y, z = (points * self.side).long().clamp_(0, self.side - 1).unbind(-1)
        return (x * self.side + y) * self.side + z

    def forward(self, points: Tensor) -> Tensor:
        """Tell for ``points`` (..., 3) in [0, 1] whether there may be something (...)."""
        return self.occupied[self.cells_of(points)]

    @torch.no_grad()
    def met(self, points: Tensor, density: Tensor) -> None:
        """Take note of the ``density`` (N,) at ``points`` (N, 3) in [0, 1]."""
        self.recent.scatter_reduce_(0, self.cells_of(points), density.float(), "amax")

    @torch.no_grad()
    def update(self, density: Callable[[Tensor], Tensor], step: float) -> None:
        """Tell occupied cells from empty ones, by what was met since the last update and by a look at some others.

        ``density`` (N,) is that of points (N, 3) in [0, 1]; ``step`` is the length of a sample's interval, in the unit
        that density is per.
        """
        cells = torch.randint(self.side**3, (max(int(self.side**3 * self.share), 1),), device=self.density.device)
        corner = torch.stack([cells // self.side**2, cells // self.side % self.side, cells % self.side], -1)
        points = (corner + torch.rand(corner.shape, device=corner.device)) / self.side
        self.met(points, density(points))
        seen = self.recent >= 0
        settled = int(self.updates) >= self.warmup
        remembered = self.density.clamp(min=0) * (self.decay if settled else 0.0)
        self.density.copy_(torch.where(seen, torch.maximum(remembered, self.recent), self.density))
        self.recent.fill_(-1.0)
        self.updates += 1
        if int(self.updates) >= self.warmup:
            self.occupied.copy_((self.density * step > self.threshold) | (self.density < 0))
