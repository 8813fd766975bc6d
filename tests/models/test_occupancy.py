"""An occupancy grid keeps what is there, forgets what is not, and finds again what grows."""

from __future__ import annotations

import torch
from torch import Tensor

from transferbench.models.occupancy import OccupancyGrid

STEP = 0.1


def ball(points: Tensor) -> Tensor:
    return 5.0 * ((points - 0.5).norm(dim=-1) < 0.3)


def nothing(points: Tensor) -> Tensor:
    return torch.zeros(points.shape[:-1])


def centres(grid: OccupancyGrid) -> Tensor:
    side = (torch.arange(grid.side) + 0.5) / grid.side
    return torch.stack(torch.meshgrid(side, side, side, indexing="ij"), -1).reshape(-1, 3)


def settle(grid: OccupancyGrid, density=ball, updates: int = 8) -> OccupancyGrid:
    for _ in range(updates):
        where = torch.rand(6000, 3)
        where = where[grid(where)]
        grid.met(where, density(where))
        grid.update(density, STEP)
    return grid


def test_everything_is_occupied_until_the_warm_up_is_over() -> None:
    grid = OccupancyGrid(side=8, warmup=3, share=1e-9)
    seen = centres(grid)[:100]
    for updates in range(3):
        assert grid.occupied.all() and grid.updates == updates
        grid.met(seen, nothing(seen))
        grid.update(nothing, STEP)
    assert not grid(seen).any()
    assert grid.occupied.sum() >= 512 - 103, "where nobody has looked there may be something"


def test_cells_with_density_stay_and_empty_ones_go() -> None:
    grid = settle(OccupancyGrid(side=8))
    middle = centres(grid)
    apart = (middle - 0.5).norm(dim=1)
    assert grid(middle)[apart < 0.25].all()
    assert not grid(middle)[apart > 0.3 + 0.11].any()


def test_the_threshold_is_of_the_thickness_of_a_step() -> None:
    for density, kept in ((0.099, False), (0.101, True)):
        grid = settle(OccupancyGrid(side=4), lambda p, d=density: torch.full(p.shape[:-1], d))
        assert grid.occupied.all() if kept else not grid.occupied.any()


def test_what_grows_in_an_empty_cell_is_found_again() -> None:
    grid = settle(OccupancyGrid(side=8, share=0.1), nothing)
    assert not grid.occupied.any()
    settle(grid, ball, 60)
    middle = centres(grid)
    assert grid(middle)[(middle - 0.5).norm(dim=1) < 0.25].all()


def test_what_disappears_is_forgotten_by_and_by() -> None:
    grid = settle(OccupancyGrid(side=4, share=0.001), lambda p: torch.full(p.shape[:-1], 8.0))
    assert grid.occupied.all()
    where = centres(grid)
    for update in range(7):  # 8 / 2^6 x 0.1 is still more than 0.01
        assert grid.occupied.all(), update
        grid.met(where, nothing(where))
        grid.update(nothing, STEP)
    assert grid.occupied.sum() == 0


def test_the_highest_density_met_since_the_last_update_counts() -> None:
    grid = OccupancyGrid(side=2, warmup=0, share=1e-9)
    where = torch.tensor([[0.1, 0.1, 0.1], [0.2, 0.3, 0.4], [0.9, 0.1, 0.1]])
    grid.met(where, torch.tensor([3.0, 7.0, 2.0]))
    grid.met(where[:1], torch.tensor([1.0]))
    grid.update(nothing, STEP)
    looked_at = int((grid.density == 0).sum())
    assert looked_at <= 1 and grid.density[0] == 7 and grid.density[4] == 2
    assert grid.density.sum() == 9 - (6 - looked_at)
    assert (grid.recent == -1).all()


def test_cells_hold_their_points_and_the_border_those_outside() -> None:
    grid = OccupancyGrid(side=4)
    assert torch.equal(grid.cells_of(centres(grid)), torch.arange(64))
    outside = torch.tensor([[[-0.5, 0.3, 1.7], [1.0, 1.0, 1.0]]])
    assert torch.equal(grid.cells_of(outside), torch.tensor([[0 * 16 + 1 * 4 + 3, 63]]))


def test_it_follows_from_the_seed_and_continues_from_a_checkpoint() -> None:
    def after(first: int) -> OccupancyGrid:
        torch.manual_seed(3)
        grid = settle(OccupancyGrid(side=8), updates=first)
        if first < 8:
            state, grid = grid.state_dict(), OccupancyGrid(side=8)
            grid.load_state_dict(state)
            settle(grid, updates=8 - first)
        return grid

    whole = after(8)
    for first in (8, 3):
        again = after(first)
        for key, value in whole.state_dict().items():
            assert torch.equal(value, again.state_dict()[key]), key
