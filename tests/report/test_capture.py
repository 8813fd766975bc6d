"""What is known of the cameras of a scene before it is fitted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from transferbench.nerf.cameras import look_at
from transferbench.nerf.frusta import box_corners, projected_corners
from transferbench.nerf.paths import orbit
from transferbench.nerf.placement import placed
from transferbench.report.capture import (
    APART,
    LARGEST,
    MOST,
    SMALLEST,
    Capture,
    axis_name,
    between,
    capture_of,
    facts_of,
    pyramids_of,
    thinned,
    triple,
)

SIZE, FOCAL = (24, 32), 16.0


def scene(poses: np.ndarray, **changes: Any) -> SimpleNamespace:
    """Return what is asked of a scene of fully opaque images; the last two frames are held out."""
    count = len(poses)
    given: dict[str, Any] = {
        "images": np.zeros((count, *SIZE, 3), np.uint8),
        "poses": poses,
        "intrinsics": np.tile([FOCAL, FOCAL, SIZE[1] / 2, SIZE[0] / 2], (count, 1)),
        "height": SIZE[0],
        "width": SIZE[1],
        "near": None,
        "far": None,
        "box": None,
        "points": None,
        "train": tuple(range(count - 2)),
        "val": (),
        "test": (count - 2, count - 1),
        "frontal": False,
    }
    given |= changes
    return SimpleNamespace(**given, closed_box=given["box"] if given["images"].shape[-1] == 4 else None)


def forward(count: int = 8) -> np.ndarray:
    eyes = [(0.1 * i, 0.05 * (i % 3), 0.0) for i in range(count)]
    return np.stack([look_at(eye, (eye[0], eye[1], -1.0), (0, 1, 0)) for eye in eyes])


def test_a_transparent_scene_lies_in_its_own_box_and_any_other_in_that_of_its_cameras() -> None:
    poses, box = orbit(12, 4.0), np.array([[-1.0, -1, 0], [1, 1, 2]])
    own = capture_of(scene(poses, box=box, images=np.zeros((12, *SIZE, 4), np.uint8)))
    np.testing.assert_array_equal(own.room, box_corners(*box))
    assert own.lies == "nothing outside"
    other = capture_of(scene(poses, box=box))
    place = placed(poses)
    np.testing.assert_array_equal(other.room, box_corners(place.low, place.high))
    assert other.lies == "contracted outside"
    np.testing.assert_allclose([own.look, other.look], 0, atol=1e-5)


def test_projected_rays_of_a_forward_facing_scene_have_a_room_without_end() -> None:
    taken = scene(forward(), near=np.full(8, 4 / 3), far=np.full(8, 20.0), frontal=True)
    room = capture_of(taken, ndc=True)
    np.testing.assert_allclose(room.room, projected_corners(taken.intrinsics[0], SIZE, -room.room[:, 2].min()))
    assert room.room[:, 2].max() == -1 and room.room[:, 2].min() < room.look[2]
    assert room.lies == "goes on to infinity"
    assert capture_of(taken).lies == "contracted outside"
    assert capture_of(scene(orbit(8, 4.0)), ndc=True).lies == "contracted outside"


def test_a_frame_is_what_it_counts_most_as() -> None:
    found = capture_of(scene(orbit(6, 4.0), train=(0, 1, 2), val=(3, 2), test=(3,)))
    assert found.splits.tolist() == ["train", "train", "train", "test", "", ""]
    assert found.counts == {"train": 3, "test": 1, "": 2}


def test_near_and_far_are_those_of_the_first_fitted_frame() -> None:
    near, far = np.linspace(1, 2, 6), np.linspace(5, 6, 6)
    assert capture_of(scene(orbit(6, 4.0), near=near, far=far, train=(2, 3), test=(0,))).sight == (2, near[2], far[2])
    assert capture_of(scene(orbit(6, 4.0))).sight is None


def test_the_table_says_what_was_found() -> None:
    known = {"near": np.full(12, 2.0), "far": np.linspace(5, 6, 12), "points": np.zeros((1500, 3))}
    rows = dict(facts_of(capture_of(scene(orbit(12, 4.0, 30.0), **known))))
    assert rows["cameras"] == "10 fitted, 2 held out"
    assert rows["images"] == "32 x 24 pixels, 90 degrees from left to right"
    assert rows["place they look at"] == "(0, 0, 0), 4 away" and rows["up"] == "z"
    assert (rows["things begin"], rows["things end"]) == ("2 ahead", "5 to 6 ahead")
    assert rows["scene box"] == "(-4, -4, -4) to (4, 4, 4), contracted outside" and rows["points"] == "1,500"
    assert {"things begin", "points"}.isdisjoint(dict(facts_of(capture_of(scene(forward())))))


@pytest.mark.parametrize(
    ("axis", "name"), [((0, 0, 1), "z"), ((0, -1, 0), "−y"), ((0.6, 0.8, 0), ""), ((1, 0, 0), "x")]
)
def test_axes_of_the_world_have_names(axis: tuple[float, ...], name: str) -> None:
    assert axis_name(np.array(axis, float)) == name


def test_numbers_have_three_digits() -> None:
    assert between(np.array([1.23456, 9.87654])) == "1.23 to 9.88" and between(np.array([2.0, 2.0001])) == "2"
    assert triple(np.array([-1e-12, 0.12345, 100])) == "(0, 0.123, 100)"
    assert triple(np.array([0.05, -12.3456, 1e3]), span=1e3) == "(0, -12.3, 1e+03)"


def test_thinning_is_even_and_leaves_no_split_out() -> None:
    splits = np.array(["train"] * 998 + ["val", "test"])
    line = np.zeros((1000, 3))
    line[:, 0] = np.linspace(0, 1, 1000) ** 4  # a camera that dwells at the start
    kept = thinned(line, splits, 60)
    assert 58 <= len(kept) <= 60 and {"train", "val", "test"} == set(splits[kept])
    gaps = np.diff(line[kept[splits[kept] == "train"], 0])
    assert gaps.max() < 2.5 * gaps.min()
    assert thinned(line[:60], splits[:60], 60).tolist() == list(range(60))
    assert len(thinned(np.zeros((100, 3)), splits[:100], 30)) <= 30


def round_a_box(count: int) -> Capture:
    """Cameras on a flat ring of radius 4; what they see is 2 wide at a depth of 1."""
    return capture_of(scene(orbit(count, 4.0, 0.0)))


def test_pyramids_of_neighbours_do_not_touch() -> None:
    shown = round_a_box(30)
    chosen, depth = pyramids_of(shown)
    assert len(chosen) == 30
    assert 2 * depth / (8 * np.sin(np.pi / 30)) == pytest.approx(APART)
    assert SMALLEST * shown.span < 2 * depth < LARGEST * shown.span


def test_of_crowded_cameras_fewer_have_a_pyramid_but_never_a_speck() -> None:
    shown = round_a_box(1000)
    chosen, depth = pyramids_of(shown)
    assert MOST[-1] - 1 <= len(chosen) < MOST[0]
    assert 2 * depth >= SMALLEST * shown.span * 0.999
    still = capture_of(scene(np.repeat(orbit(1, 4.0), 100, 0)))
    assert len(pyramids_of(still)[0]) <= MOST[-1] and pyramids_of(still)[1] > 0


def test_pyramids_of_few_cameras_are_no_towers() -> None:
    for count in (1, 3):
        shown = capture_of(scene(orbit(count, 4.0, 0.0), train=(0,), test=()))
        assert 2 * pyramids_of(shown)[1] == pytest.approx(LARGEST * shown.span)


def test_cameras_on_one_spot_have_some_space_around_them() -> None:
    poses = np.linalg.inv(orbit(20, 4.0, 30.0))  # poses of the world in the camera are all at (0, 0, -4)
    spot = capture_of(scene(poses))
    low, high = spot.extent.min(0), spot.extent.max(0)
    np.testing.assert_allclose((low + high) / 2, poses[0, :3, 3], atol=1e-3)
    np.testing.assert_allclose(high - low, 0.08, rtol=0.2)
    usual = round_a_box(20)
    assert len(usual.extent) == 20 + 8 + 1
    assert usual.span == pytest.approx(np.linalg.norm([8, 8, 8]), rel=1e-3)
