"""Multi-crop: a few large and many small random crops of one image, each changed in colour and sharpness.

Two ways lead to the same crops. ``MultiCrop`` called on an image makes them whole. Or a worker only cuts them
(``MultiCrop.cut``) and the changes of colour and sharpness follow on the accelerator, a batch at a time
(``MultiCrop.finish``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import groupby
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from transferbench.data import photometric
from transferbench.data.batched_photometric import change, parameters
from transferbench.data.photometric import Pixels
from transferbench.data.recipe import NUMBERS_PER_CROP, Recipe, View, draw_recipe
from transferbench.errors import UserError

_JITTER = (
    photometric.adjust_brightness,
    photometric.adjust_contrast,
    photometric.adjust_saturation,
    photometric.adjust_hue,
)


def cut(image: Pixels, size: int, recipe: Recipe) -> Tensor:
    """Cut a crop out of an image (H, W, 3), resize and flip it: (3, size, size) uint8; bicubic, antialiased.

    Cropped before the resize, as torchvision does, so that no pixel outside of the box blends in. Torch resizes uint8
    several times as fast as Pillow and is off by a level at most.
    """
    left, top, width, height, _ = recipe.box
    part = torch.from_numpy(np.array(image[top : top + height, left : left + width])).permute(2, 0, 1)
    if (width, height) != (size, size):
        part = interpolate(part[None], (size, size), mode="bicubic", antialias=True)[0]
    return (part.flip(-1) if recipe.flip else part).contiguous()


def change_one(pixels: Pixels, recipe: Recipe) -> Pixels:
    """Change the colours and the sharpness of one crop (3, S, S) as its recipe says."""
    for which, amount in recipe.jitter:
        pixels = _JITTER[which](pixels, amount)
    if recipe.grayscale:
        pixels = photometric.grayscale(pixels)
    if recipe.blur:
        pixels = photometric.blur(pixels, recipe.blur)
    if recipe.solarise:
        pixels = photometric.solarise(pixels)
    return pixels


def make_crop(image: Pixels, size: int, recipe: Recipe) -> Tensor:
    """Make one crop of an image (H, W, 3) and return it as (3, size, size) uint8."""
    return torch.from_numpy(change_one(cut(image, size, recipe).numpy(), recipe))


def to_tensor(image: Image.Image) -> Tensor:
    """Return an RGB image as (3, H, W) uint8, contiguous."""
    return torch.from_numpy(np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)))


class MultiCrop:
    """Turn an RGB image into a list of crops: those of the first view first.

    All that is random comes from torch's default generator, in one draw an image.

    Args:
        views: by name, a ``View`` or a mapping of its fields. A view with count 0 is left out.
        batched: whether the loader should only ``cut`` and leave the rest to ``finish``; no method here looks at it.

    Raises:
        UserError: a field is unknown, missing or out of range, or no view is left.
    """

    def __init__(self, views: Mapping[str, View | Mapping[str, Any]], batched: bool = False) -> None:
        checked = {name: _view(name, view) for name, view in views.items()}
        self.views = {name: view for name, view in checked.items() if view.count > 0}
        if not self.views:
            raise UserError("crops.views asks for no crop at all; set crops.views.global.count=1 or more.")
        self.batched = batched
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
        pixels, recipes = np.asarray(image), self.draw(image.width, image.height)
        return [make_crop(pixels, view.size, recipe) for view, recipe in zip(self._crops, recipes)]

    def cut(self, image: Image.Image) -> list[Tensor]:
        """Return one (3, size, size) uint8 tensor a crop, cut and flipped only, and last the parameters of the rest.

        The parameters are (M, PARAMETERS) float32 for M crops. From the same state of the generator as a call, the
        recipes are the same.
        """
        pixels, recipes = np.asarray(image), self.draw(image.width, image.height)
        crops = [cut(pixels, view.size, recipe) for view, recipe in zip(self._crops, recipes)]
        return [*crops, parameters(recipes)]

    def finish(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """Return M crops (B, 3, size, size) uint8 of B images, from what ``cut`` returned, stacked over the images.

        Runs where the batch lies, without waiting for the device: once a size, on all crops of it together.
        """
        *crops, numbers = batch
        finished: list[Tensor] = []
        for _, group in groupby(range(len(crops)), key=lambda crop: self._crops[crop].size):
            which = list(group)
            pixels = torch.cat([crops[crop] for crop in which])
            wanted = numbers[:, which[0] : which[-1] + 1].transpose(0, 1).flatten(0, 1)
            radius = max(self._crops[crop].blur_radius[1] if self._crops[crop].blur else 0.0 for crop in which)
            finished += change(pixels, wanted, radius).chunk(len(which))
        return finished


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
