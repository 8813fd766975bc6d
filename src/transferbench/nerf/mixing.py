"""Three streams in one volume: how NeuralDiff mixes what stands still, what moves and who acts (arXiv:2110.09936).

The last axis of K streams is static, dynamic, actor. S samples a ray, R rays.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from transferbench.nerf import rendering

STATIC, DYNAMIC, ACTOR = 0, 1, 2

LAST = 100.0
"""Length of the interval behind the last sample, and the static density that training puts there."""

BETA_MIN = 0.03
"""The least uncertainty of a ray."""

_SMALL = 1e-4  # optical depths below this take the series of 1 - exp(-x), which needs no division by the density


class Mixed(NamedTuple):
    """How much of each stream a ray sees.

    Attributes:
        weights: (R, S, K) of each stream at each sample.
        opacities: (R, S, K) each stream's share of the sample's opacity.
        transmittance: (R, S) of all streams together, in front of each sample.
    """

    weights: Tensor
    opacities: Tensor
    transmittance: Tensor


class MixingLoss(NamedTuple):
    """The terms of NeuralDiff's loss, scalars that already carry their factors."""

    coarse: Tensor
    colour: Tensor
    uncertainty: Tensor
    density: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.coarse + self.colour + self.uncertainty + self.density


def mix(densities: Tensor, deltas: Tensor, faithful: bool = False) -> Mixed:
    """Share each sample's opacity among the streams by their ``densities`` (R, S, K); ``deltas`` (R, S) are lengths.

    The weights of a ray sum to its opacity. With ``faithful`` the last sample gives every stream the opacity that it
    would have alone, as the released code does: the weights may then sum to more than 1.
    """
    total = densities.sum(-1)
    transmittance = rendering.weights(total, deltas)[1]
    depth = total * deltas
    thin = depth < _SMALL
    shares = densities / torch.where(thin, torch.ones_like(total), total)[..., None]
    little = torch.where(thin, depth, torch.zeros_like(depth))  # an infinite depth may not reach the series
    series = (deltas * (1 - little / 2 + little.square() / 6))[..., None]
    opacities = torch.where(thin[..., None], densities * series, shares * -torch.expm1(-depth)[..., None])
    if faithful:
        alone = -torch.expm1(-densities[..., -1:, :] * deltas[..., -1:, None])
        opacities = torch.cat([opacities[..., :-1, :], alone], dim=-2)
    return Mixed(transmittance[..., None] * opacities, opacities, transmittance)


def mixed_values(weights: Tensor, values: Tensor) -> Tensor:
    """Return (R, C) what rays see of ``values`` (R, S, K, C) under the joint ``weights`` (R, S, K)."""
    return rendering.composite(weights.flatten(-2), values.flatten(-3, -2))


def uncertainty(weights: Tensor, betas: Tensor, minimum: float = BETA_MIN) -> Tensor:
    """Return the standard deviations (R,) of rays' colours from ``betas`` (R, S, 2) of the dynamic and actor streams.

    ``weights`` (R, S, 3) are the joint ones; what stands still has no uncertainty.
    """
    return (weights[..., DYNAMIC:] * betas).sum((-1, -2)) + minimum


def presence(weights: Tensor) -> Tensor:
    """Return (R, K) how much of each ray belongs to each stream: the soft masks of dynamic and actor."""
    return weights.sum(-2)


def separate_weights(opacities: Tensor) -> Tensor:
    """Return the weights (R, S, K) with which each stream is seen alone, as if the others were not there.

    Each stream keeps its shares of the ``opacities`` (R, S, K) and has a transmittance of its own.
    """
    clear = torch.cumprod(1 - opacities[..., :-1, :], dim=-2)
    return torch.cat([torch.ones_like(opacities[..., :1, :]), clear], dim=-2) * opacities


def separate_values(opacities: Tensor, values: Tensor) -> Tensor:
    """Return (R, K, C) what rays see of ``values`` (R, S, K, C) of each stream alone."""
    return rendering.composite(separate_weights(opacities).transpose(-1, -2), values.transpose(-2, -3))


def with_backstop(
    density: Tensor, colours: Tensor, generator: torch.Generator | None = None, wall: float = LAST
) -> tuple[Tensor, Tensor]:
    """Return the static ``density`` (R, S) and ``colours`` (R, S, 3) with an opaque last sample of random colour.

    In training this keeps the field from explaining black by emptiness: no colour behind it could be relied on.
    """
    noise = torch.rand(colours[..., -1:, :].shape, generator=generator, device=colours.device, dtype=colours.dtype)
    closed = torch.cat([density[..., :-1], torch.full_like(density[..., -1:], wall)], dim=-1)
    return closed, torch.cat([colours[..., :-1, :], noise], dim=-2)


def mixing_loss(
    coarse: Tensor, fine: Tensor, beta: Tensor, densities: Tensor, target: Tensor, sparsity: float = 0.01
) -> MixingLoss:
    """Return the terms of NeuralDiff's loss for colours ``coarse``, ``fine`` and ``target`` (R, 3).

    ``beta`` (R,) are the rays' standard deviations, ``densities`` (R, S, 3) those of the fine pass, whose dynamic and
    actor streams are kept sparse. Half the squared error of the coarse pass; the fine pass's squared error over twice
    the variance, and the mean logarithm of the standard deviations.
    """
    return MixingLoss(
        coarse=0.5 * F.mse_loss(coarse, target),
        colour=((fine - target).square() / (2 * beta[..., None].square())).mean(),
        uncertainty=beta.log().mean(),
        density=sparsity * (densities[..., DYNAMIC].mean() + densities[..., ACTOR].mean()),
    )
