"""COLMAP's camera models: what their parameters mean, and which of them are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferbench.data.scenes.calibration import UNDISTORT, Calibration
from transferbench.errors import UserError

MODELS = {  # number in binary files: name, how many parameters
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
}
COUNTS = dict(MODELS.values())
LENSES = {  # places of k1, k2, k3, k4, p1, p2 after the focal lengths and the principal point
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": (0,),
    "RADIAL": (0, 1),
    "OPENCV": (0, 1, 4, 5),
    "OPENCV_FISHEYE": (0, 1, 2, 3),
    "SIMPLE_RADIAL_FISHEYE": (0,),
    "RADIAL_FISHEYE": (0, 1),
}


@dataclass(frozen=True)
class ColmapCamera:
    """One camera of a model: its kind, the size of its images in pixels, its parameters in COLMAP's order."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]


def calibration(model: str, params: Sequence[float], where: str) -> Calibration:
    """Return the camera that ``params`` of a ``model`` describe, at the size that they were measured at.

    Raises:
        UserError: a model that is not read, or parameters that are not as many as it has.
    """
    if model not in LENSES:
        raise UserError(f"{where}: the camera model {model} is not supported; {UNDISTORT}, then set data.root=FOLDER.")
    if len(params) != COUNTS[model]:
        raise UserError(f"{where}: {len(params)} parameters of a {model}; expected {COUNTS[model]}, as COLMAP writes.")
    two = model in ("PINHOLE", "OPENCV", "OPENCV_FISHEYE")
    fx, fy, cx, cy = params[:4] if two else (params[0], params[0], params[1], params[2])
    if not (fx > 0 and fy > 0):
        raise UserError(f"{where}: the focal length is {fx:g}, {fy:g}; expected positive numbers of pixels.")
    distortion = [0.0] * 6
    for place, value in zip(LENSES[model], params[4 if two else 3 :]):
        distortion[place] = value
    return Calibration((fx, fy, cx, cy), tuple(distortion), model.endswith("FISHEYE"))
