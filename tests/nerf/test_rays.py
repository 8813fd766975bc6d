"""Rays against the numbers of the reference code, projection and intersections worked out by hand."""

from __future__ import annotations

import numpy as np
import torch

from transferbench.nerf.cameras import look_at, pixel_rays
from transferbench.nerf.rays import camera_directions, ray_box, to_ndc, world_rays

SQUARE = torch.tensor([2.0, 2.0, 2.0, 2.0])  # an image of 4 by 4


def test_directions_of_nerf_pass_the_corners_of_pixels() -> None:
    u, v = torch.tensor([0, 3, 0, 2]), torch.tensor([0, 0, 3, 2])
    expected = torch.tensor([[-1.0, 1, -1], [0.5, 1, -1], [-1, -0.5, -1], [0, 0, -1]])
    assert torch.equal(camera_directions(u, v, SQUARE, pixel_centre=0.0), expected)


def test_directions_pass_the_middles_of_pixels() -> None:
    direction = camera_directions(torch.tensor(0), torch.tensor(0), SQUARE)
    assert torch.equal(direction, torch.tensor([-0.75, 0.75, -1.0]))


def test_columns_and_rows_broadcast_to_an_image() -> None:
    grid = camera_directions(torch.arange(5), torch.arange(4)[:, None], torch.tensor([3.0, 4.0, 2.5, 2.0]))
    assert grid.shape == (4, 5, 3)
    torch.testing.assert_close(grid[1, 4], torch.tensor([2.0 / 3, 0.5 / 4, -1.0]))


def test_rays_start_at_the_camera_and_turn_with_it() -> None:
    direction = camera_directions(torch.tensor([0, 2]), torch.tensor([0, 2]), SQUARE, pixel_centre=0.0)
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    origins, directions = world_rays(pose, direction)
    assert torch.equal(origins, torch.tensor([[1.0, 2.0, 3.0]] * 2))
    assert torch.equal(directions, direction)
    pose[:2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])  # 90 degrees about z
    assert torch.equal(world_rays(pose, direction)[1][0], torch.tensor([-1.0, -1.0, -1.0]))


def test_rays_are_those_of_the_cameras_module() -> None:
    poses = [look_at((1.0, -3.0, 2.0), (0.1, 0.2, 0.3), roll=0.2), look_at((0.5, 3.0, 1.0), (0.0, 0.0, 0.0))]
    grid = camera_directions(torch.arange(6), torch.arange(4)[:, None], torch.tensor([50.0, 50.0, 3.0, 2.0]).double())
    origins, directions = world_rays(torch.tensor(np.stack(poses))[:, None, None], grid)
    for k, pose in enumerate(poses):
        expected = pixel_rays(pose, 50.0, 6, 4)
        np.testing.assert_allclose(origins[k], expected[0], atol=1e-12)
        np.testing.assert_allclose(directions[k], expected[1], atol=1e-12)


def test_device_coordinates_are_those_of_the_reference_code() -> None:
    origins = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.2, -0.5]])
    directions = torch.tensor([[0.5, -0.25, -1.0], [0.0, 0.0, -2.0]])
    moved, turned = to_ndc(origins, directions, height=100, width=200, focal_x=100.0, focal_y=100.0)
    torch.testing.assert_close(moved, torch.tensor([[0.5, -0.5, -1.0], [0.1, 0.4, -1.0]]))
    torch.testing.assert_close(turned, torch.tensor([[0.0, 0.0, 2.0], [-0.1, -0.4, 2.0]]))


