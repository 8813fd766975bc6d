"""Features in the coordinates of their span: held in memory, or read anew at every pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from transferbench.probes.span import Span

_NUMBERS = 2**21  # logits of one point that are worked on at once: 16 MiB
_ROWS = 512  # of held features that are converted at once: 8 MiB for 2,048 of them

Blocks = Callable[[int, int], Iterator[Tensor]]
"""Gives the scaled features from one row to another, float32 (n, D) at a time, as often as it is called."""


class Point(NamedTuple):
    """Coordinates of a classifier, or a direction among them, with its logits if they are at hand."""

    v: Tensor
    """(r + 1, C), float64, or float32 where that will do."""
    z: Tensor | None = None
    """(N, C) of the same precision."""

    def ahead(self, direction: Point, step: float) -> Point:
        """Return the point that lies ``step`` times ``direction`` further on."""
        z = None if self.z is None or direction.z is None else self.z + step * direction.z
        return Point(self.v + step * direction.v, z)

    def single(self) -> Point:
        """Return the same in float32."""
        return Point(self.v.float(), None if self.z is None else self.z.float())


OnBlock = Callable[..., None]
"""Gets a slice of rows and the logits (n, C) of one or more points."""
Residuals = Callable[..., Tensor]
"""Gets the same and returns one number a logit (n, C)."""


class Rows(ABC):
    """N rows of features in the coordinates of ``span``."""

    span: Span
    count: int

    @abstractmethod
    def place(self, v: Tensor) -> Point:
        """Return the point of coordinates ``v`` (r + 1, C), with its logits if they are to be kept."""

    @abstractmethod
    def visit(self, points: Sequence[Point], function: OnBlock) -> None:
        """Go over all rows once and call ``function(rows, *logits)``."""

    @abstractmethod
    def pull(self, points: Sequence[Point], function: Residuals) -> Tensor:
        """Do so and return the sum over rows of their coordinates times what the function returned, (r + 1, C)."""

    @abstractmethod
    def part(self, start: int, stop: int) -> Rows:
        """Return these rows, without a copy."""

    def rough(self) -> Rows:
        """Return the same rows, worked on with less precision if that is faster."""
        return self

    def logits(self, v: Tensor) -> Tensor:
        """Return the logits (N, C) of coordinates ``v``."""
        found: list[Tensor] = []
        self.visit([Point(v)], lambda _, z: found.append(z))
        return torch.cat(found)


class Held(Rows):
    """Rows in memory: as they are, and in float32 in the coordinates of the span, where nearly all work is done.

    With ``single`` all of it is: coordinates and logits stay float64, but what they gain from the rows is rounded. The
    columns being unit vectors without correlation, that moves a minimum by about 1e-7 of its logits.
    Logits are laid out class by class, which makes products of so few columns several times as fast.
    """

    def __init__(self, span: Span, plain: Tensor, rotated: Tensor, *, single: bool = False) -> None:
        self.span, self.count, self._single = span, len(rotated), single
        self._plain, self._rotated = plain, rotated

    @classmethod
    def of(cls, span: Span, blocks: Blocks, count: int) -> Held:
        """Return the ``count`` rows of ``blocks``."""
        width, axes = span.axes.shape
        plain = torch.empty((count, width), dtype=torch.float32, device=span.axes.device)
        rotated = plain.new_empty((count, axes + 1))
        start = 0
        for block in blocks(0, count):
            rows = slice(start, start + len(block))
            plain[rows], rotated[rows] = block, span.rotated_single(block)
            start += len(block)
        return cls(span, plain, rotated)

    def rough(self) -> Held:
        """Return the same rows in float32 alone."""
        return self if self._single else Held(self.span, self._plain, self._rotated, single=True)

    def place(self, v: Tensor) -> Point:
        """Return the point of ``v`` with its logits."""
        return Point(v, self._product(v))

    def visit(self, points: Sequence[Point], function: OnBlock) -> None:
        """Call ``function`` with so many rows at a time that what it makes of them is small."""
        for rows, logits in self._slices(points):
            function(rows, *logits)

    def pull(self, points: Sequence[Point], function: Residuals) -> Tensor:
        """Do so and add up what it returned, multiplied with the rows."""
        rounded = self._single or points[0].v.dtype == torch.float32
        width = self._rotated.shape[1] if rounded else self._plain.shape[1]
        inner = points[0].v.new_zeros((points[0].v.shape[1], width), dtype=torch.float32 if rounded else torch.float64)
        outer = inner.new_zeros(len(inner))
        for rows, logits in self._slices(points):
            found = function(rows, *logits).T.to(inner.dtype)
            if rounded:
                inner.addmm_(found, self._rotated[rows])
                continue
            outer += found.sum(dim=1)
            for part, block in self._centred(rows):
                inner.addmm_(found[:, part], block)
        return inner.T.to(points[0].v.dtype) if rounded else self.span.pulled(inner.T, outer)

    def part(self, start: int, stop: int) -> Held:
        """Return a view of some of the rows."""
        return Held(self.span, self._plain[start:stop], self._rotated[start:stop], single=self._single)

    def _centred(self, rows: slice) -> Iterator[tuple[slice, Tensor]]:
        """Yield parts of the rows, numbered from the first, and their centred features (n, D), float64."""
        for start in range(0, rows.stop - rows.start, _ROWS):
            block = self._plain[rows][start : start + _ROWS]
            yield slice(start, start + len(block)), block.to(torch.float64) - self.span.mean

    def _slices(self, points: Sequence[Point]) -> Iterator[tuple[slice, list[Tensor]]]:
        logits = [self._product(point.v) if point.z is None else point.z for point in points]
        count = max(_NUMBERS // points[0].v.shape[1], 1)
        for start in range(0, self.count, count):
            rows = slice(start, min(start + count, self.count))
            yield rows, [z[rows] for z in logits]

    def _product(self, v: Tensor) -> Tensor:
        if self._single or v.dtype == torch.float32:
            return linear(v.T.float().contiguous(), self._rotated).T.to(v.dtype)
        weights, intercepts = self.span.flat(v)
        across = weights.T.contiguous()
        parts = [torch.addmm(intercepts[:, None], across, rows.T) for _, rows in self._centred(slice(0, self.count))]
        return torch.cat(parts, dim=1).T


class Read(Rows):
    """Rows that stay where they are: every sweep reads them, and it is the points that are rotated, back to (D, C)."""

    def __init__(self, span: Span, blocks: Blocks, start: int, stop: int) -> None:
        self.span, self.count = span, stop - start
        self._blocks, self._start, self._stop = blocks, start, stop

    def place(self, v: Tensor) -> Point:
        """Return the point of ``v`` without logits, which may be as large as the features."""
        return Point(v)

    def visit(self, points: Sequence[Point], function: OnBlock) -> None:
        """Call ``function`` block by block."""
        for rows, _, logits in self._centred(points):
            function(rows, *logits)

    def pull(self, points: Sequence[Point], function: Residuals) -> Tensor:
        """Do so and add up what it returned, multiplied with the rows; that is rotated once, at the end."""
        sums: list[tuple[Tensor, Tensor]] = []
        for rows, block, logits in self._centred(points):
            found = function(rows, *logits)
            inner, outer = (found.T @ block.to(found.dtype)).T, found.sum(dim=0)
            sums = [(inner + sums[0][0], outer + sums[0][1]) if sums else (inner, outer)]
        inner, outer = sums[0]
        return self.span.pulled(inner, outer)

    def part(self, start: int, stop: int) -> Read:
        """Return some of the rows."""
        return Read(self.span, self._blocks, self._start + start, self._start + stop)

    def _centred(self, points: Sequence[Point]) -> Iterator[tuple[slice, Tensor, list[Tensor]]]:
        """Yield which rows, their centred features (n, D), and the logits of ``points``."""
        maps = [self.span.flat(point.v) for point in points]
        exact = any(p.v.dtype == torch.float64 for p in points)
        mean = self.span.mean if exact else self.span.mean.float()
        position = 0
        for block in self._blocks(self._start, self._stop):
            here = block.to(mean.dtype) - mean
            yield slice(position, position + len(here)), here, [torch.addmm(b, here.to(w.dtype), w) for w, b in maps]
            position += len(here)
