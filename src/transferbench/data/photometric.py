"""Changes of colour and sharpness, bit for bit those of torchvision on PIL images, without their overhead.

Everything here takes and returns the pixel buffer inside a ``PIL.Image.Image`` (its attribute ``im``), mode RGB: for
crops of 24 to 96 pixels the wrappers around Pillow's C functions cost more time than the functions do.
"""

from __future__ import annotations

import operator
from typing import Any, TypeAlias

from PIL import _imaging

Pixels: TypeAlias = Any
"""The buffer inside a PIL image; Pillow has no public type for it."""

_LEVELS = range(256)


def adjust_brightness(pixels: Pixels, factor: float) -> Pixels:
    """Blend with black: 0 gives black, 1 the same image."""
    return _imaging.blend(_imaging.fill("RGB", pixels.size, (0, 0, 0)), pixels, factor)


def adjust_contrast(pixels: Pixels, factor: float) -> Pixels:
    """Blend with the mean luminance, rounded to an integer: 0 gives that grey, 1 the same image."""
    counts = pixels.convert("L", 0).histogram()
    mean = int(sum(map(operator.mul, _LEVELS, counts)) / (pixels.size[0] * pixels.size[1]) + 0.5)
    return _imaging.blend(_imaging.fill("RGB", pixels.size, (mean, mean, mean)), pixels, factor)


def adjust_saturation(pixels: Pixels, factor: float) -> Pixels:
    """Blend with the grayscale image: 0 gives that, 1 the same image."""
    return _imaging.blend(grayscale(pixels), pixels, factor)


def adjust_hue(pixels: Pixels, shift: float) -> Pixels:
    """Turn the hue by ``shift``, a share of the full circle in [-0.5, 0.5]."""
    steps = int(shift * 255) % 256
    turn = _imaging.fill("HSV", pixels.size, (steps, 0, 0))
    return pixels.convert("HSV", 0).chop_add_modulo(turn).convert("RGB", 0)


def grayscale(pixels: Pixels) -> Pixels:
    """Give all three channels the luminance (ITU-R 601-2)."""
    return pixels.convert("L", 0).convert("RGB", 0)


def blur(pixels: Pixels, radius: float) -> Pixels:
    """Blur with a Gaussian of standard deviation ``radius`` pixels (Pillow's three extended box filters)."""
    return pixels.gaussian_blur((radius, radius))


def solarise(pixels: Pixels) -> Pixels:
    """Invert every value of 128 and more, which is the darker of the value and its inverse."""
    return pixels.chop_darker(pixels.chop_invert())
