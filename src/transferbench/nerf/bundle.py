"""A bundle of rays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

from torch import Tensor

from transferbench.nerf.rendering import in_chunks

T = TypeVar("T")


@dataclass(frozen=True)
class Rays:
    """R rays: what is at ``origins + t * directions`` for t between ``near`` and ``far``.

    Attributes:
        origins: (R, 3).
        directions: (R, 3), of any length.
        near: (R,) ray parameter at which things begin.
        far: (R,) where they end.
        views: (R, 3) unit directions that colours depend on; not those of ``directions`` where rays were projected.
        frames: (R,) int64 the frame that each ray belongs to.
        times: (R,) int64 the number of that frame in a moving scene; 0 in one that stands still.
        local: (R, 3) ``directions`` in the axes of the camera, at whose position t is 0.
    """

    origins: Tensor
    directions: Tensor
    near: Tensor
    far: Tensor
    views: Tensor
    frames: Tensor
    times: Tensor
    local: Tensor

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, chosen: slice | Tensor) -> Rays:
        """Return some of the rays."""
        return Rays(*(part[chosen] for part in self.parts()))

    def parts(self) -> list[Tensor]:
        """Return the attributes in their order."""
        return [getattr(self, field.name) for field in fields(self)]

    def in_chunks(self, function: Callable[[Rays], T], size: int) -> T:
        """Return ``function`` of all rays, worked out for ``size`` of them at a time (``rendering.in_chunks``)."""
        return in_chunks(lambda *parts: function(Rays(*parts)), self.parts(), size)
