"""Samples along rays against naive loops and the numbers that the reference code gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transferbench.nerf.sampling import from_weights, joined, midpoints, refined, stratified


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def naive_quantiles(edges: list[float], weights: list[float], levels: list[float]) -> list[float]:
    raised = np.array(weights) + 1e-5
    cumulative = np.concatenate([[0.0], np.cumsum(raised / raised.sum())])
    cumulative[-1], samples = 1.0, []
    for level in levels:
        above = next((i for i, share in enumerate(cumulative) if share > level), len(cumulative))
        low, high = max(above - 1, 0), min(above, len(cumulative) - 1)
        width = cumulative[high] - cumulative[low]
        share = (level - cumulative[low]) / (width if width >= 1e-5 else 1.0)
        samples.append(edges[low] + share * (edges[high] - edges[low]))
    return samples


def test_without_jitter_the_depths_are_evenly_spaced() -> None:
    near, far = torch.tensor([2.0, 0.0]), torch.tensor([6.0, 1.0])
    z = stratified(near, far, 9, jitter=False)
    for row, first, last in zip(z, near, far):
        torch.testing.assert_close(row, torch.linspace(float(first), float(last), 9))


def test_inverse_depths_can_be_evenly_spaced() -> None:
    z = stratified(torch.tensor([0.5]), torch.tensor([8.0]), 7, jitter=False, spacing="disparity")
    torch.testing.assert_close(1 / z[0], torch.linspace(2.0, 0.125, 7))


@pytest.mark.parametrize("spacing", ["depth", "disparity"])
def test_jitter_draws_one_depth_an_interval(spacing: str) -> None:
    near, far = torch.full((200,), 2.0), torch.full((200,), 6.0)
    even = stratified(near, far, 16, jitter=False, spacing=spacing)  # type: ignore[arg-type]
    z = stratified(near, far, 16, True, seeded(), spacing)  # type: ignore[arg-type]
    edges = torch.cat([even[:, :1], midpoints(even), even[:, -1:]], dim=-1)
    assert (z >= edges[:, :-1]).all() and (z <= edges[:, 1:]).all()
    assert (z.diff(dim=-1) > 0).all()
    assert z.min() >= 2 and z.max() <= 6
    share = (z - edges[:, :-1]) / (edges[:, 1:] - edges[:, :-1])  # even within each interval
    assert (share.mean(0) - 0.5).abs().max() < 0.1 and (share.std(0) - 12**-0.5).abs().max() < 0.05


def test_a_generator_makes_jitter_repeatable() -> None:
    near, far = torch.zeros(3), torch.ones(3)
    assert torch.equal(stratified(near, far, 8, True, seeded(5)), stratified(near, far, 8, True, seeded(5)))
    assert not torch.equal(stratified(near, far, 8, True, seeded(5)), stratified(near, far, 8, True, seeded(6)))


def test_an_unknown_spacing_is_refused() -> None:
    with pytest.raises(ValueError, match="disparity"):
        stratified(torch.zeros(1), torch.ones(1), 4, False, spacing="log")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([0.0, 1.0, 3.0, 0.0], [0, 1.999990, 2.333332, 2.666668, 4]),
        ([0.0, 1.0, 3.0, 0.0], [0, 1.571419, 2.047616, 2.238094, 2.428571, 2.619048, 2.809526, 4]),
        ([1.0, 1.0, 1.0, 1.0], [0, 1, 2, 3, 4]),
        ([0.0, 0.0, 0.0, 0.0], [0, 1, 2, 3, 4]),
    ],
)
def test_quantiles_are_those_of_the_reference_code(weights: list[float], expected: list[float]) -> None:
    samples = from_weights(torch.arange(5.0)[None], torch.tensor([weights]), len(expected), jitter=False)
    torch.testing.assert_close(samples[0], torch.tensor(expected, dtype=torch.float32), rtol=0, atol=2e-6)


def test_quantiles_are_the_naive_search() -> None:
    edges = torch.rand(20, 9, generator=seeded(1), dtype=torch.float64).cumsum(-1)
    weights = torch.rand(20, 8, generator=seeded(2), dtype=torch.float64) ** 4
    weights[3], weights[4, 2:] = 0.0, 0.0
    samples = from_weights(edges, weights, 13, jitter=False)
    levels = np.linspace(0, 1, 13).tolist()
    expected = [naive_quantiles(e, w, levels) for e, w in zip(edges.tolist(), weights.tolist())]
    torch.testing.assert_close(samples, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-8)


def test_draws_follow_the_weights() -> None:
    samples = from_weights(torch.arange(5.0)[None], torch.tensor([[0.0, 1.0, 3.0, 0.0]]), 40_000, True, seeded())
    counts = torch.histc(samples, 4, 0, 4) / 40_000
    torch.testing.assert_close(counts, torch.tensor([0.0, 0.25, 0.75, 0.0]), rtol=0, atol=0.01)
    third = samples[(samples >= 2) & (samples < 3)] - 2
    assert abs(float(third.mean()) - 0.5) < 0.01


def test_no_gradient_flows_to_the_weights() -> None:
    weights = torch.ones(1, 4, requires_grad=True)
    assert not from_weights(torch.arange(5.0)[None], weights, 3, jitter=False).requires_grad


def test_the_second_pass_keeps_the_first_and_looks_where_its_weights_lie() -> None:
    z = torch.linspace(0, 10, 11)[None]
    weights = torch.zeros(1, 11)
    weights[0, 7] = 1.0
    union = refined(z, weights, 33, jitter=False)
    assert union.shape == (1, 44) and (union.diff() >= 0).all()
    assert all((union == depth).any() for depth in z[0])
    assert ((union > 6.49) & (union < 7.51)).sum() >= 31


def test_joined_rows_are_ascending_unions() -> None:
    a, b = torch.rand(4, 6, generator=seeded(3)), torch.rand(4, 3, generator=seeded(4))
    expected = torch.tensor([sorted(x + y) for x, y in zip(a.tolist(), b.tolist())])
    torch.testing.assert_close(joined(a, b), expected)


def test_autocast_does_not_round_depths() -> None:
    near, far, weights = torch.full((20,), 2.0), torch.full((20,), 6.0), torch.rand(20, 16, generator=seeded())

    def found() -> list[torch.Tensor]:
        z = stratified(near, far, 16, True, seeded(1), "disparity")
        return [z, refined(z, weights, 32, True, seeded(2))]

    plain = found()
    with torch.autocast("cpu", torch.bfloat16):
        again = found()
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))
