"""Lenses: the models by their formulas, and their inverses against them and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import root

from transferbench.nerf.cameras import pixel_rays
from transferbench.nerf.lens import distort, pixel_directions, undistort

PHONE = [0.0578421, -0.0805099, 0.0, 0.0, -0.000980, 0.000156]  # a phone's camera, upright, 1080x1920
FOCAL = 1375.0
STRONG = [-0.28, 0.07, 0.012, -0.004, 0.002, -0.003]
FISH = [0.03, -0.012, 0.004, -0.0007, 0.0, 0.0]


def grid(width: float, height: float, focal: float, step: float = 12.0) -> NDArray[np.float64]:
    u, v = np.meshgrid(np.arange(0, width + 1, step), np.arange(0, height + 1, step))
    return (np.stack([u, v], axis=-1) - [width / 2, height / 2]) / focal


def test_the_perspective_model_is_its_formula() -> None:
    x, y, (k1, k2, k3, k4, p1, p2) = 0.3, -0.4, STRONG
    r2 = 0.25
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + k4 * r2**4
    expected = [
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    ]
    np.testing.assert_allclose(distort([x, y], STRONG), expected, atol=1e-15)


def test_the_fisheye_model_is_its_formula() -> None:
    angle = np.arctan(0.5)  # of the point (0.3, -0.4)
    bent = angle * (1 + FISH[0] * angle**2 + FISH[1] * angle**4 + FISH[2] * angle**6 + FISH[3] * angle**8)
    np.testing.assert_allclose(distort([0.3, -0.4], FISH, fisheye=True), [0.6 * bent, -0.8 * bent], atol=1e-15)


@pytest.mark.parametrize(("lens", "fisheye"), [(PHONE, False), (STRONG, False), (FISH, True)])
def test_what_is_undistorted_is_shown_where_it_was(lens: list[float], fisheye: bool) -> None:
    seen = grid(1080, 1920, FOCAL)
    np.testing.assert_allclose(distort(undistort(seen, lens, fisheye), lens, fisheye), seen, atol=1e-9, rtol=0)
    ideal = grid(1080, 1920, FOCAL)
    np.testing.assert_allclose(undistort(distort(ideal, lens, fisheye), lens, fisheye), ideal, atol=1e-9, rtol=0)


def test_a_phone_shifts_pixels_by_as_much_as_was_measured() -> None:
    seen = grid(1080, 1920, FOCAL)
    shift = np.linalg.norm(undistort(seen, PHONE) - seen, axis=-1) * FOCAL
    assert 9 < shift.max() < 13
    assert shift[80, 45] < 0.1  # the middle


def test_the_inverse_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for point in rng.uniform(-0.5, 0.5, (5, 2)):
        found = root(lambda x, point=point: distort(x, STRONG) - point, point, tol=1e-13)
        np.testing.assert_allclose(undistort(point, STRONG), found.x, atol=1e-10)


def test_an_equidistant_fisheye_has_a_closed_form() -> None:
    radius = np.linspace(0, 1.5, 7)
    seen = np.stack([radius * 0.6, radius * 0.8], axis=-1)
    expected = np.stack([np.tan(radius) * 0.6, np.tan(radius) * 0.8], axis=-1)
    np.testing.assert_allclose(undistort(seen, np.zeros(6), fisheye=True), expected, rtol=1e-9)


def test_coefficients_broadcast() -> None:
    lenses = np.array([PHONE, STRONG])
    points = np.array([[0.2, 0.3], [-0.4, 0.1]])
    together = undistort(points, lenses)
    for place in range(2):
        np.testing.assert_allclose(together[place], undistort(points[place], lenses[place]), atol=1e-10)
    one = undistort([0.2, 0.3], lenses)
    np.testing.assert_allclose(one[1], undistort([0.2, 0.3], STRONG), atol=1e-10)


@pytest.mark.parametrize(
    ("lens", "point", "fisheye"),
    [
        ([-0.3, 0, 0, 0, 0, 0], [0.8, 0.0], False),  # r - 0.3 r^3 never exceeds 0.703
        ([0.0] * 6, [1.58, 0.0], True),  # beyond a right angle
        ([-0.2, 0, 0, 0, 0, 0], [1.0, 0.0], True),  # a - 0.2 a^3 never exceeds 0.861
    ],
)
def test_a_lens_that_folds_is_told(lens: list[float], point: list[float], fisheye: bool) -> None:
    with pytest.raises(ValueError, match="cannot be inverted at 1 of 2 points"):
        undistort([point, [0.1, 0.1]], lens, fisheye)


def test_directions_of_a_pinhole_are_its_rays() -> None:
    u, v = np.meshgrid(np.arange(6) + 0.5, np.arange(4) + 0.5)
    directions = pixel_directions(u, v, [20.0, 20.0, 3.2, 1.9], np.zeros(6))
    np.testing.assert_allclose(directions, pixel_rays(np.eye(4), 20.0, 6, 4, (3.2, 1.9))[1], atol=1e-15)


def test_directions_see_points_where_the_lens_shows_them() -> None:
    point = np.array([0.35, 0.22, -1.0])  # right of the axis and above it
    seen = distort([0.35, -0.22], STRONG) * [50.0, 48.0] + [30.0, 20.0]
    np.testing.assert_allclose(pixel_directions(*seen, [50.0, 48.0, 30.0, 20.0], STRONG), point, atol=1e-9)
