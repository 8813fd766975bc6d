import colorsys

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps
from torchvision.transforms import functional

from transferbench.data import photometric
from transferbench.data.photometric import HUE_STEPS, Pixels

rng = np.random.default_rng(0)
SIZES = [(24, 24), (31, 48), (1, 1), (96, 5)]


def noise(height: int = 40, width: int = 30) -> Pixels:
    return rng.integers(0, 256, (3, height, width), dtype=np.uint8)


def photo(height: int = 96, width: int = 96) -> Pixels:
    waves = rng.uniform(0, 0.2, (3, 2))
    y, x = np.mgrid[:height, :width]
    colour = np.stack([127 + 100 * np.sin(a * x + b * y) for a, b in waves])
    return (colour + rng.normal(0, 9, colour.shape)).clip(0, 255).astype(np.uint8)


def image_of(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def pixels_of(image: Image.Image) -> np.ndarray:
    return np.asarray(image).transpose(2, 0, 1).astype(int)


@pytest.mark.parametrize("size", SIZES)
def test_changes_of_colour_but_hue_equal_torchvision_on_pil(size: tuple[int, int]) -> None:
    for _ in range(20):
        for pixels in (noise(*size), photo(*size)):
            factor, image, before = float(rng.uniform(0, 2)), image_of(pixels), pixels.copy()
            for ours, theirs in (
                (photometric.adjust_brightness(pixels, factor), functional.adjust_brightness(image, factor)),
                (photometric.adjust_contrast(pixels, factor), functional.adjust_contrast(image, factor)),
                (photometric.adjust_saturation(pixels, factor), functional.adjust_saturation(image, factor)),
                (photometric.grayscale(pixels), functional.to_grayscale(image, 3)),
                (photometric.solarise(pixels), ImageOps.solarize(image)),
            ):
                assert ours.dtype == np.uint8
                assert np.array_equal(ours, pixels_of(theirs))
            assert np.array_equal(pixels, before)


def turned(colour: tuple[int, int, int], shift: float) -> list[float]:
    """Return a colour whose hue turned by the whole steps in ``shift``, in exact arithmetic."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in colour))
    hue = (hue + int(shift * HUE_STEPS) / HUE_STEPS) % 1.0
    return [255 * level for level in colorsys.hsv_to_rgb(hue, saturation, value)]


@pytest.mark.parametrize("shift", [-0.5, -0.41, -1 / 3, -0.2, -0.1, -0.001, 0.0, 0.05, 0.1, 0.3, 1 / 3, 0.4, 0.5])
def test_hue_turns_as_in_exact_arithmetic(shift: float) -> None:
    pixels = np.concatenate([noise(), photo(40, 30), np.eye(3, dtype=np.uint8).reshape(3, 3, 1).repeat(30, 2) * 255], 1)
    pixels[:, :5] = pixels[:1, :5]  # grey
    pixels[1, 5:10] = pixels[0, 5:10]
    pixels[2, 10:15] = pixels[1, 10:15]
    pixels[2, 15:20] = pixels[0, 15:20]
    exact = np.array([turned(tuple(colour), shift) for colour in pixels.reshape(3, -1).T.tolist()]).T
    assert np.abs(photometric.adjust_hue(pixels, shift).reshape(3, -1) - exact).max() <= 0.5 + 1e-3
    if shift == 0:
        assert np.array_equal(photometric.adjust_hue(pixels, shift), pixels)


def test_hue_is_as_near_to_pils_own_as_its_steps_are_wide() -> None:
    """PIL holds hue in 8 bits: it is off by up to a step of 6 C / 255 levels, and by another across the end at red."""
    for shift in np.linspace(-0.5, 0.5, 41).tolist():
        pixels = np.concatenate([noise(40, 96), photo(60)], axis=1)
        difference = photometric.adjust_hue(pixels, shift) - pixels_of(functional.adjust_hue(image_of(pixels), shift))
        chroma = pixels.max(0).astype(int) - pixels.min(0)
        assert (np.abs(difference) <= 2 + 2 * 6 / 255 * chroma).all()
        assert np.abs(difference).mean() < 1.2 and abs(difference.mean()) < 0.25


def test_hue_of_muted_colours_is_within_two_levels_of_pils() -> None:
    differences = []
    for shift in np.linspace(-0.1, 0.1, 21).tolist():
        pixels = photo()
        grey = photometric.grayscale(pixels)
        pixels = (grey + 0.4 * (pixels.astype(float) - grey)).astype(np.uint8)
        theirs = pixels_of(functional.adjust_hue(image_of(pixels), shift))
        differences.append(photometric.adjust_hue(pixels, shift) - theirs)
    assert (np.abs(np.stack(differences)) <= 2).mean() > 0.99


@pytest.mark.parametrize("radius", [0.1, 0.3, 0.7, 1.0, 1.4, 1.5, 2.0, 3.3])
def test_kernel_has_the_radius_asked_for(radius: float) -> None:
    weights = np.array(photometric.kernel(radius))
    away = np.arange(len(weights)) - len(weights) // 2
    assert np.isclose(weights.sum(), 1) and (weights >= 0).all() and np.allclose(weights, weights[::-1])
    assert np.isclose((weights * away**2).sum(), radius**2)


@pytest.mark.parametrize("size", [(96, 96), (31, 48), (7, 40), (3, 2), (1, 1)])
def test_blur_is_near_pillows(size: tuple[int, int]) -> None:
    """But for a margin: Pillow repeats the edge before each of its three passes, this blur once."""
    inner, margin = [], []
    for radius in np.linspace(0.1, 2.0, 20).tolist():
        pixels = photo(*size)
        ours = photometric.blur(pixels, radius)
        assert ours.dtype == np.uint8 and ours.shape == pixels.shape
        difference = ours - pixels_of(image_of(pixels).filter(ImageFilter.GaussianBlur(radius)))
        reach = len(photometric.kernel(radius)) // 2
        inside = np.zeros(size, dtype=bool)
        inside[reach:-reach, reach:-reach] = True
        inner.append(difference[:, inside].ravel())
        margin.append(difference[:, ~inside].ravel())
    inside_all, margin_all = np.concatenate(inner), np.concatenate(margin)
    if min(size) > 13:
        assert np.abs(inside_all).max() <= 3 and (np.abs(inside_all) <= 1).mean() > 0.95
        assert abs(inside_all.mean()) < 0.1
    assert np.abs(margin_all).mean() < 2
    level = np.full((3, *size), 201, dtype=np.uint8)
    assert np.array_equal(photometric.blur(level, 1.7), level)


@pytest.mark.parametrize("radius", [4.0, 9.0, 30.0])
def test_a_wide_blur_keeps_its_weights(radius: float) -> None:
    """Rounded one by one to 256ths, the weights of a wide kernel would sum to anything."""
    pixels = photo(200, 220)
    difference = photometric.blur(pixels, radius) - pixels_of(image_of(pixels).filter(ImageFilter.GaussianBlur(radius)))
    middle = difference[:, 90:110, 90:130]
    assert np.abs(middle).mean() < 1.0 and np.abs(middle).max() <= 4
