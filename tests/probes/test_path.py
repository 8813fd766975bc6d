from __future__ import annotations

import numpy as np
import pytest
import torch

from transferbench.probes.coordinates import Held, Point
from transferbench.probes.newton import minimise
from transferbench.probes.path import Path, best_mixture, mix
from transferbench.probes.softmax import Softmax
from transferbench.probes.span import find_span

CLASSES, COUNT, WIDTH = 5, 120, 16
COSTS = np.random.default_rng(0).permutation(np.logspace(-5, 6, 12))


@pytest.fixture(scope="module")
def problem():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(COUNT) % CLASSES
    rows = torch.randn(CLASSES, WIDTH, generator=generator)[labels] + torch.randn(COUNT, WIDTH, generator=generator)
    span = find_span(iter([rows]), COUNT, narrow=False)
    return Softmax(Held.of(span, lambda start, stop: iter([rows[start:stop]]), COUNT), labels, CLASSES)


def zero(problem):
    return problem.rows.place(torch.zeros(WIDTH + 1, CLASSES, dtype=torch.float64))


def test_minima_in_any_order_are_those_found_from_zero(problem):
    path = Path(problem, tolerance=1e-7, steps=100)
    cold = 0
    for cost in COSTS:
        alone = minimise(problem, zero(problem), cost, tolerance=1e-10, steps=200)
        found = path.solve(cost)
        cold += alone.products
        assert alone.converged
        assert found.converged
        assert alone.value * (1 - 1e-9) <= found.value <= alone.value * (1 + 1e-7)
        torch.testing.assert_close(found.point.z, problem.rows.logits(found.point.v), rtol=1e-8, atol=1e-8)
    assert path.products < cold


def test_a_minimum_found_in_single_precision_is_finished_in_double(problem):
    exact, rough = (Path(p, tolerance=1e-6, steps=100).solve(10.0) for p in (problem, problem.rough()))
    assert exact.value == pytest.approx(problem.value(Point(exact.point.v), 10.0), rel=1e-12)
    assert rough.value == pytest.approx(problem.value(Point(rough.point.v), 10.0), rel=1e-6)
    assert problem.rough().rough() is not problem
    limited = Path(problem, tolerance=1e-9, steps=1).solve(10.0)
    assert (limited.steps, limited.converged) == (1, False)


def test_a_cost_is_solved_once(problem):
    path = Path(problem, tolerance=1e-6, steps=100)
    first = path.solve(1.0)
    products = path.products
    assert path.solve(1.0) is first
    assert path.products == products


def test_neighbours_leave_little_to_do(problem):
    path = Path(problem, tolerance=1e-6, steps=100)
    for cost in (0.3, 0.6, 1.5, 3.0):
        path.solve(cost)
    assert path.solve(1.0).products <= 5


def test_what_another_path_knows_is_a_start(problem):
    known = Path(problem, tolerance=1e-8, steps=100)
    known.solve(10.0)
    path = Path(problem, tolerance=1e-6, steps=100)
    for cost, v in known.known:
        path.remember(cost, v)
    assert path.solve(10.0).products == 0


def test_logits_of_many_minima_are_not_kept(problem, monkeypatch):
    monkeypatch.setattr("transferbench.probes.path._NUMBERS", 3 * COUNT * CLASSES)
    few = Path(problem, tolerance=1e-8, steps=100)
    values = [few.solve(cost).value for cost in COSTS]
    assert sum(point.z is not None for _, point in few._known) == 3
    monkeypatch.undo()
    every = Path(problem, tolerance=1e-8, steps=100)
    assert values == pytest.approx([every.solve(cost).value for cost in COSTS], rel=1e-8)


def test_the_best_mixture_is_at_least_as_good_as_any_part_of_it_and_has_no_slope(problem):
    points = [minimise(problem, zero(problem), cost, tolerance=1e-8, steps=100).point for cost in (0.1, 1.0, 10.0)]
    weights = best_mixture(problem, points, 3.0, 1e-10)
    mixed = mix(points, weights)
    torch.testing.assert_close(mixed.z, problem.rows.logits(mixed.v))
    value, slope, _ = problem.mixture(points, weights, 3.0)
    assert value == pytest.approx(problem.value(mixed, 3.0), rel=1e-10)
    assert value < min(problem.value(point, 3.0) for point in points)
    assert float(slope.abs().max()) < 1e-3 * value


def test_a_mixture_of_the_same_point_twice(problem):
    point = minimise(problem, zero(problem), 1.0, tolerance=1e-8, steps=100).point
    mixed = mix([point, point], best_mixture(problem, [point, point], 1.0, 1e-8))
    assert problem.value(mixed, 1.0) == pytest.approx(problem.value(point, 1.0), rel=1e-6)


def test_a_mixture_without_logits_has_none(problem):
    point = zero(problem)
    assert mix([point, Point(point.v)], torch.tensor([0.5, 0.5], dtype=torch.float64)).z is None