def test_device_coordinates_run_from_the_near_plane_to_infinity_and_keep_points_on_their_rays() -> None:
    generator = torch.Generator().manual_seed(3)
    origins = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    directions = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    directions[:, 2] = -directions[:, 2].abs() - 0.1
    height, width, fx, fy, near = 60, 80, 70.0, 90.0, 1.3
    moved, turned = to_ndc(origins, directions, height, width, fx, fy, near)
    torch.testing.assert_close(moved[:, 2], torch.full_like(moved[:, 2], -1.0))
    torch.testing.assert_close((moved + turned)[:, 2], torch.ones_like(moved[:, 2]))
    depth = near * (1 + 4 * torch.rand(50, generator=generator, dtype=torch.float64))
    point = origins + ((-depth - origins[:, 2]) / directions[:, 2])[:, None] * directions
    projected = torch.stack(
        [2 * fx / width * point[:, 0] / depth, 2 * fy / height * point[:, 1] / depth, 1 - 2 * near / depth], dim=-1
    )
    torch.testing.assert_close(moved + (1 - near / depth)[:, None] * turned, projected)


def test_rays_enter_and_leave_a_box() -> None:
    low, high = torch.tensor([-1.0, -1.0, -1.0]), torch.tensor([1.0, 1.0, 2.0])
    origins = torch.tensor([[0.0, 0, 5], [0, 0, 0], [0, 0, -5], [3, 0, 0], [1, 0, 5], [-3, -3, -3]])
    directions = torch.tensor([[0.0, 0, -1], [0, 0, -2], [0, 0, -1], [0, 0, 1], [0, 0, -1], [2, 2, 2]])
    near, far = ray_box(origins, directions, low, high)
    assert near.tolist()[:3] == [3.0, -1.0, -7.0]  # before it, from inside, behind it
    assert far.tolist()[:3] == [6.0, 0.5, -4.0]
    assert near[3] > far[3]  # beside it, along an axis
    assert (near[4], far[4]) == (3.0, 6.0)  # along a face
    assert (near[5], far[5]) == (1.0, 2.0)  # through an edge's corner


def test_the_box_is_hit_where_dense_points_of_the_ray_lie_in_it() -> None:
    generator = torch.Generator().manual_seed(4)
    low, high = torch.tensor([-0.5, -0.2, 0.1]), torch.tensor([0.4, 0.9, 0.6])
    origins = torch.randn(300, 3, generator=generator)
    directions = 0.3 - origins + 0.5 * torch.randn(300, 3, generator=generator)
    directions[:40, 1] = 0.0
    near, far = ray_box(origins, directions, low, high)
    t = torch.linspace(-3, 3, 6001)
    points = origins[:, None] + t[:, None] * directions[:, None]
    within = ((points >= low) & (points <= high)).all(-1)
    hit = within.any(-1)
    assert 50 < hit.sum() < 250
    assert (near <= far)[hit].all()
    for k in torch.nonzero(hit)[:, 0].tolist():
        inside = t[within[k]]
        assert abs(float(inside.min() - near[k].clamp_min(-3))) < 2e-3
        assert abs(float(inside.max() - far[k].clamp_max(3))) < 2e-3
    assert (far - near)[~hit & (near.abs() < 3) & (far.abs() < 3)].max() < 2e-3  # what it misses is thin


def test_gradients_of_a_box_stay_finite() -> None:
    directions = torch.tensor([[0.0, 0.5, -1.0]], requires_grad=True)
    near, far = ray_box(torch.tensor([[0.0, 0.0, 3.0]]), directions, -torch.ones(3), torch.ones(3))
    (near + far).sum().backward()
    assert directions.grad is not None and torch.isfinite(directions.grad).all()


def test_autocast_rounds_none_of_it() -> None:
    generator = torch.Generator().manual_seed(5)
    poses, intrinsics = torch.randn(40, 4, 4, generator=generator), torch.tensor([301.0, 302, 200.4, 150.6])
    u, v = torch.randint(400, (2, 40), generator=generator)

    def found() -> list[torch.Tensor]:
        local = camera_directions(u, v, intrinsics)
        origins, directions = world_rays(poses, local)
        moved = to_ndc(origins, directions, 300, 400, 301.0, 302.0)
        return [local, origins, directions, *moved, *ray_box(origins, directions, -torch.ones(3), torch.ones(3))]

    plain = found()
    with torch.autocast("cpu", torch.bfloat16):
        again = found()
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))
