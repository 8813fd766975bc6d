"""A hash grid against a loop over points, levels and corners."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.models.hash_grid import HashGrid


def made(**settings) -> HashGrid:
    torch.manual_seed(0)
    grid = HashGrid(**{"levels": 3, "features": 2, "log2_table": 9, "coarsest": 4, "finest": 16, **settings})
    with torch.no_grad():
        grid.table.normal_()
    return grid.double()


def row_of(vertex: tuple[int, ...], side: int, size: int) -> int:
    """Vertices of a level that fits stand in order; those of another share rows by instant-ngp's hash."""
    x, y, z = vertex
    if (side + 1) ** 3 <= size:
        return (x * (side + 1) + y) * (side + 1) + z
    return (x ^ (y * 2654435761) ^ (z * 805459861)) % size


def naive(grid: HashGrid, points: Tensor, size: int = 512) -> Tensor:
    found, offset = [], 0
    for side in grid.resolutions:
        level = []
        for point in points.double().clamp(0, 1) * side:
            low = [min(math.floor(value), side - 1) for value in point.tolist()]
            share = [value - floor for value, floor in zip(point.tolist(), low)]
            total = torch.zeros(grid.table.shape[1], dtype=torch.float64)
            for corner in ((i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)):
                weight = math.prod(s if up else 1 - s for s, up in zip(share, corner))
                vertex = tuple(floor + up for floor, up in zip(low, corner))
                total = total + weight * grid.table[offset + row_of(vertex, side, size)]
            level.append(total)
        found.append(torch.stack(level))
        offset += min((side + 1) ** 3, size)
    return torch.cat(found, 1)


@pytest.fixture
def points() -> Tensor:
    corners = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0.5], [0.25, 0.5, 0.75], [-0.1, 1.2, 0.3]])
    return torch.cat([torch.rand(20, 3, generator=torch.Generator().manual_seed(1)), corners])


def test_levels_that_fit_stand_in_order_and_others_are_hashed(points: Tensor) -> None:
    grid = made()
    assert grid.resolutions == [4, 8, 16] and grid.hashed == [False, True, True]
    assert len(grid.table) == 125 + 512 + 512
    torch.testing.assert_close(grid(points), naive(grid, points), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("finest", [4, 6])
def test_a_grid_of_one_kind_of_levels_alone(points: Tensor, finest: int) -> None:
    dense = made(finest=finest)
    assert not any(dense.hashed)
    torch.testing.assert_close(dense(points), naive(dense, points), rtol=1e-5, atol=1e-5)
    hashed = made(log2_table=8, coarsest=7)
    assert all(hashed.hashed)
    torch.testing.assert_close(hashed(points), naive(hashed, points, 256), rtol=1e-5, atol=1e-5)


def test_the_table_s_gradient_is_that_of_a_gather(points: Tensor) -> None:
    grid = made()
    upstream = torch.randn(len(points), grid.width, dtype=torch.float64)
    (ours,) = torch.autograd.grad((grid(points) * upstream).sum(), grid.table)
    (theirs,) = torch.autograd.grad((naive(grid, points) * upstream).sum(), grid.table)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_positions_get_no_gradient() -> None:
    place = torch.rand(3, 3, requires_grad=True)
    made()(place).sum().backward()
    assert place.grad is None


def test_features_are_continuous_across_cells_and_those_of_the_vertices_on_them() -> None:
    grid = made()
    for edge in (0.25, 0.5, 0.75):
        below, above = (grid(torch.tensor([[edge + side, 0.3, 0.6]])) for side in (-1e-6, 1e-6))
        torch.testing.assert_close(below, above, rtol=0, atol=1e-3)
    vertex = torch.tensor([[0.25, 0.5, 1.0]])
    torch.testing.assert_close(grid(vertex)[0, :2], grid.table[row_of((1, 2, 4), 4, 512)])


def test_what_lies_outside_counts_as_on_the_border() -> None:
    grid = made()
    outside, border = torch.tensor([[-3.0, 0.4, 1.5]]), torch.tensor([[0.0, 0.4, 1.0]])
    assert torch.equal(grid(outside), grid(border))


def test_its_width_and_the_growth_of_its_levels() -> None:
    grid = HashGrid()
    assert grid.width == 16 and grid(torch.rand(5, 3)).shape == (5, 16)
    assert grid.resolutions[0] == 16 and grid.resolutions[-1] == 128
    ratios = [b / a for a, b in zip(grid.resolutions, grid.resolutions[1:])]
    assert max(ratios) / min(ratios) < 1.1
    assert HashGrid(levels=1, coarsest=5, finest=9).resolutions == [5]
    assert grid(torch.rand(0, 3)).shape == (0, 16)
    assert grid.table.abs().max() <= 1e-4


def test_a_refined_grid_goes_on_from_its_dense_levels_and_comes_back(points: Tensor) -> None:
    grid = HashGrid(log2_table=13)
    grid.table.data.uniform_(-1, 1)
    plain, state = grid(points.float()), {key: value.clone() for key, value in grid.state_dict().items()}
    grid.refine(4)
    sides = grid.sides.tolist()
    assert grid.dense == 1 and sides[0] == 16 and sides[-1] == 512
    ratios = [b / a for a, b in itertools.pairwise(sides)]
    assert max(ratios) / min(ratios) < 1.1
    finer = HashGrid(log2_table=13, coarsest=16, finest=512)  # which is the same, since one level is dense
    finer.table.data.copy_(grid.table.data)
    torch.testing.assert_close(grid(points.float()), finer(points.float()))
    other = HashGrid(log2_table=13)
    other.load_state_dict(grid.state_dict())
    torch.testing.assert_close(other(points.float()), grid(points.float()))
    grid.refine(1)
    assert torch.equal(grid(points.float()), plain) and torch.equal(grid.sides, state["sides"])
    for levels in ({"levels": 1}, {"finest": 16, "log2_table": 24}):
        small = HashGrid(**{"coarsest": 4, "finest": 16, **levels})
        small.refine(4)
        assert small.sides.tolist() == small.resolutions
    with pytest.raises(ValueError, match="expected 1 to 4"):
        grid.refine(8)


@pytest.mark.parametrize(
    "settings", [{"levels": 0}, {"features": 0}, {"coarsest": 9, "finest": 8}, {"log2_table": 30}, {"coarsest": 0}]
)
def test_sizes_that_make_no_sense(settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match="at least one level"):
        HashGrid(**settings)


def test_autocast_does_not_round_places(points: Tensor) -> None:
    grid = made(finest=4096).float()
    plain = [*grid.corners(points), grid(points)]
    with torch.autocast("cpu", torch.bfloat16):
        again = [*grid.corners(points), grid(points)]
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))
