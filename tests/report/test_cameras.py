"""The figure of the cameras holds what it should where it should."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from transferbench.nerf.cameras import look_at
from transferbench.nerf.frusta import EDGES, box_corners, image_corners, page_of
from transferbench.nerf.paths import orbit
from transferbench.report.cameras import COLOURS, camera_figure, nice, write_cameras
from transferbench.report.capture import MOST, Capture, pyramids_of
from transferbench.report.onlooker import perspective
from transferbench.report.style import save_png

SIZE = (30, 40)


def capture(poses: np.ndarray, half: float = 1.0, **changes: object) -> Capture:
    """Return cameras of which every fourth is held out and every tenth is watched."""
    splits = np.full(len(poses), "train", "<U5")
    splits[::4] = "test"
    splits[::10] = "val"
    given: dict[str, object] = {
        "poses": poses,
        "intrinsics": np.tile([35.0, 35.0, 20.0, 15.0], (len(poses), 1)),
        "size": SIZE,
        "splits": splits,
        "room": box_corners([-half] * 3, [half] * 3),
        "lies": "nothing outside",
        "look": np.zeros(3),
        "points": np.zeros((0, 3)),
    }
    return Capture(**given | changes)  # type: ignore[arg-type]


def scattered(count: int) -> np.ndarray:
    """Cameras all over a place, which look all over it."""
    rng = np.random.default_rng(0)
    eyes = rng.uniform(-3, 3, (count, 3)) * (1, 1, 0.2)
    return np.stack([look_at(eye, eye + rng.normal(size=3) * (1, 1, 0.2)) for eye in eyes])


def panels(figure: Figure) -> dict[str, object]:
    return dict(zip(("space", "above", "side"), figure.axes))


def drawn(axes: object, kind: type) -> list:
    return [one for one in axes.collections if type(one) is kind]


def test_the_map_has_the_box_the_cameras_and_what_they_see_in_their_places() -> None:
    shown = capture(orbit(20, 4.0, 30.0))
    above = panels(camera_figure(shown))["above"]
    box = [one for one in drawn(above, LineCollection) if len(one.get_segments()) == 12]
    np.testing.assert_allclose(np.array(box[0].get_segments()), shown.room[np.array(EDGES)][..., :2])
    for split, count in shown.counts.items():
        dots = [d for d in drawn(above, PathCollection) if to_hex(d.get_facecolor()[0]) == COLOURS[split]]
        np.testing.assert_allclose(dots[0].get_offsets(), shown.origins[shown.splits == split][:, :2])
        assert len(dots[0].get_offsets()) == count
    chosen, depth = pyramids_of(shown)
    assert chosen.tolist() == list(range(20))
    images = image_corners(shown.poses, shown.intrinsics, SIZE, depth)[..., :2]
    (pyramids,) = drawn(above, PolyCollection)
    for path, image in zip(pyramids.get_paths(), images):
        np.testing.assert_allclose(path.vertices[[0, 2, 3, 4]], image)
    colours = [to_hex(colour) for colour in pyramids.get_edgecolors()]
    assert colours == [COLOURS[split] for split in shown.splits]


def test_the_roof_stands_on_the_top_of_an_image() -> None:
    shown = capture(orbit(20, 4.0, 0.0))
    (pyramids,) = drawn(panels(camera_figure(shown))["side"], PolyCollection)
    for path in pyramids.get_paths():
        heights = path.vertices[:5, 1]
        assert heights[1] > heights[0] > heights[3] and heights[1] == heights.max()


def test_viewing_axes_end_where_all_look() -> None:
    shown = capture(orbit(20, 4.0, 30.0))
    lines = drawn(panels(camera_figure(shown))["above"], LineCollection)
    gazes = next(one for one in lines if len(one.get_segments()) == 20)
    np.testing.assert_allclose([segment[1] for segment in gazes.get_segments()], 0, atol=1e-9)


def said(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("count", [1, 2, 20, 121, 1000])
@pytest.mark.parametrize("place", ["orbit", "scattered", "spot"])
def test_every_camera_is_in_every_panel(count: int, place: str) -> None:
    poses = scattered(count) if place == "scattered" else orbit(count, 4.0, 30.0)
    shown = capture(poses)
    if place == "spot":  # what poses of the world in the camera look like
        spot = np.linalg.inv(poses)
        shown = capture(spot, look=spot[0, :3, 3], room=box_corners(spot[0, :3, 3], spot[0, :3, 3]))
    figure = camera_figure(shown)
    figure.canvas.draw()
    for axes in figure.axes:
        dots = np.concatenate([one.get_offsets() for one in drawn(axes, PathCollection)])
        assert len(dots) == count
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert ((dots > (left, low)) & (dots < (right, high))).all()
        (pyramids,) = drawn(axes, PolyCollection)
        assert len(pyramids.get_paths()) <= MOST[0]
        corner, along, up = axes.transData.transform([(0, 0), (1, 0), (0, 1)])
        assert along[0] - corner[0] == pytest.approx(up[1] - corner[1], rel=1e-3), "equal aspect"


def test_the_perspective_is_that_of_a_camera_which_sees_all() -> None:
    shown = capture(orbit(20, 4.0, 30.0))
    seen = perspective(shown, page_of(shown.poses))
    held = np.concatenate([shown.origins, shown.room])
    assert np.isfinite(seen.onto(held)).all() and (seen.onto(held)[:, 2] > 0).all()
    middle = seen.onto(np.array([[0.0, 0, 0], [0, 0, 1]]))
    assert middle[1, 1] > middle[0, 1] and middle[1, 0] == pytest.approx(middle[0, 0], abs=1e-9), "up is up"
    strength = seen.strength(shown.origins)
    assert strength[seen.onto(shown.origins)[:, 2].argmin()] == 1 and strength.min() == pytest.approx(0.4)
    assert np.isnan(seen.onto(np.array([0.0, -1e3, 1e3]))[:2]).all(), "what is behind the onlooker"


def test_the_onlooker_of_cameras_that_look_one_way_stands_behind_them() -> None:
    eyes = np.concatenate([np.random.default_rng(0).uniform(-0.5, 0.5, (20, 2)), np.zeros((20, 1))], 1)
    poses = np.stack([look_at(eye, eye - (0, 0, 1), (0, 1, 0)) for eye in eyes])
    shown = capture(poses, room=box_corners((-2, -2, -6), (2, 2, -2)), look=np.array([0, 0, -4.0]))
    seen = perspective(shown, page_of(poses))
    assert seen.onto(shown.origins)[:, 2].max() < seen.onto(shown.room)[:, 2].mean()
    side = panels(camera_figure(shown))["side"]
    assert (side.get_xlabel(), side.get_ylabel()) == ("−z", "y")
    ends = [s[1] for one in drawn(side, LineCollection) if len(one.get_segments()) == 20 for s in one.get_segments()]
    np.testing.assert_allclose(np.array(ends)[:, 0], 4)  # to the right is where they look


def test_near_and_far_are_planes_of_the_first_fitted_camera() -> None:
    shown = capture(orbit(20, 4.0, 30.0), near=np.full(20, 2.0), far=np.full(20, 6.0))
    figure = camera_figure(shown)
    lines = drawn(panels(figure)["space"], LineCollection)
    (dashed,) = [one for one in lines if one.get_linestyle()[0][1] is not None]
    corners = {tuple(np.round(end, 6)) for segment in dashed.get_segments() for end in segment}
    at = [1]
    rings = [image_corners(shown.poses[at], shown.intrinsics[at], SIZE, depth)[0] for depth in (2.0, 6.0)]
    expected = perspective(shown, page_of(shown.poses)).onto(np.concatenate(rings))[:, :2]
    assert corners == {tuple(np.round(corner, 6)) for corner in expected}
    assert said(figure) == [
        "fitted (14)", "watched (2)", "held out (4)", "where they look", "scene box, nothing outside",
        "from near to far, of one fitted camera",
    ]  # fmt: skip
    assert len(said(camera_figure(capture(orbit(20, 4.0))))) == 5


def test_points_far_from_all_else_are_left_out() -> None:
    points = np.concatenate([np.zeros((50, 3)), np.full((3, 3), 1e4)])
    above = panels(camera_figure(capture(orbit(20, 4.0), points=points)))["above"]
    counts = [len(one.get_offsets()) for one in drawn(above, PathCollection)]
    assert counts[0] == 50


@pytest.mark.parametrize(("length", "found"), [(0.7, 1.0), (1.0, 1.0), (1.1, 2.0), (23, 50.0), (0.051, 0.1), (5, 5.0)])
def test_squares_have_round_sides(length: float, found: float) -> None:
    assert nice(length) == pytest.approx(found)


def test_a_thousand_cameras_take_seconds_and_make_one_picture(tmp_path: Path) -> None:
    started = time.perf_counter()
    path = save_png(camera_figure(capture(scattered(1000))), tmp_path / "figures" / "cameras.png")
    assert time.perf_counter() - started < 10
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[1] > 1000 and pixels.std() > 5 and (pixels[0, 0] == 255).all()


def test_a_scene_is_drawn_into_a_file(tmp_path: Path) -> None:
    from types import SimpleNamespace

    poses = orbit(8, 4.0)
    scene = SimpleNamespace(
        images=np.zeros((8, *SIZE, 4), np.uint8), poses=poses, intrinsics=np.tile([35.0, 35, 20, 15], (8, 1)),
        height=SIZE[0], width=SIZE[1], near=None, far=None, points=None, closed_box=np.array([[-1.0] * 3, [1.0] * 3]),
        train=(0, 1, 2), val=(3,), test=(4, 5), frontal=False,
    )  # fmt: skip
    path = write_cameras(scene, tmp_path / "deep" / "cameras.png")
    assert path == tmp_path / "deep" / "cameras.png" and Image.open(path).size[0] > 1000


def test_the_perspective_moves_nothing() -> None:
    """Lengths are those of the world again when the paper is undone."""
    shown = capture(orbit(20, 4.0, 30.0))
    points = np.random.default_rng(0).normal(size=(5, 3))
    found = perspective(shown, page_of(shown.poses)).onto(points)
    undone = np.concatenate([found[:, :2] * found[:, 2:], found[:, 2:]], 1)
    gaps = np.linalg.norm(undone[:, None] - undone[None], axis=-1)
    np.testing.assert_allclose(gaps, np.linalg.norm(points[:, None] - points[None], axis=-1), atol=1e-9)
