"""Images and masks: sizes, modes, what cannot be read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transferbench.data.scenes.gallery import Gallery
from transferbench.data.scenes.sizing import Sizing
from transferbench.errors import UserError

NOISE = np.random.default_rng(0).integers(0, 256, (4, 6, 4), dtype=np.uint8)


def save(folder: Path, **images: np.ndarray | Image.Image) -> list[Path]:
    files = []
    for name, image in images.items():
        files.append(folder / f"{name}.png")
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(files[-1])
    return files


def test_images_without_alpha_get_it_where_others_have_it(tmp_path: Path) -> None:
    files = save(tmp_path, plain=NOISE[..., :3].copy(), glass=NOISE, grey=NOISE[..., 0].copy())
    images = Gallery(files).images()
    np.testing.assert_array_equal(images[0, ..., :3], NOISE[..., :3])
    assert (images[0, ..., 3] == 255).all()
    np.testing.assert_array_equal(images[1], NOISE)
    np.testing.assert_array_equal(images[2, ..., 1], NOISE[..., 0])
    assert Gallery(files[:1]).images().shape == (1, 4, 6, 3)


@pytest.mark.parametrize("sizing", [Sizing(), Sizing(2), Sizing(size=(4, 3))])
def test_an_alpha_channel_that_hides_nothing_is_dropped(tmp_path: Path, sizing: Sizing) -> None:
    rgba = np.random.default_rng(2).integers(0, 256, (3, 4, 6, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    plain = Gallery(save(tmp_path, **{f"rgb_{n}": rgba[n, ..., :3].copy() for n in range(3)}), sizing).images()
    opaque = Gallery(save(tmp_path, **{f"rgba_{n}": rgba[n] for n in range(3)}), sizing).images()
    np.testing.assert_array_equal(opaque, plain)
    rgba[1, 2, 3, 3] = 254  # of one pixel of one image
    seen_through = Gallery(save(tmp_path, **{f"rgba_{n}": rgba[n] for n in range(3)}), sizing).images()
    assert seen_through.shape[-1] == 4
    np.testing.assert_array_equal(seen_through[[0, 2], ..., :3], plain[[0, 2]])
    assert (seen_through[[0, 2], ..., 3] == 255).all()
    if sizing == Sizing():
        np.testing.assert_array_equal(seen_through, rgba)


def test_a_palette_without_its_transparent_colour_is_opaque(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.info["transparency"] = 2
    assert Gallery(save(tmp_path, palette=image)).images()[0].tolist() == [
        [[10, 20, 30], [40, 50, 60]],
        [[40, 50, 60], [10, 20, 30]],
    ]


def test_dropping_an_alpha_channel_holds_no_second_copy(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    gallery = Gallery(save(tmp_path, **{f"image_{number}": pixels for number in range(80)}))
    tracemalloc.start()
    try:
        images = gallery.images()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (images == pixels[..., :3]).all() and images.shape[-1] == 3
    assert peak < 80 * pixels.nbytes * 1.5  # a copy of the colours would make it 1.75


def test_a_palette_with_a_transparent_colour_has_an_alpha_channel(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.info["transparency"] = 1
    images = Gallery(save(tmp_path, palette=image)).images()[0]
    assert images[0, 0].tolist() == [10, 20, 30, 255] and images[0, 1, 3] == 0


def test_the_orientation_in_exif_is_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(NOISE[..., :3].copy()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(Gallery([tmp_path / "a.png"]).images()[0], NOISE[..., :3])


def test_intrinsics_scale_with_pixel_corners(tmp_path: Path) -> None:
    gallery = Gallery(save(tmp_path, a=NOISE), Sizing(size=(3, 1)))
    np.testing.assert_allclose(gallery.scaled([[20.0, 21.0, 3.0, 2.5]]), [[10.0, 5.25, 1.5, 0.625]])
    point = np.array([0.1, -0.05])  # the same point of the world at half and a quarter of its coordinates
    large = point * [20.0, 21.0] + [3.0, 2.5]
    small = gallery.scaled([[20.0, 21.0, 3.0, 2.5]])[0]
    np.testing.assert_allclose(point * small[:2] + small[2:], large * [0.5, 0.25])


def test_masks_keep_their_values(tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 4, (4, 6), dtype=np.uint8)
    palette = Image.fromarray(labels, "P")
    palette.putpalette([255, 255, 255, 0, 0, 9, 0, 0, 0, 7, 7, 7])
    files = save(tmp_path, image=NOISE, grey=labels, palette=palette, colour=np.stack([labels * 0, labels, labels], -1))
    gallery = Gallery([files[0]] * 4)
    masks = gallery.masks([files[1], files[2], files[3], None])
    for place in range(3):
        np.testing.assert_array_equal(masks[place], labels)
    assert not masks[3].any()
    np.testing.assert_array_equal(gallery.masks([files[2]] * 4, indices=False)[0] == 0, labels == 2)  # the black one
    half = Gallery([files[0]], Sizing(2)).masks([files[1]])[0]
    np.testing.assert_array_equal(half, labels[1::2, 1::2])  # the pixel that holds the new one's centre, none mixed


def test_images_of_different_sizes(tmp_path: Path) -> None:
    files = save(tmp_path, a=NOISE, b=NOISE[:3].copy())
    with pytest.raises(UserError, match=r"b\.png is 6x3, but a\.png is 6x4; expected images of one size"):
        Gallery(files)


def test_files_that_are_no_images(tmp_path: Path) -> None:
    files = save(tmp_path, a=NOISE, deep=Image.fromarray(np.zeros((4, 6), np.uint16)))
    (tmp_path / "text.png").write_text("not a picture")
    whole = files[0].read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"text\.png: cannot be decoded \(not an image\); fetch it again"):
        Gallery([files[0], tmp_path / "text.png"])
    with pytest.raises(UserError, match=r"none\.png: cannot be decoded \(no such file\)"):
        Gallery([files[0], tmp_path / "none.png"])
    with pytest.raises(UserError, match=r"cut\.png: cannot be decoded \("):
        Gallery([files[0], tmp_path / "cut.png"]).images()
    with pytest.raises(UserError, match=r"deep\.png: its samples have more than 8 bits; convert it"):
        Gallery([files[1]])


def test_masks_that_do_not_fit(tmp_path: Path) -> None:
    deep = Image.fromarray(np.zeros((4, 6), np.uint16))
    image, small, deep_file = save(tmp_path, a=NOISE, small=np.zeros((2, 3), np.uint8), deep=deep)
    gallery = Gallery([image], Sizing(2))
    with pytest.raises(UserError, match=r"small\.png: the mask is 3x2, its image 6x4"):
        gallery.masks([small])
    with pytest.raises(UserError, match=r"deep\.png: the mask has more than 8 bits"):
        gallery.masks([deep_file])
    with pytest.raises(UserError, match=r"none\.png: cannot be decoded \(no such file\)"):
        gallery.masks([tmp_path / "none.png"])
