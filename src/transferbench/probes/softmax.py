"""L2-regularised multinomial logistic regression as a function: its value, its derivatives, how far its minimum is.

With scikit-learn's C, a classifier W (D, C), b (C,) has the value ``C * sum of cross-entropies + |W|^2 / 2``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.probes.coordinates import Point, Rows

_LEAST = 1e-7  # of the value, below which differences would soon drown in its rounding
_FLAT = 1e-6  # of the largest mean curvature of a class; below, a preconditioner would trust what is next to nothing


@dataclass(frozen=True)
class Local:
    """The function around one point."""

    value: float
    gradient: Tensor
    """(r + 1, C) float64"""
    scale: Tensor
    """(r + 1, C - 1) float32: about the second derivatives along ``turn``'s combinations of classes."""
    turn: Tensor
    """(C, C - 1) float32: orthonormal, and orthogonal to what no logit depends on, the same shift of all classes."""
    gap: float
    """How far ``value`` is above the minimum, at most.

    By duality it is at most half the squared length of the gradient with respect to the weights where the gradient of
    the intercepts vanishes. What is left of the latter is counted by its curvature, which is exact near the minimum.
    """

    def preconditioned(self, residual: Tensor) -> Tensor:
        """Return about the solution of a Newton step for ``residual`` (r + 1, C), both float32."""
        return ((residual @ self.turn) / self.scale) @ self.turn.T


