"""NeuralDiff's streams: what stands still, what moves in the world, who carries the camera (arXiv:2110.09936)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.models.fields import FieldValues
from transferbench.models.nerf import NeRF
from transferbench.nerf.encodings import POSITION_FREQUENCIES, frequencies, time_code_input


class StreamValues(NamedTuple):
    """What the streams say of points (...): static, dynamic and actor in this order.

    Attributes:
        density: (..., 3) per unit of length.
        colour: (..., 3, 3) in [0, 1], channels last.
        beta: (..., 2) how uncertain the colours of dynamic and actor are; what stands still has no uncertainty.
        features: (..., 3, C) where there is a branch for them.
        latent: (..., 3, L) activations that such a branch may read.
    """

    density: Tensor
    colour: Tensor
    beta: Tensor
    features: Tensor | None = None
    latent: Tensor | None = None


class TimeCode(nn.Module):
    """A code for every frame number: one learned matrix on sines and cosines of time, so codes change smoothly.

    Args:
        vocabulary: frame numbers that there may be; the first is time -1, the last +1.
        size: of a code.
    """

    def __init__(self, vocabulary: int = 1000, size: int = 17) -> None:
        super().__init__()
        self.vocabulary, self.size = vocabulary, size
        self.matrix = nn.Parameter(torch.empty(1 + 2 * POSITION_FREQUENCIES, size))
        nn.init.kaiming_uniform_(self.matrix)

    def forward(self, times: Tensor) -> Tensor:
        """Return the codes (..., size) of frame numbers (...)."""
        return time_code_input(times, self.vocabulary) @ self.matrix


class Appearance(nn.Module):
    """A vector for the light and exposure of every frame; one that is not fitted to has that of its nearest that is.

    Args:
        vocabulary: frame numbers that there may be.
        size: of a vector.
    """

    row: Tensor

    def __init__(self, vocabulary: int = 1000, size: int = 48) -> None:
        super().__init__()
        self.vocabulary, self.size = vocabulary, size
        self.table = nn.Embedding(vocabulary, size)
        self.register_buffer("row", torch.arange(vocabulary))

    @torch.no_grad()
    def know(self, fitted: Tensor) -> None:
        """Tell the numbers (N,) of the frames that are fitted to; of two that are equally near, the earlier counts."""
        known = torch.unique(fitted).to(self.row.device)
        apart = (torch.arange(self.vocabulary, device=self.row.device)[:, None] - known).abs()
        self.row.copy_(known[apart.argmin(1)])

    def forward(self, times: Tensor) -> Tensor:
        """Return the vectors (..., size) of frame numbers (...)."""
        found: Tensor = self.table(self.row[times])
        return found


class StaticStream(NeRF):
    """A NeRF whose colours know the appearance of the frame beside the direction.

    Args:
        appearance: numbers that describe the appearance of a frame.
        **network: those of ``NeRF``.
    """

    def __init__(self, appearance: int = 48, **network: Any) -> None:
        super().__init__(**network)
        self.view = nn.Linear(self.view.in_features + appearance, self.view.out_features)
        self.appearance = appearance

    def forward(
        self, points: Tensor, directions: Tensor, noise: float = 0.0, appearance: Tensor | None = None
    ) -> FieldValues:
        """Return what is at ``points`` (..., 3), seen along unit ``directions`` (..., 3).

        ``appearance`` (..., A) is the frame's; without one it is zero, that of no frame.
        """
        given = points.new_zeros(*points.shape[:-1], self.appearance) if appearance is None else appearance
        return self.values(self.hidden(points), directions, given)

    def values(self, hidden: Tensor, directions: Tensor, appearance: Tensor) -> FieldValues:
        """Return densities and colours of the trunk's last activations (..., width)."""
        encoded = frequencies(directions, self.direction_frequencies, pi=self.pi)
        feature = self.feature(hidden)
        seen = F.relu(self.view(torch.cat([feature, encoded, appearance], -1)))
        density, colour = self.dense(self.sigma(hidden)[..., 0].float()), self.rgb(seen).float().sigmoid()
        return FieldValues(density, colour, latent=seen if self.view_dependent else feature)


