"""Camera paths against the poses of the reference code and their geometry."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from transferbench.nerf.cameras import look_at
from transferbench.nerf.paths import between, mean_pose, orbit, spherical_pose, spiral


def check_rotations(poses: np.ndarray) -> None:
    rotations = poses[:, :3, :3]
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (len(poses), 1, 1)), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    np.testing.assert_allclose(poses[:, 3], np.tile([0, 0, 0, 1], (len(poses), 1)))


def miss(poses: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How far the viewing axes pass by the target, infinite where it is behind."""
    offset = target - poses[:, :3, 3]
    along = -(offset * poses[:, :3, 2]).sum(-1)
    return np.where(along > 0, np.linalg.norm(offset + along[:, None] * poses[:, :3, 2], axis=-1), np.inf)


def forward_facing(count: int = 20) -> np.ndarray:
    generator = np.random.default_rng(0)
    eyes = generator.normal(size=(count, 3)) * [0.5, 0.3, 0.05]
    return np.stack([look_at(eye, (0.0, 0.0, -4.0), (0.0, 1.0, 0.0)) for eye in eyes])


def test_spherical_poses_are_those_of_nerf() -> None:
    expected = [[-1, 0, 0, 0], [0, -0.5, 0.866025, 3.464102], [0, 0.866025, 0.5, 2], [0, 0, 0, 1]]
    np.testing.assert_allclose(spherical_pose(0, 30, 4), expected, atol=1e-6)
    np.testing.assert_allclose(spherical_pose(90, 30, 4)[:3, 3], [3.464102, 0, 2], atol=1e-6)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0.0, 30.0), (77.0, -20.0), (200.0, 89.0)])
def test_a_spherical_pose_looks_at_the_origin_with_z_up(azimuth: float, elevation: float) -> None:
    pose = spherical_pose(azimuth, elevation, 2.5)
    np.testing.assert_allclose(pose, look_at(pose[:3, 3], (0.0, 0.0, 0.0)), atol=1e-9)


def test_the_pole_has_a_pose() -> None:
    pose = spherical_pose(40, 90, 3)
    check_rotations(pose[None])
    np.testing.assert_allclose(pose[:3, 3], [0, 0, 3], atol=1e-12)


def test_an_orbit_is_a_closed_circle_of_spherical_poses() -> None:
    poses = orbit(8, 4.0, 30.0)
    np.testing.assert_allclose(poses, [spherical_pose(45 * step, 30, 4) for step in range(8)], atol=1e-12)


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 1, 0), (0, 0, -1), (1, 2, -3)])
def test_an_orbit_turns_about_its_axis(up: tuple[float, float, float]) -> None:
    target, axis = np.array([1.0, -2.0, 0.5]), np.array(up) / np.linalg.norm(up)
    poses = orbit(12, 3.0, 20.0, target, up)
    check_rotations(poses)
    offset = poses[:, :3, 3] - target
    np.testing.assert_allclose(np.linalg.norm(offset, axis=-1), 3.0)
    np.testing.assert_allclose(offset @ axis, 3 * np.sin(np.radians(20)))
    np.testing.assert_allclose(miss(poses, target), 0, atol=1e-9)
    np.testing.assert_allclose(poses[:, :3, 0] @ axis, 0, atol=1e-9)  # the horizon is level
    assert (poses[:, :3, 1] @ axis > 0).all()
    steps = np.linalg.norm(np.diff(np.concatenate([offset, offset[:1]]), axis=0), axis=-1)
    np.testing.assert_allclose(steps, steps[0])


def test_the_mean_pose_of_one_is_itself() -> None:
    pose = spherical_pose(30, 20, 2)
    np.testing.assert_allclose(mean_pose(pose[None]), pose, atol=1e-12)


def test_a_spiral_faces_one_point_and_stays_among_the_cameras() -> None:
    given = forward_facing()
    path = spiral(given, near=2.0, far=10.0)
    assert path.shape == (120, 4, 4)
    check_rotations(path)
    centre = mean_pose(given)
    focus = 1 / (0.25 / 1.8 + 0.75 / 50.0)
    np.testing.assert_allclose(miss(path, centre[:3, 3] - focus * centre[:3, 2]), 0, atol=1e-9)
    local = (path[:, :3, 3] - centre[:3, 3]) @ centre[:3, :3]
    reach = np.percentile(np.abs((given[:, :3, 3] - centre[:3, 3]) @ centre[:3, :3]), 90, axis=0)
    np.testing.assert_allclose(np.abs(local).max(0), reach, rtol=1e-2)
    np.testing.assert_allclose((local[:, :2] ** 2 / reach[:2] ** 2).sum(-1), 1.0)  # an ellipse
    turned = np.unwrap(np.arctan2(-local[:, 1] / reach[1], local[:, 0] / reach[0]))
    np.testing.assert_allclose(np.diff(turned), 4 * np.pi / 120)  # two turns, open at the end
    np.testing.assert_allclose(local[[0, 60], 2], 0, atol=1e-12)
    np.testing.assert_allclose(local[[30, 90], 2], [-reach[2], reach[2]])


def test_a_spiral_moves_with_the_scene() -> None:
    given = forward_facing()
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec([0.3, -1.0, 0.7]).as_matrix()
    motion[:3, 3] = [4.0, 5.0, -6.0]
    np.testing.assert_allclose(spiral(motion @ given, 2, 10, 30), motion @ spiral(given, 2, 10, 30), atol=1e-9)


def test_a_path_between_poses_goes_through_them() -> None:
    given = np.stack([spherical_pose(0, 10, 3), spherical_pose(80, 40, 2), spherical_pose(120, -20, 4)])
    path = between(given, 9)
    check_rotations(path)
    np.testing.assert_allclose(path[[0, 4, 8]], given, atol=1e-9)
    np.testing.assert_allclose(path[2, :3, 3], (given[0, :3, 3] + given[1, :3, 3]) / 2)
    turns = (Rotation.from_matrix(path[:4, :3, :3]).inv() * Rotation.from_matrix(path[1:5, :3, :3])).magnitude()
    np.testing.assert_allclose(turns, turns[0])  # even, and on the shortest way
    whole = (Rotation.from_matrix(given[0, :3, :3]).inv() * Rotation.from_matrix(given[1, :3, :3])).magnitude()
    assert turns.sum() == pytest.approx(whole)


def test_one_pose_stays() -> None:
    pose = spherical_pose(10, 10, 1)
    np.testing.assert_allclose(between(pose[None], 3), [pose] * 3)
    np.testing.assert_allclose(between(np.stack([pose, spherical_pose(50, 0, 1)]), 1), [pose])
