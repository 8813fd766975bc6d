"""From samples along rays to pixels: the quadrature of emission and absorption (NeRF, arXiv:2003.08934, equation 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

Background = Literal["white", "black"] | Tensor
T = TypeVar("T")

LAST = 1e10
"""Length of the interval behind the last sample (NeRF's code): whatever has density there is opaque."""

EPSILON = 1e-10
"""What NeRF's code adds to each sample's transparency before multiplying."""


class Rendered(NamedTuple):
    """What R rays see.

    Attributes:
        colour: (R, 3), on the background.
        depth: (R,) the sum of weighted depths, in the units of the depths; not divided by the opacity.
        opacity: (R,) the sum of the weights, in [0, 1].
        disparity: (R,) one over the mean depth of what was hit, 0 where nothing was.
        weights: (R, S) of the samples; (R, 0) in a whole view, of which nobody reads them.
        features: (R, F), None for a field without.
    """

    colour: Tensor
    depth: Tensor
    opacity: Tensor
    disparity: Tensor
    weights: Tensor
    features: Tensor | None

    def without_weights(self) -> Rendered:
        """Return the same with weights (R, 0): what is kept of the parts of a whole view."""
        return self._replace(weights=self.weights.new_zeros(len(self.colour), 0))


def deltas(z: Tensor, norm: Tensor, last: float = LAST) -> Tensor:
    """Return the lengths (R, S) of the intervals that begin at the ascending depths ``z`` (R, S).

    ``norm`` (R,) is the length of the rays' directions; ``last`` is the last interval's length in units of ``z``.
    """
    final = torch.full_like(z[..., :1], last)
    return torch.cat([z[..., 1:] - z[..., :-1], final], dim=-1) * norm[..., None]


def weights(density: Tensor, deltas: Tensor, epsilon: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return the weights (R, S) of samples and the transmittance (R, S) in front of each.

    ``density`` (R, S) is not negative, ``deltas`` (R, S) are the intervals' lengths. Transmittances are sums of
    exponents, so that values and gradients stay finite for any density. ``epsilon`` above 0 multiplies transparencies
    1 - alpha + epsilon instead, as NeRF's code does with 1e-10.
    """
    depth = density * deltas
    alpha = -torch.expm1(-depth)
    if epsilon > 0:
        clear = torch.cumprod(1 - alpha[..., :-1] + epsilon, dim=-1)
    else:
        clear = torch.exp(-torch.cumsum(depth[..., :-1], dim=-1))
    transmittance = torch.cat([torch.ones_like(depth[..., :1]), clear], dim=-1)
    return transmittance * alpha, transmittance


def composite(weights: Tensor, values: Tensor) -> Tensor:
    """Return the weighted sums (R, C) over the samples of ``values`` (R, S, C), in the precision of the ``weights``.

    Autocast is off inside: eight bits of a sum of 192 samples would show.
    """
    with torch.autocast(weights.device.type, enabled=False):
        return torch.matmul(weights[..., None, :], values.to(weights.dtype)).squeeze(-2)


def on_background(colour: Tensor, opacity: Tensor, background: Background) -> Tensor:
    """Return the ``colour`` (R, 3) of rays of which ``opacity`` (R,) was absorbed, the rest falling on a background.

    The background is ``"white"``, ``"black"`` or a colour (3,) or (R, 3). Raises ValueError for another word.
    """
    if isinstance(background, Tensor):
        return colour + (1 - opacity)[..., None] * background
    if background not in ("white", "black"):
        raise ValueError(f"background={background!r}: expected 'white', 'black' or a colour")
    return colour + (1 - opacity)[..., None] if background == "white" else colour


def render(
    density: Tensor,
    colours: Tensor,
    z: Tensor,
    norm: Tensor,
    *,
    features: Tensor | None = None,
    background: Background = "black",
    last: float = LAST,
    epsilon: float = 0.0,
) -> Rendered:
    """Render samples at the depths ``z`` (R, S): ``density`` (R, S), ``colours`` (R, S, 3), ``features`` (R, S, F).

    ``norm`` (R,) is the length of the rays' directions; the features have any number of channels and no background.
    """
    share, _ = weights(density, deltas(z, norm, last), epsilon)
    opacity, depth = share.sum(-1), (share * z).sum(-1)
    empty = opacity <= 0
    reach = torch.where(empty, torch.ones_like(depth), torch.maximum(depth, 1e-10 * opacity))
    disparity = torch.where(empty, torch.zeros_like(depth), opacity / reach)
    colour = on_background(composite(share, colours), opacity, background)
    return Rendered(colour, depth, opacity, disparity, share, None if features is None else composite(share, features))


def in_chunks(function: Callable[..., T], tensors: Sequence[Tensor], size: int) -> T:
    """Return ``function(*tensors)`` worked out for ``size`` rows at a time and put together again.

    All tensors have the same number of rows; the function gives a tensor, None, or tuples, lists and dictionaries of
    these, in which every tensor has one row for each row it was given. Raises ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"chunks of {size} rows: expected at least 1")
    rows = tensors[0].shape[0]
    parts = [function(*(t[start : start + size] for t in tensors)) for start in range(0, max(rows, 1), size)]
    return parts[0] if len(parts) == 1 else cast(T, _concatenated(parts))


def _concatenated(parts: Sequence[Any]) -> Any:
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, dict):
        return {key: _concatenated([part[key] for part in parts]) for key in first}
    if isinstance(first, (tuple, list)):
        fields = [_concatenated(column) for column in zip(*parts)]
        return type(first)(*fields) if hasattr(first, "_fields") else type(first)(fields)
    raise TypeError(f"a chunk gave a {type(first).__name__}: expected tensors, None, tuples, lists or dictionaries")
