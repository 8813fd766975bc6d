import io
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transferbench.data.images import UnreadableImage, read_image

rng = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def read_back(image: Image.Image, path: Path, **options: object) -> np.ndarray:
    image.save(path, **options)
    read = read_image(path)
    assert read.mode == "RGB"
    return np.asarray(read)


def test_rgb_and_grayscale_keep_their_values(tmp_path: Path) -> None:
    colour = pixels(5, 7, 3)
    assert np.array_equal(read_back(Image.fromarray(colour), tmp_path / "a.png"), colour)
    grey = pixels(5, 7)
    expected = np.stack([grey] * 3, axis=2)
    assert np.array_equal(read_back(Image.fromarray(grey), tmp_path / "b.png"), expected)
    assert np.array_equal(read_back(Image.fromarray(grey > 127), tmp_path / "c.png"), (expected > 127) * 255)


def test_jpeg_equals_pillow(tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    Image.fromarray(pixels(40, 30, 3)).save(path)
    assert np.array_equal(np.asarray(read_image(path)), np.asarray(Image.open(path).convert("RGB")))


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    flat = Image.new("CMYK", (16, 16), (255, 0, 0, 0))  # pure cyan
    assert np.abs(read_back(flat, tmp_path / "a.jpg", quality=100)[8, 8].astype(int) - (0, 255, 255)).max() < 4


@pytest.mark.parametrize("extension", ["png", "tif", "pgm"])
def test_16_bit_samples_are_scaled_and_not_clipped(tmp_path: Path, extension: str) -> None:
    samples = np.array([[0, 257, 255], [32768, 40000, 65535]], dtype=np.uint16)
    read = read_back(Image.fromarray(samples), tmp_path / f"a.{extension}")
    assert np.array_equal(read[..., 0], np.rint(samples / 257.0))
    assert np.array_equal(read[..., 0], read[..., 2])


def test_float_tiff_from_0_to_1(tmp_path: Path) -> None:
    samples = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    assert read_back(Image.fromarray(samples), tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 128, 255]
    Image.fromarray(samples * 300).save(tmp_path / "b.tiff")
    with pytest.raises(UnreadableImage, match=r"b\.tiff: pixel values from 0 to 300, expected 0 to 1$"):
        read_image(tmp_path / "b.tiff")


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    colour = Image.fromarray(np.array([[[200, 10, 30, 255], [200, 10, 30, 0]]], dtype=np.uint8), "RGBA")
    expected = [[[200, 10, 30], [255, 255, 255]]]
    assert read_back(colour, tmp_path / "a.png").tolist() == expected
    grey = Image.fromarray(np.array([[[50, 255], [50, 0]]], dtype=np.uint8), "LA")
    assert read_back(grey, tmp_path / "b.png").tolist() == [[[50] * 3, [255] * 3]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 10, 30, 7, 8, 9])
    palette.putdata([0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_back(palette, tmp_path / "c.png", transparency=1).tolist() == expected
        assert read_back(palette, tmp_path / "d.png", transparency=b"\xff\x00").tolist() == expected
        assert read_back(palette, tmp_path / "e.png").tolist() == [[[200, 10, 30], [7, 8, 9]]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, extension: str) -> None:
    stored = pixels(3, 5, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored),
    }
    options = {"lossless": True} if extension == "webp" else {}
    read = read_back(Image.fromarray(stored), tmp_path / f"a.{extension}", exif=exif, **options)
    assert np.array_equal(read, upright[orientation])


def test_a_damaged_exif_block_does_not_lose_the_image(tmp_path: Path) -> None:
    stored = pixels(3, 5, 3)
    read = read_back(Image.fromarray(stored), tmp_path / "a.png", exif=b"Exif\x00\x00garbage" * 3)
    assert np.array_equal(read, stored)


def jpeg(tmp_path: Path) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(64, 64, 3)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    whole = jpeg(tmp_path)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not an image at all")
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "head.jpg").write_bytes(whole[:30])
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in {
        "empty.jpg": "the file is empty",
        "text.jpg": "not an image",
        "cut.jpg": "truncated",
        "head.jpg": ".+",
        "folder.jpg": "directory",
        "gone.jpg": "no such file",
    }.items():
        with pytest.raises(UnreadableImage, match=reason) as caught:
            read_image(tmp_path / name)
        assert caught.value.path == str(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_every_cut_of_a_file_is_an_image_or_unreadable(tmp_path: Path) -> None:
    for extension in ("png", "tif", "webp", "bmp", "jpg"):
        path = tmp_path / f"a.{extension}"
        Image.fromarray(pixels(12, 12, 3)).save(path)
        whole = path.read_bytes()
        for length in range(0, len(whole), max(1, len(whole) // 40)):
            path.write_bytes(whole[:length])
            try:
                assert read_image(path).size == (12, 12)
            except UnreadableImage:
                continue


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableImage, match="decompression bomb"):
        read_image(tmp_path / "a.png")


def test_unreadable_image_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(UnreadableImage("a/b.jpg", "not an image")))
    assert (copy.path, copy.reason, str(copy)) == ("a/b.jpg", "not an image", "a/b.jpg: not an image")


def test_real_photographs(test_data: Path) -> None:
    for path in sorted((test_data / "cifar10-subset" / "train").glob("*/*.jpg"))[::500]:
        assert np.array_equal(np.asarray(read_image(path)), np.asarray(Image.open(path).convert("RGB")))
