"""COLMAP's binary files, little-endian."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.data.scenes.colmap_cameras import MODELS, ColmapCamera
from transferbench.data.scenes.scene import Floats
from transferbench.errors import UserError

Image = tuple[str, int, tuple[float, ...]]  # name, camera, quaternion and shift

REMEDY = "write the model again with `colmap model_converter --output_type BIN`, or fetch it again"


class Stream:
    """The bytes of a file, taken from the front; raises UserError where they end too early."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self.data = file.read_bytes()
        except OSError as error:
            raise UserError(f"{file}: cannot read it ({error.strerror or error}); {REMEDY}.") from None
        self.place = 0

    def take(self, form: str) -> tuple[Any, ...]:
        """Return the next values, of the kinds that ``form`` lists in the letters of struct."""
        return struct.unpack_from(f"<{form}", self.data, self._step(struct.calcsize(f"<{form}")))

    def text(self) -> str:
        """Return the text up to the next NUL."""
        end = self.data.find(b"\0", self.place)
        if end < 0:
            raise self._cut()
        return self.data[self._step(end + 1 - self.place) : end].decode("utf-8", "replace")

    def skip(self, count: int) -> None:
        """Leave out ``count`` bytes."""
        self._step(count)

    def _step(self, count: int) -> int:
        start = self.place
        if start + count > len(self.data):
            raise self._cut()
        self.place += count
        return start

    def _cut(self) -> UserError:
        return UserError(f"{self.file}: it is cut off at byte {len(self.data)}, in the middle of an entry; {REMEDY}.")


def read_cameras(file: Path) -> dict[int, ColmapCamera]:
    """Return the cameras in ``cameras.bin`` by their ids; raises UserError for a model that COLMAP has not named."""
    stream = Stream(file)
    cameras = {}
    for _ in range(stream.take("Q")[0]):
        number, model, width, height = stream.take("iiQQ")
        if model not in MODELS:
            raise UserError(
                f"{file}: camera {number} has the unknown model {model}; expected one of 0 to 10. {REMEDY}."
            )
        name, count = MODELS[model]
        cameras[number] = ColmapCamera(name, width, height, stream.take(f"{count}d"))
    return cameras


def read_images(file: Path) -> list[Image]:
    """Return the images in ``images.bin``."""
    stream = Stream(file)
    images = []
    for _ in range(stream.take("Q")[0]):
        _, *numbers, camera = stream.take("i7di")
        name = stream.text()
        stream.skip(24 * stream.take("Q")[0])  # the points seen: x, y, id
        images.append((name, camera, tuple(numbers)))
    return images


def read_points(file: Path) -> Floats:
    """Return the points (P, 3) in ``points3D.bin``."""
    stream = Stream(file)
    points = []
    for _ in range(stream.take("Q")[0]):
        _, x, y, z, _, _, _, _, length = stream.take("Q3d3BdQ")
        stream.skip(8 * length)  # where it is seen: image, place
        points.append((x, y, z))
    return np.array(points, float).reshape(-1, 3)
