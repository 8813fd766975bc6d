from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.probes.coordinates import Held, Read
from transferbench.probes.softmax import Softmax
from transferbench.probes.span import Span, find_span

COUNT, WIDTH = 40, 6
COST = 0.7


@pytest.fixture(params=["held", "read"])
def kind(request):
    return request.param


def problem_of(kind, classes=3, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    rows = scale * torch.randn(COUNT, WIDTH, generator=generator) + 1
    labels = torch.arange(COUNT) % classes
    span = find_span(iter([rows]), COUNT, narrow=False)

    def blocks(start, stop):
        return iter(rows[start:stop].split(11))

    made = Held.of(span, blocks, COUNT) if kind == "held" else Read(span, blocks, 0, COUNT)
    return Softmax(made, labels, classes), rows.double()


def separable():
    """Rows whose first coordinates say the class, and their coordinates, in axes that are the features themselves."""
    labels = torch.arange(COUNT) % 3
    rows = 1e-3 * torch.randn(COUNT, WIDTH, generator=torch.Generator().manual_seed(0))
    rows[:, :3] = F.one_hot(labels, 3)
    penalty = torch.cat([torch.ones(WIDTH), torch.zeros(1)]).double()[:, None]
    span = Span(torch.zeros(WIDTH).double(), torch.eye(WIDTH).double(), penalty, COUNT**0.5)
    return Softmax(Held.of(span, lambda start, stop: iter([rows[start:stop]]), COUNT), labels, 3), span.rotated(rows)


def naive(problem, rows, v, cost=COST):
    """C times the summed cross-entropy and half the squared norm of the weights, of features as they were given."""
    weights, intercepts = problem.rows.span.classifier(v)
    loss = F.cross_entropy(rows @ weights + intercepts, problem.labels, reduction="sum")
    return cost * loss + weights.square().sum() / 2


def some(problem, seed, size=1.0):
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(WIDTH + 1, problem.classes, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_value_and_gradient_are_those_of_the_definition(kind, classes):
    problem, rows = problem_of(kind, classes)
    v = some(problem, 1).requires_grad_()
    expected = naive(problem, rows, v)
    (slope,) = torch.autograd.grad(expected, v)
    point = problem.rows.place(v.detach())
    local = problem.local(point, COST)
    expected = expected.detach()
    assert local.value == pytest.approx(float(expected), rel=1e-12)
    assert problem.value(point, COST) == pytest.approx(float(expected), rel=1e-12)
    torch.testing.assert_close(local.gradient, slope, rtol=1e-10, atol=1e-10)


def test_products_are_those_with_the_second_derivatives(kind):
    problem, rows = problem_of(kind)
    v, direction = some(problem, 1), some(problem, 2)
    _, expected = torch.autograd.functional.hvp(lambda w: naive(problem, rows, w), v, direction)
    found = problem.curvature(problem.rows.place(v), COST)(direction.float())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_products_are_exact_where_the_right_class_is_all_but_certain():
    problem, exact = separable()
    direction = some(problem, 2)
    v = torch.zeros_like(direction)
    v[:3] = 25 * torch.eye(3)
    z, a = exact @ v, exact @ direction
    p = z.softmax(dim=1)
    residual = p * (a - (p * a).sum(dim=1, keepdim=True))
    expected = 1e12 * exact.T @ residual + problem.rows.span.penalty * direction
    found = problem.curvature(problem.rows.place(v), 1e12)(direction.float()).double()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_value_slope_and_bend_along_a_line(kind):
    problem, rows = problem_of(kind)
    v, direction = some(problem, 1), some(problem, 2)
    step = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    value = naive(problem, rows, v + step * direction)
    (slope,) = torch.autograd.grad(value, step, create_graph=True)
    (bend,) = torch.autograd.grad(slope, step)
    found = problem.along(problem.rows.place(v), problem.rows.place(direction), 0.3, COST)
    assert found == pytest.approx((value.item(), slope.item(), bend.item()), rel=1e-9)


def test_mixtures_of_points(kind):
    problem, rows = problem_of(kind)
    vs = [some(problem, seed) for seed in range(3)]
    weights = torch.tensor([0.5, -0.2, 0.9], dtype=torch.float64)

    def function(w):
        return naive(problem, rows, sum(a * v for a, v in zip(w, vs)))

    value, slope, bend = problem.mixture([problem.rows.place(v) for v in vs], weights, COST)
    assert value == pytest.approx(float(function(weights)), rel=1e-12)
    torch.testing.assert_close(slope, torch.autograd.functional.jacobian(function, weights))
    torch.testing.assert_close(bend, torch.autograd.functional.hessian(function, weights))


def test_the_gap_bounds_how_far_the_minimum_is():
    problem, _ = problem_of("held")
    v = torch.zeros(WIDTH + 1, 3, dtype=torch.float64)
    for _ in range(3000):  # plain gradient descent to the minimum
        v = v - 0.02 * problem.local(problem.rows.place(v), COST).gradient
    least = problem.local(problem.rows.place(v), COST)
    assert least.gap < 1e-6 * least.value
    for seed in range(4):
        size = 10.0**-seed
        local = problem.local(problem.rows.place(v + some(problem, seed, size)), COST)
        assert local.value - least.value <= local.gap


def test_the_preconditioner_solves_newtons_equations_for_balanced_classes_at_zero():
    problem, _ = problem_of("held", classes=4)
    zero = problem.rows.place(torch.zeros(WIDTH + 1, 4, dtype=torch.float64))
    local = problem.local(zero, COST)
    solved = local.preconditioned(local.gradient.float())
    torch.testing.assert_close(problem.curvature(zero, COST)(solved), local.gradient.float(), rtol=1e-3, atol=1e-4)


def test_losses_are_exact_where_they_are_tiny_and_where_they_are_huge():
    problem, _ = separable()
    v = torch.zeros(WIDTH + 1, 3, dtype=torch.float64)
    v[:3] = 60 * torch.eye(3)
    penalty = float((problem.rows.span.penalty * v.square()).sum()) / 2
    v = problem.rows.place(v)
    assert problem.value(v, 1e30) - penalty == pytest.approx(1e30 * COUNT * 2 * 8.75651076269652e-27, rel=1e-9)
    away = problem.rows.place(-1000 / 60 * v.v)
    assert problem.value(away, 1.0) - (1000 / 60) ** 2 * penalty == pytest.approx(COUNT * 1000.6931471805599, rel=1e-9)


def test_differences_are_compared_with_what_the_features_bring():
    problem, _ = problem_of("held")
    counts = torch.bincount(problem.labels).double()
    v = torch.zeros(WIDTH + 1, 3, dtype=torch.float64)
    v[-1] = (counts / counts.sum()).log() * problem.rows.span.root  # the best intercepts, and weights of zero
    alone = problem.value(problem.rows.place(v), COST)
    assert problem.scale(0.9 * alone, COST) == pytest.approx(0.1 * alone)
    assert problem.scale(0.2 * alone, COST) == pytest.approx(0.2 * alone)
    assert problem.scale(alone, COST) == problem.scale(2 * alone, COST) / 2 == pytest.approx(1e-7 * alone)


def test_a_class_without_rows_is_said():
    problem, _ = problem_of("held")
    with pytest.raises(UserError, match="class 2 of 4 has no training images"):
        Softmax(problem.rows, torch.tensor([0, 1, 3, 0] * 10), 4)
