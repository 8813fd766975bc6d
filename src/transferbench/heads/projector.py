"""The projector: a small network between a backbone's features and the embedding that is classified."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError


class Projector(nn.Module):
    """Optional l2 normalisation, ``hidden_layers`` x [linear, batch norm, GELU], and a linear layer without bias.

    Weights start from a normal of std 0.02 truncated at +-2, biases at 0. Defaults are those of t-ReX
    (arXiv:2206.15369); the output is not normalised.

    Args:
        width: features in.
        hidden_layers: number of hidden layers, 0 for the final linear layer alone.
        hidden_width: of every hidden layer.
        bottleneck: embedding size out.
        normalise_input: divide every feature vector by its l2 norm first.
    """

    def __init__(
        self,
        width: int,
        hidden_layers: int = 3,
        hidden_width: int = 2048,
        bottleneck: int = 256,
        normalise_input: bool = True,
    ) -> None:
        super().__init__()
        if hidden_layers < 0:
            raise UserError(f"head.hidden_layers={hidden_layers}: expected 0 or more, or null for no projector")
        if min(hidden_width, bottleneck) < 1:
            raise UserError(
                f"head.hidden_width={hidden_width}, head.bottleneck={bottleneck}: expected 1 or more of each"
            )
        self.normalise_input = normalise_input
        sizes = [width, *[hidden_width] * hidden_layers]
        hidden = [nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.GELU()) for a, b in pairwise(sizes)]
        self.layers = nn.Sequential(*hidden, nn.Linear(sizes[-1], bottleneck, bias=False))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return embeddings ``(B, bottleneck)`` of features ``(B, width)``."""
        if self.normalise_input:
            features = F.normalize(features, dim=1)
        embedding: Tensor = self.layers(features)
        return embedding


def projector_or_identity(
    width: int, hidden_layers: int | None, hidden_width: int, bottleneck: int, normalise_input: bool
) -> tuple[nn.Module, int]:
    """Return a projector and its output size; for ``hidden_layers=None`` the identity and ``width``."""
    if hidden_layers is None:
        return nn.Identity(), width
    return Projector(width, hidden_layers, hidden_width, bottleneck, normalise_input), bottleneck
