"""The size at which images are read, and the averaging that takes them there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transferbench.errors import UserError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Sizing:
    """How large images are wanted: a ``downscale`` factor, or a ``size``, but not both.

    Attributes:
        downscale: 1 or more, whole or not; both sides are divided by it and rounded.
        size: the longer side in pixels, or (width, height).

    Raises:
        UserError: a factor below 1, a size that is not positive, or both.
    """

    downscale: float = 1
    size: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.downscale) and self.downscale >= 1):
            raise UserError(f"data.downscale is {self.downscale}; expected a factor of 1 or more, such as 8.")
        sides = () if self.size is None else self.size if isinstance(self.size, tuple) else (self.size,)
        if any(side < 1 for side in sides) or (self.size is not None and len(sides) not in (1, 2)):
            raise UserError(f"data.size is {self.size}; expected the longer side in pixels, or [width, height].")
        if self.size is not None and self.downscale != 1:
            raise UserError("data.size and data.downscale are both set; leave one of them out.")

    @property
    def factor(self) -> int | None:
        """The whole factor above 1 by which images shrink, None where there is none."""
        whole = int(self.downscale)
        return whole if whole == self.downscale and whole > 1 else None

    def target(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) wanted of images of ``width`` by ``height``; raises UserError if that is more."""
        if self.size is None:
            return max(1, round(width / self.downscale)), max(1, round(height / self.downscale))
        if isinstance(self.size, tuple):
            wanted = self.size
        else:
            longer = max(width, height)
            wanted = max(1, round(width * self.size / longer)), max(1, round(height * self.size / longer))
        if wanted[0] > width or wanted[1] > height:
            raise UserError(
                f"data.size asks for {wanted[0]}x{wanted[1]}, but the images are {width}x{height}; "
                f"set data.size={max(width, height)} or less."
            )
        return wanted


FULL = Sizing()


def shrink(image: Image.Image, width: int, height: int) -> Pixels:
    """Return the RGB or RGBA ``image`` averaged over the area of each new pixel, (height, width, 3 or 4).

    Colours count as much as they are opaque; where all is transparent they are black.
    """
    if image.size == (width, height):
        return np.asarray(image)
    factor = image.width // width
    if image.mode == "RGB" and image.size == (width * factor, height * factor):
        return np.asarray(image.reduce(factor))  # many times as fast
    values: NDArray[Any] = np.asarray(image)
    if image.mode == "RGBA":
        values = values.astype(np.float32)
        values[..., :3] *= values[..., 3:] / 255
    mean = _averaged(_averaged(values, height, 0), width, 1)
    if image.mode == "RGBA":
        opacity = mean[..., 3:] / 255
        mean[..., :3] = np.divide(mean[..., :3], opacity, out=np.zeros_like(mean[..., :3]), where=opacity > 1e-6)
    return np.rint(np.clip(mean, 0, 255)).astype(np.uint8)


def _averaged(values: NDArray[Any], length: int, axis: int) -> NDArray[np.float32]:
    """Return the means of ``length`` equal stretches along an axis; a value across a border counts in part for both."""
    count, others = values.shape[axis], tuple(other for other in range(values.ndim) if other != axis)
    edges = np.arange(length + 1) * (count / length)
    first, total = edges[:-1].astype(np.intp), np.float32(0)
    for step in range(math.ceil(count / length) + 1):
        place = first + step
        share = np.minimum(edges[1:], place + 1) - np.maximum(edges[:-1], place)  # of the value in the stretch
        weight = np.expand_dims(np.maximum(share, 0) * (length / count), others).astype(np.float32)
        total = total + weight * values.take(np.minimum(place, count - 1), axis)
    return np.asarray(total)
