"""The three files of a sparse model of COLMAP (Schoenberger & Frahm, CVPR 2016): cameras, images, points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferbench.data.scenes import colmap_binary, colmap_text
from transferbench.data.scenes.colmap_cameras import ColmapCamera
from transferbench.data.scenes.poses import LARGEST
from transferbench.data.scenes.scene import Floats
from transferbench.errors import UserError


@dataclass(frozen=True)
class ColmapModel:
    """A sparse model.

    Attributes:
        source: the file that lists the images.
        cameras: by their ids.
        names: of the images, paths below the folder of images.
        camera_ids: one an image.
        turns: (N, 4) unit quaternions w, x, y, z from world to camera.
        shifts: (N, 3) from world to camera.
        points: (P, 3) in the world, None without a file of points.
    """

    source: Path
    cameras: dict[int, ColmapCamera]
    names: tuple[str, ...]
    camera_ids: tuple[int, ...]
    turns: Floats
    shifts: Floats
    points: Floats | None

    def poses(self) -> Floats:
        """Return the poses (N, 4, 4) from camera to world, still in COLMAP's axes: y down, z forwards."""
        inverse = rotations(self.turns).transpose(0, 2, 1)
        poses = np.tile(np.eye(4), (len(self.names), 1, 1))
        poses[:, :3, :3] = inverse
        poses[:, :3, 3] = -(inverse @ self.shifts[..., None])[..., 0]
        return poses


def is_model(folder: Path) -> bool:
    """Tell whether a folder holds the cameras and images of a model, binary or as text."""
    return any((folder / f"cameras{s}").is_file() and (folder / f"images{s}").is_file() for s in (".bin", ".txt"))


def read_model(folder: Path) -> ColmapModel:
    """Read the binary files of a model where they are there, else those of text.

    Raises:
        UserError: a file is missing, cut off or broken, or lists no image, or one without a camera.
    """
    binary = (folder / "cameras.bin").is_file() and (folder / "images.bin").is_file()
    reader = colmap_binary if binary else colmap_text
    suffix = ".bin" if binary else ".txt"
    cameras = reader.read_cameras(folder / f"cameras{suffix}")
    source = folder / f"images{suffix}"
    images = reader.read_images(source)
    file = folder / f"points3D{suffix}"
    points = reader.read_points(file) if file.is_file() else None
    if points is not None and not (np.abs(points) < LARGEST).all():
        raise UserError(f"{file}: a point holds a number that is not finite; write the model again.")
    for name, camera, *_ in images:
        if camera not in cameras:
            raise UserError(f"{source}: {name} has camera {camera}, which {folder / f'cameras{suffix}'} does not list.")
    numbers = np.array([numbers for _, _, numbers in images], float).reshape(-1, 7)
    check_numbers(source, [name for name, _, _ in images], numbers)
    return ColmapModel(
        source,
        cameras,
        tuple(name for name, _, _ in images),
        tuple(camera for _, camera, _ in images),
        numbers[:, :4] / np.linalg.norm(numbers[:, :4], axis=1, keepdims=True),
        numbers[:, 4:],
        points,
    )


def check_numbers(source: Path, names: Sequence[str], numbers: Floats) -> None:
    """Raise UserError for a quaternion and shift (N, 7) that turn and move nothing: zeros, or not finite."""
    for name, row in zip(names, numbers):
        if not (np.abs(row) < LARGEST).all():
            raise UserError(f"{source}: the pose of {name} holds a number that is not finite; write the model again.")
        if not np.abs(row[:4]).max() > 1e-6:
            raise UserError(f"{source}: the rotation of {name} is not a quaternion; write the model again.")


def rotations(turns: Floats) -> Floats:
    """Return the matrices (N, 3, 3) of unit quaternions (N, 4) w, x, y, z."""
    w, x, y, z = turns.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)
