"""The changes of ``data.photometric`` on a batch of crops at once, on any device, each crop with amounts of its own.

No branch depends on the crops, so nothing waits for the device: a change that a crop does without is made with the
amount that changes nothing. Worth it on an accelerator; a CPU is done sooner with the crops one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from transferbench.data.photometric import HUE_STEPS, LUMA, extended_box
from transferbench.data.recipe import Recipe

PARAMETERS = 11
"""Numbers a crop: the four amounts of the jitter, their four places in its order, grayscale, blur, solarise."""

_CACHED = 2**18  # numbers to work on at once on a CPU: with what they turn into, they stay in its cache
_NONE = (1.0, 1.0, 1.0, 0.0)  # amounts of brightness, contrast, saturation, hue
_HUE = 3


def parameters(recipes: Sequence[Recipe]) -> Tensor:
    """Return the recipes but for box and flip as (M, PARAMETERS) float32."""
    rows = []
    for recipe in recipes:
        amounts, places = list(_NONE), [0.0, 1.0, 2.0, 3.0]
        drawn = [which for which, _ in recipe.jitter]
        order = drawn + [which for which in range(4) if which not in drawn]
        for place, which in enumerate(order):
            places[which] = float(place)
        for which, amount in recipe.jitter:
            amounts[which] = amount
        rows.append([*amounts, *places, recipe.grayscale, recipe.blur or 0.0, recipe.solarise])
    return torch.tensor(rows, dtype=torch.float32)


def change(pixels: Tensor, numbers: Tensor, max_radius: float) -> Tensor:
    """Change the colours and the sharpness of (B, 3, S, S) uint8 crops, by (B, PARAMETERS) ``numbers``.

    Args:
        pixels: from ``MultiCrop.cut``.
        numbers: from ``parameters``, on the same device.
        max_radius: the greatest standard deviation of the blur in ``numbers``, pixels; 0 leaves the blur out.
    """
    at_once = max(1, _CACHED // pixels[0].numel()) if pixels.device.type == "cpu" else len(pixels)
    parts = zip(torch.split(pixels, at_once), torch.split(numbers.float(), at_once))
    return torch.cat([_changed(some.float(), rows, max_radius) for some, rows in parts])


def _changed(values: Tensor, numbers: Tensor, max_radius: float) -> Tensor:
    amounts, places, grey, radius, dark = torch.split(numbers, [4, 4, 1, 1, 1], dim=1)
    values = jitter(values, amounts, places)
    values = torch.where(_each(grey) > 0, luminance(values), values)
    if max_radius > 0:
        values = blur(values, radius[:, 0], max_radius)
    values = torch.where(_each(dark) > 0, torch.minimum(values, 255 - values), values)
    return values.to(torch.uint8)


def jitter(values: Tensor, amounts: Tensor, places: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue of ``values`` (B, 3, H, W), whole numbers from 0 to 255.

    The hue turns once for the whole batch: what comes before it in a crop's own order, and what comes after it, are
    steps of their own, without effect on the crops that have another change there.

    Args:
        values: the crops.
        amounts: (B, 4), see ``data.photometric``.
        places: (B, 4), the place of each of the four in the order of the crop, 0 to 3.
    """
    hue = places[:, _HUE]
    for place in (0, 1, 2):
        values = _blend_at(values, amounts, places, place, hue > place)
    values = turn_hue(values, amounts[:, _HUE])
    for place in (1, 2, 3):
        values = _blend_at(values, amounts, places, place, hue < place)
    return values


def _blend_at(values: Tensor, amounts: Tensor, places: Tensor, place: int, wanted: Tensor) -> Tensor:
    """Make the change at one place of the order, on the crops where it is ``wanted`` (B,)."""
    here = (places[:, :_HUE] == place) & wanted[:, None]  # (B, 3): at most one of brightness, contrast, saturation
    factor = torch.where(here, amounts[:, :_HUE], 1.0).prod(dim=1)
    return blend(values, factor, here[:, 1], here[:, 2])


