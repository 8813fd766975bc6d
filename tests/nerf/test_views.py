"""Rays that are looked up, against the numbers of the reference codes, the lens and the functions on tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transferbench.nerf.cameras import look_at, pixel_rays
from transferbench.nerf.lens import pixel_directions
from transferbench.nerf.rays import to_ndc
from transferbench.nerf.views import Views

PLAIN = np.zeros(6)
LENS = np.array([0.0578421, -0.0805099, 0, 0, -0.000980296, 0.00015575])


def views(poses: np.ndarray, camera: list[float], size: tuple[int, int], **more) -> Views:
    count = len(poses)
    given = {"near": 1.0, "far": 5.0, "distortion": np.tile(PLAIN, (count, 1)), **more}
    return Views(poses, np.tile(camera, (count, 1)).astype(float), size=size, **given)


def shifted(x: float = 1, y: float = 2, z: float = 3) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def test_rays_are_those_of_the_reference_code() -> None:
    turned = shifted()
    turned[:2, :2] = [[0, -1], [1, 0]]  # 90 degrees about z
    made = views(np.stack([shifted(), turned]), [2, 2, 2, 2], (4, 4), pixel_centre=0.0)
    frames, rows, columns = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 3, 2, 0], [0, 3, 0, 2, 0]])
    rays = made.rays(frames, rows, columns)
    wanted = torch.tensor([[-1.0, 1, -1], [0.5, 1, -1], [-1, -0.5, -1], [0, 0, -1], [-1, -1, -1]])
    torch.testing.assert_close(rays.directions, wanted)
    assert rays.origins.tolist() == [[1, 2, 3]] * 5
    torch.testing.assert_close(rays.local[4], wanted[0])
    torch.testing.assert_close(rays.views, wanted / wanted.norm(dim=1, keepdim=True))
    centred = views(shifted()[None], [2, 2, 2, 2], (4, 4)).whole(0)
    torch.testing.assert_close(centred.directions[0], torch.tensor([-0.75, 0.75, -1.0]))


def test_the_axis_of_a_camera_of_the_lego_scene_hits_the_origin() -> None:
    pose = np.eye(4)
    pose[:3] = [
        [-0.9999021888, 0.0041922452, -0.0133457193, -0.0537983216],
        [-0.0139886811, -0.2996590734, 0.9539436698, 3.8454704285],
        [0.0, 0.9540371895, 0.2996883094, 1.2080823183],
    ]
    focal = 800 / 2 / np.tan(0.6911112070083618 / 2)
    assert focal == pytest.approx(1111.111031)
    made = views(pose[None], [focal, focal, 400, 400], (800, 800), pixel_centre=0.0)
    rays = made.rays(*(torch.tensor([place]) for place in (0, 400, 400)))
    reached = rays.origins + 4.031129 * rays.directions
    assert reached.abs().max() < 2e-6


def test_device_coordinates_are_those_of_the_reference_code() -> None:
    poses = np.stack([shifted(0, 0, 0), shifted(0.1, 0.2, -0.5)])
    made = views(poses, [100, 100, 100, 50], (100, 200), pixel_centre=0.0, ndc=True)
    frames, rows, columns = torch.tensor([[0, 1], [75, 50], [150, 100]])
    rays = made.rays(frames, rows, columns)
    torch.testing.assert_close(rays.origins, torch.tensor([[0.5, -0.5, -1], [0.1, 0.4, -1]]))
    torch.testing.assert_close(rays.directions, torch.tensor([[0.0, 0, 2], [-0.1, -0.4, 2]]))
    assert rays.near.tolist() == [0, 0] and rays.far.tolist() == [1, 1]
    before = torch.tensor([0.5, -0.25, -1])
    torch.testing.assert_close(rays.views[0], before / before.norm())
    torch.testing.assert_close(rays.local[0], before)
    world = views(poses, [100, 100, 100, 50], (100, 200)).whole(1)
    moved, turned = to_ndc(world.origins, world.directions, 100, 200, 100.0, 100.0)
    whole = views(poses, [100, 100, 100, 50], (100, 200), ndc=True).whole(1)
    torch.testing.assert_close((whole.origins, whole.directions), (moved, turned))


@pytest.mark.parametrize("fisheye", [False, True])
def test_directions_go_through_the_lens(fisheye: bool) -> None:
    poses = np.stack([look_at((1, -3, 2), (0.1, 0.2, 0.3), roll=0.2), look_at((0.5, 3, 1), (0, 0, 0))])
    camera, lens = np.array([[20.0, 22, 8.3, 5.9], [25, 24, 8, 6]]), np.stack([LENS, PLAIN])
    made = Views(poses, camera, lens, (12, 16), [1.0, 2.0], [5.0, 6.0], fisheye)
    columns, rows = np.meshgrid(np.arange(16) + 0.5, np.arange(12) + 0.5)
    for frame in (0, 1):
        rays = made.whole(frame)
        local = pixel_directions(columns, rows, camera[frame], lens[frame], fisheye).reshape(-1, 3)
        np.testing.assert_allclose(rays.local, local, atol=1e-6)
        np.testing.assert_allclose(rays.directions, local @ poses[frame, :3, :3].T, atol=1e-6)
        assert (rays.near == frame + 1).all() and (rays.far == frame + 5).all() and (rays.frames == frame).all()


def test_a_pinhole_is_that_of_the_cameras_module_and_one_table_serves_all_frames() -> None:
    poses = np.stack([look_at((1, -3, 2), (0.1, 0.2, 0.3)), look_at((0.5, 3, 1), (0, 0, 0)), np.eye(4)])
    made = views(poses, [50, 50, 3, 2], (4, 6))
    assert len(made.table) == 1
    for frame, pose in enumerate(poses):
        origins, directions = pixel_rays(pose, 50.0, 6, 4)
        rays = made.whole(frame)
        np.testing.assert_allclose(rays.origins, origins.reshape(-1, 3), atol=1e-6)
        np.testing.assert_allclose(rays.directions, directions.reshape(-1, 3), atol=1e-6)


def test_rays_know_their_time() -> None:
    poses = np.repeat(np.eye(4)[None], 3, 0)
    assert views(poses, [5, 5, 2, 2], (4, 4)).whole(2).times.tolist() == [0] * 16
    moving = views(poses, [5, 5, 2, 2], (4, 4), times=np.array([3, 40, 7]))
    frames, rows, columns = torch.tensor([[1, 0, 2], [0, 1, 2], [3, 2, 1]])
    assert moving.rays(frames, rows, columns).times.tolist() == [40, 3, 7]


def test_nothing_of_it_goes_into_a_checkpoint() -> None:
    assert views(np.eye(4)[None], [5, 5, 2, 2], (4, 4)).state_dict() == {}


def test_some_of_the_rays_and_all_of_them_in_chunks() -> None:
    rays = views(np.eye(4)[None], [5, 5, 2, 2], (4, 4)).whole(0)
    assert len(rays) == 16 and len(rays[3:5]) == 2
    assert torch.equal(rays[torch.tensor([7, 1])].local, rays.local[[7, 1]])
    for size in (3, 16, 99):
        assert torch.equal(rays.in_chunks(lambda some: some.views * 2, size), rays.views * 2)
