"""A field that is quick to fit: a hash grid and two small networks (instant-ngp, arXiv:2201.05989)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from transferbench.models.fields import FieldValues
from transferbench.models.hash_grid import HashGrid
from transferbench.nerf.directions import harmonics


class _BoundedExp(torch.autograd.Function):
    """exp(x), whose gradient is that at x clamped to 15: a density cannot run away in one step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.exp(x.clamp(max=30))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.exp(x.clamp(-15, 15))


class FastField(nn.Module):
    """Density and colour of points in the unit cube.

    Args:
        grid: features of a point.
        width: of the hidden layers.
        geometry: numbers that the colour is told of a point beside its density.
    """

    def __init__(self, grid: HashGrid, width: int = 64, geometry: int = 15) -> None:
        super().__init__()
        self.grid = grid
        self.view_dependent, self.geometry = False, geometry
        self.shape = nn.Sequential(nn.Linear(grid.width, width), nn.ReLU(), nn.Linear(width, 1 + geometry))
        self.paint = nn.Sequential(
            nn.Linear(geometry + 16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
        )

    @property
    def latent(self) -> int:
        """Width of the activations that a branch of features reads."""
        return self.paint[0].out_features if self.view_dependent else self.geometry  # type: ignore[return-value]

    def density(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """Return the density (N,) at ``points`` (N, 3) in [0, 1], which is the same from all directions."""
        return self._shaped(points)[0]

    def forward(self, points: Tensor, directions: Tensor, noise: float = 0.0) -> FieldValues:
        """Return what is at ``points`` (N, 3) in [0, 1], seen along unit ``directions`` (N, 3); it takes no noise."""
        density, geometry = self._shaped(points)
        seen = self.paint[:2](torch.cat([geometry, harmonics(directions).to(geometry.dtype)], -1))
        latent = seen if self.view_dependent else geometry
        return FieldValues(density, self.paint[2:](seen).float().sigmoid(), latent=latent)

    def _shaped(self, points: Tensor) -> tuple[Tensor, Tensor]:
        found = self.shape(self.grid(points))
        density: Tensor = _BoundedExp.apply(found[:, 0].float() - 1)
        return density, found[:, 1:]
