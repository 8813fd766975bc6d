"""Poses as files give them: taken out of JSON, and checked before an image is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from transferbench.data.scenes.scene import Floats
from transferbench.errors import UserError

TOLERANCE = 1e-3  # of the products of a rotation's axes
LARGEST = 1e12  # what is beyond it was never measured


def pose_of(value: object, where: str) -> Floats:
    """Return the pose (4, 4) that a list of 3 or 4 rows of 4 numbers holds; raises UserError for anything else."""
    try:
        rows = np.asarray(value, float)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.shape not in ((3, 4), (4, 4)):
        raise UserError(f"{where}: the pose is {str(value)[:60]}; expected 3 or 4 rows of 4 numbers, camera to world.")
    pose = np.eye(4)
    pose[: len(rows)] = rows
    return pose


def flip_axes(poses: ArrayLike) -> Floats:
    """Return ``poses`` (..., 3 or 4, 4) with y and z of the cameras turned round: OpenCV's axes to OpenGL's, and back.

    COLMAP and OpenCV let y run down and z forwards; the second and third column change sign, the position stays.
    """
    return np.multiply(poses, [1.0, -1.0, -1.0, 1.0], dtype=np.float64)


def check_poses(source: Path, names: Sequence[str], poses: Floats) -> None:
    """Raise UserError for the first of the ``poses`` (N, 4, 4) that is not a rotation and a position.

    Axes have length 1 and stand at right angles to 1e-3, without a mirror; all numbers are finite.
    """
    finite = (np.abs(poses) < LARGEST).all(axis=(1, 2))  # false for NaN
    _tell(source, names, ~finite, "holds a number that is not finite; estimate the cameras again, or leave it out.")
    bottom: NDArray[np.bool_] = np.abs(poses[:, 3] - np.array([0.0, 0.0, 0.0, 1.0])).max(axis=-1) > TOLERANCE
    _tell(
        source, names, bottom, "ends in a row that is not 0 0 0 1; expected camera-to-world matrices, not projections."
    )
    axes = poses[:, :3, :3]
    products = axes.transpose(0, 2, 1) @ axes
    square = np.trace(products, axis1=1, axis2=2)[:, None, None] / 3
    off = np.abs(products - np.eye(3)).max(axis=(1, 2))
    scaled = (
        (off > TOLERANCE)
        & (square[:, 0, 0] > TOLERANCE**2)
        & (np.abs(products - square * np.eye(3)).max(axis=(1, 2)) <= TOLERANCE * square[:, 0, 0])
    )
    if scaled.any():
        scale = float(np.sqrt(square[scaled][0, 0, 0]))
        remedy = f"is scaled by {scale:.4g}: its axes have that length; divide the first three columns by it."
        _tell(source, names, scaled, remedy)
    fault = "is not a rotation: its axes are not of length 1 at right angles (off by {:.2g}); expected a rigid pose."
    _tell(source, names, off > TOLERANCE, fault.format(float(off.max())))
    mirrored = np.linalg.det(axes) < 0
    _tell(source, names, mirrored, "mirrors the picture (determinant -1); negate one axis so that it is a rotation.")


def _tell(source: Path, names: Sequence[str], wrong: NDArray[np.bool_] | np.bool_, fault: str) -> None:
    places = np.flatnonzero(wrong)
    if len(places):
        others = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        raise UserError(f"{source}: the pose of {names[places[0]]}{others} {fault}")


def check_bounds(source: Path, names: Sequence[str], near: Floats, far: Floats) -> None:
    """Raise UserError unless 0 <= near < far in every frame; both are (N,)."""
    for name, begins, ends in zip(names, near.tolist(), far.tolist()):
        if not 0 <= begins < ends < float("inf"):
            raise UserError(
                f"{source}: near is {begins:g} and far {ends:g} for {name}; expected 0 <= near < far, "
                "distances along the viewing axis."
            )
