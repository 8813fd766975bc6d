"""Words for colours: a random shade of a named colour, and the name of a shade where people would agree on one."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from transferbench.world.parts import Colour
from transferbench.world.solids import Floats

Range = tuple[float, float]
# The shades that are painted: hue in degrees, saturation and value, well inside what the name covers.
SHADES: Mapping[str, tuple[Range, Range, Range]] = {
    "red": ((-8, 4), (0.80, 0.95), (0.65, 0.90)),
    "orange": ((23, 31), (0.85, 1.00), (0.90, 1.00)),
    "yellow": ((50, 57), (0.75, 0.95), (0.90, 1.00)),
    "green": ((100, 145), (0.55, 0.85), (0.40, 0.75)),
    "blue": ((208, 232), (0.65, 0.90), (0.50, 0.90)),
    "purple": ((268, 285), (0.55, 0.80), (0.42, 0.75)),
    "pink": ((325, 345), (0.30, 0.50), (0.92, 1.00)),
    "brown": ((18, 30), (0.55, 0.75), (0.32, 0.48)),
    "black": ((0, 360), (0.00, 0.30), (0.05, 0.12)),
    "white": ((0, 360), (0.00, 0.05), (0.94, 1.00)),
    "grey": ((0, 360), (0.00, 0.06), (0.40, 0.58)),
}
COLOURS = tuple(SHADES)
NAMELESS = -1  # a shade between two names


def shade_of(name: str, rng: np.random.Generator) -> Colour:
    """Return a random shade (sRGB) of a named colour."""
    hue, saturation, value = (float(rng.uniform(*limits)) for limits in SHADES[name])
    return colorsys.hsv_to_rgb(hue / 360 % 1.0, saturation, value)


def named(colours: Floats) -> NDArray[np.intp]:
    """Return the index in COLOURS (N,) of each of ``colours`` (3, N), in sRGB; NAMELESS for one between two names."""
    hue, saturation, value = _hsv(np.asarray(colours, np.float32))
    warm = (hue < 12) | (hue >= 346)
    rules = {
        "red": warm & (saturation >= 0.55) & (value >= 0.45),
        "orange": _within(hue, 17, 40) & (saturation >= 0.62) & (value >= 0.75),
        "yellow": _within(hue, 44, 66) & (saturation >= 0.45) & (value >= 0.7),
        "green": _within(hue, 78, 163) & (saturation >= 0.3) & (value >= 0.25),
        "blue": _within(hue, 195, 248) & (saturation >= 0.4) & (value >= 0.3),
        "purple": _within(hue, 260, 305) & (saturation >= 0.3) & (value >= 0.3),
        "pink": (_within(hue, 312, 352) & (saturation < 0.58) | warm & (saturation < 0.42))
        & (saturation >= 0.2)
        & (value >= 0.78),
        "brown": _within(hue, 10, 38) & (saturation >= 0.38) & (value >= 0.24) & (value < 0.58),
        "black": (value < 0.17) | (value < 0.21) & (saturation < 0.3),
        "white": (saturation < 0.1) & (value >= 0.86),
        "grey": (saturation < 0.1) & (value >= 0.32) & (value < 0.7),
    }
    result = np.full(hue.shape, NAMELESS, np.intp)
    for index, name in reversed(list(enumerate(COLOURS))):
        result[rules[name]] = index
    result[rules["black"]] = COLOURS.index("black")
    return result


def _within(hue: Floats, low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((hue >= low) & (hue < high))


def _hsv(colours: Floats) -> tuple[Floats, Floats, Floats]:
    """Return hue in degrees, saturation and value (N,) of sRGB ``colours`` (3, N)."""
    value = colours.max(axis=0)
    chroma = value - colours.min(axis=0)
    safe = np.where(chroma > 0, chroma, np.float32(1))
    red, green, blue = colours
    sector = np.select(
        [value == red, value == green], [(green - blue) / safe % 6, (blue - red) / safe + 2], (red - green) / safe + 4
    )
    return sector * 60, chroma / np.maximum(value, np.float32(1e-6)), value
