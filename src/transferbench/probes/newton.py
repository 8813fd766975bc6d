"""The minimum of the regularised softmax function by Newton's method.

Each step solves for Newton's direction by conjugate gradients, in float32; value and gradient are float64, so that this
costs steps and no accuracy (truncated Newton: Nash, J. Comput. Appl. Math. 2000).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from transferbench.probes.coordinates import Point
from transferbench.probes.softmax import Local, Softmax

PRODUCTS = 250  # with the second derivatives for one direction, at most
_DELAY = 4  # the last products, by whose gain what is still to gain is judged (Hestenes & Stiefel, 1952) ...
_LONG_DELAY = 16  # ... and as many once that has said that there is little, which the duality gap is far from saying
_FAR = 300  # times the tolerance
_SHARE = 0.3  # of a direction's gain that they may make up when it is taken
_SLOPE = 0.2  # of the slope that may be left where a step ends
_SEARCHES = 30
_ROUNDING = 1e-14  # of a value


class Solution(NamedTuple):
    """Where the method ended."""

    point: Point
    value: float
    gap: float
    """About how far the value may be above the minimum."""
    steps: int
    products: int
    """Passes over the features for second derivatives."""
    converged: bool


class _Direction(NamedTuple):
    v: Tensor
    gain: float
    """By how much the quadratic model falls along it."""
    settled: bool
    """Whether more products would have gained little."""
    products: int


def _direction(
    problem: Softmax, point: Point, local: Local, cost: float, enough: float, delay: int = _DELAY
) -> _Direction:
    """Solve for Newton's direction until little more, or less than ``enough``, is to be gained."""
    times = problem.curvature(point, cost)
    unit = float(local.gradient.abs().max())  # float32 has no room for the squares of what is nearly zero
    residual = (local.gradient / -unit).float()
    direction, search = torch.zeros_like(residual), local.preconditioned(residual)
    norm = float((residual * search).sum())
    gains: list[float] = []
    settled = False
    while len(gains) < PRODUCTS and not settled:
        product = times(search)
        bend = float((search * product).sum())
        if not (norm > 0 and bend > 0):
            break
        direction.add_(search, alpha=norm / bend)
        residual.sub_(product, alpha=norm / bend)
        gains.append(norm / bend * norm / 2 * unit**2)
        recent = sum(gains[-delay:])
        settled = (len(gains) > delay and recent < _SHARE * sum(gains)) or (len(gains) >= delay - 1 and recent < enough)
        solved = local.preconditioned(residual)
        last, norm = norm, float((residual * solved).sum())
        search = solved.add_(search, alpha=norm / last)
    return _Direction(direction.double() * unit, sum(gains), settled, len(gains))


def _step(problem: Softmax, point: Point, direction: Point, local: Local, cost: float) -> tuple[float, float]:
    """Return how far to go along ``direction`` and the value there; 0 when nothing is to be gained."""
    begin = float((local.gradient * direction.v).sum())
    low, high, step = 0.0, math.inf, 1.0
    for _ in range(_SEARCHES):
        value, slope, bend = problem.along(point, direction, step, cost)
        if value <= local.value + _ROUNDING * abs(local.value) and abs(slope) <= -_SLOPE * begin:
            return step, value
        low, high = (low, step) if slope > 0 or value > local.value else (step, high)
        guess = step - slope / bend if bend > 0 else math.inf
        inside = low < guess < min(high, 10 * step)
        step = guess if inside else ((low + high) / 2 if high < math.inf else 4 * step)
    return (low, problem.value(point.ahead(direction, low), cost)) if low else (0.0, local.value)


def minimise(problem: Softmax, start: Point, cost: float, *, tolerance: float, steps: int) -> Solution:
    """Return the minimum for C = ``cost``, from ``start``, to within ``tolerance`` of the function's scale.

    It ends when the duality gap says so, or when Newton's direction promises to gain less and has been taken.
    """
    point, products, delay = start, 0, _DELAY
    for count in range(steps):
        local = problem.local(point, cost)
        allowed = tolerance * problem.scale(local.value, cost)
        if local.gap <= allowed:
            return Solution(point, local.value, local.gap, count, products, True)
        found = _direction(problem, point, local, cost, allowed / 50, delay)
        products += found.products
        direction = problem.rows.place(found.v)
        step, value = _step(problem, point, direction, local, cost)
        point = point.ahead(direction, step)
        if found.settled and found.gain <= tolerance * problem.scale(value, cost) / 2 and step > 0.5:
            if delay == _LONG_DELAY or local.gap <= _FAR * allowed:
                return Solution(point, value, found.gain, count + 1, products, True)
            delay = _LONG_DELAY
        if step == 0:
            return Solution(point, value, local.gap, count, products, False)
    local = problem.local(point, cost)
    converged = local.gap <= tolerance * problem.scale(local.value, cost)
    return Solution(point, local.value, local.gap, steps, products, converged)