class MovingStream(nn.Module):
    """Density, colour and uncertainty of something that depends on time and not on the direction it is seen from.

    Args:
        inputs: numbers that describe a point at a time.
        depth: layers before the last.
        width: of these.
    """

    def __init__(self, inputs: int, depth: int = 4, width: int = 128) -> None:
        super().__init__()
        widths = [inputs] + [width] * (depth - 1)
        self.trunk = nn.Sequential(*(part for size in widths for part in (nn.Linear(size, width), nn.ReLU())))
        self.sigma, self.rgb, self.beta = nn.Linear(width, 1), nn.Linear(width, 3), nn.Linear(width, 1)

    def forward(self, described: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what is at ``described`` points (..., inputs).

        These are densities (...), colours (..., 3), betas (...) and the last hidden activations (..., width).
        """
        hidden = self.trunk(described)
        density, beta = (F.softplus(head(hidden)[..., 0].float()) for head in (self.sigma, self.beta))
        return density, self.rgb(hidden).float().sigmoid(), beta, hidden


class Streams(nn.Module):
    """All three: the dynamic one reads the static trunk, the actor the point in the axes of the camera.

    Args:
        static: the stream of what stands still.
        code: size of the time code.
        depth: layers of each other stream before its last.
        width: of these.
    """

    streams = 3

    def __init__(self, static: StaticStream, code: int = 17, depth: int = 4, width: int = 128) -> None:
        super().__init__()
        if depth < 1 or width < 1:
            raise UserError(f"model: found stream_depth={depth}, stream_width={width}; expected 1 or more of both")
        self.static, self.frequencies = static, static.position_frequencies
        encoded = 3 + 6 * static.position_frequencies
        self.padding = max(static.width - encoded, 0)  # both inputs have one width, as the released code has it
        self.dynamic = MovingStream(static.width + code, depth, width)
        self.actor = MovingStream(encoded + code + self.padding, depth, width)
        self.width = width

    @property
    def latent(self) -> int:
        """Width of the activations that a branch of features reads: that of the widest stream."""
        return max(self.static.latent, self.width)

    @property
    def view_dependent(self) -> bool:
        """Whether a branch reads activations of the static stream that know direction and appearance."""
        return self.static.view_dependent

    @view_dependent.setter
    def view_dependent(self, value: bool) -> None:
        self.static.view_dependent = value

    def forward(
        self, points: Tensor, local: Tensor, directions: Tensor, code: Tensor, appearance: Tensor
    ) -> StreamValues:
        """Return what is at ``points`` (..., 3), which in the camera's axes are ``local`` (..., 3).

        ``directions`` (..., 3) are unit ones in the world; ``code`` (..., T) and ``appearance`` (..., A) the frame's.
        """
        hidden = self.static.hidden(points)
        still = self.static.values(hidden, directions, appearance)
        encoded = frequencies(local, self.frequencies, pi=self.static.pi)
        moves = self.dynamic(torch.cat([hidden, code.to(hidden.dtype)], -1))
        acts = self.actor(F.pad(torch.cat([encoded, code.to(encoded.dtype)], -1), (0, self.padding)))
        latents = [one for one in (still.latent, moves[3], acts[3]) if one is not None]
        return StreamValues(
            torch.stack([still.density, moves[0], acts[0]], -1),
            torch.stack([still.colour, moves[1], acts[1]], -2),
            torch.stack([moves[2], acts[2]], -1),
            latent=torch.stack([F.pad(one, (0, self.latent - one.shape[-1])) for one in latents], -2),
        )


class StreamBranch(nn.Module):
    """Raw features of each stream from its own last activations: one linear layer each, which share nothing.

    N3F says of moving scenes only that it takes NeuralDiff's streams; so built, the three have 24,768 parameters at the
    published width and 64 channels.

    Args:
        latent: width of the activations.
        channels: of the features.
    """

    streams = 3

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(latent, channels) for _ in range(3))
        self.channels = channels

    def forward(self, points: Tensor, latent: Tensor) -> Tensor:
        """Return raw features (..., 3, channels) of the streams' ``latent`` (..., 3, L)."""
        return torch.stack([layer(latent[..., place, :]) for place, layer in enumerate(self.layers)], -2)
