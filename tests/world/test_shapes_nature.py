"""Every organism and food of the taxonomy has a builder that is deterministic and keeps to the object frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import transferbench.world
from transferbench.world.parts import box, cone, ellipsoid, torus, turned
from transferbench.world.shapes import SHAPES
from transferbench.world.shapes.fitting import bounds, fitted, placed, sweep, varied
from transferbench.world.shapes.quadruped import Quadruped

MOST_PARTS = 56


def nature() -> list[str]:
    """Return the lemmas of the leaves below `organism` and `food`, read from the taxonomy's text alone."""
    lines = (Path(transferbench.world.__file__).parent / "taxonomy.txt").read_text().splitlines()
    nodes = [(len(x) - len(x.lstrip()), x.strip().split(":")[0]) for x in lines if x.strip() and x[0] != "#"]
    leaves, root = [], ""
    for (depth, lemma), (following, _) in zip(nodes, [*nodes[1:], (0, "")]):
        root = lemma if depth == 2 else root
        if following <= depth and root in ("organism", "food"):
            leaves.append(lemma)
    return leaves


def test_the_taxonomy_has_nature() -> None:
    found = nature()
    assert found[0] == "dog" and found[-1] == "doughnut" and len(found) == len(set(found)) >= 60


@pytest.mark.parametrize("lemma", nature())
def test_builder(lemma: str) -> None:
    build = SHAPES[lemma]
    assert build(np.random.default_rng(7)) == build(np.random.default_rng(7))
    assert build(np.random.default_rng(7)).parts != build(np.random.default_rng(8)).parts
    for seed in range(12):
        shape = build(np.random.default_rng(seed))
        low, high = bounds(shape.parts)
        assert 0.5 < (high - low).max() < 1.4
        assert -0.05 <= low[2] <= 0.05
        assert np.abs(low + high)[:2].max() < 0.1
        assert 5 <= len(shape.parts) <= MOST_PARTS
        slots = {p.slot for p in shape.parts} | {p.second for p in shape.parts if p.pattern != "plain"}
        assert set(shape.natural) == slots and len(slots) >= 2
        assert all(0 <= value <= 1 for colours in shape.natural.values() for colour in colours for value in colour)


def test_bounds_hold_the_surface_and_touch_it() -> None:
    rng = np.random.default_rng(0)
    unit = rng.normal(size=(40_000, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    turn = {"x": 25.0, "y": -40.0, "z": 70.0}
    rotation = np.array(turned(**turn))
    flat = unit[:, :2] / np.linalg.norm(unit[:, :2], axis=1, keepdims=True)
    ring = np.concatenate([0.5 * flat, np.zeros((len(flat), 1))], axis=1)
    surfaces = [
        (ellipsoid((0, 0, 0), (0.3, 0.5, 0.9), **turn), unit * (0.3, 0.5, 0.9)),
        (box((0, 0, 0), (0.3, 0.5, 0.9), **turn), np.sign(unit) * (0.3, 0.5, 0.9)),
        (torus((0, 0, 0), 0.5, 0.1, **turn), ring + 0.1 * unit),
    ]
    for part, points in surfaces:
        _, high = bounds([part])
        np.testing.assert_allclose(high, (points @ rotation.T).max(axis=0), atol=0.02)
    low, high = bounds([cone((0, 0, 0), (0, 0, 2), 0.5)])
    np.testing.assert_allclose([low, high], [(-0.5, -0.5, 0), (0.5, 0.5, 2)], atol=1e-9)


def test_placing_moves_what_a_point_of_the_part_would_move() -> None:
    (moved,) = placed([ellipsoid((1, 0, 0), (0.1, 0.2, 0.3), x=30)], (0, 0, 5), 2, y=90)
    np.testing.assert_allclose(moved.centre, (0, 0, 3), atol=1e-9)
    np.testing.assert_allclose(moved.size, (0.2, 0.4, 0.6))
    np.testing.assert_allclose(moved.rotation, np.array(turned(y=90)) @ np.array(turned(x=30)), atol=1e-12)


def test_fitted_shapes_keep_the_colours_they_use() -> None:
    shape = fitted([ellipsoid((3, 3, 3), 2.0, "light")], {"light": ((1, 1, 1),), "dark": ((0, 0, 0),)}, airborne=True)
    assert shape.natural == {"light": ((1, 1, 1),)} and shape.airborne
    assert shape.parts[0].centre == pytest.approx((0, 0, 0.5)) and shape.parts[0].size == pytest.approx((0.5,) * 3)


def test_sweep_joins_its_points() -> None:
    points = [(0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 1.0)]
    assert [p.kind for p in sweep(points, (0.1, 0.2, 0.3))] == ["cone", "cone", "ellipsoid", "ellipsoid", "ellipsoid"]
    assert [p.kind for p in sweep(points, (0.1, 0.2, 0.3), joints=False)] == ["cone", "cone"]


def test_varied_plans_stay_within_the_spread() -> None:
    plan = Quadruped(leg=0.5)
    drawn = [varied(np.random.default_rng(seed), plan, 0.1) for seed in range(50)]
    legs = np.array([d.leg for d in drawn])
    assert 0.45 <= legs.min() < 0.47 and 0.53 < legs.max() <= 0.55
    assert all(d.hooved == plan.hooved and d.coat == plan.coat for d in drawn)


def test_a_body_has_two_pairs_of_legs_that_reach_the_ground() -> None:
    body = Quadruped(stride=0.0, hooved=True).build(np.random.default_rng(0))
    hooves = [p for p in body.parts if p.kind == "box"]
    assert len(hooves) == 4 and all(p.centre[2] == pytest.approx(p.size[2]) for p in hooves)
    assert sorted(np.sign([p.centre[1] for p in hooves]).tolist()) == [-1, -1, 1, 1]
    assert np.linalg.norm(np.subtract(body.along_neck(1.0, 0.0), body.head_at)) == pytest.approx(0)
