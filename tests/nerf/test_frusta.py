"""Pyramids, rooms and what is up, against projections and rotations that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from transferbench.nerf.cameras import look_at, project
from transferbench.nerf.frusta import EDGES, box_corners, image_corners, page_of, projected_corners, upward
from transferbench.nerf.paths import orbit
from transferbench.nerf.surface import from_ndc

RNG = np.random.default_rng(0)


def turned(poses: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return ``poses`` (N, 4, 4) in a world that is turned by ``rotation`` (3, 3)."""
    moved = poses.copy()
    moved[:, :3] = rotation @ poses[:, :3]
    return moved


def walking(count: int = 40) -> np.ndarray:
    """Cameras that walk along x and look ahead and down by 35 degrees, their heads turning."""
    turns = np.radians(30) * np.sin(np.linspace(0, 9, count))
    eyes = np.stack([np.linspace(0, 6, count), np.zeros(count), np.full(count, 1.6)], 1)
    aims = np.stack([np.cos(turns), np.sin(turns), np.full(count, -np.tan(np.radians(35)))], 1)
    return np.stack([look_at(eye, eye + aim) for eye, aim in zip(eyes, aims)])


def facing(count: int = 20) -> np.ndarray:
    """Cameras on a wall that all look along -z, as LLFF's do."""
    eyes = np.concatenate([RNG.uniform(-0.5, 0.5, (count, 2)), np.zeros((count, 1))], 1)
    return np.stack([look_at(eye, eye * (0.3, 0.3, 1) - (0, 0, 4), (0, 1, 0)) for eye in eyes])


def test_the_corners_of_an_image_are_seen_at_its_corners() -> None:
    poses = np.stack([look_at(RNG.normal(size=3) * 3, (0.1, 0.2, 0.3), roll=0.4) for _ in range(6)])
    intrinsics = np.tile([55.0, 55.0, 31.0, 17.0], (6, 1))
    depth = np.linspace(0.5, 2.0, 6)
    corners = image_corners(poses, intrinsics, (40, 60), depth)
    assert corners.shape == (6, 4, 3)
    for pose, found, deep in zip(poses, corners, depth):
        pixels, depths = project(found, pose, 55.0, (31.0, 17.0))
        np.testing.assert_allclose(pixels, [(0, 0), (60, 0), (60, 40), (0, 40)], atol=1e-9)
        np.testing.assert_allclose(depths, deep)
    np.testing.assert_allclose(image_corners(poses, intrinsics, (40, 60), 0.5)[0], corners[0])


def test_the_two_focal_lengths_of_a_camera_are_each_taken() -> None:
    corners = image_corners(np.eye(4)[None], np.array([[10.0, 40.0, 10.0, 20.0]]), (40, 20), 2.0)[0]
    np.testing.assert_allclose(corners, [(-2, 1, -2), (2, 1, -2), (2, -1, -2), (-2, -1, -2)])


def test_twelve_edges_join_the_corners_of_a_box() -> None:
    corners = box_corners((0, 0, 0), (1, 2, 4))
    assert corners.shape == (8, 3) and len(EDGES) == 12
    sides = sorted(tuple(np.abs(corners[j] - corners[i])) for i, j in EDGES)
    assert sides == [(0, 0, 4)] * 4 + [(0, 2, 0)] * 4 + [(1, 0, 0)] * 4


def test_the_projected_room_is_the_cube_of_normalised_device_coordinates() -> None:
    near, depth = 1.0, 5.0
    found = projected_corners((30.0, 40.0, 32.0, 24.0), (48, 64), depth, near)
    cube = box_corners((-1, -1, 1 - 2 * near / depth), (1, 1, -1))  # z is 1 - 2 near / depth: 1 at infinity, -1 at near
    expected = from_ndc(torch.from_numpy(cube), 48, 64, 30.0, 40.0, near).numpy()
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("taken", [orbit(20, 4.0, 30.0), orbit(20, 4.0, 84.0), facing(), walking()])
def test_up_is_found_whichever_way_the_world_is_turned(taken: np.ndarray) -> None:
    up = np.array([0.0, 1.0, 0.0] if taken[0, 1, 1] > 0.9 else [0.0, 0.0, 1.0])
    for rotation in Rotation.random(5, rng=np.random.default_rng(1)).as_matrix():
        assert upward(turned(taken, rotation)) @ rotation @ up > np.cos(np.radians(4))


def test_up_of_cameras_that_look_straight_down_is_away_from_the_ground() -> None:
    down = np.stack([look_at((x, 0, 5), (x, 0, 0), (np.cos(x), np.sin(x), 0)) for x in np.linspace(0, 6.28, 9)])
    np.testing.assert_allclose(upward(down), (0, 0, 1), atol=0.05)


def test_a_map_keeps_the_axes_of_a_world_that_stands_upright() -> None:
    page = page_of(orbit(20, 4.0, 30.0))
    assert not page.facing and page.axes.tolist() == np.eye(3).tolist()
    page = page_of(facing())
    assert page.facing and page.axes.tolist() == [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    upside_down = turned(orbit(20, 4.0, 30.0), Rotation.from_euler("x", 90, degrees=True).as_matrix())
    assert page_of(upside_down).axes[2].tolist() == [0, -1, 0]
    page = page_of(walking())
    assert page.facing and page.axes.tolist() == [[0, -1, 0], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("taken", [orbit(20, 4.0, 30.0), facing(), walking(), orbit(1, 4.0), walking()[:2]])
def test_a_map_is_no_mirror_image(taken: np.ndarray) -> None:
    for rotation in [np.eye(3), *Rotation.random(5, rng=np.random.default_rng(2)).as_matrix()]:
        page = page_of(turned(taken, rotation))
        np.testing.assert_allclose(page.axes @ page.axes.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(page.axes) == pytest.approx(1)


def test_a_map_of_a_world_that_lies_askew_has_the_longest_side_across() -> None:
    rotation = Rotation.from_euler("x", 40, degrees=True).as_matrix()
    long = orbit(24, 1.0, 20.0)
    long[:, :3, 3] *= (6, 1, 1)
    page = page_of(turned(long, rotation))
    np.testing.assert_allclose(page.axes[2], rotation @ (0, 0, 1), atol=1e-6)
    assert abs(page.axes[0] @ rotation @ (1, 0, 0)) > 0.999
