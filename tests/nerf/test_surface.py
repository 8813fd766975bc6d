"""Points and meshes of surfaces that have a formula."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch

from transferbench.errors import UserError
from transferbench.nerf.rays import to_ndc
from transferbench.nerf.surface import EMPTY, Cloud, from_ndc, half_opaque, merged, mesh_of, sure, without_strays


def cloud_of(count: int, seed: int) -> Cloud:
    rng = np.random.default_rng(seed)
    return Cloud(rng.normal(size=(count, 3)), rng.random((count, 3)), np.ones(count))


def test_merging_gives_the_mean_of_each_cube() -> None:
    positions = np.array([[0.1, 0.1, 0.1], [0.3, 0.1, 0.1], [-0.1, 0.1, 0.1], [0.9, 0.9, 0.9]])
    colours = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 1.0]])
    found = merged(EMPTY, Cloud(positions, colours, np.array([1.0, 3.0, 1.0, 1.0])), 0.5)
    np.testing.assert_allclose(found.positions, [[-0.1, 0.1, 0.1], [0.25, 0.1, 0.1], [0.9, 0.9, 0.9]])
    np.testing.assert_allclose(found.colours, [[0, 0, 1], [0.25, 0.75, 0], [1, 1, 1]])
    np.testing.assert_array_equal(found.seen, [1, 4, 1])


def test_merging_one_after_the_other_is_merging_all_at_once() -> None:
    parts = [cloud_of(300, seed) for seed in range(4)]
    step = EMPTY
    for part in parts:
        step = merged(step, part, 0.7)
    naive: dict[tuple[int, ...], list[np.ndarray]] = {}
    for part in parts:
        for position, colour in zip(part.positions, part.colours):
            cube = tuple(math.floor(axis / 0.7) for axis in position)
            naive.setdefault(cube, []).append(np.concatenate([position, colour]))
    expected = [np.mean(naive[cube], axis=0) for cube in sorted(naive)]
    np.testing.assert_allclose(np.concatenate([step.positions, step.colours], 1), expected)
    assert step.seen.tolist() == [len(naive[cube]) for cube in sorted(naive)]
    assert len(merged(EMPTY, EMPTY, 0.1).positions) == 0


def test_pixels_between_two_things_and_rays_that_go_on_are_not_sure() -> None:
    distance = np.full((5, 6), 2.0)
    distance[:, 3:] = 4.0  # another thing behind
    distance[2, 0] = 2.05  # within the tolerance
    opacity = np.ones((5, 6))
    opacity[0, 5], distance[0, 5] = 0.2, 0.3  # nothing there: its neighbours stay
    expected = np.ones((5, 6), bool)
    expected[:, 2:4] = False
    expected[0, 5] = False
    np.testing.assert_array_equal(sure(distance, opacity), expected)


def test_what_was_projected_comes_back() -> None:
    generator = torch.Generator().manual_seed(0)
    origins = torch.randn(50, 3, generator=generator, dtype=torch.float64) * 0.3
    directions = torch.randn(50, 3, generator=generator, dtype=torch.float64) * 0.3
    directions[:, 2] = -1.0
    projected, slopes = to_ndc(origins, directions, 40, 60, 55.0, 50.0)
    share = torch.rand(50, generator=generator, dtype=torch.float64) * 0.9
    points = from_ndc(projected + share[:, None] * slopes, 40, 60, 55.0, 50.0)
    along = (points - origins) / directions  # on the ray that was projected: the same parameter in every axis
    torch.testing.assert_close(along, along[:, :1].expand(50, 3))
    torch.testing.assert_close(points[:, 2], -1 / (1 - share))  # NDC is linear in disparity: t = 1 - near / depth
    assert not torch.isfinite(from_ndc(torch.tensor([0.1, 0.1, 1.0]), 40, 60, 55.0, 50.0)).all()


def test_strays_go_and_surfaces_stay() -> None:
    rows, columns = np.mgrid[:30, :30] / 30
    plane = np.stack([rows.ravel(), columns.ravel(), 0 * rows.ravel()], 1)
    strays = np.array([[0.5, 0.5, 0.5], [0.2, 0.8, -0.4]])
    positions = np.concatenate([strays[:1], plane, strays[1:]])
    found = without_strays(Cloud(positions, np.tile(positions[:, :1], 3), np.arange(902.0)))
    assert len(found.positions) <= 900 and not (np.abs(found.positions[:, 2]) > 0).any()
    middle = (np.abs(plane - 0.5)[:, :2] < 0.45).all(1)
    assert {*map(tuple, plane[middle])} <= {*map(tuple, found.positions)}
    np.testing.assert_array_equal(found.colours[:, 0], found.positions[:, 0])
    np.testing.assert_array_equal(found.positions, positions[found.seen.astype(int)])
    assert without_strays(EMPTY) == EMPTY


def test_a_cell_of_that_density_is_half_opaque() -> None:
    assert 1 - math.exp(-half_opaque(0.25) * 0.25) == pytest.approx(0.5)


def ball(points: torch.Tensor) -> torch.Tensor:
    """A density that falls from 20 in the middle by 40 a unit: 0.4 from the centre it is 4."""
    return (20 - 40 * (points - torch.tensor([0.1, 0.0, 0.0])).norm(dim=-1)).clamp(min=0)


def test_a_mesh_lies_where_the_density_is_the_level() -> None:
    pytest.importorskip("skimage")
    low, high = np.array([-0.5, -0.6, -0.5]), np.array([0.7, 0.6, 0.5])
    mesh = mesh_of(ball, low, high, cells=32, level=4.0)
    away = mesh.vertices - [0.1, 0.0, 0.0]
    distance = np.linalg.norm(away, axis=1)
    np.testing.assert_allclose(distance, 0.4, atol=2e-3)
    assert ((away / distance[:, None]) * mesh.normals).sum(1).min() > 0.95  # outwards
    corners = mesh.vertices[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (across * (corners.mean(1) - [0.1, 0.0, 0.0])).sum(1).min() > 0  # corners run counter-clockwise from outside
    assert np.linalg.norm(across, axis=1).sum() / 2 == pytest.approx(4 * math.pi * 0.4**2, rel=0.01)
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed


def test_without_a_surface_there_is_a_sentence() -> None:
    pytest.importorskip("skimage")
    with pytest.raises(UserError, match=r"densities in the scene's box run from 0 to 0, .* leave task\.mesh out"):
        mesh_of(lambda points: torch.zeros(len(points)), -np.ones(3), np.ones(3), cells=4)


def test_without_marching_cubes_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install scikit-image"):
        mesh_of(ball, -np.ones(3), np.ones(3), cells=4)
