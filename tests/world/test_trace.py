"""Tracing many parts at once gives what one part and one ray at a time give."""

from __future__ import annotations

import numpy as np

from transferbench.nerf.cameras import look_at, project
from transferbench.world.parts import box, cone, ellipsoid, torus
from transferbench.world.solids import INTERSECTIONS, KINDS, solids_of
from transferbench.world.trace import Camera, Grid, rectangles, trace

PARTS = [
    torus((0.0, 0.0, 0.5), 0.5, 0.1, x=50),
    ellipsoid((0.1, 0.2, 0.4), (0.3, 0.2, 0.1), z=30, y=20),
    box((-0.3, 0.0, 0.2), (0.1, 0.2, 0.15), z=40),
    cone((0.3, -0.3, 0.0), (0.2, -0.3, 0.6), 0.2, 0.05),
    box((90.0, 90.0, 0.2), (0.1, 0.2, 0.15)),  # far outside the picture
]
CAMERA = Camera(look_at((0.3, -3.0, 1.5), (0.0, 0.0, 0.3)), 40.0, (17.0, 15.0), 32)


def test_the_nearest_part_of_each_ray_is_found() -> None:
    solids, grid = solids_of(PARTS), Grid.of(CAMERA)
    corners, _ = project(solids.corners(), CAMERA.pose, CAMERA.focal, CAMERA.principal)
    hits = trace(solids, rectangles(corners), grid)
    directions = grid.directions()
    best, owner = np.full(32 * 32, np.inf), np.full(32 * 32, -1)
    for index, part in enumerate(PARTS):
        inverse = np.array(part.rotation).T
        o = np.repeat(inverse @ (CAMERA.pose[:3, 3] - part.centre)[:, None], 32 * 32, axis=1)
        d = inverse @ directions
        near = -(o * d).sum(axis=0) / (d * d).sum(axis=0)
        size = np.repeat(solids.size[index][:, None], 32 * 32, axis=1)
        t = near + INTERSECTIONS[KINDS[solids.kind[index]]](*np.float32([o + near * d, d]), size)
        owner = np.where(t < best, index, owner)
        best = np.minimum(t, best)
    differ = hits.part.ravel() != owner
    assert differ.sum() <= 3  # rays along an edge
    assert set(range(4)) <= set(owner.tolist())
    seen = ~differ & (owner >= 0)
    np.testing.assert_allclose(hits.depth.ravel()[seen], best[seen], rtol=3e-3)  # as exact as the steps towards a torus


def test_depth_is_measured_along_the_viewing_axis() -> None:
    camera = Camera(look_at((0.0, -5.0, 0.0), (0.0, 0.0, 0.0)), 20.0, (8.0, 8.0), 16)
    wall = solids_of([box((0, 0, 0), (9.0, 1.0, 9.0))])
    hits = trace(wall, np.array([[0, 0, 16, 16]]), Grid.of(camera))
    np.testing.assert_allclose(hits.depth, 4.0, rtol=1e-5)


def test_a_small_sphere_far_away_keeps_its_area() -> None:
    camera = Camera(look_at((0.0, -50.0, 0.0), (0.0, 0.0, 0.0)), 50 * 100.0, (32.0, 32.0), 64)
    ball = solids_of([ellipsoid((0, 0, 0), 0.2)])
    hits = trace(ball, np.array([[0, 0, 64, 64]]), Grid.of(camera))
    assert abs((hits.part == 0).sum() - np.pi * 20**2) < 15
