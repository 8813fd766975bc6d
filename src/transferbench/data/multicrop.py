"""Multi-crop: a few large and many small random crops of one image, each changed in colour and sharpness.

The table and the order of the operations are t-ReX's (arXiv:2206.15369): crop, flip, colour jitter, grayscale, Gaussian
blur, solarisation. Each operation is torchvision's on PIL images, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from transferbench.data import photometric
from transferbench.errors import UserError

ATTEMPTS = 10
"""How often a box is drawn before the central one is taken (torchvision's RandomResizedCrop)."""

NUMBERS_PER_CROP = 2 * ATTEMPTS + 13
"""Uniform numbers that one crop takes from the generator, whatever it uses of them."""

_ORDERS = tuple(permutations(range(4)))
_JITTER = (
    photometric.adjust_brightness,
    photometric.adjust_contrast,
    photometric.adjust_saturation,
    photometric.adjust_hue,
)


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


def make_crop(image: Image.Image, size: int, recipe: Recipe) -> Tensor:
    """Cut one crop of an RGB image and return it as (3, size, size) uint8."""
    left, top, width, height, _ = recipe.box
    # Cropped before the resize, as torchvision does: with resize(box=...) pixels outside the box would blend in.
    pixels = image.im.crop((left, top, left + width, top + height))
    if (width, height) != (size, size):
        pixels = pixels.resize((size, size), Image.Resampling.BICUBIC, (0, 0, width, height))
    if recipe.flip:
        pixels = pixels.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for which, amount in recipe.jitter:
        pixels = _JITTER[which](pixels, amount)
    if recipe.grayscale:
        pixels = photometric.grayscale(pixels)
    if recipe.blur:
        pixels = photometric.blur(pixels, recipe.blur)
    if recipe.solarise:
        pixels = photometric.solarise(pixels)
    return to_tensor(image._new(pixels))


def to_tensor(image: Image.Image) -> Tensor:
    """Return an RGB image as (3, H, W) uint8, contiguous."""
    return torch.from_numpy(np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)))


class MultiCrop:
    """Turn an RGB image into a list of crops: those of the first view first.

    All that is random comes from torch's default generator, in one draw an image.

    Args:
        views: by name, a ``View`` or a mapping of its fields. A view with count 0 is left out.

    Raises:
        UserError: a field is unknown, missing or out of range, or no view is left.
    """

    def __init__(self, views: Mapping[str, View | Mapping[str, Any]]) -> None:
        checked = {name: _view(name, view) for name, view in views.items()}
        self.views = {name: view for name, view in checked.items() if view.count > 0}
        if not self.views:
            raise UserError("crops.views asks for no crop at all; set crops.views.global.count=1 or more.")
        self._crops = [view for view in self.views.values() for _ in range(view.count)]

    def __len__(self) -> int:
        """Return the number of crops an image."""
        return len(self._crops)

    def draw(self, width: int, height: int) -> list[Recipe]:
        """Draw the recipes of all crops of one width x height image."""
        numbers = torch.rand(len(self._crops), NUMBERS_PER_CROP, dtype=torch.float64).tolist()
        return [draw_recipe(width, height, view, row) for view, row in zip(self._crops, numbers)]

    def __call__(self, image: Image.Image) -> list[Tensor]:
        """Return one (3, size, size) uint8 tensor a crop."""
        image.load()
        recipes = self.draw(image.width, image.height)
        return [make_crop(image, view.size, recipe) for view, recipe in zip(self._crops, recipes)]


def _view(name: str, given: View | Mapping[str, Any]) -> View:
    """Check one view and return it with plain tuples and numbers."""
    known = [field.name for field in fields(View)]
    values = {key: getattr(given, key) for key in known} if isinstance(given, View) else given
    if not isinstance(values, Mapping):
        raise UserError(f"crops.views.{name} is {given!r}; expected a mapping such as {{count: 1, size: 224}}.")
    for key in values:
        if key not in known:
            raise UserError(f"crops.views.{name}.{key} is not known; expected one of {', '.join(known)}.")
    for key in ("count", "size", "scale"):
        if key not in values:
            raise UserError(f"crops.views.{name}.{key} is missing; set crops.views.{name}.{key}=VALUE.")
    return View(**{key: _field(f"crops.views.{name}.{key}", key, value) for key, value in values.items()})


def _field(path: str, key: str, value: Any) -> Any:
    """Return the value of one field of a view, or say what is wrong with it."""
    if key in ("count", "size"):
        least = 0 if key == "count" else 1
        if type(value) is not int or value < least:
            raise UserError(f"{path} is {value!r}; expected an integer, at least {least}.")
        return value
    if key in ("scale", "ratio", "blur_radius"):
        top = 1.0 if key == "scale" else math.inf
        pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
        if len(pair) != 2 or not all(map(_is_number, pair)) or not 0 < pair[0] <= pair[1] <= top or pair[1] == math.inf:
            bound = "between 0 and 1" if key == "scale" else "above 0"
            raise UserError(f"{path} is {value!r}; expected two numbers {bound}, the lesser first.")
        return (float(pair[0]), float(pair[1]))
    top = {"brightness": math.inf, "contrast": math.inf, "saturation": math.inf, "hue": 0.5}.get(key, 1.0)
    if not _is_number(value) or not 0 <= value <= top or value == math.inf:
        raise UserError(f"{path} is {value!r}; expected a number from 0{'' if top == math.inf else f' to {top:g}'}.")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
