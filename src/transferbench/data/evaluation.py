"""The one deterministic crop of evaluation: resize the shorter side, cut the centre."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from transferbench.data.multicrop import to_tensor
from transferbench.errors import UserError

INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class CentreCrop:
    """Resize the shorter side of an image to ``resize`` and cut the ``size`` x ``size`` centre.

    Equal to torchvision's ``Resize`` and ``CenterCrop`` on PIL images.

    Args:
        resize: length of the shorter side, pixels.
        size: height and width of the result, pixels; at most ``resize``.
        interpolation: ``bicubic`` or ``bilinear``.
    """

    def __init__(self, resize: int, size: int, interpolation: str = "bicubic") -> None:
        if not 1 <= size <= resize:
            raise UserError(
                f"the centre crop has size {size} and the resize {resize}; expected 1 <= size <= resize, "
                f"such as resize 256 and size 224."
            )
        if interpolation not in INTERPOLATIONS:
            raise UserError(f"interpolation is {interpolation!r}; expected one of {', '.join(INTERPOLATIONS)}.")
        self.resize = resize
        self.size = size
        self.interpolation = interpolation

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the centre of an RGB image as (3, size, size) uint8."""
        width, height = image.size
        shorter = min(width, height)
        resized = (int(self.resize * width / shorter), int(self.resize * height / shorter))
        if resized != (width, height):
            image = image.resize(resized, INTERPOLATIONS[self.interpolation])
        left = round((resized[0] - self.size) / 2.0)
        top = round((resized[1] - self.size) / 2.0)
        return to_tensor(image.crop((left, top, left + self.size, top + self.size)))

    def __repr__(self) -> str:
        return f"CentreCrop(resize={self.resize}, size={self.size}, interpolation={self.interpolation!r})"
