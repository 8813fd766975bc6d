"""Every artefact of the taxonomy has a builder that is deterministic and keeps to the object frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import transferbench.world
from transferbench.world.shapes import SHAPES
from transferbench.world.shapes.fitting import bounds
from transferbench.world.shapes.joinery import beam, block, lathe, wedge

MOST_PARTS = 48


def artefacts() -> list[str]:
    """Return the lemmas of the leaves below `artefact`, read from the taxonomy with no help from the package."""
    lines = (Path(transferbench.world.__file__).parent / "taxonomy.txt").read_text().splitlines()
    nodes = [(len(x) - len(x.lstrip()), x.strip().split(":")[0]) for x in lines if x.strip() and x[0] != "#"]
    start = nodes.index((2, "artefact"))
    depths = [depth for depth, _ in nodes] + [0]
    below = []
    for i in range(start + 1, len(nodes)):
        if depths[i] <= 2:
            break
        if depths[i + 1] <= depths[i]:
            below.append(nodes[i][1])
    return below


def test_the_taxonomy_has_the_artefacts() -> None:
    found = artefacts()
    assert found[0] == "car" and found[-1] == "eyeglasses" and len(found) == len(set(found)) >= 60


@pytest.mark.parametrize("lemma", artefacts())
def test_builder(lemma: str) -> None:
    build = SHAPES[lemma]
    assert build(np.random.default_rng(7)) == build(np.random.default_rng(7))
    assert build(np.random.default_rng(7)).parts != build(np.random.default_rng(8)).parts
    for seed in range(12):
        shape = build(np.random.default_rng(seed))
        low, high = bounds(shape.parts)
        assert 0.5 < (high - low).max() < 1.4
        assert low[2] >= -0.05
        assert np.abs(low + high)[:2].max() < 0.1
        assert 4 <= len(shape.parts) <= MOST_PARTS
        slots = {p.slot for p in shape.parts} | {p.second for p in shape.parts if p.pattern != "plain"}
        assert set(shape.natural) == slots and len(slots) >= 2
        assert all(0 <= value <= 1 for colours in shape.natural.values() for colour in colours for value in colour)
        assert shape.yaw[0] < shape.yaw[1]
        for part in shape.parts:
            turn = np.array(part.rotation)
            np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)


def test_joints_have_the_bounds_asked_for() -> None:
    low, high = bounds([block((-1.0, 2.0), 0.5, (0.25, 3.0))])
    np.testing.assert_allclose([low, high], [[-1, -0.5, 0.25], [2, 0.5, 3]], atol=1e-12)
    low, high = bounds([beam((0, 0), (3, 4), 0.0, 0.1)])
    np.testing.assert_allclose([low, high], [[0, -0.1, 0], [3, 0.1, 4]], atol=1e-12)
    low, high = bounds(lathe([(0.0, 1.0), (2.0, 0.5), (2.0, 0.4), (3.0, 0.0)]))
    np.testing.assert_allclose([low, high], [[-1, -1, 0], [1, 1, 3]], atol=1e-12)


@pytest.mark.parametrize("run", [-1.0, 0.6])
def test_wedge_stays_in_its_triangle(run: float) -> None:
    low, high = bounds(wedge((0.0, 0.0), run, 0.8, 0.01, strips=8))
    slack = 0.1
    assert min(0.0, run) - slack < low[0] and high[0] < max(0.0, run) + slack
    assert -slack < low[2] < slack and 0.8 - slack < high[2] < 0.8 + slack
