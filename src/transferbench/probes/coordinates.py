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

    def logits(self, v: Tensor) -> Tensor:
        """Return the logits (N, C) of coordinates ``v``."""
        found: list[Tensor] = []
        self.visit([Point(v)], lambda _, z: found.append(z))
        return torch.cat(found)


class Held(Rows):
    """Rows in memory, rotated once; in float64 for what has to be exact and in float32 for what need not be."""

    def __init__(self, span: Span, exact: Tensor, single: Tensor) -> None:
        self.span, self.count = span, len(exact)
        self._exact, self._single = exact, single

    @classmethod
    def of(cls, span: Span, blocks: Blocks, count: int) -> Held:
        """Return the ``count`` rows of ``blocks``."""
        exact = span.axes.new_empty((count, span.axes.shape[1] + 1))
        start = 0
        for block in blocks(0, count):
            exact[start : start + len(block)] = span.rotated(block)
            start += len(block)
        return cls(span, exact, exact.float())

    def place(self, v: Tensor) -> Point:
        """Return the point of ``v`` with its logits."""
        return Point(v, linear(self._matrix(v), v.T.contiguous()))

    def visit(self, points: Sequence[Point], function: OnBlock) -> None:
        """Call ``function`` with so many rows at a time that what it makes of them is small."""
        for rows in self._slices(points[0]):
            function(rows, *(self._logits(point, rows) for point in points))

    def pull(self, points: Sequence[Point], function: Residuals) -> Tensor:
        """Do so and add up what it returned, multiplied with the rows."""
        total = torch.zeros_like(points[0].v.T)
        for rows in self._slices(points[0]):
            found = function(rows, *(self._logits(point, rows) for point in points))
            total = total.to(found.dtype).addmm_(found.T, self._matrix(found)[rows])  # twice as fast as its transpose
        return total.T.contiguous()

    def part(self, start: int, stop: int) -> Held:
        """Return a view of some of the rows."""
        return Held(self.span, self._exact[start:stop], self._single[start:stop])

    def _slices(self, point: Point) -> Iterator[slice]:
        count = max(_NUMBERS // point.v.shape[1], 1)
        for start in range(0, self.count, count):
            yield slice(start, min(start + count, self.count))

    def _logits(self, point: Point, rows: slice) -> Tensor:
        return linear(self._matrix(point.v)[rows], point.v.T.contiguous()) if point.z is None else point.z[rows]

    def _matrix(self, like: Tensor) -> Tensor:
        return self._exact if like.dtype == torch.float64 else self._single


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
        return torch.cat([self.span.axes.to(inner.dtype).T @ inner, outer[None] / self.span.root])

    def part(self, start: int, stop: int) -> Read:
        """Return some of the rows."""
        return Read(self.span, self._blocks, self._start + start, self._start + stop)

    def _centred(self, points: Sequence[Point]) -> Iterator[tuple[slice, Tensor, list[Tensor]]]:
        """Yield which rows, their centred features (n, D), and the logits of ``points``."""
        maps = [(self.span.axes.to(p.v.dtype) @ p.v[:-1], p.v[-1] / self.span.root) for p in points]
        exact = any(p.v.dtype == torch.float64 for p in points)
        mean = self.span.mean if exact else self.span.mean.float()
        position = 0
        for block in self._blocks(self._start, self._stop):
            here = block.to(mean.dtype) - mean
            yield slice(position, position + len(here)), here, [torch.addmm(b, here.to(w.dtype), w) for w, b in maps]
            position += len(here)
