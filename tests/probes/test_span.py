from __future__ import annotations

import numpy as np
import pytest
import torch

from transferbench.errors import UserError
from transferbench.probes.span import find_span


def rows_of(count, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator) * torch.logspace(-2, 2, width) + 5


@pytest.mark.parametrize(("count", "width", "narrow"), [(50, 12, False), (9, 30, True), (9, 30, False)])
def test_logits_and_penalty_are_those_of_the_classifier(count, width, narrow):
    rows = rows_of(count, width)
    span = find_span(iter(rows.split(7)), count, narrow=narrow)
    assert span.axes.shape == (width, min(count, width) if narrow else width)
    v = torch.randn(len(span.penalty), 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights, intercepts = span.classifier(v)
    torch.testing.assert_close(span.rotated(rows) @ v, rows.double() @ weights + intercepts, rtol=1e-9, atol=1e-6)
    torch.testing.assert_close((span.penalty * v.square()).sum(), weights.square().sum(), rtol=1e-10, atol=0.0)
    torch.testing.assert_close(span.coordinates(weights, intercepts), v, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("count", "width", "narrow"), [(50, 12, False), (9, 30, True)])
def test_the_coordinates_of_the_rows_are_unit_columns_without_correlation(count, width, narrow):
    rows = rows_of(count, width)
    rotated = find_span(iter([rows]), count, narrow=narrow).rotated(rows)
    products = rotated.T @ rotated
    if narrow:  # centred rows have one dimension less than there are rows
        products = products[1:, 1:]
    torch.testing.assert_close(products, torch.eye(len(products), dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-6])
def test_single_precision_is_enough_for_every_column(spread):
    rows = torch.randn(60, 12, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, 1, 12)
    rows[:, 3] *= spread
    span = find_span(iter([rows]), 60, narrow=False)
    found, exact = span.rotated_single(rows), span.rotated(rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-4 * 60**-0.5)


def test_a_gradient_is_pulled_as_coordinates_are_pushed():
    rows = rows_of(20, 5).double()
    span = find_span(iter([rows]), 20, narrow=False)
    generator = torch.Generator().manual_seed(2)
    v, residual = (torch.randn(n, 3, dtype=torch.float64, generator=generator) for n in (6, 20))
    weights, intercepts = span.flat(v)
    torch.testing.assert_close((rows - span.mean) @ weights + intercepts, span.rotated(rows) @ v)
    found = span.pulled((rows - span.mean).T @ residual, residual.sum(dim=0))
    torch.testing.assert_close(found, span.rotated(rows).T @ residual)


def test_every_classifier_in_the_span_of_the_rows_is_kept():
    rows = rows_of(6, 40).double()
    weights = (rows - rows.mean(dim=0)).T @ torch.randn(6, 3, dtype=torch.float64)
    span = find_span(iter([rows]), 6, narrow=True)
    again, _ = span.classifier(span.coordinates(weights, torch.zeros(3, dtype=torch.float64)))
    np.testing.assert_allclose(again, weights, rtol=1e-9, atol=1e-6 * float(weights.abs().max()))


def test_features_that_never_change_have_a_span_too():
    rows = torch.ones(5, 3)
    span = find_span(iter([rows]), 5, narrow=False)
    assert torch.isfinite(span.axes).all()
    assert torch.isfinite(span.penalty).all()
    torch.testing.assert_close(span.rotated(rows)[:, :-1], torch.zeros(5, 3, dtype=torch.float64))


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_said(value, narrow):
    rows = torch.zeros(8, 20)
    rows[6, 3] = value
    with pytest.raises(UserError, match="features hold values that are not finite"):
        find_span(iter(rows.split(4)), 8, narrow=narrow)
