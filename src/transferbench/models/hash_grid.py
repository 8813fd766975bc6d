"""Features of points from grids of many resolutions whose cells share hash tables (instant-ngp, arXiv:2201.05989)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from transferbench.errors import UserError

PRIMES = (1, 2654435761, 805459861)  # arXiv:2201.05989, section 3
MOST_REFINED = 4
"""Times that cells can be made smaller after a grid is built."""


class _Lookup(torch.autograd.Function):
    """Weighted sums of table rows: forwards one fused kernel, backwards one scatter."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, shares: Tensor) -> Tensor:
        ctx.save_for_backward(rows, shares)
        ctx.size = table.shape
        return nn.functional.embedding_bag(rows, table, mode="sum", per_sample_weights=shares)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        rows, shares = ctx.saved_tensors
        return scattered((shares[..., None] * gradient[:, None]).flatten(0, 1), rows.flatten(), ctx.size), None, None


def scattered(values: Tensor, rows: Tensor, size: torch.Size) -> Tensor:
    """Return a table (T, F) of ``size`` with the ``values`` (N, F) added up at their ``rows`` (N,).

    On a CPU, torch adds single numbers seven times as fast as rows of two.
    """
    table = torch.zeros(size, dtype=values.dtype, device=values.device)
    if values.device.type != "cpu":
        return table.index_add_(0, rows, values)
    for column in range(size[1]):
        table[:, column] = values.new_zeros(size[0]).index_add_(0, rows, values[:, column].contiguous())
    return table


class HashGrid(nn.Module):
    """Trilinear features (N, levels x features) of points (N, 3) in [0, 1].

    A level whose vertices fit into its table has a row for each; a finer one shares rows by a hash. Positions get no
    gradient.

    Args:
        levels: number of grids.
        features: numbers a vertex.
        log2_table: rows of a level's table, as a power of 2.
        coarsest: cells a side of the coarsest grid.
        finest: cells a side of the finest grid; those between grow geometrically.
    """

    offsets: Tensor
    sides: Tensor

    def __init__(
        self, levels: int = 8, features: int = 2, log2_table: int = 15, coarsest: int = 16, finest: int = 128
    ) -> None:
        super().__init__()
        if levels < 1 or features < 1 or not 1 <= coarsest <= finest or not 8 <= log2_table <= 24:
            raise UserError(
                f"model: found levels={levels}, features={features}, coarsest={coarsest}, finest={finest}, "
                f"log2_table={log2_table}; expected at least one level and feature, coarsest up to finest, 8 to 24"
            )
        growth = (finest / coarsest) ** (1 / max(levels - 1, 1))
        self.resolutions = [round(coarsest * growth**level) for level in range(levels)]
        sizes = [min((side + 1) ** 3, 2**log2_table) for side in self.resolutions]
        self.hashed = [(side + 1) ** 3 > 2**log2_table for side in self.resolutions]
        self.dense = sum(not hashed for hashed in self.hashed)  # the coarse levels come first
        self.width = levels * features
        self.mask = 2**log2_table - 1
        self.primes = [prime & self.mask for prime in PRIMES]  # the low bits of a product are those of the low bits
        largest = (MOST_REFINED * finest + 1) * self.mask
        self.whole = torch.int32 if largest < 2**31 and sum(sizes) < 2**31 else torch.int64
        self.table = nn.Parameter(torch.empty(sum(sizes), features).uniform_(-1e-4, 1e-4))
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", starts, persistent=False)
        self.register_buffer("sides", torch.tensor(self.resolutions))

    @torch.no_grad()
    def refine(self, factor: int) -> None:
        """Have the levels that share rows go on, geometrically, to cells ``factor`` times as small; 1 undoes it.

        Tables stay as large as they are, and levels with a row for each vertex as they were. Raises ValueError for
        another factor than 1 to ``MOST_REFINED``.
        """
        if not 1 <= factor <= MOST_REFINED:
            raise ValueError(f"factor={factor}: expected 1 to {MOST_REFINED}")
        first = max(self.dense - 1, 0)
        start, more = self.resolutions[first], len(self.resolutions) - 1 - first
        growth = factor * self.resolutions[-1] / start
        finer = [round(start * growth ** (step / more)) for step in range(1, more + 1)]
        self.sides.copy_(torch.tensor(self.resolutions[: first + 1] + finer if factor > 1 else self.resolutions))

    def forward(self, points: Tensor) -> Tensor:
        """Return the features (N, width) of ``points`` (N, 3) in [0, 1]; those outside count as on the border."""
        rows, shares = self.corners(points.detach())
        found: Tensor = _Lookup.apply(self.table, rows.flatten(0, 1), shares.flatten(0, 1).to(self.table.dtype))
        return found.view(len(points), self.width)

    def corners(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the table's rows (N, levels, 8) around each point, and their shares (N, levels, 8)."""
        scaled = points.float().clamp(0, 1)[:, None] * self.sides[:, None]  # (N, L, 3)
        low = torch.minimum(scaled.floor(), self.sides[:, None] - 1)
        upper = scaled - low
        x, y, z = torch.stack([1 - upper, upper], -1).unbind(2)  # each (N, L, 2): shares of the lower and upper side
        flat = (x[..., :, None] * y[..., None, :]).flatten(2)  # (N, L, 4)
        return self.rows_of(low.to(self.whole)), (flat[..., :, None] * z[..., None, :]).flatten(2)

    def rows_of(self, low: Tensor) -> Tensor:
        """Return the rows (N, L, 8) of the vertices of the cells whose lowest vertex is ``low`` (N, L, 3)."""
        both = torch.stack([low, low + 1], -1)  # (N, L, 3, 2)
        rows = torch.empty(*low.shape[:2], 4, 2, dtype=low.dtype, device=low.device)
        if self.dense:
            side = self.sides[: self.dense, None].to(low.dtype) + 1
            x, y, z = both[:, : self.dense].unbind(2)
            flat = ((x * side)[..., :, None] + y[..., None, :]).flatten(2) * side
            torch.add(flat[..., :, None], z[..., None, :], out=rows[:, : self.dense])
        if self.dense < len(self.resolutions):
            x, y, z = (axis * prime for axis, prime in zip(both[:, self.dense :].unbind(2), self.primes))
            flat = (x[..., :, None] ^ y[..., None, :]).flatten(2)
            torch.bitwise_xor(flat[..., :, None], z[..., None, :], out=rows[:, self.dense :])
            rows[:, self.dense :] &= self.mask
        rows += self.offsets[:, None, None].to(low.dtype)
        return rows.flatten(2)
