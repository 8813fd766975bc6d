"""COLMAP's files of text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from transferbench.data.scenes.colmap_cameras import ColmapCamera
from transferbench.data.scenes.scene import Floats
from transferbench.errors import UserError

Image = tuple[str, int, tuple[float, ...]]  # name, camera, quaternion and shift

REMEDY = "write the model again with `colmap model_converter --output_type TXT`"


def read_cameras(file: Path) -> dict[int, ColmapCamera]:
    """Return the cameras in ``cameras.txt`` by their ids; a line is id, model, width, height, parameters."""
    cameras = {}
    for number, line in _lines(file):
        words = line.split()
        if not words:
            continue
        try:
            sizes, params = (int(words[2]), int(words[3])), tuple(float(word) for word in words[4:])
            cameras[int(words[0])] = ColmapCamera(words[1], *sizes, params)
        except (IndexError, ValueError):
            raise _broken(file, number, line, "id, model, width, height and parameters of a camera") from None
    return cameras


def read_images(file: Path) -> list[Image]:
    """Return the images in ``images.txt``: one line of id, quaternion, shift, camera, name, and one of points."""
    images = []
    lines = _lines(file)
    for number, line in lines:
        words = line.split(maxsplit=9)
        if not words:
            continue
        try:
            images.append((words[9].strip(), int(words[8]), tuple(float(word) for word in words[1:8])))
        except (IndexError, ValueError):
            raise _broken(file, number, line, "id, quaternion, shift, camera and name of an image") from None
        number, line = next(lines, (number + 1, ""))  # a blank one where it sees no point
        if len(line.split()) % 3:
            raise _broken(file, number, line, "the points that the image sees, three numbers each, or a blank line")
    return images


def read_points(file: Path) -> Floats:
    """Return the points (P, 3) in ``points3D.txt``; a line begins with id, x, y, z."""
    points = []
    for number, line in _lines(file):
        words = line.split(maxsplit=4)
        if not words:
            continue
        try:
            points.append((float(words[1]), float(words[2]), float(words[3])))
        except (IndexError, ValueError):
            raise _broken(file, number, line, "id and x, y, z of a point") from None
    return np.array(points, float).reshape(-1, 3)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of every line that is no comment, blank ones too."""
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"{file}: cannot read it ({error.strerror or error}); {REMEDY}.") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.lstrip().startswith("#"):
            yield number, line


def _broken(file: Path, number: int, line: str, expected: str) -> UserError:
    return UserError(f"{file}: line {number} is {line[:60]!r}; expected {expected}; {REMEDY}.")
