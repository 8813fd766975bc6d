"""A moving scene taken apart: what stands still, what moves, who carries the camera (NeuralDiff, arXiv:2110.09936)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.nerf import NeRF
from transferbench.models.streams import Appearance, StaticStream, Streams, StreamValues, TimeCode
from transferbench.nerf.bundle import Rays
from transferbench.nerf.mixing import (
    LAST,
    STATIC,
    mix,
    mixed_values,
    presence,
    separate_values,
    uncertainty,
    with_backstop,
)
from transferbench.nerf.rendering import Background, Rendered, deltas, render
from transferbench.nerf.sampling import refined, stratified


class Decomposed(NamedTuple):
    """What R rays see, and of which stream: static, dynamic and actor in this order.

    Attributes:
        colour: (R, 3) of all streams together, on the background.
        depth: (R,) the sum of weighted ray parameters.
        opacity: (R,) the sum of the weights.
        beta: (R,) the standard deviation of the colour.
        presence: (R, 3) how much of the ray each stream is: the soft masks of dynamic and actor.
        features: (R, C) not yet of length 1, where the streams have a branch for them.
        densities: (R, S, 3) of the samples in training, for their sparsity; None in a rendered view.
        alone: (R, 3, 3) each stream's colour as if the others were not there, in a rendered view; None in training.
        still: (R, 3) the colour of the coarse field, which is a NeRF without time, in a rendered view.
    """

    colour: Tensor
    depth: Tensor
    opacity: Tensor
    beta: Tensor
    presence: Tensor
    features: Tensor | None = None
    densities: Tensor | None = None
    alone: Tensor | None = None
    still: Tensor | None = None


class NeuralDiff(Hierarchical):
    """A coarse NeRF without time, and a fine field of three streams that look where it found something.

    The defaults are the published network: 595,844 parameters in ``coarse``, 772,494 in ``fine``, 357 in ``time`` and
    48,000 in ``appearance``.

    Args:
        depth: layers of the static trunk.
        width: of the static trunk.
        skip: layer, counted from 0, behind which the encoded position joins again; the published network's
            fifth layer reads it.
        stream_depth: layers of the dynamic and the actor stream before their last.
        stream_width: of these.
        position_frequencies: of the encoding of points.
        direction_frequencies: of the encoding of directions.
        code_size: numbers of the time code.
        appearance_size: numbers of a frame's appearance.
        vocabulary: frame numbers that there may be, from 0.
        samples: of the coarse pass.
        more: samples of the fine pass beside those.
        noise: spread of what is added to the coarse densities in training.
        last: length of the last interval.
        wall: static density of the last sample in training, whose colour is then random, so that nothing is explained
            by emptiness; 0 for none.
        normalised: read where rays begin and end as distances from the camera, as the released code does, instead of
            depths along the viewing axis, which they are.
        faithful: the last sample gives each stream the opacity that it would have alone, as in the released code; the
            weights of a ray may then sum to more than 1.
        chunk: rays that are rendered at a time when no gradient is asked for.
    """

    coarse: NeRF
    fine: Any
    """``Streams``, or ``FeaturedField`` around them."""
    featured: tuple[str, ...] = ("fine",)
    """What a branch of features joins (``models.streams.StreamBranch``)."""

    def __init__(
        self,
        depth: int = 8,
        width: int = 256,
        skip: int = 3,
        stream_depth: int = 4,
        stream_width: int = 128,
        position_frequencies: int = 10,
        direction_frequencies: int = 4,
        code_size: int = 17,
        appearance_size: int = 48,
        vocabulary: int = 1000,
        samples: int = 64,
        more: int = 64,
        noise: float = 1.0,
        last: float = LAST,
        wall: float = LAST,
        normalised: bool = False,
        faithful: bool = False,
        chunk: int = 1024,
    ) -> None:
        if min(code_size, appearance_size, vocabulary) < 1 or min(noise, wall) < 0 or last <= 0:
            raise UserError(
                f"model: found code_size={code_size}, appearance_size={appearance_size}, vocabulary={vocabulary}, "
                f"noise={noise}, wall={wall}, last={last}; expected 1 or more of the first three, 0 or more of the "
                "next two, and a last interval that is longer than 0"
            )
        network: dict[str, Any] = {
            "depth": depth,
            "width": width,
            "skip": skip,
            "position_frequencies": position_frequencies,
            "direction_frequencies": direction_frequencies,
            "density": "softplus",
            "initial": "torch",
        }
        static = StaticStream(appearance_size, **network)
        fine = Streams(static, code_size, stream_depth, stream_width)
        super().__init__(NeRF(**network), fine, samples, more, noise=noise, last=last, chunk=chunk)
        self.time, self.appearance = TimeCode(vocabulary, code_size), Appearance(vocabulary, appearance_size)
        self.wall, self.normalised, self.faithful = wall, normalised, faithful

    def know(self, times: Tensor, fitted: Tensor) -> None:
        """Tell the numbers of all frames (N,) and those of the frames that are fitted to.

        Raises:
            UserError: one is beyond the vocabulary.
        """
        vocabulary, highest = self.time.vocabulary, int(times.max())
        if int(times.min()) < 0 or highest >= vocabulary:
            raise UserError(
                f"found frames numbered from {int(times.min())} to {highest}; expected numbers from 0 and below "
                f"model.vocabulary={vocabulary}: set model.vocabulary={highest + 1}"
            )
        self.appearance.know(fitted)

    def forward(self, rays: Rays, background: Tensor | None) -> list[Any]:
        """Render ``rays`` with both fields: a ``Rendered``, then a ``Decomposed``.

        ``background`` (3,) or (R, 3) fills what is transparent; None leaves it black. Training has jitter, noise
        and the wall.
        """
        coarse, z = self.looked(rays, background)
        return [coarse, self.decomposed(rays, z, background)]

    @torch.no_grad()
    def render(self, rays: Rays, background: Tensor | None) -> Decomposed:  # type: ignore[override]
        """Render all of ``rays`` without gradients, ``chunk`` at a time, with the colours of streams alone."""

        def shown(some: Rays) -> Decomposed:
            coarse, z = self.looked(some, background)
            found = self.decomposed(some, z, background, apart=True)
            return found._replace(densities=None, still=coarse.colour)

        return rays.in_chunks(shown, self.chunk)

    def looked(self, rays: Rays, background: Tensor | None) -> tuple[Rendered, Tensor]:
        """Return what the coarse field shows, and the ray parameters (R, S) at which to ask the fine one."""
        near, far = rays.near, rays.far
        if self.normalised:
            norm = torch.linalg.vector_norm(rays.directions, dim=1)
            near, far = near / norm, far / norm
        z = stratified(near, far, self.samples, jitter=self.training)
        points = self.inside(rays.origins[:, None] + z[..., None] * rays.directions[:, None])
        values = self.coarse(points, rays.views[:, None].expand_as(points))
        density = values.density
        if self.training and self.noise > 0:
            density = F.relu(density + self.noise * torch.randn_like(density))
        behind: Background = "black" if background is None else background
        found = render(density, values.colour, z, self.lengths(rays), background=behind, last=self.last)
        return found, refined(z, found.weights.detach(), self.more, jitter=self.training)

    def decomposed(self, rays: Rays, z: Tensor, background: Tensor | None, apart: bool = False) -> Decomposed:
        """Render the three streams at the ray parameters ``z`` (R, S); ``apart`` each of them alone, too."""
        values = self.streams(rays, z)
        if self.training and self.wall > 0:
            values = walled(values, self.wall)
        mixed = mix(values.density, deltas(z, self.lengths(rays), self.last), self.faithful)
        colour, shares = mixed_values(mixed.weights, values.colour), presence(mixed.weights)
        opacity = shares.sum(-1)
        if background is not None:
            colour = colour + (1 - opacity).clamp_min(0)[:, None] * background
        return Decomposed(
            colour=colour,
            depth=(mixed.weights.sum(-1) * z).sum(-1),
            opacity=opacity,
            beta=uncertainty(mixed.weights, values.beta),
            presence=shares,
            features=self.seen_features(mixed.weights, values),
            densities=values.density,
            alone=separate_values(mixed.opacities, values.colour) if apart else None,
        )

    def seen_features(self, weights: Tensor, values: StreamValues) -> Tensor | None:
        """Return the features (R, C) that rays see of all streams under the joint ``weights`` (R, S, 3)."""
        if values.features is None:
            return None
        return mixed_values(weights if self.features_shape else weights.detach(), torch.tanh(values.features))

    def streams(self, rays: Rays, z: Tensor) -> StreamValues:
        """Return what the three streams say at the ray parameters ``z`` (R, S)."""
        points = self.inside(rays.origins[:, None] + z[..., None] * rays.directions[:, None])
        local = z[..., None] * rays.local[:, None] / self.reach
        code, appearance = (of(rays.times)[:, None].expand(*z.shape, -1) for of in (self.time, self.appearance))
        values: StreamValues = self.fine(points, local, rays.views[:, None].expand_as(points), code, appearance)
        return values

    def inside(self, points: Tensor) -> Tensor:
        """Return ``points`` (..., 3) in the coordinates of the fields."""
        return (points - self.centre) / self.reach

    def lengths(self, rays: Rays) -> Tensor:
        """Return how long (R,) a step of 1 along each ray is in the coordinates of the fields."""
        found: Tensor = torch.linalg.vector_norm(rays.directions, dim=1) / self.reach
        return found


def walled(values: StreamValues, wall: float) -> StreamValues:
    """Return ``values`` of samples (R, S) whose static stream ends in an opaque sample of random colour."""
    density, colour = with_backstop(values.density[..., STATIC], values.colour[..., STATIC, :], wall=wall)
    return values._replace(
        density=torch.cat([density[..., None], values.density[..., STATIC + 1 :]], -1),
        colour=torch.cat([colour[..., None, :], values.colour[..., STATIC + 1 :, :]], -2),
    )
