"""Encodings against loops over their definition and the numbers that the reference code gives."""

from __future__ import annotations

import math

import pytest
import torch

from transferbench.nerf.encodings import DIRECTION_FREQUENCIES, POSITION_FREQUENCIES, frequencies, time_code_input


def naive(x: list[float], count: int, scale: float, identity: bool, order: str) -> list[float]:
    head = list(x) if identity else []
    sines = [[math.sin(2**k * scale * value) for value in x] for k in range(count)]
    cosines = [[math.cos(2**k * scale * value) for value in x] for k in range(count)]
    if order == "interleaved":
        return head + [value for pair in zip(sines, cosines) for block in pair for value in block]
    return head + [value for block in sines + cosines for value in block]


@pytest.mark.parametrize(
    ("channels", "count", "width"), [(3, POSITION_FREQUENCIES, 63), (3, DIRECTION_FREQUENCIES, 27), (1, 10, 21)]
)
def test_widths_are_those_of_nerf(channels: int, count: int, width: int) -> None:
    assert frequencies(torch.zeros(5, 2, channels), count).shape == (5, 2, width)


def test_the_values_are_those_of_the_reference_code() -> None:
    encoded = frequencies(torch.tensor([0.5, -0.25, 1.0]), 10)
    first = [0.5, -0.25, 1, 0.479426, -0.247404, 0.841471, 0.877583, 0.968912, 0.540302]
    last = [-0.999208, -0.721038, 0.079518, -0.039791, -0.692896, -0.996833]
    torch.testing.assert_close(encoded[:9], torch.tensor(first), rtol=0, atol=1e-6)
    torch.testing.assert_close(encoded[-6:], torch.tensor(last), rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", ["interleaved", "grouped"])
@pytest.mark.parametrize("identity", [True, False])
@pytest.mark.parametrize("pi", [True, False])
def test_it_is_the_loop_over_frequencies(order: str, identity: bool, pi: bool) -> None:
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    expected = [naive(row, 6, math.pi if pi else 1.0, identity, order) for row in x.tolist()]
    encoded = frequencies(x, 6, pi=pi, identity=identity, order=order)  # type: ignore[arg-type]
    torch.testing.assert_close(encoded, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    x = torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: frequencies(y, 4), (x,))


def test_no_frequencies_leave_the_coordinates() -> None:
    x = torch.rand(2, 3)
    assert torch.equal(frequencies(x, 0), x)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="interleaved"):
        frequencies(torch.zeros(1, 3), 2, order="mixed")  # type: ignore[arg-type]


def test_time_runs_from_minus_one_to_one() -> None:
    code = time_code_input(torch.tensor([0, 500, 999]), 1000)
    assert code.shape == (3, 21)
    torch.testing.assert_close(code[:, 0], torch.tensor([-1.0, 0.001001, 1.0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(code[0, 1:3], torch.tensor([math.sin(-1), math.cos(-1)]))


def test_time_codes_have_the_rank_of_their_matrix() -> None:
    inputs = time_code_input(torch.arange(1000), 1000).double()
    matrix = torch.randn(21, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.linalg.matrix_rank(inputs) > 17  # so that the matrix is what limits it
    assert torch.linalg.matrix_rank(inputs @ matrix) == 17


def test_a_vocabulary_of_one_frame_has_a_code() -> None:
    assert torch.isfinite(time_code_input(torch.tensor([0]), 1)).all()


def test_autocast_does_not_round_the_frequencies() -> None:
    x = torch.rand(50, 3, generator=torch.Generator().manual_seed(1))
    plain, time = frequencies(x, 10), time_code_input(torch.arange(1000), 1000)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(frequencies(x, 10), plain)
        assert torch.equal(time_code_input(torch.arange(1000), 1000), time)
