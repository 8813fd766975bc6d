"""Cameras as JSON describes them: focal lengths or angles, the size they were measured at, the lens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.data.annotation_files import as_number
from transferbench.data.scenes.scene import Floats
from transferbench.errors import UserError
from transferbench.nerf.lens import undistort

KEYS = ("fl_x", "fl_y", "camera_angle_x", "camera_angle_y", "cx", "cy", "w", "h", "k1", "k2", "k3", "k4", "p1", "p2")
LENS = ("k1", "k2", "k3", "k4", "p1", "p2")
STRAIGHT = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "PERSPECTIVE")
UNDISTORT = (
    "undistort the images with `colmap image_undistorter --image_path images --input_path sparse/0 "
    "--output_path FOLDER`"
)


@dataclass(frozen=True)
class Calibration:
    """One camera: fx, fy, cx, cy in pixels of its images, k1, k2, k3, k4, p1, p2 of its lens, the lens's kind."""

    intrinsics: tuple[float, float, float, float]
    distortion: tuple[float, ...] = (0.0,) * 6
    fisheye: bool = False

    def resized(self, measured: tuple[float, float], size: tuple[int, int], where: str) -> Calibration:
        """Return the camera for images of ``size``, where this one was ``measured`` on others; raises UserError."""
        across, down = scale_of(measured, size, where)
        fx, fy, cx, cy = self.intrinsics
        return replace(self, intrinsics=(fx * across, fy * down, cx * across, cy * down))


def calibration_of(content: Mapping[str, Any], size: tuple[int, int], where: str) -> Calibration:
    """Return the camera that the keys of instant-ngp and nerfstudio describe, for images of ``size``.

    ``fl_x`` and ``fl_y`` count before ``camera_angle_x`` and ``camera_angle_y`` (radians, the whole width and height);
    what is missing across is the same down. The principal point is the centre where it is not given. ``w`` and ``h``,
    whole or not, say at which size all this was measured.

    Raises:
        UserError: no focal length, a value that is no number, a kind of lens that is not supported.
    """
    given = {key: _number(content, key, where) for key in KEYS if content.get(key) is not None}
    width, height = size
    measured = (given["w"], given["h"]) if "w" in given and "h" in given else None
    across, down = (1.0, 1.0) if measured is None else scale_of(measured, size, where)
    if "fl_x" in given:
        fx, fy = given["fl_x"] * across, given.get("fl_y", given["fl_x"]) * down
    elif "camera_angle_x" in given:
        fx = fy = _focal(given["camera_angle_x"], width, where)
    else:
        raise UserError(f"{where}: no focal length in it; expected fl_x in pixels or camera_angle_x in radians.")
    if "fl_y" not in given and "camera_angle_y" in given:
        fy = _focal(given["camera_angle_y"], height, where)
    cx = given["cx"] * across if "cx" in given else width / 2
    cy = given["cy"] * down if "cy" in given else height / 2
    if measured is None:
        check_centre(cx, cy, size, where)
    if not (fx > 0 and fy > 0):
        raise UserError(f"{where}: the focal length is {fx:g}, {fy:g}; expected positive numbers of pixels.")
    return Calibration((fx, fy, cx, cy), tuple(given.get(key, 0.0) for key in LENS), _is_fisheye(content, where))


def scale_of(measured: tuple[float, float], size: tuple[int, int], where: str) -> tuple[float, float]:
    """Return by how much images of ``size`` are larger than those ``measured``, across and down.

    Raises UserError where their shapes differ by more than the rounding of a side.
    """
    if min(measured) <= 0:
        raise UserError(
            f"{where}: the images are {measured[0]:g}x{measured[1]:g}; expected a positive width and height."
        )
    across, down = size[0] / measured[0], size[1] / measured[1]
    if abs(across / down - 1) > 1 / min(*size, *measured):
        raise UserError(
            f"{where}: the camera was measured on images of {measured[0]:g}x{measured[1]:g}, but they are "
            f"{size[0]}x{size[1]}; expected the same shape: look for images that were turned or cropped."
        )
    return across, down


def check_centre(cx: float, cy: float, size: tuple[int, int], where: str) -> None:
    """Raise UserError where a principal point lies outside of the images, of which nobody says the size."""
    if not (0 < cx < size[0] and 0 < cy < size[1]):
        raise UserError(
            f"{where}: the principal point {cx:g}, {cy:g} is outside of the images ({size[0]}x{size[1]}), so the "
            "camera was measured on others; write their width and height beside it."
        )


def check_lens(
    source: Path, names: Sequence[str], intrinsics: Floats, distortion: Floats, fisheye: bool, size: tuple[int, int]
) -> None:
    """Raise UserError for a lens that cannot be inverted all over images of ``size``."""
    grid = np.stack(np.meshgrid(*(np.linspace(0, side, 5) for side in size)), axis=-1)
    kinds, firsts = np.unique(np.concatenate([intrinsics, distortion], axis=1), axis=0, return_index=True)
    for kind, first in zip(kinds, firsts.tolist()):
        if not np.isfinite(kind).all():
            raise UserError(
                f"{source}: the camera of {names[first]} holds a number that is not finite; calibrate it again."
            )
        try:
            undistort((grid - kind[2:4]) / kind[:2], kind[4:], fisheye)
        except ValueError as error:
            raise UserError(f"{source}: {error} across the image {names[first]}; {UNDISTORT}.") from None


def check_all_or_none(source: Path, content: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> None:
    """Raise UserError where some frames have an intrinsic of their own and others have none at all."""
    for key in KEYS:
        having = sum(frame.get(key) is not None for frame in frames)
        if 0 < having < len(frames) and content.get(key) is None:
            lacking = next(index for index, frame in enumerate(frames) if frame.get(key) is None)
            raise UserError(
                f"{source}: {having} of {len(frames)} frames have {key}, frames[{lacking}] has not; "
                f"expected {key} in all of them or in none, or once at the top for those without."
            )


def _is_fisheye(content: Mapping[str, Any], where: str) -> bool:
    model = content.get("camera_model")
    if model is not None and model not in STRAIGHT and model != "OPENCV_FISHEYE":
        raise UserError(
            f"{where}: camera_model {model} is not supported; expected OPENCV, OPENCV_FISHEYE or PINHOLE: {UNDISTORT}."
        )
    odd = [key for key in content if key.startswith("ftheta_") or key in ("latlong", "equirectangular")]
    if odd:
        raise UserError(
            f"{where}: the lens of {odd[0]} is not supported; expected a pinhole, OPENCV or OPENCV_FISHEYE."
        )
    return model == "OPENCV_FISHEYE" or bool(content.get("is_fisheye"))


def _focal(angle: float, side: int, where: str) -> float:
    if not 0 < angle < math.pi:
        raise UserError(f"{where}: the camera's angle is {angle:g}; expected radians between 0 and 3.1416.")
    return 0.5 * side / math.tan(0.5 * angle)


def _number(content: Mapping[str, Any], key: str, where: str) -> float:
    number = as_number(content[key])
    if number is None:
        raise UserError(f"{where}: {key} is {str(content[key])[:40]}; expected a number.")
    return number
