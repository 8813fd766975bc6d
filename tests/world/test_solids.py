"""Rays and primitives: against dense sampling along the rays, and normals against the surface's differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from transferbench.world.parts import IDENTITY, Part, box, cone, ellipsoid, limb, mirrored, torus, turned
from transferbench.world.solids import INTERSECTIONS, KINDS, normals, solids_of

Array = NDArray[np.float64]

SIZES = {"ellipsoid": (0.5, 0.3, 0.2), "box": (0.4, 0.25, 0.3), "cone": (0.4, 0.15, 0.35), "torus": (0.4, 0.12, 0.0)}


def inside(kind: str, p: Array) -> Array:
    """Return a value (N,) that is negative inside the primitive of SIZES at points (3, N)."""
    a, b, c = SIZES[kind]
    if kind == "ellipsoid":
        return (p[0] / a) ** 2 + (p[1] / b) ** 2 + (p[2] / c) ** 2 - 1
    if kind == "box":
        return np.max([np.abs(p[0]) - a, np.abs(p[1]) - b, np.abs(p[2]) - c], axis=0)
    if kind == "cone":
        radius = a + (b - a) * (p[2] + c) / (2 * c)
        return np.maximum(np.hypot(p[0], p[1]) - radius, np.abs(p[2]) - c)
    return np.hypot(np.hypot(p[0], p[1]) - a, p[2]) - b


def rays(count: int) -> tuple[Array, Array]:
    """Return rays from a sphere of radius 1.5 towards points near the centre: origins, unit directions (3, N)."""
    rng = np.random.default_rng(3)
    start = rng.normal(size=(3, count))
    start *= 1.5 / np.linalg.norm(start, axis=0)
    along = rng.uniform(-0.6, 0.6, (3, count)) - start
    return start, along / np.linalg.norm(along, axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_rays_enter_where_dense_sampling_finds_the_inside(kind: str) -> None:
    o, d = rays(600)
    steps = np.linspace(0, 3, 3001)
    values = inside(kind, (o[:, :, None] + d[:, :, None] * steps).reshape(3, -1)).reshape(600, -1)
    expected = np.where((values < 0).any(axis=1), steps[(values < 0).argmax(axis=1)], np.inf)
    size = np.repeat(np.array(SIZES[kind], np.float32)[:, None], 600, axis=1)
    found = INTERSECTIONS[kind](o.astype(np.float32), d.astype(np.float32), np.maximum(size, 1e-4))
    grazing = np.abs(values.min(axis=1)) < 0.02  # the surface is hardly touched: either answer will do
    assert np.mean((np.isinf(found) == np.isinf(expected))[~grazing]) > 0.995
    hit = np.isfinite(found) & np.isfinite(expected) & ~grazing
    assert 100 < hit.sum() < 600
    assert np.mean(np.abs(found[hit] - expected[hit]) < 8e-3) > 0.99


def gradient(surface: Callable[[Array], Array], p: Array) -> Array:
    """Return the unit gradients (3, N) by central differences."""
    shifts = 1e-4 * np.eye(3)[:, :, None]
    slope = np.stack([surface(p + shift) - surface(p - shift) for shift in shifts])
    return slope / np.linalg.norm(slope, axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_normals_are_gradients(kind: str) -> None:
    o, d = rays(300)
    size = np.repeat(np.array(SIZES[kind], np.float32)[:, None], 300, axis=1)
    size = np.maximum(size, 1e-4)
    t = INTERSECTIONS[kind](o.astype(np.float32), d.astype(np.float32), size)
    hit = np.isfinite(t)
    points = (o + t * d)[:, hit]
    found = normals(np.full(hit.sum(), KINDS.index(kind)), points.astype(np.float32), size[:, hit])
    expected = gradient(lambda p: inside(kind, p), points)
    agreement = (found * expected).sum(axis=0)
    assert np.mean(agreement > 0.99) > 0.97  # the rest lies on edges


def test_turned_goes_about_x_then_y_then_z() -> None:
    point = np.array([0.0, 1.0, 0.0])
    np.testing.assert_allclose(np.array(turned(x=90)) @ point, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(np.array(turned(x=90, y=90)) @ point, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.array(turned(x=90, y=90, z=90)) @ point, [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("end", [(0.3, -0.2, 0.9), (2.0, 0.1, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, -1.0)])
def test_a_cone_reaches_from_start_to_end(end: tuple[float, float, float]) -> None:
    start = (0.1, 0.2, 0.3)
    part = cone(start, end, 0.2, 0.1)
    rotation = np.array(part.rotation)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(np.array(part.centre) + rotation @ [0, 0, part.size[2]], end, atol=1e-12)
    np.testing.assert_allclose(np.array(part.centre) - rotation @ [0, 0, part.size[2]], start, atol=1e-12)


def test_mirrored_parts_are_reflected_in_y() -> None:
    part = Part("box", (0.1, 0.2, 0.3), (0.3, 0.1, 0.05), turned(10, 20, 30))
    twin = solids_of(mirrored([part])[1:]).corners()[0]
    expected = solids_of([part]).corners()[0] * [1, -1, 1]
    order = np.lexsort(twin.round(4).T), np.lexsort(expected.round(4).T)
    np.testing.assert_allclose(twin[order[0]], expected[order[1]], atol=1e-5)


def test_a_limb_joins_its_points() -> None:
    parts = limb([(0, 0, 0), (0, 0, 1), (1, 0, 1)], 0.2, 0.1)
    assert [part.kind for part in parts] == ["ellipsoid"] * 3 + ["cone"] * 2
    assert parts[3].size[:2] == pytest.approx((0.2, 0.15))


def test_corners_bound_each_kind() -> None:
    parts = [
        ellipsoid((0, 0, 0), (1, 2, 3)),
        box((0, 0, 0), (1, 2, 3)),
        Part("cone", (0, 0, 0), (1, 2, 3), IDENTITY),
        torus((0, 0, 0), 2, 0.5),
    ]
    np.testing.assert_allclose(
        np.abs(solids_of(parts).corners()).max(axis=1), [[1, 2, 3], [1, 2, 3], [2, 2, 3], [2.5, 2.5, 0.5]]
    )


def test_turned_and_shifted_solids_join() -> None:
    one = solids_of([ellipsoid((1, 0, 0), 0.5)])
    turn = np.array(turned(z=90), np.float32)
    both = one.joined(one.moved(turn, np.array([0, 0, 2], np.float32)))
    np.testing.assert_allclose(both.centre, [[1, 0, 0], [0, 1, 2]], atol=1e-6)
    assert both.kind.tolist() == [0, 0]
