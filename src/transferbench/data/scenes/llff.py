"""Forward-facing captures of LLFF (Mildenhall et al., SIGGRAPH 2019): ``poses_bounds.npy`` beside ``images``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from transferbench.data.scenes.assembling import Draft
from transferbench.data.scenes.calibration import Calibration
from transferbench.data.scenes.reading import image_files
from transferbench.data.scenes.scene import Floats, Scene
from transferbench.data.scenes.sizing import FULL, Sizing
from transferbench.data.scenes.splits import every, ruled
from transferbench.errors import UserError

WIDTH = 17  # numbers a row: 3x5 of the pose and the size, near, far
NEAREST = 0.75  # of the nearest bound becomes 1, so that the near plane of NDC at 1 lies before everything
BEFORE = 0.9  # of the nearest bound: where rays begin without NDC, as in NeRF's code


def read_llff(root: Path, sizing: Sizing = FULL, split: float | None = None, spherify: bool = False) -> Scene:
    """Read a capture of LLFF's kind; every 8th view is for the test.

    Positions and bounds are scaled so that the nearest bound is 4/3, and turned so that the average camera stands at
    the origin and looks along -z. All frames begin at 0.9 times the nearest bound and end at the farthest, as in NeRF's
    code without normalised device coordinates; with those, bounds do not count. With a whole downscale factor
    ``images_<factor>`` is read where it is there, else ``images`` is averaged.

    Args:
        root: holds ``poses_bounds.npy`` and ``images``.
        sizing: of the images.
        split: a rule in place of every 8th.
        spherify: for captures that go round something: its middle becomes the origin and the cameras lie at a distance
            of about 1; the scene is then not ``frontal``.

    Raises:
        UserError: a file is missing or broken, its rows are not as many as the images, or the cameras are wrong.
    """
    source = root / "poses_bounds.npy"
    poses, sizes, bounds = split_rows(read_rows(source))
    files, sizing = _images(root, sizing, len(poses))
    draft = Draft(root, source, files, poses, ruled(split, len(files), every(len(files))), sizing)
    if (bounds == 0).any():
        raise UserError(f"{source}: a bound is 0; expected near above 0: make the bounds again from the points.")
    scene = draft.finished(_cameras(source, sizes, draft.gallery.original), bounds)
    poses, bounds = scaled(poses, bounds)
    poses, bounds = spherical(poses, bounds) if spherify else (recentred(poses), bounds)
    near, far = np.full(len(files), BEFORE * bounds.min()), np.full(len(files), bounds.max())
    return replace(scene, poses=poses, near=near, far=far, frontal=not spherify)


def read_rows(source: Path) -> Floats:
    """Return the rows (N, 17) of a file of poses; raises UserError where it holds anything else."""
    try:
        rows = np.load(source, allow_pickle=False)
    except Exception as error:  # a damaged header can raise almost anything
        reason = str(error)[:100] or type(error).__name__
        raise UserError(
            f"{source}: cannot read it ({reason}); expected an array of numpy, (images, {WIDTH})."
        ) from None
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != WIDTH or rows.dtype.kind not in "fiu":
        shape = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else "several arrays"
        raise UserError(
            f"{source}: it holds {shape}; expected numbers (images, {WIDTH}), as LLFF's imgs2poses.py writes."
        )
    return rows.astype(np.float64)


def split_rows(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Return poses (N, 4, 4) in OpenGL's axes, height, width and focal length (N, 3), near and far (N, 2).

    LLFF stores the axes down, right, back; ours are right, up, back.
    """
    matrices = rows[:, :15].reshape(-1, 3, 5)
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = matrices[..., [1, 0, 2, 3]] * np.array([1.0, -1.0, 1.0, 1.0])
    return poses, matrices[..., 4], rows[:, 15:]


def scaled(poses: Floats, bounds: Floats) -> tuple[Floats, Floats]:
    """Return poses and bounds in units of three quarters of the nearest bound."""
    unit = NEAREST * bounds.min()
    return _rescaled(poses, 1 / unit), bounds / unit


def recentred(poses: Floats) -> Floats:
    """Return ``poses`` (N, 4, 4) seen from their average: the mean position, viewing and upward direction."""
    return _seen_from(poses, poses[:, :3, 2].mean(axis=0), poses[:, :3, 1].mean(axis=0), poses[:, :3, 3].mean(axis=0))


def spherical(poses: Floats, bounds: Floats) -> tuple[Floats, Floats]:
    """Return poses and bounds for cameras that look at a middle: it is the origin, z is up, distances are 1 on average.

    The middle is the point nearest to all optical axes; the mean distance is the root of the mean square.
    """
    origins, axes = poses[:, :3, 3], poses[:, :3, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # keeps what is at right angles to an axis
    middle = np.linalg.lstsq(across.sum(axis=0), (across @ origins[..., None]).sum(axis=0)[:, 0], rcond=None)[0]
    up = (origins - middle).mean(axis=0)
    side = np.cross([0.1, 0.2, 0.3], up)  # any direction that is not up
    turned = _seen_from(poses, up, np.cross(up, side), middle)
    radius = float(np.sqrt((turned[:, :3, 3] ** 2).sum(axis=-1).mean()))
    return _rescaled(turned, 1 / radius), bounds / radius


def _seen_from(poses: Floats, back: Floats, up: Floats, position: Floats) -> Floats:
    frame = np.eye(4)
    frame[:3, 2] = back / np.linalg.norm(back)
    right = np.cross(up, back)
    frame[:3, 0] = right / np.linalg.norm(right)
    frame[:3, 1] = np.cross(frame[:3, 2], frame[:3, 0])
    frame[:3, 3] = position
    turned: Floats = np.linalg.inv(frame) @ poses
    return turned


def _rescaled(poses: Floats, factor: float) -> Floats:
    return poses * np.where(np.arange(4) == 3, [[factor], [factor], [factor], [1.0]], 1.0)


def _images(root: Path, sizing: Sizing, count: int) -> tuple[list[Path], Sizing]:
    """Return the images and what is still to be done to their size."""
    ready = root / f"images_{sizing.factor}"
    folder, rest = (ready, FULL) if sizing.factor and ready.is_dir() else (root / "images", sizing)
    if not folder.is_dir():
        others = ", ".join(sorted(path.name for path in root.glob("images_*"))) or "none"
        raise UserError(
            f"{folder}: no such folder (others there: {others}); expected the images in it, "
            "or set data.downscale=8 where images_8 is there."
        )
    files = image_files(folder)
    if len(files) != count:
        raise UserError(
            f"{folder}: {len(files)} images, but poses_bounds.npy has {count} rows; expected one a row: "
            "take out the images that have no pose."
        )
    return files, rest


def _cameras(source: Path, sizes: Floats, size: tuple[int, int]) -> list[Calibration]:
    """Return the camera of each frame, for images of ``size``; the principal point is their centre."""
    cameras = []
    for height, width, focal in sizes.tolist():
        if not (height > 0 and width > 0 and focal > 0):
            found = f"height {height:g}, width {width:g}, focal length {focal:g}"
            raise UserError(f"{source}: a row has {found}; expected positive numbers of pixels.")
        known = Calibration((focal, focal, width / 2, height / 2))
        cameras.append(known.resized((width, height), size, str(source)))
    return cameras
