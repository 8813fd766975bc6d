"""Poses that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from transferbench.data.scenes.poses import check_bounds, check_poses, flip_axes, pose_of
from transferbench.errors import UserError
from transferbench.nerf.cameras import look_at

SOURCE = Path("transforms.json")


def told_of(matrix: NDArray[np.float64]) -> str:
    with pytest.raises(UserError) as told:
        check_poses(SOURCE, ["a", "b"], np.stack([np.eye(4), matrix]))
    return str(told.value)


def test_rigid_poses_pass() -> None:
    rounded = np.round(look_at((1, 2, 3), (0, 0, 0), roll=0.3), 5)
    check_poses(SOURCE, ["a", "b"], np.stack([np.eye(4), rounded]))


def test_what_is_wrong_is_named() -> None:
    pose = look_at((1.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    scaled, mirrored, sheared, unknown, projective = (pose.copy() for _ in range(5))
    scaled[:3, :3] *= 0.33
    mirrored[:3, 0] *= -1
    sheared[:3, 0] += 0.01 * sheared[:3, 1]
    unknown[1, 3] = np.nan
    projective[3, 0] = 0.5
    assert told_of(scaled) == (
        "transforms.json: the pose of b is scaled by 0.33: its axes have that length; "
        "divide the first three columns by it."
    )
    assert "the pose of b mirrors the picture (determinant -1)" in told_of(mirrored)
    assert "the pose of b is not a rotation: its axes are not of length 1 at right angles (off by 0.01)" in told_of(
        sheared
    )
    assert "the pose of b holds a number that is not finite" in told_of(unknown)
    assert "the pose of b ends in a row that is not 0 0 0 1" in told_of(projective)


def test_all_wrong_poses_are_counted() -> None:
    with pytest.raises(UserError, match=r"the pose of a \(and 1 more\) is scaled by 2:"):
        check_poses(SOURCE, ["a", "b"], np.stack([np.diag([2.0, 2, 2, 1])] * 2))


@pytest.mark.parametrize("value", [None, "x", [1, 2], np.eye(3).tolist(), [[1, 2, 3, 4]] * 2 + [[1]], {"a": 1}])
def test_matrices_of_another_shape(value: object) -> None:
    with pytest.raises(UserError, match=r"r_0: the pose is .*; expected 3 or 4 rows of 4 numbers"):
        pose_of(value, "r_0")


def test_three_rows_are_completed() -> None:
    np.testing.assert_array_equal(pose_of(np.eye(4)[:3].tolist(), "r_0"), np.eye(4))


@pytest.mark.parametrize(
    ("near", "far"), [(2.0, 2.0), (3.0, 1.0), (-1.0, 2.0), (1.0, float("inf")), (float("nan"), 2.0)]
)
def test_bounds_in_the_wrong_order(near: float, far: float) -> None:
    with pytest.raises(UserError, match=r"near is .* and far .* for b; expected 0 <= near < far"):
        check_bounds(SOURCE, ["a", "b"], np.array([1.0, near]), np.array([2.0, far]))


def test_flipped_axes_are_those_of_opencv_and_back() -> None:
    pose = look_at((1.0, -3.0, 2.0), (0.0, 0.0, 0.0))
    flipped = flip_axes(pose)
    np.testing.assert_allclose(flipped[:3, 2], -pose[:3, 2])  # z now points forwards
    np.testing.assert_allclose(flipped[:3, 3], pose[:3, 3])
    np.testing.assert_array_equal(flip_axes(flipped[None])[0], pose)
