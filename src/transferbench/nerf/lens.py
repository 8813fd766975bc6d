"""Lenses: OpenCV's radial-tangential model and its fisheye, forwards and, by Newton's method, backwards.

Points are normalised image coordinates x / z and y / z in OpenCV's axes: x runs right, y down, z is the viewing axis.
Coefficients (..., 6) are k1, k2, k3, k4, p1, p2 and broadcast against the points; a fisheye uses k1 to k4 alone. The
radial factor is 1 + k1 r^2 + k2 r^4 + k3 r^6 + k4 r^8, so that COLMAP's, instant-ngp's and nerfstudio's files fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

ACCURACY = 1e-9  # in normalised coordinates: a millionth of a pixel at a focal length of 1000
STEPS = 40


def distort(points: ArrayLike, coefficients: ArrayLike, fisheye: bool = False) -> Array:
    """Return where a lens shows the ``points`` (..., 2) of a pinhole, (..., 2)."""
    ideal, lens = np.asarray(points, float), np.asarray(coefficients, float)
    if not fisheye:
        return _perspective(ideal, lens)[0]
    radius = np.hypot(ideal[..., 0], ideal[..., 1])
    bent = _bent(np.arctan(radius), lens)[0]
    return ideal * _ratio(bent, radius)[..., None]


def undistort(points: ArrayLike, coefficients: ArrayLike, fisheye: bool = False) -> Array:
    """Return the pinhole's coordinates (..., 2) of ``points`` (..., 2) in a distorted image, exact to 1e-9.

    Raises ValueError where no point in front of the camera is shown there: the lens folds, or a fisheye looks sideways.
    """
    seen, lens = np.asarray(points, float), np.asarray(coefficients, float)
    with np.errstate(all="ignore"):  # what does not converge is told below
        found, solved = _unbent(seen, lens) if fisheye else _unfolded(seen, lens)
    if not solved.all():
        lost = int(solved.size - np.count_nonzero(solved))
        raise ValueError(f"the lens cannot be inverted at {lost} of {solved.size} points")
    return found


def pixel_directions(
    u: ArrayLike, v: ArrayLike, intrinsics: ArrayLike, coefficients: ArrayLike, fisheye: bool = False
) -> Array:
    """Return the directions (..., 3), in the camera's axes as OpenGL has them, that pixel coordinates (u, v) show.

    ``intrinsics`` (..., 4) are fx, fy, cx, cy in pixels; all shapes broadcast. The directions have length 1 along the
    viewing axis -z, as those of ``pixel_rays`` do. Raises ValueError as ``undistort`` does.
    """
    fx, fy, cx, cy = np.moveaxis(np.asarray(intrinsics, float), -1, 0)
    seen = np.broadcast_arrays((np.asarray(u, float) - cx) / fx, (np.asarray(v, float) - cy) / fy)
    points = undistort(np.stack(seen, axis=-1), coefficients, fisheye)
    return np.stack([points[..., 0], -points[..., 1], np.full(points.shape[:-1], -1.0)], axis=-1)


def _perspective(points: Array, lens: Array) -> tuple[Array, Array, Array, Array]:
    """Return the distorted points and the entries xx, xy and yy of the symmetric Jacobian there."""
    x, y = points[..., 0], points[..., 1]
    k1, k2, k3, k4, p1, p2 = np.moveaxis(lens, -1, 0)
    square = x * x + y * y
    factor = 1 + square * (k1 + square * (k2 + square * (k3 + square * k4)))
    slope = k1 + square * (2 * k2 + square * (3 * k3 + square * 4 * k4))
    bent_x = x * factor + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    bent_y = y * factor + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    xx = factor + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    xy = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    yy = factor + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return np.stack([bent_x, bent_y], axis=-1), xx, xy, yy


def _unfolded(seen: Array, lens: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the points that the perspective model shows at ``seen``, and which of them solve it before the fold."""
    shape = np.broadcast_shapes(seen.shape[:-1], lens.shape[:-1])
    points = np.broadcast_to(seen, (*shape, 2)).copy()
    for _ in range(STEPS):
        shown, xx, xy, yy = _perspective(points, lens)
        off_x, off_y = np.moveaxis(shown - seen, -1, 0)
        if max(np.abs(off_x).max(initial=0), np.abs(off_y).max(initial=0)) < ACCURACY / 1e4:
            break
        area = xx * yy - xy * xy
        points[..., 0] -= (yy * off_x - xy * off_y) / area
        points[..., 1] -= (xx * off_y - xy * off_x) / area
    shown, xx, xy, yy = _perspective(points, lens)
    return points, (np.abs(shown - seen).max(axis=-1) < ACCURACY) & (xx * yy > xy * xy) & (xx + yy > 0)


def _bent(angle: Array, lens: Array) -> tuple[Array, Array]:
    """Return the radius at which a fisheye shows the ``angle`` (...,) to its axis, radians, and the derivative."""
    k1, k2, k3, k4 = np.moveaxis(lens[..., :4], -1, 0)
    square = angle * angle
    radius = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    return radius, 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + square * 9 * k4)))


def _unbent(seen: Array, lens: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the points that a fisheye shows at ``seen``, and which of them lie in front of it."""
    radius = np.hypot(seen[..., 0], seen[..., 1])
    angle = np.broadcast_to(radius, np.broadcast_shapes(radius.shape, lens.shape[:-1])).copy()
    for _ in range(STEPS):
        shown, slope = _bent(angle, lens)
        if np.abs(shown - radius).max(initial=0) < ACCURACY / 1e4:
            break
        angle -= (shown - radius) / slope
    shown, slope = _bent(angle, lens)
    solved = (np.abs(shown - radius) < ACCURACY) & (slope > 0) & (angle >= 0) & (angle < np.pi / 2)
    return seen * _ratio(np.tan(angle), radius)[..., None], solved


def _ratio(length: Array, radius: Array) -> Array:
    """Return ``length / radius``, 1 on the axis, where every lens leaves points as they are."""
    shape = np.broadcast_shapes(length.shape, radius.shape)
    return np.divide(length, radius, out=np.ones(shape), where=np.broadcast_to(radius > 1e-12, shape))
