"""Where a scene is, from its cameras."""

from __future__ import annotations

import numpy as np
import pytest

from transferbench.nerf.cameras import look_at
from transferbench.nerf.placement import focus_point, placed

RNG = np.random.default_rng(0)


def orbit(centre: tuple[float, float, float], distance: float = 4.0, count: int = 30) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    eyes = np.stack([np.cos(angles) * 0.8, np.sin(angles) * 0.8, np.full(count, 0.6)], 1) * distance
    return np.stack([look_at(eye + np.array(centre), centre) for eye in eyes])


def forward_facing(count: int = 20) -> np.ndarray:
    poses = np.repeat(np.eye(4)[None], count, 0)
    poses[:, :2, 3] = RNG.uniform(-0.3, 0.3, (count, 2))
    return poses


def outward(count: int = 24) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    eyes = np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], 1) * 0.5
    return np.stack([look_at(eye, 3 * eye) for eye in eyes])


def test_cameras_around_a_thing_have_it_in_the_middle_and_stand_on_the_border() -> None:
    for centre in ((0.0, 0.0, 0.0), (3.0, -2.0, 7.0)):
        poses = orbit(centre)
        np.testing.assert_allclose(focus_point(poses), centre, atol=1e-4)
        place = placed(poses)
        assert place.unbounded
        np.testing.assert_allclose((place.low + place.high) / 2, centre, atol=1e-3)
        np.testing.assert_allclose(place.high - place.low, 8.0, atol=1e-2)


def test_a_focus_is_the_least_squares_point() -> None:
    poses = orbit((1.0, 2.0, 3.0))
    poses[:, :3, 3] += RNG.normal(0, 0.2, (len(poses), 3))
    origins, axes = poses[:, :3, 3], -poses[:, :3, 2]

    def apart(point: np.ndarray) -> float:
        return float((np.cross(point - origins, axes) ** 2).sum())

    found = focus_point(poses)
    for step in np.concatenate([np.eye(3), -np.eye(3)]) * 1e-3:
        assert apart(found) < apart(found + step)


def test_cameras_that_look_the_same_way_have_the_middle_in_front_of_them() -> None:
    near, far = np.full(20, 1.5), np.full(20, 12.0)
    poses = forward_facing()
    place = placed(poses, near, far)
    depth = 2 / (1 / 1.5 + 1 / 12)
    middle = poses[:, :3, 3].mean(0) - (0, 0, depth)
    np.testing.assert_allclose((place.low + place.high) / 2, middle)
    assert depth < (place.high - place.low)[0] / 2 < depth * 1.05
    near_thing = (place.low < (0, 0, -1.5)) & (place.high > (0, 0, -1.5))
    assert near_thing.all(), "what is nearest lies in the box"
    without = placed(poses)
    assert -1 < without.low[2] < (without.low + without.high)[2] / 2 < 0


def test_cameras_that_look_away_from_each_other_are_in_the_middle_of_what_they_see() -> None:
    place = placed(outward(), np.full(24, 1.0), np.full(24, 9.0))
    np.testing.assert_allclose((place.low + place.high) / 2, 0, atol=1e-6)
    assert place.unbounded and (place.high - place.low)[0] == pytest.approx(1.0)


def test_an_arc_in_front_of_a_thing_has_it_in_the_box_though_nobody_says_how_far_it_is() -> None:
    for half in (6, 15, 28):
        angles = np.radians(np.linspace(-half, half, 15))
        eyes = np.stack([4 * np.sin(angles), -4 * np.cos(angles), np.zeros(15)], 1)
        place = placed(np.stack([look_at(eye, (0.0, 0.0, 0.0)) for eye in eyes]))
        np.testing.assert_allclose((place.low + place.high) / 2, 0, atol=0.3)
        assert 3.5 < (place.high - place.low)[0] / 2 < 4.5


def test_a_box_that_the_scene_brings_is_taken() -> None:
    place = placed(orbit((0.0, 0.0, 0.0)), box=np.array([[-1.0, -2, -3], [1, 2, 3]]))
    assert place.low.tolist() == [-1, -2, -3] and place.high.tolist() == [1, 2, 3] and not place.unbounded


def test_one_camera_and_parallel_ones_have_a_box_too() -> None:
    for poses in (orbit((0.0, 0.0, 0.0))[:1], forward_facing(1), forward_facing(2)):
        place = placed(poses)
        assert np.isfinite(place.low).all() and (place.high > place.low).all()
