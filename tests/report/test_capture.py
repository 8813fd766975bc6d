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
from transferbench.report.capture import axis_name, between, capture_of, facts_of, triple

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
    return SimpleNamespace(**given | changes)


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
    np.testing.assert_allclose([own.look, other.look], 0, atol=1e-6)


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
