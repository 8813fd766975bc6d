"""Stages: what is drawn, masks and coverage against a ray at a time, and pictures with an object taken away."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from transferbench.nerf.cameras import pixel_rays, project
from transferbench.world.exposure import SUPERSAMPLING, Arrangement, Exposure, Lens, expose
from transferbench.world.parts import box
from transferbench.world.solids import INTERSECTIONS, KINDS, solids_of
from transferbench.world.stage import HIDDEN, SHOWN, Stage, draw_stage, lens, shares
from transferbench.world.sun_map import SunMap

LEMMAS = ("barrel", "car", "cactus", "mug", "owl", "turtle")
VIEWS = {"train": 6, "val": 2, "test": 4}
SIZE = 32


@pytest.fixture(scope="module")
def stage() -> Stage:
    return draw_stage(LEMMAS, np.random.default_rng(0), 5, VIEWS)


@pytest.fixture(scope="module")
def full(stage: Stage) -> Arrangement:
    return stage.arrangement()


@pytest.fixture(scope="module")
def shots(stage: Stage, full: Arrangement) -> list[Exposure]:
    return [expose(full, lens(pose, SIZE)) for pose in stage.poses["test"]]


def cast(scene: Arrangement, view: Lens) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and part of each pixel's ray, each ray against each part in turn, in double precision."""
    origin, along = pixel_rays(view.pose, view.focal, view.width, view.height)
    depth, part = np.full(along.shape[:2], np.inf), np.full(along.shape[:2], -1)
    solids = scene.solids
    for index, kind in enumerate(solids.kind):
        turn, size = solids.rotation[index].astype(float), solids.size[index].astype(float)
        o = (origin - solids.centre[index]).reshape(-1, 3) @ turn
        d = along.reshape(-1, 3) @ turn
        start = -(o * d).sum(axis=1) / (d * d).sum(axis=1)
        o = o + start[:, None] * d
        t = start + INTERSECTIONS[KINDS[kind]](o.T, d.T, np.broadcast_to(size[:, None], (3, len(o))))
        t = t.reshape(depth.shape)
        nearer = (t > 0) & (t < depth)
        depth[nearer], part[nearer] = t[nearer], index
    return depth, part


def silhouette(scene: Stage, label: int, view: Lens) -> np.ndarray:
    alone = np.isfinite(view.see(scene.props[label - 1].solids)[0].depth)
    return np.asarray(binary_dilation(alone, iterations=2))


def test_two_are_of_one_concept_and_none_touches_another(stage: Stage) -> None:
    lemmas = sorted(prop.lemma for prop in stage.props)
    assert len(lemmas) == 5
    assert len(set(lemmas)) == 4
    assert set(lemmas) <= set(LEMMAS)
    pairs = [(a, b) for a in stage.props for b in stage.props if a is not b]
    assert not any(a.touches(b, 0.03) for a, b in pairs)


def test_everything_lies_within_reach_and_the_cameras_above_the_floor(stage: Stage) -> None:
    low, high = stage.box()
    assert -1.5 < low.min() < -0.9
    assert 0.9 < high.max() < 1.5
    floor = solids_of([stage.floor])
    for prop in stage.props:
        corners = prop.solids.corners().reshape(-1, 3)
        assert corners[:, 2].min() == pytest.approx(0, abs=1e-4)
        assert np.abs(corners[:, :2]).max() < floor.extents()[0, 0]
    for poses in stage.poses.values():
        for pose in poses:
            assert pose[2, 3] > 0.8
            assert np.linalg.norm(pose[:3, 3] - [0, 0, 0.22]) == pytest.approx(4.0311, abs=1e-3)
    assert [len(stage.poses[split]) for split in VIEWS] == list(VIEWS.values())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_something_is_hidden_and_everything_is_shown(seed: int) -> None:
    stage = draw_stage(LEMMAS, np.random.default_rng(seed), 5, VIEWS)
    seen, areas = shares(stage, stage.poses["test"], 100)
    assert (seen < 0.9).any(axis=1).sum() >= 2
    assert HIDDEN < 0.9
    assert ((seen >= SHOWN - 0.05).mean(axis=0) >= 0.75).all()
    assert areas.mean(axis=0).min() > 0.007


