"""The minima for many strengths of regularisation, each started from those already found."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from transferbench.probes.coordinates import Point
from transferbench.probes.newton import Solution, minimise
from transferbench.probes.softmax import Softmax

_NEAREST = 8  # minima whose mixtures are searched for a start
_RUNG = 10.0  # from a C to the next on the way to one far above all that are known
_LOOSE = 1e-3  # relative accuracy of the minima on that way
_SINGLE = 1e-6  # relative accuracy for which float32 is good enough
_ATTEMPTS = 20  # of Newton's steps for a mixture
_NUMBERS = 2**27  # logits of earlier minima that are kept: 1 GiB


class Path:
    """Minimises ``problem`` for one C after another, in any order.

    The minimum moves smoothly with log C, so the best mixture of the nearest minima, a problem of eight numbers, is
    often so close to it that little is left to do. From far below, C is raised by factors of ten: at a large C the
    function is hard to minimise from afar.
    """

    def __init__(self, problem: Softmax, *, tolerance: float, steps: int) -> None:
        self.problem, self.tolerance, self.steps = problem, tolerance, steps
        self._rough = problem.rough()
        self.products = 0
        self._known: list[tuple[float, Point]] = []
        self._solved: dict[float, Solution] = {}

    def remember(self, cost: float, v: Tensor) -> None:
        """Take coordinates ``v`` (r + 1, C) as being close to the minimum for C = ``cost``."""
        self._known.append((cost, Point(v)))

    @property
    def known(self) -> list[tuple[float, Tensor]]:
        """What later minima start from: C and coordinates."""
        return [(cost, point.v) for cost, point in self._known]

    def solve(self, cost: float) -> Solution:
        """Return the minimum for C = ``cost``."""
        if cost not in self._solved:
            for rung in self._rungs(cost):
                self._minimise(rung, max(self.tolerance, _LOOSE))
            self._solved[cost] = self._minimise(cost, self.tolerance)
        return self._solved[cost]

    def _minimise(self, cost: float, tolerance: float) -> Solution:
        """Go as far as float32 can be trusted, and the rest of the way, if any, in float64."""
        start, rounded = self._start(cost, tolerance), max(tolerance, _SINGLE)
        solution = minimise(self._rough, start, cost, tolerance=rounded, steps=self.steps)
        if self.problem is not self._rough and tolerance < _LOOSE:
            begin, left = self.problem.rows.place(solution.point.v), self.steps - solution.steps
            exact = minimise(self.problem, begin, cost, tolerance=tolerance, steps=left)
            solution = exact._replace(steps=solution.steps + exact.steps, products=solution.products + exact.products)
        self.products += solution.products
        self._known.append((cost, solution.point))
        kept = 0
        for index in reversed(range(len(self._known))):
            known, point = self._known[index]
            kept += 0 if point.z is None else point.z.numel()
            if kept > _NUMBERS:
                self._known[index] = (known, Point(point.v))
        return solution

    def _rungs(self, cost: float) -> list[float]:
        """Return the values of C to go by, from the largest known one below or from where the penalty rules."""
        flat = self.problem.classes * float(self.problem.rows.span.penalty[:-1].min())
        below = max([known for known, _ in self._known if known <= cost], default=flat)
        count = max(math.floor(math.log(cost / below, _RUNG) - 0.5), 0) if cost > below else 0
        return [below * _RUNG**number for number in range(1, count + 1)]

    def _start(self, cost: float, tolerance: float) -> Point:
        """Return the best mixture of the nearest minima, or zero."""
        near = sorted(self._known, key=lambda known: abs(math.log(known[0] / cost)))[:_NEAREST]
        if not near:
            width = len(self.problem.rows.span.penalty)
            zero = torch.zeros(width, self.problem.classes, dtype=torch.float64, device=self.problem.labels.device)
            return self._rough.rows.place(zero)
        points = [self._rough.rows.place(p.v) if p.z is None else p for _, p in near]
        return mix(points, best_mixture(self._rough, points, cost, tolerance))


def mix(points: Sequence[Point], weights: Tensor) -> Point:
    """Return the sum of ``points`` by ``weights`` (m,)."""
    v = torch.tensordot(weights, torch.stack([point.v for point in points]), dims=1)
    logits = [point.z for point in points if point.z is not None]
    return Point(v, torch.tensordot(weights, torch.stack(logits), dims=1) if len(logits) == len(points) else None)


def best_mixture(problem: Softmax, points: Sequence[Point], cost: float, tolerance: float) -> Tensor:
    """Return the weights (m,) of the mixture of ``points``, the first being the likeliest, with the lowest value."""
    weights = points[0].v.new_zeros(len(points))
    weights[0] = 1
    value, slope, bend = problem.mixture(points, weights, cost)
    for _ in range(_ATTEMPTS):
        scale = bend.diagonal().sqrt().clamp(min=1e-150)
        even = bend / scale / scale[:, None] + 1e-9 * torch.eye(len(points), dtype=bend.dtype, device=bend.device)
        move = -torch.linalg.solve(even, slope / scale) / scale
        gain = -float(slope @ move) / 2
        if gain <= tolerance * problem.scale(value, cost) / 10:
            break
        step = 1.0
        while (tried := problem.mixture(points, weights + step * move, cost))[0] > value - 1e-4 * step * gain:
            step /= 2
            if step < 1e-6:
                return weights
        weights = weights + step * move
        value, slope, bend = tried
    return weights
