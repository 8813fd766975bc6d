"""Colours: which colour each slot of an object has in a scene, and the colours around it. All as sRGB in [0, 1]."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from transferbench.world.parts import Colour
from transferbench.world.solids import Floats

GAMMA = 2.2
# Ranges of (saturation, value) of random colours, for slots whose lightness carries meaning.
RANGES: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "dark": ((0.0, 0.6), (0.06, 0.28)),
    "light": ((0.0, 0.25), (0.82, 1.0)),
    "metal": ((0.0, 0.15), (0.55, 0.85)),
    "glass": ((0.1, 0.6), (0.5, 0.95)),
    "ground": ((0.0, 0.7), (0.35, 1.0)),
}
ANY = ((0.05, 0.95), (0.3, 1.0))
LIGHTNESS = np.array([0.3, 0.6, 0.1])  # weights of red, green and blue


def linear(colour: Colour | Floats) -> Floats:
    """Return sRGB values as linear light."""
    return np.asarray(colour, np.float32) ** np.float32(GAMMA)


def encoded(light: Floats) -> Floats:
    """Return linear light as sRGB values below 1, bright light compressed as film does."""
    return np.asarray((1 - np.exp(-np.float32(1.5) * light)) ** np.float32(1 / GAMMA), np.float32)


def random_colour(slot: str, rng: np.random.Generator) -> Colour:
    """Return a random colour of any hue, as dark or light as the name of the slot asks."""
    saturation, value = RANGES.get(slot, ANY)
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))


def jittered(colour: Colour, rng: np.random.Generator) -> Colour:
    """Return a colour close to ``colour``: another shade of it."""
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    hue = (hue + rng.normal(0, 0.02)) % 1.0
    saturation = float(np.clip(saturation * rng.uniform(0.75, 1.2), 0, 1))
    return colorsys.hsv_to_rgb(hue, saturation, float(np.clip(value * rng.uniform(0.8, 1.15), 0, 1)))


def contrast(colours: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return how different colours (N, 3) and (M, 3) look, (N, M): the distance in sRGB, mostly in lightness."""
    difference = np.asarray(colours, float)[:, None] - np.asarray(others, float)
    apart: NDArray[np.float64] = np.abs(difference @ LIGHTNESS) + 0.23 * np.sqrt((difference**2).sum(axis=-1))
    return apart


def contrasting(slot: str, others: Sequence[Colour], rng: np.random.Generator, tries: int = 5) -> Colour:
    """Return the one of ``tries`` random colours that is least like the ``others``."""
    candidates = [random_colour(slot, rng) for _ in range(tries)]
    if not others:
        return candidates[0]
    return candidates[int(contrast(candidates, others).min(axis=1).argmax())]


def paint(
    slots: Iterable[str], natural: Mapping[str, Sequence[Colour]], as_usual: bool, rng: np.random.Generator
) -> dict[str, Colour]:
    """Return the colour of each slot: shades of its natural ones if ``as_usual``, else random and contrasting ones."""
    index = int(rng.integers(1 << 16))
    colours: dict[str, Colour] = {}
    for slot in sorted(set(slots), key=lambda s: (s != "main", s)):
        if as_usual and natural.get(slot):
            alternatives = natural[slot]
            colours[slot] = jittered(alternatives[index % len(alternatives)], rng)
        else:
            colours[slot] = contrasting(slot, list(colours.values()), rng)
    return colours