def test_masks_and_coverage_are_those_of_single_rays(full: Arrangement, stage: Stage, shots: list[Exposure]) -> None:
    for pose, shot in zip(stage.poses["test"], shots):
        fine, part = cast(full, lens(pose, SIZE).scaled(SUPERSAMPLING))
        depth, centre = cast(full, lens(pose, SIZE))
        assert (shot.owner == np.where(centre >= 0, full.owner[centre], 0)).mean() > 0.999
        assert np.array_equal(np.isinf(shot.depth), np.isinf(depth))
        assert np.median(np.abs(shot.depth[np.isfinite(depth)] - depth[np.isfinite(depth)])) < 1e-5
        cells = np.isfinite(fine).reshape(SIZE, SUPERSAMPLING, SIZE, SUPERSAMPLING).mean(axis=(1, 3))
        assert np.abs(shot.alpha / 255 - cells).max() <= 0.12
        assert np.abs(shot.alpha / 255 - cells).mean() < 1e-3
        assert (part >= 0).any()
        assert ((shot.alpha > 0) & (shot.alpha < 255)).any()
        assert (shot.rgb[shot.alpha == 0] == 0).all()
        assert (shot.alpha == 0).mean() > 0.2


def test_one_point_has_one_label_in_all_views(stage: Stage, full: Arrangement, shots: list[Exposure]) -> None:
    first, found = lens(stage.poses["test"][0], SIZE), 0
    origin, along = pixel_rays(first.pose, first.focal, SIZE, SIZE)
    chosen = shots[0].owner > 0
    points = (origin + shots[0].depth[..., None] * along)[chosen]
    for pose in stage.poses["test"][1:]:
        fine = lens(pose, 200)
        hits, _ = fine.see(full.solids)
        places, depth = project(points, pose, fine.focal, fine.principal)
        column, row = np.floor(places).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < 200) & (row < 200)
        same = np.abs(hits.depth[row[inside], column[inside]] - depth[inside]) < 0.01
        there = full.owner[hits.part[row[inside], column[inside]]][same]
        assert np.array_equal(there, shots[0].owner[chosen][inside][same])
        found += same.sum()
    assert found > 40


def test_without_an_object_only_it_and_its_shadow_change(stage: Stage, shots: list[Exposure]) -> None:
    for label in range(1, 6):
        rest = stage.arrangement(without=label)
        brighter = 0
        for pose, shot in zip(stage.poses["test"], shots):
            other = expose(rest, lens(pose, SIZE))
            assert label not in other.owner
            outside = ~silhouette(stage, label, lens(pose, SIZE))
            change = other.rgb.astype(int) - shot.rgb
            assert change[outside].min() >= 0  # light that the object kept off is back
            assert (change[outside] == 0).all(axis=-1).mean() > 0.75
            assert np.array_equal(other.alpha[outside], shot.alpha[outside])
            brighter += int((change[outside] > 8).any(axis=-1).sum())
        assert brighter >= 3


def test_the_sun_map_throws_a_shadow_as_long_as_the_sun_is_low() -> None:
    wall = solids_of([box((0, 0, 0.5), (0.02, 1.0, 0.5))])
    towards = np.array([-0.6, 0, 0.8], np.float32)  # the shadow of a wall 1 high reaches 0.75 beyond it
    extent = np.array([[-1, -1, 0], [1, 1, 1]], np.float32)
    x = np.linspace(-0.9, 0.95, 200, dtype=np.float32)
    points = np.stack([x, np.zeros_like(x), np.zeros_like(x)])
    lit = SunMap.over(wall, towards, extent).lit(points, 0.001)
    assert np.array_equal(lit[(x > 0.04) & (x < 0.75)], np.zeros(((x > 0.04) & (x < 0.75)).sum()))
    assert (lit[(x < -0.04) | (x > 0.79)] == 1).all()
    both = SunMap.over(solids_of([]), towards, extent, other=SunMap.over(wall, towards, extent))
    assert np.array_equal(both.lit(points, 0.001), lit)
    far = np.array([[40.0], [0.0], [0.0]], np.float32)
    assert both.lit(far, 0.001) == 1
