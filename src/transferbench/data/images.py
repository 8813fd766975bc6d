"""One image file to one upright 8-bit RGB image, or one clear reason why not."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

log = logging.getLogger(__name__)


class UnreadableImage(Exception):
    """The file at ``path`` holds no image that can be used; ``reason`` says why in a few words."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)  # both, so that the exception survives the way from a worker process
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Return the image at ``path``: mode RGB, upright by its EXIF orientation, fully decoded.

    16-bit samples are scaled to 8 bits; transparent pixels are laid over white; of several frames the first is taken.

    Raises:
        UnreadableImage: no such file, not an image, damaged, truncated, or larger than Pillow's limit of pixels.
    """
    try:
        return decode_image(path)
    except Exception as error:  # decoders raise almost anything on damaged files; the reason goes to whoever asked
        raise UnreadableImage(os.fspath(path), _reason(Path(path), error)) from error


def decode_image(source: str | os.PathLike[str] | IO[bytes]) -> Image.Image:
    """Return the image in a file, as ``read_image`` does; raises whatever the decoder of a damaged one raises."""
    with Image.open(source) as image:
        image.load()
        return _to_rgb(_upright(image))


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if path.is_file() and path.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return " ".join(str(error).split()) or type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    """Turn ``image`` as its EXIF orientation says; a damaged EXIF block leaves it as it is."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception as error:  # the pixels are whole: a broken tag is no reason to lose the image
        log.debug("%s: EXIF orientation not readable (%s)", getattr(image, "filename", "image"), error)
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        return Image.alpha_composite(white, colour).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(samples: np.ndarray, mode: str) -> np.ndarray:
    """Scale (H, W) samples to uint8: integers from 0..65535, floats from 0..1. (Pillow itself would clip at 255.)"""
    full = 1.0 if mode == "F" else 65535.0
    lowest, highest = float(samples.min()), float(samples.max())
    if not (lowest >= 0.0 and highest <= full):  # also false for NaN
        raise ValueError(f"pixel values from {lowest:g} to {highest:g}, expected 0 to {full:g}")
    return np.rint(samples.astype(np.float64) * (255.0 / full)).astype(np.uint8)
