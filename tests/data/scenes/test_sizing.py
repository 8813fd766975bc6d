"""Sizes of images, and the area average against a naive one and Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from transferbench.data.scenes.sizing import Sizing, shrink
from transferbench.errors import UserError


def naive(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float64]:
    """Average on a grid so fine that every pixel, old and new, is a whole number of its cells."""
    fine = np.repeat(np.repeat(image.astype(float), height, axis=0), width, axis=1)
    return fine.reshape(height, image.shape[0], width, image.shape[1], -1).mean(axis=(1, 3))


@pytest.mark.parametrize(("width", "height"), [(12, 9), (16, 12), (5, 7), (24, 6), (1, 1), (23, 17)])
def test_colours_are_averaged_over_areas(width: int, height: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (18, 24, 3), dtype=np.uint8)
    small = shrink(Image.fromarray(image), width, height)
    assert small.shape == (height, width, 3) and small.dtype == np.uint8
    assert np.abs(small - naive(image, width, height)).max() <= 0.51


def test_a_whole_factor_agrees_with_a_box_filter() -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (18, 24, 3), dtype=np.uint8))
    box = np.asarray(image.resize((8, 6), Image.Resampling.BOX)).astype(int)  # it rounds twice
    assert np.abs(shrink(image, 8, 6) - box).max() <= 1


def test_colours_count_as_much_as_they_are_opaque() -> None:
    image = np.zeros((2, 2, 4), np.uint8)
    image[0, 0], image[0, 1] = (200, 100, 0, 255), (0, 0, 255, 85)  # red, opaque; blue, a third
    small = shrink(Image.fromarray(image), 1, 1)[0, 0]
    assert small.tolist() == [150, 75, 64, 85]  # the shades 3 to 1; a third of the alpha of four pixels


def test_alpha_is_averaged_before_the_background_as_after_it() -> None:
    image = np.random.default_rng(2).integers(0, 256, (12, 12, 4), dtype=np.uint8)
    alpha = image[..., 3:] / 255
    on_white = image[..., :3] * alpha + 255 * (1 - alpha)
    small = shrink(Image.fromarray(image), 4, 4).astype(float)
    small_on_white = small[..., :3] * small[..., 3:] / 255 + 255 - small[..., 3:]
    assert np.abs(small_on_white - on_white.reshape(4, 3, 4, 3, 3).mean(axis=(1, 3))).max() < 1.5  # two roundings


def test_targets() -> None:
    assert Sizing(8).target(1080, 1920) == (135, 240)
    assert Sizing(3).target(800, 800) == (267, 267)
    assert Sizing(1.5).target(9, 6) == (6, 4)
    assert Sizing(1000).target(800, 600) == (1, 1)
    assert Sizing(size=100).target(1920, 1080) == (100, 56)
    assert Sizing(size=(228, 128)).target(456, 256) == (228, 128)
    assert Sizing(4.0).factor == 4 and Sizing(1.5).factor is None and Sizing().factor is None


@pytest.mark.parametrize(
    ("downscale", "size", "told"),
    [
        (0.5, None, "data.downscale is 0.5; expected a factor of 1 or more"),
        (float("nan"), None, "data.downscale is nan"),
        (1, 0, "data.size is 0; expected the longer side"),
        (1, (4, -1), r"data.size is \(4, -1\)"),
        (1, (4, 5, 6), r"data.size is \(4, 5, 6\)"),
        (2, 100, "data.size and data.downscale are both set"),
    ],
)
def test_sizes_that_make_no_sense(downscale: float, size: int, told: str) -> None:
    with pytest.raises(UserError, match=told):
        Sizing(downscale, size)


def test_images_are_not_enlarged() -> None:
    with pytest.raises(UserError, match=r"asks for 800x600, but the images are 400x300; set data.size=400 or less"):
        Sizing(size=800).target(400, 300)
