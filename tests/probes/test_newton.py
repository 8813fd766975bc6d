from __future__ import annotations

import pytest
import torch

from transferbench.probes.coordinates import Held
from transferbench.probes.newton import minimise
from transferbench.probes.softmax import Softmax
from transferbench.probes.span import find_span

CLASSES = 4


def problem_of(count=90, width=8, margin=1.0, seed=0, twice=False):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    centres = margin * torch.randn(CLASSES, width, generator=generator)
    rows = (centres[labels] + torch.randn(count, width, generator=generator)) * torch.logspace(-1, 1, width) + 2
    if twice:  # with another label: no classifier has both right
        rows[1] = rows[0]
    span = find_span(iter([rows]), count, narrow=count < width)
    return Softmax(Held.of(span, lambda start, stop: iter([rows[start:stop]]), count), labels, CLASSES)


def start(problem):
    return problem.rows.place(torch.zeros(len(problem.rows.span.penalty), CLASSES, dtype=torch.float64))


def newtons_own(problem, cost):
    """The minimum by damped Newton steps with the whole matrix of second derivatives."""
    v = torch.zeros(len(problem.rows.span.penalty), CLASSES, dtype=torch.float64)
    exact = problem.rows.span.rotated(problem.rows._plain)
    for _ in range(200):
        point = problem.rows.place(v)
        local = problem.local(point, cost)
        if local.gap < 1e-12 * local.value:
            break
        p = point.z.softmax(dim=1)
        blocks = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        whole = cost * torch.einsum("ni,nj,nkl->ikjl", exact, exact, blocks).reshape(v.numel(), v.numel())
        whole += torch.diag(problem.rows.span.penalty.expand_as(v).reshape(-1))
        scale = whole.diagonal().sqrt()
        even = whole / scale / scale[:, None] + 1e-11 * torch.eye(v.numel())  # all intercepts may move together
        move = -(torch.linalg.solve(even, local.gradient.reshape(-1) / scale) / scale).view_as(v)
        step = 1.0
        while problem.value(problem.rows.place(v + step * move), cost) > local.value and step > 1e-10:
            step /= 2
        v = v + step * move
    return problem.local(problem.rows.place(v), cost)


@pytest.mark.parametrize("cost", [1e-5, 1e-2, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("shape", [{}, {"count": 12, "width": 30}, {"margin": 5.0}, {"twice": True}])
def test_the_minimum_of_whole_newton_steps_is_reached(cost, shape):
    problem = problem_of(**shape)
    least = newtons_own(problem, cost)
    assert least.gap < 1e-8 * least.value
    for tolerance in (1e-4, 1e-6, 1e-8):
        found = minimise(problem, start(problem), cost, tolerance=tolerance, steps=200)
        assert found.converged
        assert found.value == pytest.approx(problem.value(found.point, cost), rel=1e-11)
        assert least.value * (1 - 1e-8) <= found.value <= least.value * (1 + tolerance)


def test_at_the_minimum_there_is_nothing_to_do():
    problem = problem_of()
    found = minimise(problem, start(problem), 1.0, tolerance=1e-9, steps=100)
    again = minimise(problem, found.point, 1.0, tolerance=1e-6, steps=100)
    assert (again.steps, again.products) == (0, 0)
    assert again.value == found.value


def test_running_out_of_steps_is_told():
    problem = problem_of()
    found = minimise(problem, start(problem), 1.0, tolerance=1e-9, steps=2)
    assert not found.converged
    assert found.steps == 2
    assert found.gap > 1e-9 * found.value


def test_a_tolerance_that_rounding_forbids_ends():
    problem = problem_of(margin=5.0)
    found = minimise(problem, start(problem), 1e6, tolerance=1e-30, steps=60)
    assert found.value == pytest.approx(newtons_own(problem, 1e6).value, rel=1e-8)
