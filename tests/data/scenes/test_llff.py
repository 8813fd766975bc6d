"""Captures of LLFF's kind: axes, scale, average camera, folders of smaller images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from transferbench.data.scenes.llff import read_llff, recentred, scaled, spherical, split_rows
from transferbench.data.scenes.sizing import Sizing
from transferbench.errors import UserError
from transferbench.nerf.cameras import look_at


def test_a_row_in_its_axes_is_the_identity() -> None:
    matrix = np.array([[0.0, 1, 0, 4, 30], [-1, 0, 0, 5, 40], [0, 0, 1, 6, 50]])
    poses, sizes, bounds = split_rows(np.array([[*matrix.ravel(), 2.0, 9.0]]))
    np.testing.assert_array_equal(poses[0], [[1, 0, 0, 4], [0, 1, 0, 5], [0, 0, 1, 6], [0, 0, 0, 1]])
    assert sizes.tolist() == [[30, 40, 50]] and bounds.tolist() == [[2, 9]]


def test_the_scale_of_flower() -> None:
    poses, bounds = scaled(
        np.tile(np.eye(4), (2, 1, 1)) + np.eye(4, k=3), np.array([[22.573735, 222.479857], [30, 40]])
    )
    np.testing.assert_allclose(bounds[0], [1.333333, 13.140927], rtol=1e-6)
    np.testing.assert_allclose(poses[0, 0, 3], 0.0590657, rtol=1e-6)
    np.testing.assert_array_equal(poses[0, :3, :3], np.eye(3))


def relative(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.inv(poses[0]) @ poses


def test_round_trip(capture: Any) -> None:
    rows = capture.llff()
    scene = read_llff(capture.root)
    np.testing.assert_array_equal(scene.images, capture.images)
    np.testing.assert_allclose(scene.intrinsics, np.tile([20.0, 20.0, 12.0, 9.0], (5, 1)))
    expected = relative(capture.poses)
    expected[:, :3, 3] /= 0.75 * 2.0
    np.testing.assert_allclose(relative(scene.poses), expected, atol=1e-12)
    np.testing.assert_allclose(scene.poses[:, :3, 3].mean(axis=0), 0, atol=1e-12)
    backward = scene.poses[:, :3, 2].mean(axis=0)
    np.testing.assert_allclose(backward / np.linalg.norm(backward), [0, 0, 1], atol=1e-12)
    assert abs(scene.poses[:, :3, 1].mean(axis=0)[0]) < 1e-12  # up leans neither right nor left
    assert scene.near is not None and scene.far is not None
    assert (
        len(set(rows[:, 15])) == len(set(rows[:, 16])) == 5
    )  # each frame has bounds of its own; NeRF takes the widest
    np.testing.assert_allclose(scene.near, [0.9 * 4 / 3] * 5)
    np.testing.assert_allclose(scene.far, [rows[:, 16].max() / 1.5] * 5)
    assert scene.frontal and scene.test == (0,) and scene.train == (1, 2, 3, 4)
    assert read_llff(capture.root, split=2).test == (0, 2, 4)


def test_recentred_again_nothing_moves(capture: Any) -> None:
    once = recentred(capture.poses)
    np.testing.assert_allclose(recentred(once), once, atol=1e-12)


def test_a_ring_of_cameras_becomes_a_sphere(capture: Any) -> None:
    middle = np.array([5.0, -2.0, 1.0])
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    eyes = middle + np.stack([3 * np.cos(angles), 3 * np.sin(angles), np.ones(12)], axis=1)
    poses, bounds = spherical(np.stack([look_at(eye, middle) for eye in eyes]), np.array([[1.0, 8.0]] * 12))
    radius = np.sqrt(10)
    np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3], axis=1), 1.0)
    np.testing.assert_allclose(poses[:, 2, 3], 1 / radius)  # z is up
    np.testing.assert_allclose(poses[:, :3, 2], poses[:, :3, 3], atol=1e-12)  # all look at the origin
    np.testing.assert_allclose(bounds, [[1 / radius, 8 / radius]] * 12)
    assert np.linalg.det(poses[0]) == pytest.approx(1.0)
    capture.llff()
    scene = read_llff(capture.root, spherify=True)
    assert not scene.frontal
    assert np.sqrt((scene.poses[:, :3, 3] ** 2).sum(axis=1).mean()) == pytest.approx(1.0)
    assert scene.near is not None and scene.far is not None  # in the units of the file 0.9 * 2 and 13
    np.testing.assert_allclose(scene.far / scene.near, [13 / 1.8] * 5)
    unit = np.linalg.norm(capture.poses[0, :3, 3] - capture.poses[1, :3, 3])
    np.testing.assert_allclose(
        scene.near / np.linalg.norm(scene.poses[0, :3, 3] - scene.poses[1, :3, 3]), [1.8 / unit] * 5
    )


def test_smaller_images_are_read_where_they_are(capture: Any) -> None:
    capture.llff()
    averaged = read_llff(capture.root, Sizing(2))
    (capture.root / "images_2").mkdir()
    for number in range(5):
        Image.new("RGB", (12, 9), (number, 0, 0)).save(capture.root / "images_2" / f"image{number:03}.png")
    ready = read_llff(capture.root, Sizing(2))
    assert ready.images[3, 0, 0].tolist() == [3, 0, 0] and ready.names[3] == "image003"
    expected = capture.images.reshape(5, 9, 2, 12, 2, 3).mean(axis=(2, 4))
    assert np.abs(averaged.images - expected).max() <= 0.5
    np.testing.assert_allclose(ready.intrinsics, averaged.intrinsics)
    np.testing.assert_allclose(ready.intrinsics[0], [10.0, 10.0, 6.0, 4.5])
    np.testing.assert_allclose(read_llff(capture.root, Sizing(4)).intrinsics[0], [5.0, 5 * 16 / 18, 3.0, 2.0])


def test_rows_and_images_that_are_not_as_many(capture: Any) -> None:
    capture.llff()
    (capture.root / "images/view_02.png").unlink()
    with pytest.raises(UserError, match=r"images: 4 images, but poses_bounds.npy has 5 rows; expected one a row"):
        read_llff(capture.root)
    (capture.root / "images").rename(capture.root / "images_4")
    with pytest.raises(UserError, match=r"images: no such folder \(others there: images_4\)"):
        read_llff(capture.root)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (np.zeros((5, 15)), r"it holds float64 \(5, 15\); expected numbers \(images, 17\)"),
        (np.zeros(17), r"it holds float64 \(17,\)"),
        (np.full((5, 17), "x"), r"expected numbers"),
        (np.zeros((5, 17)), "is not a rotation: its axes are not of length 1"),
    ],
)
def test_arrays_of_another_shape(capture: Any, rows: NDArray[Any], told: str) -> None:
    capture.llff()
    np.save(capture.root / "poses_bounds.npy", rows)
    with pytest.raises(UserError, match=told):
        read_llff(capture.root)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (3, np.nan, "the pose of view_02 holds a number that is not finite"),
        (15, 20.0, "near is 20 and far 10 for view_02"),
        (15, np.nan, "near is nan"),
        (15, 0.0, "a bound is 0; expected near above 0"),
        (14, np.nan, "focal length nan; expected positive numbers"),
        (14, -20.0, "focal length -20; expected positive numbers"),
        (14, np.inf, "the camera of view_02 holds a number that is not finite; calibrate it again"),
        (4, 24.0, "the camera was measured on images of 24x24, but they are 24x18"),
    ],
)
def test_broken_rows(capture: Any, place: int, value: float, told: str) -> None:
    rows = capture.llff()
    rows[1, place] = value
    np.save(capture.root / "poses_bounds.npy", rows)
    with pytest.raises(UserError, match=told):
        read_llff(capture.root)


def test_files_that_are_no_arrays(capture: Any) -> None:
    capture.llff()
    whole = (capture.root / "poses_bounds.npy").read_bytes()
    for content in (b"", b"nothing", whole[:200]):
        (capture.root / "poses_bounds.npy").write_bytes(content)
        with pytest.raises(UserError, match=r"poses_bounds.npy: cannot read it"):
            read_llff(capture.root)
