"""A scene as two fields, the second of which looks where the first found something (NeRF, arXiv:2003.08934, 5.2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.models.fields import FieldValues
from transferbench.models.placing import Placed
from transferbench.nerf.bundle import Rays
from transferbench.nerf.rendering import Rendered, composite, render
from transferbench.nerf.sampling import refined, stratified


class Hierarchical(Placed):
    """Render a coarse and a fine field.

    Args:
        coarse: called with points (R, S, 3), unit directions (R, S, 3) and ``noise=``
            (``models.fields.OwnField`` makes one of any function).
        fine: likewise.
        samples: of the coarse pass.
        more: samples of the fine pass beside those.
        inverse: space the coarse samples evenly in inverse depth.
        noise: spread of what is added to raw densities in training.
        last: length of the last interval.
        epsilon: what is added to each sample's transparency, 1e-10 in NeRF's code.
        chunk: rays that are rendered at a time when no gradient is asked for.
    """

    featured: tuple[str, ...] = ("coarse", "fine")
    """Its fields, which a branch of features joins."""
    features_shape = True
    """Whether the features may change where things are."""

    def __init__(
        self,
        coarse: nn.Module,
        fine: nn.Module,
        samples: int = 64,
        more: int = 128,
        inverse: bool = False,
        noise: float = 0.0,
        last: float = 1e10,
        epsilon: float = 0.0,
        chunk: int = 4096,
    ) -> None:
        super().__init__()
        if samples < 2 or more < 1 or chunk < 1:
            raise UserError(f"model: found samples={samples}, more={more}, chunk={chunk}; expected 2, 1 and 1 or more")
        self.coarse, self.fine = coarse, fine
        self.samples, self.more, self.inverse, self.noise = samples, more, inverse, noise
        self.last, self.epsilon, self.chunk = last, epsilon, chunk

    @torch.no_grad()
    def place(self, low: Tensor, high: Tensor, unbounded: bool) -> None:
        """Tell where an unbounded scene is: the corners (3,) of its middle. Others keep their own coordinates."""
        if unbounded:
            self.centre.copy_((low + high) / 2)
            self.reach.copy_((high - low).max() / 2)

    def affordable(self, rays: Rays) -> int:
        """Return how many of ``rays`` are rendered in a training step: all."""
        return len(rays)

    def forward(self, rays: Rays, background: Tensor | None) -> list[Rendered]:
        """Render ``rays`` with both fields, the fine one last; with jitter and noise in training.

        ``background`` (3,) or (R, 3) fills what is transparent; None leaves it black.
        """
        spacing: Any = "disparity" if self.inverse else "depth"
        z = stratified(rays.near, rays.far, self.samples, jitter=self.training, spacing=spacing)
        first = self.rendered(self.coarse, rays, z, background)
        z = refined(z, first.weights.detach(), self.more, jitter=self.training)
        return [first, self.rendered(self.fine, rays, z, background)]

    def rendered(self, field: nn.Module, rays: Rays, z: Tensor, background: Tensor | None) -> Rendered:
        """Render one ``field`` at the ray parameters ``z`` (R, S)."""
        points = rays.origins[:, None] + z[..., None] * rays.directions[:, None]
        points = (points - self.centre) / self.reach
        views = rays.views[:, None].expand_as(points)
        values: FieldValues = field(points, views, noise=self.noise if self.training else 0.0)
        shown = render(
            values.density,
            values.colour,
            z,
            rays.directions.norm(dim=1) / self.reach,
            background="black" if background is None else background,
            last=self.last,
            epsilon=self.epsilon,
        )
        if values.features is None:
            return shown
        shares = shown.weights if self.features_shape else shown.weights.detach()
        return shown._replace(features=composite(shares, torch.tanh(values.features)))

    @torch.no_grad()
    def render(self, rays: Rays, background: Tensor | None) -> Rendered:
        """Render all of ``rays`` without gradients, ``chunk`` at a time."""

        def shown(some: Rays) -> Rendered:
            last: Rendered = self(some, background)[-1]
            return last.without_weights()

        return rays.in_chunks(shown, self.chunk)

    def after_step(self, step: int) -> None:
        """Nothing to do between steps."""