def blend(values: Tensor, factor: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Blend ``values`` (B, 3, H, W) by ``factor`` (B,) with black, the mean luminance or the grayscale image.

    The latter two where ``contrast`` (B,) resp. ``saturation`` (B,) is true. Cut to whole numbers, down.
    """
    grey = luminance(values)
    mean = (grey.mean(dim=(1, 2, 3), keepdim=True) + 0.5).floor()
    towards = torch.where(_each(saturation), grey, torch.where(_each(contrast), mean, torch.zeros_like(mean)))
    return (values - towards).mul_(_each(factor)).add_(towards).clamp_(0, 255).floor_()


def turn_hue(values: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of ``values`` (B, 3, H, W) by ``shift`` (B,) full circles; see ``photometric.adjust_hue``."""
    red, green, blue = values.unbind(dim=1)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = torch.maximum(torch.maximum(red, green), blue) - least
    side = green - blue
    limit = chroma - side.abs()
    size = torch.minimum(torch.maximum(green + blue - 2 * red, -limit), limit).add_(2 * chroma).sub_(red).add_(least)
    sextants = (shift * HUE_STEPS).trunc() * (6 / HUE_STEPS)
    angle = torch.where(side < 0, -size, size) + (chroma * sextants[:, None, None]).round()
    forward = sextants >= 0
    apart = (torch.zeros_like(sextants), torch.where(forward, -2.0, 4.0), torch.where(forward, -4.0, 2.0))
    chroma, least = chroma[:, None], least[:, None]
    away = angle[:, None] + chroma * torch.stack(apart, dim=1)[:, :, None, None]
    away = away.abs_().sub_(3 * chroma).abs_().sub_(chroma)
    return torch.minimum(away.clamp_(min=0), chroma).add_(least)


def luminance(values: Tensor) -> Tensor:
    """Return the luminance (B, 1, H, W) of whole ``values`` (B, 3, H, W), rounded: 24 bits hold the sum exactly."""
    red, green, blue = torch.split(values, 1, dim=1)
    weighted: Tensor = red * (LUMA[0] / 65536) + green * (LUMA[1] / 65536) + blue * (LUMA[2] / 65536)
    return weighted.add_(0.5).floor_()


def blur(values: Tensor, radius: Tensor, max_radius: float) -> Tensor:
    """Blur ``values`` (B, 3, H, W) with standard deviations ``radius`` (B,), none above ``max_radius``, in pixels."""
    weights = kernels(radius, extended_box(max_radius)[0] + 1)
    reach = weights.shape[1] // 2
    for axis, margins in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
        padded = pad(values, margins, mode="replicate")
        size = values.shape[axis]
        values = padded.narrow(axis, 0, size) * _each(weights[:, :1])
        for tap in range(1, 2 * reach + 1):
            values.addcmul_(padded.narrow(axis, tap, size), _each(weights[:, tap : tap + 1]))
        values = values.add_(0.5).floor_()
    return values


def kernels(radius: Tensor, reach: int) -> Tensor:
    """Return (B, 6 reach + 1) weights of Pillow's Gaussian for ``radius`` (B,), whose boxes reach up to ``reach``."""
    variance = radius * radius / 3
    whole = ((12 * variance + 1).sqrt() / 2 - 0.5).floor()
    end = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) ** 2))
    half = (whole + end)[:, None]
    away = torch.arange(-reach, reach + 1, device=radius.device).abs()
    box = (half + 1 - away).clamp(0, 1) / (2 * half + 1)  # (B, 2 reach + 1)
    weights = box
    for _ in range(2):
        wider = pad(weights, (2 * reach, 2 * reach)).unfold(1, 2 * reach + 1, 1)  # (B, ..., 2 reach + 1), box is even
        weights = (wider * box[:, None]).sum(dim=2)
    return weights


def _each(numbers: Tensor) -> Tensor:
    """Bring (B,) or (B, 1) numbers to (B, 1, 1, 1)."""
    return numbers.reshape(-1, 1, 1, 1)
