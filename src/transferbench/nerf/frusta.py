"""What a picture of cameras is drawn from: the pyramids they see, the corners of rooms, and which way is up.

Poses are those of ``cameras``: camera-to-world (4, 4), x right, y up, looking along -z.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

EDGES = tuple((i, j) for i in range(8) for j in range(i + 1, 8) if (i ^ j).bit_count() == 1)
"""Pairs of corners of a room that an edge joins: their numbers differ in one bit, an axis."""
LEVEL = 0.01
"""How far right sides may stray from the level, as a mean square, before the cameras' own up counts for more."""
SNAPPED = np.cos(np.radians(20))
"""An axis of the world this near to up is up."""
FACING = 0.5
"""Length of the mean viewing direction along the ground from which cameras look one way."""


class Page(NamedTuple):
    """How a place is laid on paper: ``axes`` (3, 3), rows right and upwards on a map of it, and up from the ground.

    ``facing`` tells that the cameras look one way, which is then upwards on the map.
    """

    axes: Array
    facing: bool


def box_corners(low: ArrayLike, high: ArrayLike) -> Array:
    """Return the corners (8, 3) of a box, the last axis changing fastest; ``EDGES`` join them."""
    return np.array(list(product(*np.stack([low, high], axis=1))), float)


def projected_corners(intrinsics: ArrayLike, size: tuple[int, int], depth: float, near: float = 1.0) -> Array:
    """Return the corners (8, 3) of the room that normalised device coordinates map to a cube (``rays.to_ndc``).

    It begins at the plane z = -``near``, is as wide as the image of a camera at the origin, and has no end: it is cut
    off at ``depth``. ``intrinsics`` (4,) are fx, fy, cx, cy and ``size`` the H and W of that camera, in pixels.
    """
    fx, fy = np.asarray(intrinsics, float)[:2]
    half = np.array([size[1] / fx, size[0] / fy]) / 2
    signs = np.array(list(product((-1, 1), repeat=3)), float)
    depths = np.where(signs[:, 2] < 0, depth, near)
    return np.concatenate([signs[:, :2] * half * depths[:, None], -depths[:, None]], axis=1)


def image_corners(poses: Array, intrinsics: Array, size: tuple[int, int], depth: ArrayLike) -> Array:
    """Return where the corners (N, 4, 3) of the images lie at a ``depth``, a number or (N,), along the viewing axes.

    They run from the top left to the right and round; ``intrinsics`` (N, 4) and ``size`` H, W are in pixels, the lens
    is taken for a pinhole.
    """
    height, width = size
    pixels = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    rays = (pixels - intrinsics[:, None, 2:4]) / intrinsics[:, None, :2] * (1, -1)
    rays = np.concatenate([rays, np.full((*rays.shape[:2], 1), -1.0)], axis=2)
    reach = np.broadcast_to(np.asarray(depth, float), len(poses))[:, None, None]
    found: Array = poses[:, None, :3, 3] + reach * np.einsum("nij,nkj->nki", poses[:, :3, :3], rays)
    return found


def upward(poses: Array) -> Array:
    """Return the direction (3,) that is up where ``poses`` (N, 4, 4) were taken.

    Of the directions that the right sides of the images are level to, it is the one nearest to the images' own up; for
    cameras that look straight down, away from what they see.
    """
    rights, own = poses[:, :3, 0], poses[:, :3, 1].mean(0)
    if np.linalg.norm(own) < 0.2:
        own = poses[:, :3, 2].mean(0)
    if np.linalg.norm(own) < 1e-6:
        own = np.array([0.0, 0.0, 1.0])
    found: Array = np.linalg.solve(rights.T @ rights / len(rights) + LEVEL * np.eye(3), own)
    return found / np.linalg.norm(found)


def page_of(poses: Array) -> Page:
    """Return how to lay on paper the place where ``poses`` (N, 4, 4) were taken.

    Axes of the world are kept where one of them is nearly up. Cameras that look one way look upwards on the map, as
    near as those axes allow.
    """
    up = upward(poses)
    tall = int(np.abs(up).argmax())
    snapped = abs(up[tall]) > SNAPPED
    if snapped:
        up = np.sign(up[tall]) * np.eye(3)[tall]
    ahead = -poses[:, :3, 2].mean(0)
    ahead -= (ahead @ up) * up
    facing = float(np.linalg.norm(ahead)) > FACING
    if snapped:
        flat = [sign * np.eye(3)[axis] for axis in range(3) if axis != tall for sign in (1, -1)]
        forward = max(flat, key=lambda one: one @ ahead if facing else (one + np.cross(one, up)).sum())
    else:
        forward = ahead if facing else np.cross(up, _longest(poses[:, :3, 3], up))
    forward = forward / np.linalg.norm(forward)
    return Page(np.stack([np.cross(forward, up), forward, up]), facing)


def _longest(positions: Array, up: Array) -> Array:
    """Return the level direction (3,) along which ``positions`` (N, 3) are spread most."""
    level = positions - positions.mean(0)
    spread = np.concatenate([level - np.outer(level @ up, up), 1e-9 * (np.eye(3) - np.outer(up, up))])
    found: Array = np.linalg.svd(spread, full_matrices=False)[2][0]
    return found