class Softmax:
    """The function for N rows and their class indices ``labels`` (N,), over ``classes`` classes.

    Raises ``UserError`` when a class has no row: its intercept would have no minimum.
    """

    def __init__(self, rows: Rows, labels: Tensor, classes: int) -> None:
        self.rows, self.labels, self.classes = rows, labels, classes
        counts = torch.bincount(labels, minlength=classes)
        if not bool(counts.all()):
            missing = int((counts == 0).nonzero()[0])
            raise UserError(f"class {missing} of {classes} has no training images to fit; expected at least one")
        self._entropy = float((counts * (counts.sum() / counts).double().log()).sum())
        self._contrasts = _contrasts(classes).to(labels.device)

    def rough(self) -> Softmax:
        """Return the same function, worked out with less precision if that is faster, or itself."""
        rows = self.rows.rough()
        return self if rows is self.rows else Softmax(rows, self.labels, self.classes)

    def scale(self, value: float, cost: float) -> float:
        """Return what differences of ``value`` are to be compared with: it, or what the features have brought.

        With weights of zero and the best intercepts, every row's loss is the entropy of the classes; for a small C that
        is nearly all of the value whatever the weights are.
        """
        return min(value, max(cost * self._entropy - value, _LEAST * value))

    def value(self, point: Point, cost: float) -> float:
        """Return the function's value."""
        return self.along(point, Point(torch.zeros_like(point.v)), 0.0, cost)[0]

    def local(self, point: Point, cost: float) -> Local:
        """Return value, gradient and curvature; one pass over the rows."""
        total = torch.zeros((), dtype=torch.float64, device=self.labels.device)
        curvature = point.v.new_zeros(self.classes, self.classes)

        def on_block(rows: slice, z: Tensor) -> Tensor:
            answers = self.labels[rows][:, None]
            losses, others = _losses(_margins(z, answers), answers)
            total.add_(losses.sum())
            sums = others.sum(dim=1, keepdim=True)
            p = others.clone().scatter_(1, answers, 1 - sums)
            curvature.add_(torch.diag(p.sum(dim=0))).addmm_(p.T, p, alpha=-1)
            return others.scatter_(1, answers, -sums)

        sums = self.rows.pull([point], on_block)
        penalty = self.rows.span.penalty
        value = cost * float(total) + float((penalty * point.v.square()).sum()) / 2
        gradient = cost * sums + penalty * point.v
        mean, vectors = torch.linalg.eigh(self._contrasts.T @ curvature @ self._contrasts / self.rows.span.root**2)
        mean = mean.clamp(min=float(mean.max().clamp(min=1e-200)) * _FLAT)
        turn = self._contrasts @ vectors
        scale = penalty + cost * mean
        intercepts = (gradient[-1] @ turn).square() / scale[-1]
        gap = float((gradient[:-1].square() / penalty[:-1]).sum() + intercepts.sum()) / 2
        return Local(value, gradient, scale.float(), turn.float(), gap)

    def curvature(self, point: Point, cost: float) -> Callable[[Tensor], Tensor]:
        """Return the function that multiplies a direction (r + 1, C), float32, by the second derivatives at a point."""
        here, penalty = point.single(), self.rows.span.penalty.float()
        known: dict[int, tuple[Tensor, Tensor]] = {}

        def on_block(rows: slice, z: Tensor, a: Tensor) -> Tensor:
            answers = self.labels[rows][:, None]
            others, sums = known.get(rows.start) or self._probabilities(z, answers)
            if here.z is not None:
                known[rows.start] = others, sums
            a = _margins(a, answers)
            moved = others * a
            means = moved.sum(dim=1, keepdim=True)
            moved.addcmul_(others, means, value=-1)
            return moved.scatter_(1, answers, means * (sums - 1))

        def times(direction: Tensor) -> Tensor:
            return cost * self.rows.pull([here, self.rows.place(direction)], on_block) + penalty * direction

        return times

    def _probabilities(self, z: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
        """Return what all classes but the right one have, (n, C), and their sums (n, 1)."""
        _, others = _losses(_margins(z, answers), answers)
        return others, others.sum(dim=1, keepdim=True)

    def along(self, point: Point, direction: Point, step: float, cost: float) -> tuple[float, float, float]:
        """Return value, slope and curvature of the function ``step`` times ``direction`` further on."""
        total = torch.zeros(3, dtype=torch.float64, device=self.labels.device)

        def on_block(rows: slice, z: Tensor, a: Tensor) -> None:
            answers = self.labels[rows][:, None]
            losses, others = _losses(_margins(z + step * a, answers), answers)
            a = _margins(a, answers)
            slopes = (others * a).sum(dim=1)
            total.add_(torch.stack([losses.sum(), slopes.sum(), (others * a.square()).sum() - slopes.square().sum()]))

        self.rows.visit([point, direction], on_block)
        value, slope, bend = (cost * total).tolist()
        penalty, there = self.rows.span.penalty, point.v + step * direction.v
        return (
            value + float((penalty * there.square()).sum()) / 2,
            slope + float((penalty * there * direction.v).sum()),
            bend + float((penalty * direction.v.square()).sum()),
        )

    def mixture(self, points: Sequence[Point], weights: Tensor, cost: float) -> tuple[float, Tensor, Tensor]:
        """Return the value at the sum of m ``points`` by ``weights`` (m,), its gradient (m,) and curvature (m, m)."""
        total = torch.zeros((), dtype=torch.float64, device=self.labels.device)
        slope, bend = weights.new_zeros(len(points)), weights.new_zeros(len(points), len(points))

        def on_block(rows: slice, *logits: Tensor) -> None:
            answers = self.labels[rows][:, None]
            margins = torch.stack([_margins(z, answers) for z in logits])  # (m, n, C)
            losses, others = _losses(torch.tensordot(weights, margins, dims=1), answers)
            total.add_(losses.sum())
            weighted = margins * others
            means = weighted.sum(dim=2)
            slope.add_(means.sum(dim=1))
            bend.addmm_(weighted.flatten(1), margins.flatten(1).T).addmm_(means, means.T, alpha=-1)

        self.rows.visit(points, on_block)
        stacked = torch.stack([point.v for point in points])
        products = (stacked * self.rows.span.penalty).flatten(1) @ stacked.flatten(1).T
        value = cost * float(total) + float(weights @ products @ weights) / 2
        return value, cost * slope + products @ weights, cost * bend + products


def _margins(z: Tensor, answers: Tensor) -> Tensor:
    """Return the logits (n, C) less the right class's: in differences to 0, nothing cancels when that class is sure."""
    return z - z.gather(1, answers)


def _losses(margins: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropies (n,) and the probabilities of all other classes (n, C), the right one's left at 0."""
    others = margins.clone().scatter_(1, answers, -torch.inf)  # clone, unlike scatter, keeps the layout
    losses = torch.nn.functional.softplus(torch.logsumexp(others, dim=1), threshold=50)
    return losses, others.sub_(losses[:, None]).exp_()


def _contrasts(classes: int) -> Tensor:
    """Return an orthonormal basis (C, C - 1) of what sums to zero over the classes."""
    whole = torch.eye(classes, dtype=torch.float64) - 1 / classes
    vectors: Tensor = torch.linalg.eigh(whole).eigenvectors
    return vectors[:, 1:]
