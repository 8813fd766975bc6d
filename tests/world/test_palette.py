"""Colours of slots: natural half of the time, contrasting otherwise, and light kept light."""

from __future__ import annotations

import numpy as np
import pytest

from transferbench.world.palette import contrast, encoded, jittered, linear, paint, random_colour


def test_natural_colours_are_shades_of_one_alternative() -> None:
    natural = {"main": ((0.8, 0.2, 0.1), (0.1, 0.2, 0.8)), "light": ((1.0, 0.9, 0.8), (0.8, 0.9, 1.0))}
    for seed in range(20):
        colours = paint(["main", "light"], natural, True, np.random.default_rng(seed))
        reddish = colours["main"][0] > colours["main"][2]
        assert reddish == (colours["light"][0] > colours["light"][2])


def test_random_colours_stand_off_from_each_other() -> None:
    draws = [paint(["main", "second", "accent"], {}, False, np.random.default_rng(seed)) for seed in range(100)]
    pairs = [float(contrast([d["main"]], [d["second"]])[0, 0]) for d in draws]
    assert np.median(pairs) > 0.35
    assert np.percentile(pairs, 10) > 0.1


def test_colours_do_not_depend_on_the_order_of_slots() -> None:
    one = paint(["wood", "main", "dark"], {}, False, np.random.default_rng(0))
    assert one == paint(["dark", "main", "wood"], {}, False, np.random.default_rng(0))


@pytest.mark.parametrize(("slot", "low", "high"), [("dark", 0.0, 0.3), ("light", 0.6, 1.0)])
def test_dark_and_light_slots_keep_their_lightness(slot: str, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    lightness = [np.dot(random_colour(slot, rng), [0.3, 0.6, 0.1]) for _ in range(200)]
    assert low <= min(lightness) and max(lightness) <= high


def test_shades_stay_close() -> None:
    rng = np.random.default_rng(0)
    shades = np.array([jittered((0.6, 0.4, 0.2), rng) for _ in range(300)])
    assert np.abs(shades - [0.6, 0.4, 0.2]).max() < 0.25
    assert shades.std(axis=0).min() > 0.01


def test_encoding_is_monotonic_and_below_one() -> None:
    values = encoded(np.linspace(0, 5, 100, dtype=np.float32))
    assert (np.diff(values) > 0).all()
    assert values[0] == 0 and values[-1] < 1
    assert linear((1.0, 0.0, 0.5)) == pytest.approx([1, 0, 0.5**2.2])
