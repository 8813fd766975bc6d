"""A scene as a field that is sampled only where there may be something: what `nerf_fast` fits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from transferbench.models.fields import FieldValues
from transferbench.models.hash_grid import HashGrid
from transferbench.models.occupancy import OccupancyGrid
from transferbench.models.placing import Placed
from transferbench.nerf.bundle import Rays
from transferbench.nerf.marching import contract, inside, march, stretch
from transferbench.nerf.packed import Packed, along_rays, weights
from transferbench.nerf.rays import ray_box
from transferbench.nerf.rendering import Rendered, in_chunks

CLOSER = 4
"""How much finer the hash grids of an unbounded scene are: its box is half of them, and reaches to the cameras."""
SAMPLES = 2**18
"""Samples that the field is asked for together in a view: a ray may have thousands."""


class Marched(Placed):
    """Render a field along rays, at the samples that its occupancy grid lets through.

    The box of the scene is [-1, 1] for the field; an unbounded scene has the space around it contracted to [-2, 2].

    Args:
        field: called with points (N, 3) in [0, 1] and unit directions (N, 3), and has ``density`` of the same
            (``models.fast_field.FastField``; ``models.fields.OwnField`` makes one of any function).
        occupancy: where to sample.
        samples: intervals along the side of the box; half as many in an unbounded scene.
        budget: samples of a training step; as many rays are rendered as are expected to need them.
        every: training steps between two updates of the grid.
        opaque: transmittance below which nothing is looked at any more, when no gradient is asked for.
        chunk: rays that are rendered at a time, when no gradient is asked for.
    """

    unbounded: Tensor
    per_ray: Tensor
    unit_cube = True
    """Its field is asked for points in [0, 1]."""
    featured = ("field",)
    """Its field, which a branch of features joins."""
    features_shape = True
    """Whether the features may change where things are."""

    def __init__(
        self,
        field: nn.Module,
        occupancy: OccupancyGrid,
        samples: int = 128,
        budget: int = 2**15,
        every: int = 16,
        opaque: float = 1e-4,
        chunk: int = 4096,
    ) -> None:
        super().__init__()
        self.field, self.occupancy = field, occupancy
        self.samples, self.budget, self.every, self.opaque, self.chunk = samples, budget, every, opaque, chunk
        self.register_buffer("unbounded", torch.zeros((), dtype=torch.bool))
        self.register_buffer("per_ray", torch.tensor(float(samples)))

    @torch.no_grad()
    def place(self, low: Tensor, high: Tensor, unbounded: bool) -> None:
        """Tell where the scene is: the corners (3,) of its box, and whether there is something outside of it."""
        self.centre.copy_((low + high) / 2)
        self.reach.copy_((high - low).max() / 2)
        self.unbounded.fill_(unbounded)
        for part in self.field.modules():
            if isinstance(part, HashGrid):
                part.refine(CLOSER if unbounded else 1)

    @property
    def step(self) -> float:
        """Length of an interval where the box is [-1, 1].

        Twice as long in an unbounded scene: its box reaches to the cameras, and most of it is air.
        """
        return (4 if self.unbounded else 2) / self.samples

    def march(self, rays: Rays, jitter: bool) -> tuple[Packed, Tensor, Tensor]:
        """Return the samples of ``rays``, in units of half a box, and their points and directions (S, 3)."""
        length = rays.directions.norm(dim=1)
        origins = (rays.origins - self.centre) / self.reach
        directions = rays.directions / length[:, None]
        scale = length / self.reach
        ones = torch.ones(3, device=origins.device)
        entry, leave = ray_box(origins, directions, -ones, ones)
        near, far = rays.near * scale, rays.far * scale
        place = contract if self.unbounded else inside
        draws = torch.rand(len(near), device=near.device) if jitter else None
        outer = far if self.unbounded else None
        start, end = torch.maximum(entry, near), torch.minimum(leave, far)
        if self.unbounded:  # what stands before the box, up to its size, counts too; a ray that misses begins at once
            hit = (entry < leave) & (leave > near)
            start = torch.where(hit, torch.maximum(entry - 2, near), near)
            end = torch.maximum(torch.where(hit, end, near), torch.minimum(start + 1, far))  # half a box, at least
        outside = max(self.samples // 4, 1)  # contracted, the outside is half as wide as the box on either side of it
        packed = march(origins, directions, start, end, self.step, self.occupancy, place, draws, outer, outside)
        points = place(origins[packed.ray] + packed.middle[:, None] * directions[packed.ray])
        return packed, points, rays.views[packed.ray]

    def affordable(self, rays: Rays) -> int:
        """Return how many of ``rays`` fit into the budget of samples."""
        return min(len(rays), max(int(self.budget / max(float(self.per_ray), 1.0)), 32))

    def forward(self, rays: Rays, background: Tensor) -> list[Rendered]:
        """Render ``rays``, in one pass; with jitter in training. ``background`` is (3,) or (R, 3)."""
        if getattr(self.field, "held", False):  # its samples get no gradient: the few that show are enough
            return [self.seen(rays, background)]
        packed, points, views = self.march(rays, jitter=self.training)
        if self.training:
            self.per_ray.mul_(0.9).add_(0.1 * len(packed.ray) / max(len(rays), 1))
        values: FieldValues = self.field(points, views)
        if self.training:
            self.occupancy.met(points, self._stretched(points, values.density))
        found, _ = weights(values.density, packed.far - packed.near, packed.counts)
        return [self._composited(rays, packed, found, values, background)]

    def _composited(
        self, rays: Rays, packed: Packed, found: Tensor, values: FieldValues, background: Tensor
    ) -> Rendered:
        scale = self.reach / rays.directions.norm(dim=1)
        parts = [torch.ones_like(found)[:, None], packed.middle[:, None], values.colour]
        joint = values.features is not None and self.features_shape
        if joint:
            parts.append(torch.tanh(values.features.float()))  # type: ignore[union-attr]
        sums = along_rays(found, torch.cat(parts, 1), packed.ray, len(rays))
        features = sums[:, 5:] if joint else None
        if values.features is not None and not joint:
            features = along_rays(found.detach(), torch.tanh(values.features.float()), packed.ray, len(rays))
        opacity, depth = sums[:, 0], sums[:, 1] * scale
        disparity = torch.where(depth > 0, opacity / depth.clamp(min=1e-10), torch.zeros_like(depth))
        shown = sums[:, 2:5] + (1 - opacity)[:, None] * background
        return Rendered(shown, depth, opacity, disparity, found, features)

    @torch.no_grad()
    def render(self, rays: Rays, background: Tensor) -> Rendered:
        """Render all of ``rays`` without gradients, ``chunk`` at a time."""
        return rays.in_chunks(lambda some: self.seen(some, background).without_weights(), self.chunk)

    def seen(self, rays: Rays, background: Tensor) -> Rendered:
        """Render ``rays``; colours are asked for only where something can still be seen."""
        packed, points, views = self.march(rays, jitter=False)
        density = in_chunks(self.density, (points, views), SAMPLES)
        found, transmittance = weights(density, packed.far - packed.near, packed.counts)
        visible = (transmittance > self.opaque) & (found > 1e-5)
        few = packed._replace(ray=packed.ray[visible], near=packed.near[visible], far=packed.far[visible])

        def asked(points: Tensor, views: Tensor) -> FieldValues:
            values: FieldValues = self.field(points, views)
            return values._replace(latent=None)

        values = in_chunks(asked, (points[visible], views[visible]), SAMPLES)
        return self._composited(rays, few, found[visible], values, background)

    def density(self, points: Tensor, views: Tensor) -> Tensor:
        """Return the field's density (S,) at ``points`` (S, 3) in [0, 1], seen along unit ``views`` (S, 3)."""
        asked: Any = self.field.density
        found: Tensor = asked(points, views)
        return found

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Update the occupancy grid when its turn has come."""
        if step % self.every == 0:
            down = torch.tensor([0.0, 0.0, -1.0], device=self.centre.device)
            self.occupancy.update(lambda p: self._stretched(p, self.density(p, down.expand_as(p))), self.step)

    def _stretched(self, points: Tensor, density: Tensor) -> Tensor:
        """Return ``density`` (S,) per length of contracted space: far out, a thin haze fills a long interval."""
        return density * stretch(points) if self.unbounded else density
