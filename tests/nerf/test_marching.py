"""Steps along rays: what they cover, and all of space in a cube."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transferbench.nerf.marching import OUTSIDE, contract, inside, march, steps, stretch
from transferbench.nerf.packed import Packed

START, END = torch.tensor([0.5, 0.0, 1.0, 2.0]), torch.tensor([1.5, 0.35, 1.0, 0.5])  # the last two are empty
STEP = 0.1


def everywhere(points: Tensor) -> Tensor:
    return torch.ones(points.shape[:-1], dtype=torch.bool)


def rays(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(count, 3, generator=generator)
    return torch.randn(count, 3, generator=generator), directions / directions.norm(dim=1, keepdim=True)


def intervals(packed: Packed, ray: int) -> tuple[Tensor, Tensor]:
    return packed.near[packed.ray == ray], packed.far[packed.ray == ray]


@pytest.mark.parametrize("jitter", [None, 0.0, 0.3, 0.999])
def test_intervals_cover_a_ray_without_gaps(jitter: float | None) -> None:
    draws = None if jitter is None else torch.full((4,), jitter)
    edges, valid = steps(START, END, STEP, draws)
    assert (edges.diff(dim=1) >= 0).all()
    for ray in (0, 1):
        near, far = edges[ray, :-1][valid[ray]], edges[ray, 1:][valid[ray]]
        assert near[0] == START[ray] and torch.equal(near[1:], far[:-1])
        assert END[ray] - 1e-6 <= far[-1] < END[ray] + STEP + 1e-6, "the last one is whole"
        assert ((far - near)[1:] - STEP).abs().max() < 1e-6 and (far - near)[0] <= STEP + 1e-6
    assert not valid[2:].any()


def test_jitter_moves_the_ends_of_intervals_by_its_share() -> None:
    draws = torch.tensor([0.25, 0.75, 0, 0])
    edges, _ = steps(START, END, STEP, draws)
    torch.testing.assert_close(edges[0, 1:4], torch.tensor([0.525, 0.625, 0.725]))
    torch.testing.assert_close(edges[1, 1:4], torch.tensor([0.075, 0.175, 0.275]))
    assert steps(START[:0], END[:0], STEP)[0].shape == (0, 2)


def test_nothing_is_sampled_where_nothing_is() -> None:
    origins, directions = rays(4)
    packed = march(origins, directions, START, END, STEP, lambda p: ~everywhere(p))
    assert len(packed.ray) == 0 and packed.counts.tolist() == [0, 0, 0, 0]
    outer = march(origins, directions, START, END, STEP, lambda p: ~everywhere(p), contract, far=torch.full((4,), 9.0))
    assert len(outer.ray) == 0 and len(outer.counts) == 4


def test_samples_stand_where_their_middle_is_occupied() -> None:
    origins, directions = torch.tensor([[-3.0, 0.2, 0.1]]), torch.tensor([[1.0, 0, 0]])
    asked: list[Tensor] = []

    def right_half(points: Tensor) -> Tensor:
        asked.append(points)
        return points[..., 0] > 0.5

    packed = march(origins, directions, torch.tensor([2.0]), torch.tensor([4.0]), 0.5, right_half)
    assert packed.near.tolist() == [3.0, 3.5] and packed.far.tolist() == [3.5, 4.0]
    torch.testing.assert_close(asked[0][0, :, 0], torch.tensor([0.125, 0.375, 0.625, 0.875]))
    torch.testing.assert_close(asked[0][0, 0, 1:], torch.tensor([0.6, 0.55]))


@pytest.mark.parametrize("jitter", [None, 0.0, 0.2, 0.8, 0.999])
def test_rays_of_an_unbounded_scene_are_covered_to_their_far_end(jitter: float | None) -> None:
    origins, directions = rays(4)
    draws, far = None if jitter is None else torch.full((4,), jitter), torch.tensor([1000.0, 50.0, 9.0, 0.2])
    packed = march(origins, directions, START, END, STEP, everywhere, contract, draws, far)
    assert (packed.far >= packed.near).all()
    for ray, first in enumerate(START.tolist()):
        near, end = intervals(packed, ray)
        assert near[0] == first, "a ray that misses the box begins at once"
        torch.testing.assert_close(near[1:], end[:-1], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(end[-1], max(far[ray], torch.tensor(first + STEP)), rtol=1e-3, atol=0)
        assert ((near < END[ray] - 1e-5) == (torch.arange(len(near)) < len(near) - OUTSIDE)).all()


def test_outer_intervals_are_even_in_inverse_distance() -> None:
    origins, directions = rays(1)
    start, end = torch.tensor([0.0]), torch.tensor([1.0])
    packed = march(origins, directions, start, end, STEP, everywhere, contract, far=torch.tensor([100.0]))
    inverse = 1 / torch.cat([packed.near[-OUTSIDE:], packed.far[-1:]])
    torch.testing.assert_close(inverse, torch.linspace(1, 0.01, OUTSIDE + 1), rtol=1e-4, atol=1e-5)


def test_a_ray_from_the_middle_of_the_scene_that_begins_at_zero() -> None:
    origins, directions = rays(1)
    zero = torch.zeros(1)
    packed = march(origins, directions, zero, zero, STEP, everywhere, contract, far=torch.tensor([10.0]))
    assert packed.near[0] == pytest.approx(STEP) and torch.isfinite(packed.far).all()


def test_the_cube_fills_the_middle_half_and_all_of_space_fits() -> None:
    corners = torch.tensor([[-1.0, -1, -1], [1, 1, 1], [0, 0, 0], [1, -0.5, 0.2]])
    torch.testing.assert_close(contract(corners), corners / 4 + 0.5)
    torch.testing.assert_close(inside(corners), corners / 2 + 0.5)
    far = torch.randn(1000, 3) * torch.logspace(-2, 8, 1000)[:, None]
    assert (contract(far) >= 0).all() and (contract(far) <= 1).all()
    torch.testing.assert_close(contract(torch.tensor([1e9, 0, 0])), torch.tensor([1.0, 0.5, 0.5]))


def test_contraction_is_its_formula_and_has_no_seam() -> None:
    points = 3 * torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    for point, found in zip(points, contract(points)):
        size = float(point.abs().max())
        expected = point if size <= 1 else (2 - 1 / size) * point / size
        torch.testing.assert_close(found, expected / 4 + 0.5)
    border = points / points.abs().amax(1, keepdim=True)
    torch.testing.assert_close(contract(border * 0.99999), contract(border * 1.00001), rtol=0, atol=1e-5)


def test_intervals_outside_are_as_long_as_their_stretch_says() -> None:
    origins, directions = torch.zeros(1, 3), torch.tensor([[1.0, 0, 0]])
    step = 1 / OUTSIDE
    packed = march(
        origins, directions, torch.zeros(1), torch.ones(1), step, everywhere, contract, far=torch.tensor([1e6])
    )
    said = stretch(contract(packed.middle[:, None] * directions)) * step
    lengths = packed.far - packed.near
    torch.testing.assert_close(lengths[packed.far <= 1], said[packed.far <= 1], rtol=1e-3, atol=1e-5)
    some = (packed.far > 1.001) & (packed.far < 20)
    assert some.sum() > 50
    torch.testing.assert_close(lengths[some], said[some], rtol=0.15, atol=0)
