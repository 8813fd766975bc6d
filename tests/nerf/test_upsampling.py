"""Upsampling against loops over its definition and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from transferbench.nerf import upsampling
from transferbench.nerf.upsampling import bilinear, joint_bilateral, nearest


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def naive_bilateral(grid: Tensor, guide: Tensor, radius: int, sigma_space: float, sigma_colour: float) -> Tensor:
    (channels, h, w), (height, width) = grid.shape, guide.shape[1:]

    def colour_of(i: int, j: int) -> Tensor:
        top, bottom = i * height // h, -(-(i + 1) * height // h)
        left, right = j * width // w, -(-(j + 1) * width // w)
        return guide[:, top:bottom, left:right].mean((1, 2))

    result = torch.zeros(channels, height, width)
    for row in range(height):
        for column in range(width):
            total, summed = 0.0, torch.zeros(channels)
            own = row * h // height, column * w // width
            for i in range(max(own[0] - radius, 0), min(own[0] + radius, h - 1) + 1):
                for j in range(max(own[1] - radius, 0), min(own[1] + radius, w - 1) + 1):
                    apart = (i + 0.5 - (row + 0.5) * h / height) ** 2 + (j + 0.5 - (column + 0.5) * w / width) ** 2
                    unlike = float((colour_of(i, j) - guide[:, row, column]).square().sum())
                    weight = math.exp(-apart / (2 * sigma_space**2) - unlike / (2 * sigma_colour**2))
                    total, summed = total + weight, summed + weight * grid[:, i, j]
            result[:, row, column] = summed / total
    return result


def test_nearest_takes_the_cell_of_the_reference_code() -> None:
    rows = nearest(torch.arange(47.0)[None, :, None].expand(1, 47, 63), (378, 504))[0, :, 0]
    assert rows[:9].unique().tolist() == [0.0]
    assert (rows[9], rows[16], rows[377]) == (1.0, 1.0, 46.0)
    assert rows.tolist() == [math.floor(i * 47 / 378) for i in range(378)]
    columns = nearest(torch.arange(63.0)[None, None].expand(1, 47, 63), (378, 504))[0, 0]
    assert columns.tolist() == [j // 8 for j in range(504)]


def test_unit_features_stay_unit() -> None:
    grid = torch.nn.functional.normalize(random(5, 4, 3) - 0.5, dim=0)
    torch.testing.assert_close(nearest(grid, (17, 20)).norm(dim=0), torch.ones(17, 20))


def test_bilinear_is_exact_on_planes_and_level_beyond_the_middles() -> None:
    rows, columns = torch.meshgrid(torch.arange(4.0) + 0.5, torch.arange(5.0) + 0.5, indexing="ij")
    fine_rows, fine_columns = (torch.arange(16.0) + 0.5) / 4, (torch.arange(20.0) + 0.5) / 4
    plane = bilinear((2 * rows - 3 * columns)[None], (16, 20))[0]
    expected = 2 * fine_rows.clamp(0.5, 3.5)[:, None] - 3 * fine_columns.clamp(0.5, 4.5)
    torch.testing.assert_close(plane, expected)


@pytest.mark.parametrize(
    ("size", "radius", "sigma_space", "sigma_colour"), [((12, 16), 1, 0.8, 0.3), ((11, 15), 2, 1.5, 0.2)]
)
def test_the_joint_bilateral_filter_is_the_naive_loop(
    size: tuple[int, int], radius: int, sigma_space: float, sigma_colour: float
) -> None:
    grid, guide = random(3, 4, 5), random(3, *size, seed=1)
    expected = naive_bilateral(grid, guide, radius, sigma_space, sigma_colour)
    torch.testing.assert_close(joint_bilateral(grid, guide, radius, sigma_space, sigma_colour), expected)


def test_chunks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, guide = random(3, 4, 5), random(3, 13, 16, seed=1)
    whole = joint_bilateral(grid, guide)
    monkeypatch.setattr(upsampling, "_NUMBERS", 16 * (3 + 8 * 25) * 2)  # two rows at a time
    torch.testing.assert_close(joint_bilateral(grid, guide), whole)


def test_edges_of_the_guide_are_kept() -> None:
    guide = torch.zeros(3, 32, 32)
    guide[:, :, 13:] = 1.0  # an edge that runs through cells
    grid = torch.zeros(1, 8, 8)
    grid[:, :, 4:] = 1.0
    grid[:, :, 3] = 0.75
    smooth, sharp = bilinear(grid, (32, 32)), joint_bilateral(grid, guide, 2, 1.0, 0.05)
    edge = (sharp[0, 16, 13] - sharp[0, 16, 12]).item()
    assert edge > 0.7 > 0.3 > (smooth[0, 16, 13] - smooth[0, 16, 12]).item()


def test_a_tiny_sigma_leaves_the_most_similar_cell_and_no_nan() -> None:
    grid, guide = random(2, 4, 4), random(3, 16, 16, seed=1)
    result = joint_bilateral(grid, guide, 1, 1.0, 1e-4)
    assert torch.isfinite(result).all()
    cells = grid.flatten(1).T
    apart = (result.flatten(1).T[:, None] - cells).norm(dim=-1).amin(-1)
    assert (apart < 1e-4).float().mean() > 0.95


def test_constant_features_stay_constant() -> None:
    torch.testing.assert_close(
        joint_bilateral(torch.full((2, 3, 4), 0.7), random(3, 10, 13)), torch.full((2, 10, 13), 0.7)
    )


@pytest.mark.parametrize("wrong", [{"radius": -1}, {"sigma_space": 0.0}, {"sigma_colour": -1.0}])
def test_windows_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive sigmas"):
        joint_bilateral(random(2, 3, 3), random(3, 9, 9), **wrong)  # type: ignore[arg-type]
