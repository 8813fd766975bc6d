"""Changes of colour and sharpness of one crop, as torchvision makes them on PIL images.

Pixels are (3, H, W) uint8 arrays, red first. Brightness, contrast, saturation, grayscale and solarisation are bit for
bit torchvision's on PIL images. Hue turns without PIL's detour over 8-bit hue and saturation, and the blur is one pass
of the kernel that PIL applies in three: both stay within 2 levels of PIL's for 99 of 100 values of a photograph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]

LUMA = (19595, 38470, 7471)
"""Share of red, green and blue in the luminance, in 65536ths (ITU-R 601-2, Pillow's integers)."""

HUE_STEPS = 255
"""Steps of a full turn of the hue: torchvision on PIL images turns by whole ones."""

_RED, _GREEN, _BLUE = (np.float32(weight / 65536) for weight in LUMA)
_UNIT = 256  # of the blur's weights: their sum times 255 just fits 16 bits


def adjust_brightness(pixels: Pixels, factor: float) -> Pixels:
    """Blend with black: 0 gives black, 1 the same image."""
    values = pixels.astype(np.float32)
    values *= np.float32(factor)
    return _levels(values, factor)


def adjust_contrast(pixels: Pixels, factor: float) -> Pixels:
    """Blend with the mean luminance, rounded to an integer: 0 gives that grey, 1 the same image."""
    values = pixels.astype(np.float32)
    luminance = _luminance(values)
    return _blend(values, np.float32(math.floor(float(luminance.sum()) / luminance.size + 0.5)), factor)


def adjust_saturation(pixels: Pixels, factor: float) -> Pixels:
    """Blend with the grayscale image: 0 gives that, 1 the same image."""
    values = pixels.astype(np.float32)
    return _blend(values, _luminance(values), factor)


def adjust_hue(pixels: Pixels, shift: float) -> Pixels:
    """Turn the hue by ``shift``, a share of the full circle in [-0.5, 0.5], cut to whole ``HUE_STEPS``.

    Without a division, in units of the chroma C = max - min: with the hue as an angle in [-3C, 3C] from red and x the
    angle from a channel's own hue, that channel is ``min + clip(||x| - 3C| - C, 0, C)`` as long as x is in [-7C, 7C].
    """
    least = np.minimum(np.minimum(pixels[0], pixels[1]), pixels[2])
    values = pixels.astype(np.int16)
    values -= least
    chroma = np.maximum(np.maximum(values[0], values[1]), values[2])
    steps = int(shift * HUE_STEPS)
    turn = chroma * np.float32(steps * 6 / HUE_STEPS)
    angle = _hue_angle(values, chroma)
    angle += np.rint(turn, out=turn).astype(np.int16)
    twice = chroma + chroma
    np.subtract(angle, 0, out=values[0])
    np.subtract(angle, twice if steps >= 0 else -2 * twice, out=values[1])
    np.subtract(angle, 2 * twice if steps >= 0 else -twice, out=values[2])
    np.abs(values, out=values)
    values -= twice + chroma
    np.abs(values, out=values)
    np.maximum(values, chroma, out=values)
    np.minimum(values, twice, out=values)
    chroma -= least
    values -= chroma
    return values.astype(np.uint8)


def grayscale(pixels: Pixels) -> Pixels:
    """Give all three channels the luminance (ITU-R 601-2)."""
    return np.stack([_luminance(pixels.astype(np.float32)).astype(np.uint8)] * 3)


def blur(pixels: Pixels, radius: float) -> Pixels:
    """Blur with a Gaussian of standard deviation ``radius`` pixels, as Pillow approximates it; edges are repeated."""
    weights = kernel(radius)
    sums = [round(_UNIT * total) for total in accumulate(weights[: len(weights) // 2])]  # errors do not add up so
    sides = [after - before for before, after in zip([0, *sums], sums)][sums.count(0) :]
    return _blur_along(2, _blur_along(1, pixels, sides), sides)


def solarise(pixels: Pixels) -> Pixels:
    """Invert every value of 128 and more, which is the darker of the value and its inverse."""
    return np.minimum(pixels, ~pixels)


def extended_box(radius: float) -> tuple[int, float]:
    """Return the box filter that, applied three times, has the standard deviation ``radius``.

    It is the count of whole pixels to each side and the share of the next one (Pillow's BoxBlur.c, after Gwosdek et
    al., Theoretical foundations of Gaussian convolution by extended box filtering, 2011).
    """
    variance = radius * radius / 3
    whole = int((math.sqrt(12 * variance + 1) - 1) / 2)
    end = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) ** 2))
    return whole, end


def kernel(radius: float) -> list[float]:
    """Return the 2n + 1 weights of Pillow's Gaussian, the box filter three times over."""
    whole, end = extended_box(radius)
    box = np.array([end, *[1.0] * (2 * whole + 1), end]) / (2 * whole + 1 + 2 * end)
    weights: list[float] = np.convolve(np.convolve(box, box), box).tolist()
    return weights


def _luminance(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the luminance (H, W) of values (3, H, W), rounded as Pillow does: 24 bits hold it exactly."""
    luminance: npt.NDArray[np.float32] = values[0] * _RED
    part = values[1] * _GREEN
    luminance += part
    luminance += np.multiply(values[2], _BLUE, out=part)
    luminance += np.float32(0.5)
    return np.floor(luminance, out=luminance)


def _blend(values: npt.NDArray[np.float32], towards: Any, factor: float) -> Pixels:
    """Return ``towards + factor * (values - towards)``, cut to whole levels; overwrites ``values``."""
    values -= towards
    values *= np.float32(factor)
    values += towards
    return _levels(values, factor)


def _levels(values: npt.NDArray[np.float32], factor: float) -> Pixels:
    """Cut to whole levels as Pillow does, down; only a factor above 1 leads out of 0 to 255."""
    if factor > 1:
        np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


def _hue_angle(values: npt.NDArray[np.int16], chroma: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return the hue (H, W) as an angle from red in [-3C, 3C], from channels (3, H, W) less their least.

    Its size is 2C - red where red lies between the others, less resp. more C - |green - blue| where red is the
    greatest resp. the least: those two cases are what the limits of green + blue - 2 red tell apart.
    """
    red, green, blue = values
    side = green - blue
    limit = chroma - np.abs(side)
    angle: npt.NDArray[np.int16] = green + blue
    angle -= red
    angle -= red
    np.minimum(angle, limit, out=angle)
    np.maximum(angle, np.negative(limit, out=limit), out=angle)
    angle -= red
    angle += chroma
    angle += chroma
    side >>= 15  # -1 on the side of blue, else 0
    side |= 1
    angle *= side
    return angle


def _blur_along(axis: int, pixels: Pixels, sides: Sequence[int]) -> Pixels:
    """Weigh the pixels on both sides along an axis with ``sides``, in 256ths, the farthest first; the centre the rest.

    The padded image is shifted as one flat run of numbers, several times as fast as row by row; what so comes from the
    next row, or the next channel, falls into the padding and is cut off.
    """
    size, reach = pixels.shape[axis], len(sides)
    shape = list(pixels.shape)
    shape[axis] += 2 * reach
    padded = np.empty(shape, np.uint16)
    source, target = pixels.swapaxes(0, axis), padded.swapaxes(0, axis)
    target[reach : reach + size] = source
    target[:reach] = source[0]
    target[reach + size :] = source[-1]
    run, step = padded.reshape(-1), math.prod(shape[axis + 1 :])
    length = run.size - 2 * reach * step
    blurred = np.empty_like(padded)
    total = blurred.reshape(-1)[:length]
    np.multiply(run[reach * step :][:length], np.uint16(_UNIT - 2 * sum(sides)), out=total)
    total += np.uint16(_UNIT // 2)
    pair = np.empty_like(total)
    for offset, weight in enumerate(sides):
        np.add(run[offset * step :][:length], run[(2 * reach - offset) * step :][:length], out=pair)
        pair *= np.uint16(weight)
        total += pair
    total >>= 8
    return blurred.swapaxes(0, axis)[:size].swapaxes(0, axis).astype(np.uint8)
