"""The network of NeRF: density of a point, colour of a point seen from a direction (arXiv:2003.08934, section 3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.models.fields import FieldValues
from transferbench.nerf.encodings import frequencies

Density = Literal["relu", "softplus"]


class NeRF(nn.Module):
    """Eight layers for the density, one more for the colour.

    Args:
        depth: layers of the trunk.
        width: of the trunk; the layer of the colour is half as wide.
        skip: layer, counted from 0, behind which the encoded position joins the activations again.
        position_frequencies: of the encoding of points.
        direction_frequencies: of the encoding of directions.
        pi: encode sin(2^k pi x) as the paper writes, instead of sin(2^k x) as its code does.
        density: activation of the density; the paper's is relu.
        initial: glorot as in the paper (TensorFlow's default), or torch, PyTorch's own.
    """

    def __init__(
        self,
        depth: int = 8,
        width: int = 256,
        skip: int = 4,
        position_frequencies: int = 10,
        direction_frequencies: int = 4,
        pi: bool = False,
        density: Density = "relu",
        initial: Literal["glorot", "torch"] = "glorot",
    ) -> None:
        super().__init__()
        if depth < 1 or width < 2 or density not in ("relu", "softplus") or initial not in ("glorot", "torch"):
            raise UserError(
                f"model: found depth={depth}, width={width}, density={density}, initial={initial}; expected one layer "
                "or more, two units or more, density=relu or softplus, initial=glorot or torch"
            )
        self.position_frequencies, self.direction_frequencies, self.pi = position_frequencies, direction_frequencies, pi
        self.skip, self.activation, self.width = skip, density, width
        self.view_dependent = True
        encoded, seen = 3 + 6 * position_frequencies, 3 + 6 * direction_frequencies
        widths = [encoded] + [width + encoded if layer == skip else width for layer in range(depth - 1)]
        self.trunk = nn.ModuleList(nn.Linear(inner, width) for inner in widths)
        self.sigma = nn.Linear(width, 1)
        self.feature = nn.Linear(width, width)
        self.view = nn.Linear(width + seen, width // 2)
        self.rgb = nn.Linear(width // 2, 3)
        if initial == "glorot":
            for layer in self.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.xavier_uniform_(layer.weight)
                    nn.init.zeros_(layer.bias)

    def hidden(self, points: Tensor) -> Tensor:
        """Return the trunk's last activations (..., width) at ``points`` (..., 3)."""
        encoded = frequencies(points, self.position_frequencies, pi=self.pi)
        found = encoded
        for number, layer in enumerate(self.trunk):
            found = F.relu(layer(found))
            if number == self.skip and number + 1 < len(self.trunk):
                found = torch.cat([encoded, found], -1)
        return found

    @property
    def latent(self) -> int:
        """Width of the activations that a branch of features reads."""
        return self.width // 2 if self.view_dependent else self.width

    def dense(self, raw: Tensor) -> Tensor:
        """Return densities of ``raw`` ones."""
        return F.softplus(raw) if self.activation == "softplus" else F.relu(raw)

    def forward(self, points: Tensor, directions: Tensor, noise: float = 0.0) -> FieldValues:
        """Return what is at ``points`` (..., 3), seen along unit ``directions`` (..., 3).

        ``noise`` is the spread of what is added to raw densities, which the paper's supplement uses on real scenes.
        """
        hidden = self.hidden(points)
        raw = self.sigma(hidden)[..., 0].float()
        if noise > 0:
            raw = raw + noise * torch.randn_like(raw)
        feature = self.feature(hidden)
        encoded = frequencies(directions, self.direction_frequencies, pi=self.pi)
        seen = F.relu(self.view(torch.cat([feature, encoded], -1)))
        latent = seen if self.view_dependent else feature
        return FieldValues(self.dense(raw), self.rgb(seen).float().sigmoid(), latent=latent)

    def density(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """Return the density (...) at ``points`` (..., 3), which is the same from all directions."""
        return self.dense(self.sigma(self.hidden(points))[..., 0].float())
