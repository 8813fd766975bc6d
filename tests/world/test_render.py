"""Pictures: determinism, masks and depths that agree with the scene, shadows, patterns, and no class in the colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from transferbench.nerf.cameras import project
from transferbench.world.light import SunView, open_sky
from transferbench.world.parts import Part, Shape, box, cone, ellipsoid, patterned, torus
from transferbench.world.render import render
from transferbench.world.scene import Scene, draw_scene
from transferbench.world.solids import solids_of
from transferbench.world.surface import PATTERNS, surface_colour

TOY = Shape(
    (
        box((0, 0, 0.25), (0.4, 0.2, 0.25)),
        patterned(ellipsoid((0.2, 0, 0.6), 0.2, "second"), "spots"),
        cone((-0.2, 0, 0.5), (-0.2, 0, 1.0), 0.1, 0.0, "light"),
        torus((0, -0.25, 0.3), 0.15, 0.04, "dark", x=90),
    ),
    {"main": ((0.8, 0.2, 0.1),)},
)


def toy_scene(seed: int, shape: Shape = TOY) -> Scene:
    return draw_scene(shape, np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_picture() -> None:
    first, again, other = (render(toy_scene(seed), np.random.default_rng(0)).rgb for seed in (5, 5, 6))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize("airborne", [False, True])
def test_the_object_lies_in_the_picture_where_the_camera_projects_it(airborne: bool) -> None:
    for seed in range(12):
        scene = draw_scene(replace(TOY, airborne=airborne), np.random.default_rng(seed), clutter=False)
        picture = render(scene, np.random.default_rng(0))
        camera = scene.camera
        corners, _ = project(scene.solids.corners(), camera.pose, camera.focal, camera.principal)
        rows, columns = np.nonzero(picture.mask)
        assert len(rows) > 0.02 * 64 * 64
        assert corners[..., 0].min() - 1 <= columns.min() and columns.max() <= corners[..., 0].max() + 1
        assert corners[..., 1].min() - 1 <= rows.min() and rows.max() <= corners[..., 1].max() + 1
        assert corners.min() > -1 and corners.max() < 65  # nothing is cut off
        distance = np.linalg.norm(camera.pose[:3, 3] - scene.solids.corners().mean(axis=(0, 1)))
        assert abs(np.median(picture.depth[picture.mask]) - distance) < 0.5


def test_clutter_is_not_the_object() -> None:
    scene = next(scene for scene in map(toy_scene, range(20)) if (~scene.is_object).sum() == 3)
    alone = replace(scene, solids=solids_of(()).joined(scene.solids))
    masked = render(alone, np.random.default_rng(0)).mask
    nothing = render(replace(scene, is_object=np.zeros_like(scene.is_object)), np.random.default_rng(0)).mask
    assert masked.any()
    assert not nothing.any()


def test_the_sun_casts_shadows_on_the_far_side() -> None:
    solids = solids_of([ellipsoid((0, 0, 1.0), 0.3)])
    towards = np.array([0.6, 0.0, 0.8], np.float32)
    view = SunView.of(solids, towards)
    shadow = np.array([0, 0, 1.0]) - towards * (1.0 / 0.8)  # where the ray through the ball's centre meets the ground
    points = np.array([shadow, [0.0, 0.0, 0.0], [0.0, 0.0, 1.31], [5.0, 5.0, 0.0]], np.float32).T
    np.testing.assert_allclose(view.lit(points, 0.01), [0, 1, 1, 1])


def test_the_ground_is_darker_below_what_stands_on_it() -> None:
    points = np.array([[0.0, 0.0, 0.0], [0.25, 0.0, 0.0], [3.0, 0.0, 0.0]], np.float32).T
    below, beside, away = open_sky(solids_of([box((0, 0, 0.2), (0.2, 0.2, 0.2))]), points)
    assert below < beside < 0.9 * away
    assert away == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(open_sky(solids_of([box((0, 0, 2.0), (0.2, 0.2, 0.2))]), points), 1)


def pattern_share(part: Part, points: np.ndarray) -> np.ndarray:
    """Return where points (3, N) in the part's frame have the second colour."""
    scene = draw_scene(Shape((part,)), np.random.default_rng(0), clutter=False)
    colours = np.array([[[0, 0, 0], [1, 1, 1]]], np.float32)
    finish = replace(scene.finish, colours=colours)
    owner = np.zeros(points.shape[1], np.intp)
    return surface_colour(finish, owner, points.astype(np.float32), scene.solids)[0] > 0.5


def test_stripes_alternate_along_the_longest_axis() -> None:
    part = patterned(box((0, 0, 0), (0.5, 0.1, 0.1)), "stripes", frequency=4)
    x = np.linspace(-0.45, 0.45, 901)
    second = pattern_share(part, np.stack([x, 0 * x, 0 * x]))
    assert np.diff(second.astype(int)).astype(bool).sum() == 7  # 8 half bands a unit
    assert pattern_share(part, np.stack([0 * x, x / 10, 0 * x])).std() == 0


@pytest.mark.parametrize("pattern", PATTERNS[1:])
def test_patterns_mix_both_colours(pattern: str) -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(3, 4000))
    points *= 0.5 / np.linalg.norm(points, axis=0)
    part = replace(ellipsoid((0, 0, 0), 0.5), pattern=pattern)
    assert 0.1 < pattern_share(part, points).mean() < 0.6


def test_plain_parts_have_one_colour() -> None:
    assert not pattern_share(ellipsoid((0, 0, 0), 0.5), np.random.default_rng(1).normal(size=(3, 50))).any()
