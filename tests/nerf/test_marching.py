"""Steps along rays: what they cover, and all of space in a cube."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transferbench.nerf import marching
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


def many(count: int, unbounded: bool, jitter: bool) -> Packed:
    """Samples of rays of many lengths, some of which miss, in a world of blobs."""
    generator = torch.Generator().manual_seed(7)
    origins, directions = rays(count, 6)
    start = torch.rand(count, generator=generator)
    end = (start + 3 * torch.rand(count, generator=generator) - 0.5).maximum(start)
    draws = torch.rand(count, generator=generator) if jitter else None
    far = end + 200 * torch.rand(count, generator=generator) if unbounded else None
    place = contract if unbounded else inside
    return march(origins, directions, start, end, 0.037, lambda p: (17 * p).sin().prod(-1) > 0.1, place, draws, far)


@pytest.mark.parametrize("jitter", [False, True])
@pytest.mark.parametrize("unbounded", [False, True])
def test_rays_that_take_turns_have_the_same_samples_to_the_last_bit(
    unbounded: bool, jitter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = many(100, unbounded, jitter)
    assert len(whole.ray) > 300 and (whole.counts == 0).any()
    for candidates in (1, 1000, 5000):
        monkeypatch.setattr(marching, "CANDIDATES", candidates)
        for one, other in zip(whole, many(100, unbounded, jitter), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("unbounded", [False, True])
def test_no_more_is_looked_at_together_than_is_allowed(unbounded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def nowhere(points: Tensor) -> Tensor:
        asked.append(points[..., 0].numel())
        return ~everywhere(points)

    def look(count: int, limit: int) -> list[int]:
        asked.clear()
        monkeypatch.setattr(marching, "CANDIDATES", limit)
        origins, directions = rays(count)
        far = torch.full((count,), 99.0) if unbounded else None
        march(origins, directions, torch.zeros(count), torch.full((count,), 2.0), 0.1, nowhere, far=far)
        return list(asked)

    assert len(look(400, 2**22)) == 1
    turns = look(400, 3000)
    assert max(turns) <= 3000 and sum(turns) == sum(look(400, 2**22)) and len(turns) > 2
    assert len(look(0, 3000)) == 1


def test_what_the_embedded_world_asks_for_is_one_turn() -> None:
    """A chunk of 4,096 rays through a box of 128 intervals and beyond, from as far away as counts."""
    longest = (2 * 3**0.5 + 2) * 64 + OUTSIDE + 3
    assert 4096 * longest < marching.CANDIDATES < 65536 * 1774


@pytest.mark.parametrize("unbounded", [False, True])
def test_autocast_moves_no_sample(unbounded: bool) -> None:
    plain = many(60, unbounded, True)
    with torch.autocast("cpu", torch.bfloat16):
        again = many(60, unbounded, True)
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))
    points = 3 * torch.randn(50, 3)
    placed = contract(points)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(contract(points), placed) and contract(points).dtype == torch.float32
