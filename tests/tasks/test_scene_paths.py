"""Camera paths through scenes: where the cameras stand, and what files of poses may hold."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from transferbench.errors import UserError
from transferbench.nerf.cameras import look_at
from transferbench.nerf.paths import orbit
from transferbench.nerf.placement import placed
from transferbench.tasks.scene_paths import CameraPath, path_of, poses_of_file, toured, upright

MIDDLE = np.array([1.0, -2.0, 0.5])
UP = np.array([0.0, -1.0, 0.0])


def scene_of(poses: np.ndarray, **changed: Any) -> Any:
    count = len(poses)
    given = {"name": "made", "poses": poses, "near": None, "far": None, "times": None}
    given |= {"train": tuple(range(count - 2)), "val": (), "test": (count - 2, count - 1), **changed}
    return SimpleNamespace(**given, held_out=given["test"] or given["val"])


def around() -> Any:
    """Twelve cameras on a circle, in no order, and two more."""
    poses = orbit(12, 3.0, 25.0, MIDDLE, UP)[np.random.default_rng(0).permutation(12)]
    return scene_of(np.concatenate([poses, orbit(2, 3.5, 50.0, MIDDLE, UP)]))


def facing() -> Any:
    eyes = np.random.default_rng(1).normal(size=(10, 3)) * [0.5, 0.3, 0.05]
    return scene_of(np.stack([look_at(eye, (0.0, 0.0, -4.0), (0.0, 1.0, 0.0)) for eye in eyes]))


def path(word: str | None, scene: Any, count: int | None = None) -> CameraPath:
    return path_of(word, scene, placed(scene.poses, scene.near, scene.far), count)


def test_an_orbit_is_that_of_the_fitted_cameras() -> None:
    found = path("orbit", around())
    assert len(found.poses) == 60 and found.frames.tolist() == [0] * 60
    away = found.poses[:, :3, 3] - MIDDLE
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 3.0, rtol=1e-3)
    np.testing.assert_allclose(away @ UP, 3 * np.sin(np.radians(25)), rtol=1e-2)
    np.testing.assert_allclose((found.poses[:, :3, 2] * away).sum(1), 3.0, rtol=1e-3)  # they face the middle


def test_what_is_up_does_not_lean_to_where_the_cameras_stand() -> None:
    quarter = orbit(40, 3.0, 40.0, MIDDLE, UP)[:10]
    np.testing.assert_allclose(upright(quarter), UP, atol=1e-9)
    assert quarter[:, :3, 1].mean(0) @ UP / np.linalg.norm(quarter[:, :3, 1].mean(0)) < 0.9
    one = np.stack([look_at((0, 0, z), (0, 0, -9), (0.0, 1.0, 0.0)) for z in (0.0, 1.0)])  # one right side
    np.testing.assert_allclose(upright(one), [0, 1, 0], atol=1e-9)


def test_a_spiral_suits_cameras_on_one_side() -> None:
    scene = facing()
    found = path("spiral", scene, 20).poses
    assert len(found) == 20 and (found[:, 2, 2] > 0.9).all()
    aim = np.array([0.0, 0.0, -4.0]) - found[:, :3, 3]
    off = np.linalg.norm(np.cross(aim, found[:, :3, 2]), axis=1)
    assert off.max() < 0.4  # unknown bounds: near what the cameras look at
    known = scene_of(scene.poses, near=np.full(10, 2.0), far=np.full(10, 10.0))
    assert not np.allclose(path("spiral", known, 20).poses, found)
    np.testing.assert_array_equal(path(None, scene, 20).poses, found)
    np.testing.assert_array_equal(path(None, around(), 20).poses, path("orbit", around(), 20).poses)
    with pytest.raises(UserError, match=r"from all sides.*task\.path=orbit"):
        path("spiral", around())


def test_a_path_between_views_takes_a_short_tour() -> None:
    scene = around()
    found = path("between", scene, 50).poses
    fitted = scene.poses[:12]
    steps = np.linalg.norm(np.diff(found[:, :3, 3], axis=0), axis=1)
    given = np.linalg.norm(np.diff(fitted[:, :3, 3], axis=0), axis=1)
    assert steps.sum() < 0.6 * given.sum()
    np.testing.assert_allclose(found[0], fitted[0], atol=1e-9)
    positions = np.array([[0.0, 0, 0], [5, 0, 0], [1, 0, 0], [2, 0, 0], [-1.5, 0, 0]])
    assert toured(positions).tolist() == [0, 2, 3, 1, 4]


def test_a_film_of_a_moving_scene_goes_on_in_time() -> None:
    scene = around()
    moving = scene_of(scene.poses, times=np.arange(14))
    assert path("orbit", moving, 4).frames.tolist() == [0, 4, 7, 11]
    between = path("between", moving, 56)
    np.testing.assert_allclose(between.poses[[0, -1]], moving.poses[[0, 11]], atol=1e-9)  # in the order of time
    assert (np.diff(between.frames) >= 0).all() and set(between.frames) == set(moving.train)


def test_held_out_views_are_taken_as_they_are() -> None:
    scene = around()
    found = path("test", scene)
    np.testing.assert_array_equal(found.poses, scene.poses[[12, 13]])
    assert found.frames.tolist() == [12, 13] and path("test", scene, 1).frames.tolist() == [12]
    with pytest.raises(UserError, match="no held-out views"):
        path("test", scene_of(scene.poses, test=()))


def test_a_file_may_be_of_three_kinds(tmp_path: Path) -> None:
    poses = orbit(5, 2.0)
    file = tmp_path / "path.json"
    matrices = [pose.tolist() for pose in poses]
    blender = {"camera_angle_x": 0.7, "frames": [{"file_path": "x", "transform_matrix": one} for one in matrices]}
    viewer = {"camera_path": [{"camera_to_world": pose.ravel().tolist(), "fov": 50} for pose in poses], "fps": 24}
    for content in (blender, viewer, matrices, [one[:3] for one in matrices]):
        file.write_text(json.dumps(content))
        np.testing.assert_allclose(poses_of_file(str(file)), poses)
    scene = around()
    np.testing.assert_allclose(path(str(file), scene).poses, poses)
    np.testing.assert_allclose(path(str(file), scene, 9).poses[::2], poses, atol=1e-9)


def test_what_is_no_path_is_told(tmp_path: Path) -> None:
    scene, file = around(), tmp_path / "path.json"
    with pytest.raises(UserError, match=r"task\.path=orbti: expected orbit, spiral.*did you mean orbit\?"):
        path("orbti", scene)
    with pytest.raises(UserError, match=r"JSON file of poses$"):
        path("nowhere/path.json", scene)
    good = np.eye(4)
    scaled, mirrored, projection, infinite = good * [2, 2, 2, 1], good * [1, 1, -1, 1], good.copy(), good.copy()
    projection[3, 3], infinite[0, 3] = 2.0, np.nan
    wrong = {
        "cannot be read as JSON": "{",
        "no list of poses": json.dumps({"poses": []}),
        "pose 0 is None": json.dumps({"frames": [{"file_path": "x"}]}),
        r"pose 1 is \[\[1, 0\]\]; expected 3 or 4 rows of 4": json.dumps([good.tolist(), [[1, 0]]]),
        "pose 0 is a word; expected 3 or 4": json.dumps(["a word"]),
        r"pose 0 is not a rotation and a position \(off by 3\)": json.dumps([scaled.tolist()]),
        r"pose 0 is not a rotation and a position \(mirrored": json.dumps([mirrored.tolist()]),
        "last row is not 0 0 0 1": json.dumps([projection.tolist()]),
        "finite numbers": json.dumps([infinite.tolist()]),
    }
    for reason, text in wrong.items():
        file.write_text(text)
        with pytest.raises(UserError, match=reason):
            path(str(file), scene)
