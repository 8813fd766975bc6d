"""What is random in one crop: where it lies, how it is flipped, how its colours and its sharpness change.

The table and the order of the operations are t-ReX's (arXiv:2206.15369): crop, flip, colour jitter, grayscale, Gaussian
blur, solarisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

ATTEMPTS = 10
"""How often a box is drawn before the central one is taken (torchvision's RandomResizedCrop)."""

NUMBERS_PER_CROP = 2 * ATTEMPTS + 13
"""Uniform numbers that one crop takes from the generator, whatever it uses of them."""

_ORDERS = tuple(permutations(range(4)))


@dataclass(frozen=True)
class View:
    """How one kind of crop is made; the defaults are t-ReX's values common to its global and local crops.

    Attributes:
        count: crops of this kind, an image.
        size: height and width of the crop, pixels.
        scale: least and greatest share of the image's area.
        ratio: least and greatest width over height, before the resize to a square.
        flip: probability of a horizontal flip.
        jitter: probability of the colour jitter, whose four changes come in random order.
        brightness, contrast, saturation: the factor is uniform in [max(0, 1 - x), 1 + x].
        hue: the shift is uniform in [-x, x], in full turns.
        grayscale: probability.
        blur: probability of the Gaussian blur.
        blur_radius: least and greatest standard deviation of the blur, pixels of the crop.
        solarise: probability of inverting all values of 128 and more.
    """

    count: int
    size: int
    scale: tuple[float, float]
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grayscale: float = 0.2
    blur: float = 0.0
    blur_radius: tuple[float, float] = (0.1, 2.0)
    solarise: float = 0.0


class Box(NamedTuple):
    """A crop's box in pixels and the share of the image's area that was asked for (1.0 for the central box)."""

    left: int
    top: int
    width: int
    height: int
    share: float


class Recipe(NamedTuple):
    """All that is random in one crop.

    Attributes:
        box: where the crop lies.
        flip: whether it is flipped.
        jitter: (operation, amount) in the order to apply, operations counted as brightness, contrast, saturation, hue.
        grayscale: whether colour is dropped.
        blur: standard deviation in pixels, or None.
        solarise: whether it is solarised.
    """

    box: Box
    flip: bool
    jitter: tuple[tuple[int, float], ...]
    grayscale: bool
    blur: float | None
    solarise: bool


def draw_box(width: int, height: int, view: View, numbers: Sequence[float]) -> Box:
    """Draw a box as torchvision's ``RandomResizedCrop.get_params`` does, from 22 ``numbers`` uniform in [0, 1)."""
    low, high = view.scale
    log_low, log_high = math.log(view.ratio[0]), math.log(view.ratio[1])
    for attempt in range(ATTEMPTS):
        share = low + (high - low) * numbers[2 * attempt]
        ratio = math.exp(log_low + (log_high - log_low) * numbers[2 * attempt + 1])
        box_width = round(math.sqrt(share * width * height * ratio))
        box_height = round(math.sqrt(share * width * height / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            left = int((width - box_width + 1) * numbers[2 * ATTEMPTS])
            top = int((height - box_height + 1) * numbers[2 * ATTEMPTS + 1])
            return Box(left, top, box_width, box_height, share)
    box_width = max(1, min(width, round(height * view.ratio[1])))
    box_height = max(1, min(height, round(width / view.ratio[0])))
    return Box((width - box_width) // 2, (height - box_height) // 2, box_width, box_height, 1.0)


def draw_recipe(width: int, height: int, view: View, numbers: Sequence[float]) -> Recipe:
    """Turn ``NUMBERS_PER_CROP`` numbers, uniform in [0, 1), into the recipe of one crop of a width x height image."""
    box = draw_box(width, height, view, numbers)
    flip, jitter, order, b, c, s, h, grayscale, blur, radius, solarise = numbers[2 * ATTEMPTS + 2 :]
    changes: tuple[tuple[int, float], ...] = ()
    if jitter < view.jitter:
        amounts = (
            _factor(view.brightness, b),
            _factor(view.contrast, c),
            _factor(view.saturation, s),
            view.hue * (2.0 * h - 1.0),
        )
        strengths = (view.brightness, view.contrast, view.saturation, view.hue)
        changes = tuple((which, amounts[which]) for which in _ORDERS[int(order * 24)] if strengths[which] > 0)
    low, high = view.blur_radius
    return Recipe(
        box,
        flip < view.flip,
        changes,
        grayscale < view.grayscale,
        low + (high - low) * radius if blur < view.blur else None,
        solarise < view.solarise,
    )


def _factor(strength: float, number: float) -> float:
    low = max(0.0, 1.0 - strength)
    return low + (1.0 + strength - low) * number
