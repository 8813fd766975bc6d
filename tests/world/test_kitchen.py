"""Kitchens: what is carried and where to, the person before the camera, and what stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from transferbench.errors import UserError
from transferbench.world import kitchen as world_kitchen
from transferbench.world.exposure import expose
from transferbench.world.kitchen import ACTOR, DYNAMIC, Kitchen, draw_kitchen, lens
from transferbench.world.sun_map import SunMap

LEMMAS = ("bottle", "cake", "hamburger", "mug", "pear", "pineapple", "vase")
FRAMES = 60
WIDTH, HEIGHT = 57, 32


@pytest.fixture(scope="module")
def kitchen() -> Kitchen:
    return draw_kitchen(LEMMAS, np.random.default_rng(1), 4, 2, FRAMES)


@pytest.fixture(scope="module")
def shadows(kitchen: Kitchen) -> SunMap:
    return kitchen.still_shadows()


def test_objects_are_carried_from_one_place_to_another(kitchen: Kitchen) -> None:
    for one in kitchen.carried:
        assert 0 < one.start < one.stop < FRAMES
        before, after = one.at(one.start), one.at(one.stop)
        assert np.allclose(before.solids.centre, one.prop.solids.centre, atol=1e-5)
        assert np.array_equal(one.at(0).solids.centre, before.solids.centre)
        assert np.array_equal(one.at(FRAMES).solids.centre, after.solids.centre)
        moved = after.bounds()[0][2], (np.sum(after.bounds(), axis=0) - np.sum(before.bounds(), axis=0))[:2] / 2
        assert moved[0] == pytest.approx(0, abs=1e-4)
        assert np.allclose(moved[1], one.way[:2], atol=0.15)  # the boxes around a thing that turns change
        assert one.at((one.start + one.stop) / 2).bounds()[0][2] > 0.2
    first, second = kitchen.carried
    assert first.stop < second.start


def test_nothing_touches_anything(kitchen: Kitchen) -> None:
    for time in range(FRAMES):
        things = [*kitchen.still, *(one.at(time) for one in kitchen.carried)]
        assert not any(a.touches(b, -0.02) for a in things for b in things if a is not b)


def test_the_head_moves_smoothly_and_rests(kitchen: Kitchen) -> None:
    poses = np.array([kitchen.head.pose(time) for time in range(FRAMES)])
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    assert steps.max() < 0.3
    assert (steps == 0).sum() >= 10
    assert np.linalg.norm(poses[0, :3, 3] - poses[FRAMES // 2, :3, 3]) > 0.1
    assert (poses[:, 2, 3] > 0.8).all()  # above the worktop, in the room
    assert (np.abs(poses[:, 0, 3]) < 2.9).all()
    assert (poses[:, 1, 3] > -3.5).all()


def test_every_ray_ends_in_the_room_and_all_labels_are_to_be_seen(kitchen: Kitchen, shadows: SunMap) -> None:
    shares = []
    for time in range(0, FRAMES, 6):
        pose = kitchen.head.pose(time)
        shot = expose(kitchen.arrangement(time, pose, shadows), lens(pose, WIDTH, HEIGHT))
        assert (shot.alpha == 255).all()
        assert np.isfinite(shot.depth).all()
        assert 30 < shot.rgb.mean() < 230
        shares.append(np.bincount(shot.owner.ravel(), minlength=3) / shot.owner.size)
    mean = np.mean(shares, axis=0)
    assert mean[DYNAMIC] > 0.01
    assert 0.02 < mean[ACTOR] < 0.4


def test_what_stands_still_looks_the_same_at_equal_poses(kitchen: Kitchen, shadows: SunMap) -> None:
    first = min(one.start for one in kitchen.carried)
    resting = [time for time in range(first) if np.array_equal(kitchen.head.pose(time), kitchen.head.pose(0))]
    assert len(resting) >= 4
    pose = kitchen.head.pose(0)
    shots = [expose(kitchen.arrangement(t, pose, shadows), lens(pose, WIDTH, HEIGHT)) for t in (0, resting[-1])]
    moving = binary_dilation((shots[0].owner == ACTOR) | (shots[1].owner == ACTOR), np.ones((3, 3)))
    assert np.array_equal(shots[0].rgb[~moving], shots[1].rgb[~moving])
    assert not np.array_equal(shots[0].owner == ACTOR, shots[1].owner == ACTOR)
    assert moving.mean() < 0.5


def test_what_is_carried_is_labelled_before_it_moves(kitchen: Kitchen, shadows: SunMap) -> None:
    pose = kitchen.head.pose(0)
    view = lens(pose, WIDTH, HEIGHT)
    shot = expose(kitchen.arrangement(0, pose, shadows), view)
    depths = [view.see(one.prop.solids)[0].depth for one in kitchen.carried]
    expected = np.min(depths, axis=0) <= shot.depth + 1e-4
    assert expected.any()
    assert np.array_equal(shot.owner == DYNAMIC, expected)


def test_the_person_moves_with_the_camera(kitchen: Kitchen, shadows: SunMap) -> None:
    poses = kitchen.head.pose(0), kitchen.head.pose(FRAMES - 1)
    point = np.zeros(3)
    own = []
    for pose in poses:
        solids, _ = kitchen.person.solids(5.0, pose, 0.0, point)
        own.append((solids.centre - pose[:3, 3]) @ pose[:3, :3])
    assert np.allclose(own[0], own[1], atol=1e-5)
    later, _ = kitchen.person.solids(12.0, poses[0], 0.0, point)
    assert not np.allclose((later.centre - poses[0][:3, 3]) @ poses[0][:3, :3], own[0], atol=0.01)
    masks = [expose(kitchen.arrangement(0, p, shadows), lens(p, WIDTH, HEIGHT)).owner == ACTOR for p in poses]
    assert (masks[0] != masks[1]).mean() < 0.005
    assert masks[0][HEIGHT // 2 :].any()
    assert not masks[0][: HEIGHT // 4].any()  # arms come from below


def test_the_hand_goes_with_what_it_carries(kitchen: Kitchen) -> None:
    one = kitchen.carried[0]
    for time in (one.start, (one.start + one.stop) / 2, one.stop):
        reach, point = kitchen._grip(time)
        assert reach == 1
        low, high = one.at(time).bounds()
        assert ((low <= point) & (point <= high)).all()
        pose = kitchen.head.pose(time)
        body, _ = kitchen.person.solids(time, pose, reach, point)
        assert np.linalg.norm(body.centre - point, axis=1).min() < 0.25
    assert kitchen._grip(0.0)[0] == 0


def test_too_many_objects_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_kitchen, "LAYOUTS", 2)
    with pytest.raises(UserError, match="no room on the worktop for 40"):
        draw_kitchen(LEMMAS, np.random.default_rng(0), 38, 2, FRAMES)
