"""The rays of pixels against the numbers of the reference codes, the lens and the functions on tensors."""

from __future__ import annotations

import tracemalloc

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


def test_cameras_off_the_middle_reach_beyond_the_cube_of_device_coordinates() -> None:
    poses = np.repeat(np.eye(4)[None], 2, 0)
    poses[1, :2, 3] = 0.3, -0.1
    low, high = views(poses, [80, 80, 50, 40], (80, 100), ndc=True).reached()
    np.testing.assert_allclose(high, [0.99 + 2 * 80 / 100 * 0.3, 1.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(low, [-1.0, -79 / 80 - 2 * 80 / 80 * 0.1, -1.0], rtol=1e-5)


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


def test_a_pinhole_is_that_of_the_cameras_module() -> None:
    poses = np.stack([look_at((1, -3, 2), (0.1, 0.2, 0.3)), look_at((0.5, 3, 1), (0, 0, 0)), np.eye(4)])
    made = views(poses, [50, 50, 3, 2], (4, 6))
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


@pytest.mark.parametrize("ndc", [False, True])
@pytest.mark.parametrize("lens", [PLAIN, LENS])
def test_autocast_does_not_round_rays(lens: np.ndarray, ndc: bool) -> None:
    pose = look_at((0.3, 0.2, 2.0), (0.1, 0, 0))
    made = views(pose[None], [50, 50, 8.3, 5.9], (12, 16), distortion=lens[None], ndc=ndc)
    plain = made.whole(0)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = made.whole(0)
        assert (pose_of(made) @ plain.local[0]).dtype == torch.bfloat16, "a product of matrices would be"
    for one, other in zip(plain.parts(), rounded.parts()):
        assert one.dtype == other.dtype and torch.equal(one, other)


def pose_of(made: Views) -> torch.Tensor:
    return made.poses[0, :3, :3]


def test_a_pinhole_for_every_frame_takes_no_memory() -> None:
    cameras = np.array([[800.0 + frame, 800, 504, 378] for frame in range(200)])
    made = Views(np.repeat(np.eye(4)[None], 200, 0), cameras, np.zeros((200, 6)), (756, 1008), 1.0, 5.0)
    assert sum(buffer.nbytes for buffer in made.buffers()) < 50_000 and made.bent is None
    frames, rows, columns = torch.tensor([[0, 199, 70], [755, 0, 300], [0, 1007, 12]])
    found = made.rays(frames, rows, columns).local
    for local, frame, row, column in zip(found, frames.tolist(), rows.tolist(), columns.tolist()):
        np.testing.assert_allclose(local, pixel_directions(column + 0.5, row + 0.5, cameras[frame], PLAIN), atol=1e-6)


def test_lenses_are_solved_one_after_the_other_and_kept_in_single_precision() -> None:
    def solved(count: int) -> tuple[Views, int]:
        cameras = np.array([[80.0 + frame, 80, 50, 40] for frame in range(count)])
        given = np.repeat(np.eye(4)[None], count, 0), cameras, np.tile(LENS, (count, 1)), (80, 100), 1.0, 5.0
        tracemalloc.start()
        made = Views(*given)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return made, peak

    solved(1)  # what is imported or cached once is not counted
    (_, one), (made, many) = solved(1), solved(12)
    assert made.bent is not None and made.bent.shape == (12, 80, 100, 2) and made.bent.dtype == torch.float32
    assert many < 1.3 * one


def test_what_lenses_show_goes_where_the_cameras_go_but_is_not_sent_around() -> None:
    made = views(np.eye(4)[None], [50, 50, 8, 6], (12, 16), distortion=LENS[None])
    assert made.bent is not None and made.bent.nbytes == 12 * 16 * 8
    assert sum(buffer.nbytes for buffer in made.buffers()) < 200 and made.state_dict() == {}
    holder = torch.nn.Sequential(made).double()
    assert made.bent.dtype == torch.float64 and holder[0].poses.dtype == torch.float64
    assert made.to("meta").bent.device == torch.device("meta")


def test_directions_of_pixels_broadcast() -> None:
    for lens in (PLAIN, LENS):
        made = views(np.repeat(np.eye(4)[None], 3, 0), [50, 40, 8, 6], (12, 16), distortion=np.tile(lens, (3, 1)))
        corners = made.local(torch.arange(3)[:, None], torch.tensor([0, 11]), torch.tensor([15, 0]))
        whole = made.whole(1).local.view(12, 16, 3)
        assert torch.equal(corners, torch.stack([whole[0, 15], whole[11, 0]]).expand(3, 2, 3))
