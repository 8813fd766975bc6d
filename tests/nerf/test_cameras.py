"""Cameras: poses, rays and projections against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from transferbench.nerf.cameras import look_at, pixel_rays, project, ray_basis


def test_a_camera_looks_along_its_negative_z_with_y_up() -> None:
    pose = look_at((0.0, -2.0, 0.0), (0.0, 0.0, 0.0))
    np.testing.assert_allclose(pose[:3, :3] @ [0, 0, -1], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3] @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3] @ [1, 0, 0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], [0, -2, 0])
    np.testing.assert_allclose(pose[3], [0, 0, 0, 1])


@pytest.mark.parametrize("roll", [0.0, 0.7])
def test_poses_are_rotations(roll: float) -> None:
    rotation = look_at((1.0, 2.0, 3.0), (-0.5, 0.2, 0.1), roll=roll)[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_roll_turns_the_camera_counter_clockwise() -> None:
    pose = look_at((0.0, -2.0, 0.0), (0.0, 0.0, 0.0), roll=np.pi / 2)
    np.testing.assert_allclose(pose[:3, 0], [0, 0, 1], atol=1e-12)  # the camera's right is now up in the world


def test_a_direction_up_along_the_view_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot look at"):
        look_at((0.0, 0.0, 3.0), (0.0, 0.0, 0.0))


def test_rays_pass_through_pixel_centres() -> None:
    pose = look_at((1.0, -3.0, 2.0), (0.1, 0.2, 0.3), roll=0.2)
    origins, directions = pixel_rays(pose, 50.0, 6, 4)
    points = origins + 2.5 * directions
    pixels, depth = project(points, pose, 50.0, (3.0, 2.0))
    u, v = np.meshgrid(np.arange(6) + 0.5, np.arange(4) + 0.5)
    np.testing.assert_allclose(pixels, np.stack([u, v], axis=-1), atol=1e-9)
    np.testing.assert_allclose(depth, 2.5)


def test_projection_matches_similar_triangles() -> None:
    pose = look_at((0.0, -4.0, 0.0), (0.0, 0.0, 0.0))
    pixel, depth = project([0.5, 0.0, 1.0], pose, 100.0, (32.0, 30.0))
    np.testing.assert_allclose(pixel, [32 + 100 * 0.5 / 4, 30 - 100 * 1.0 / 4])
    assert depth == pytest.approx(4.0)


def test_the_basis_gives_the_rays() -> None:
    pose = look_at((1.0, -3.0, 2.0), (0.0, 0.0, 0.0))
    a, b, c = ray_basis(pose, 40.0, (8.0, 5.0))
    _, directions = pixel_rays(pose, 40.0, 16, 10, (8.0, 5.0))
    np.testing.assert_allclose(a + 3.5 * b + 7.5 * c, directions[7, 3], atol=1e-12)
