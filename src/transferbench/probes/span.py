"""Coordinates in which one diagonal preconditioner serves every strength of regularisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.linalg import eigh
from torch import Tensor

from transferbench.errors import UserError

_WIDE = 1e-6  # of the largest variance, above which float32 is enough for an axis
_PARTS = 8  # in which the symmetric products are made, all but those below the diagonal
SMALLEST = 1e-15  # of the largest variance: below it a direction's variance is rounding, which nothing is divided by


@dataclass(frozen=True)
class Span:
    """The principal axes of centred features, each at the length that makes its column of coordinates a unit vector.

    A classifier with weights W (D, C) and intercepts b (C,) is one matrix of coordinates (r + 1, C), whose last row
    holds the intercepts: the logits of features (N, D) are ``[(features - mean) @ axes, 1 / root] @ coordinates``.
    The axes are orthogonal, so half the squared norm of W is a weighted sum of squared coordinates, ``penalty`` being
    the weights. Nothing is lost: the optimum lies in the span of the centred rows, since the penalty shrinks the rest
    to zero, and centring moves the intercepts, which are not penalised.
    """

    mean: Tensor
    """(D,)"""
    axes: Tensor
    """(D, r)"""
    penalty: Tensor
    """(r + 1, 1): the squared length of each axis, and 0 for the intercepts."""
    root: float
    """The square root of the number of rows, by which the column of the intercepts is divided."""

    def rotated(self, rows: Tensor) -> Tensor:
        """Return the coordinates (n, r + 1) of features (n, D), in float64."""
        inner = (rows.to(torch.float64) - self.mean) @ self.axes
        return torch.cat([inner, inner.new_full((len(inner), 1), 1 / self.root)], dim=1)

    def rotated_single(self, rows: Tensor) -> Tensor:
        """Return the same in float32, to about 1e-4 of a column; those of little variance need float64 for that."""
        centred, penalty = rows.to(torch.float64) - self.mean, self.penalty[:-1]
        count = int((penalty > penalty.min() / _WIDE).sum())  # the first ones: variances ascend
        narrow = (centred @ self.axes[:, :count]).float()
        wide = centred.float() @ self.axes[:, count:].float()
        return torch.cat([narrow, wide, wide.new_full((len(rows), 1), 1 / self.root)], dim=1)

    def flat(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights (D, C) and intercepts (C,) of features that are centred, in the precision given."""
        return self.axes.to(coordinates.dtype) @ coordinates[:-1], coordinates[-1] / self.root

    def pulled(self, inner: Tensor, outer: Tensor) -> Tensor:
        """Return a gradient (r + 1, C), from one with respect to what ``flat`` returns, (D, C) and (C,)."""
        return torch.cat([self.axes.to(inner.dtype).T @ inner, outer[None] / self.root])

    def classifier(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights (D, C) and the intercepts (C,) of features that are not centred."""
        weights = self.axes @ coordinates[:-1]
        return weights, coordinates[-1] / self.root - self.mean @ weights

    def coordinates(self, weights: Tensor, intercepts: Tensor) -> Tensor:
        """Return the coordinates of a classifier; what of it lies outside of the span is dropped."""
        inner = self.axes.T @ weights / self.penalty[:-1]
        return torch.cat([inner, (intercepts + self.mean @ weights)[None] * self.root])


def find_span(blocks: Iterator[Tensor], count: int, *, narrow: bool) -> Span:
    """Return the span of the ``count`` rows of ``blocks`` (n, D), which are gone through once, in float64.

    ``narrow`` says that there are fewer rows than dimensions and that they may be held at once: the span then has as
    many axes as there are rows. Otherwise it has D, and what is held is (D, D).
    Raises ``UserError`` for features that are not finite.
    """
    if narrow:
        rows = torch.cat([_finite(block) for block in blocks])
        mean = rows.mean(dim=0)
        outer, inner = torch.linalg.qr((rows - mean).T)
        variances, turn = torch.linalg.eigh(inner @ inner.T)
        return _scaled(mean, variances, outer @ turn, count)
    first = _finite(next(blocks))
    shift = first.mean(dim=0)  # close to the mean, so that little is lost when the rest of it is taken out below
    total, products = torch.zeros_like(shift), first.new_zeros(len(shift), len(shift))
    for block in _chain(first, blocks):
        block -= shift
        total += block.sum(dim=0)
        for part in torch.arange(len(shift)).chunk(_PARTS):
            start, stop = int(part[0]), int(part[-1]) + 1
            products[start:stop, start:].addmm_(block[:, start:stop].T, block[:, start:])
    products.addr_(total, total, alpha=-1 / count)
    variances, axes = _eigen(products)
    return _scaled(shift + total / count, variances, axes, count)


def _eigen(upper: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues, ascending, and vectors of a symmetric matrix whose upper half is given."""
    if upper.device.type != "cpu":
        found = torch.linalg.eigh(upper, UPLO="U")
        return found.eigenvalues, found.eigenvectors
    values, vectors = eigh(upper.numpy(), lower=False, driver="evr", check_finite=False)  # faster than PyTorch's there
    return torch.from_numpy(values), torch.from_numpy(vectors)


def _chain(first: Tensor, others: Iterator[Tensor]) -> Iterator[Tensor]:
    yield first
    for block in others:
        yield _finite(block)


def _finite(block: Tensor) -> Tensor:
    if not bool(block.isfinite().all()):
        raise UserError(
            "logistic regression: the features hold values that are not finite; expected finite numbers, so look at "
            "the backbone that made them"
        )
    return block.to(torch.float64)


def _scaled(mean: Tensor, variances: Tensor, axes: Tensor, count: int) -> Span:
    largest = float(variances.max().clamp(min=0))
    lengths = variances.clamp(min=largest * SMALLEST if largest > 0 else 1.0).sqrt()
    penalty = torch.cat([lengths.square().reciprocal(), lengths.new_zeros(1)])[:, None]
    return Span(mean, axes / lengths, penalty, math.sqrt(count))
