"""The images and masks of a scene: measured first, then read by several threads at the size wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, UnidentifiedImageError

from transferbench.data.scenes.sizing import FULL, Pixels, Sizing, shrink
from transferbench.errors import UserError

T = TypeVar("T")
R = TypeVar("R")

THREADS = min(8, os.cpu_count() or 1)  # each holds one image at its full size
DEEP = ("I", "F")  # first letters of Pillow's modes of more than 8 bits a sample


class Gallery:
    """Images that are all of one size. Their EXIF orientation is not applied: poses belong to the pixels as stored.

    Attributes:
        files: one a frame.
        original: (width, height) as stored.
        alpha: one of the images has an alpha channel, whatever it holds.
        width: of the images as read.
        height: of the images as read.

    Args:
        files: at least one.
        sizing: the size wanted.

    Raises:
        UserError: a file that is no image, or images of different sizes.
    """

    def __init__(self, files: Sequence[Path], sizing: Sizing = FULL) -> None:
        self.files = tuple(files)
        heads = _in_threads(_measured, self.files)
        self.original = heads[0][0]
        for file, (size, _) in zip(self.files, heads):
            if size != self.original:
                raise UserError(
                    f"{file} is {_times(size)}, but {self.files[0].name} is {_times(self.original)}; "
                    "expected images of one size: scale them, or leave those of another size out."
                )
        self.alpha = any(alpha for _, alpha in heads)
        self.width, self.height = sizing.target(*self.original)

    def images(self) -> Pixels:
        """Read the images, (N, height, width, 4) where a pixel of one lets something through, else (..., 3).

        Raises UserError for one that cannot be decoded.
        """
        images = np.empty((len(self.files), self.height, self.width, 4 if self.alpha else 3), np.uint8)

        def read(index: int) -> bool:
            pixels = shrink(_decoded(self.files[index]), self.width, self.height)
            images[index, ..., : pixels.shape[-1]] = pixels
            images[index, ..., pixels.shape[-1] :] = 255
            return bool(pixels.shape[-1] == 4)

        transparent = any(_in_threads(read, range(len(self.files))))
        return images if transparent or not self.alpha else _without_alpha(images)

    def masks(self, files: Sequence[Path | None], indices: bool = True) -> Pixels:
        """Read one mask a frame, (N, height, width), by the nearest pixel; zeros where there is no file.

        Values are grey levels, of colours the brightest channel; with ``indices`` those of a palette are its indices.

        Raises:
            UserError: a mask that cannot be decoded or is not of the size of its image.
        """
        masks = np.zeros((len(self.files), self.height, self.width), np.uint8)

        def read(index: int) -> None:
            file = files[index]
            if file is not None:
                masks[index] = _mask(file, indices, self.original, (self.width, self.height))

        _in_threads(read, range(len(self.files)))
        return masks

    def scaled(self, intrinsics: ArrayLike) -> NDArray[np.float64]:
        """Return fx, fy, cx, cy (N, 4) for images as read, given those of stored ones; pixel centres are at +0.5."""
        across, down = self.width / self.original[0], self.height / self.original[1]
        return np.multiply(intrinsics, [across, down, across, down], dtype=np.float64)


def _in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return what ``work`` makes of each item, in order; the first error is raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in waiting]
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image; whatever its decoder raises on a damaged file becomes a UserError."""
    try:
        with Image.open(file) as image:
            yield image
    except UserError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged files
        known: dict[type[Exception], str] = {FileNotFoundError: "no such file", UnidentifiedImageError: "not an image"}
        reason = known.get(type(error)) or " ".join(str(error).split()) or type(error).__name__
        remedy = "fetch it again, or take its frame out of the scene"
        raise UserError(f"{file}: cannot be decoded ({reason}); {remedy}.") from error


def _measured(file: Path) -> tuple[tuple[int, int], bool]:
    """Return the (width, height) of an image and whether it has an alpha channel, from its head alone."""
    with _opened(file) as image:
        if image.mode.startswith(DEEP):
            raise UserError(f"{file}: its samples have more than 8 bits; convert it to an 8-bit PNG or JPEG.")
        return image.size, image.has_transparency_data


def _decoded(file: Path) -> Image.Image:
    """Return an image in RGBA where a pixel lets something through, else in RGB."""
    with _opened(file) as image:
        if not image.has_transparency_data:
            return image.convert("RGB")
        whole = image.convert("RGBA")
        return whole.convert("RGB") if whole.getextrema()[-1] == (255, 255) else whole


def _without_alpha(images: Pixels) -> Pixels:
    """Return the colours of RGBA ``images`` (N, H, W, 4), moved together in the memory of these."""
    flat, length = images.reshape(-1), images[0, ..., :3].size
    for index in range(len(images)):
        flat[index * length : (index + 1) * length] = images[index, ..., :3].flatten()  # which is a copy
    return flat[: len(images) * length].reshape(*images.shape[:3], 3)


def _mask(file: Path, indices: bool, original: tuple[int, int], wanted: tuple[int, int]) -> Pixels:
    with _opened(file) as image:
        if image.size != original:
            raise UserError(
                f"{file}: the mask is {_times(image.size)}, its image {_times(original)}; "
                "expected masks of the size of the images."
            )
        if image.mode.startswith(DEEP):
            raise UserError(f"{file}: the mask has more than 8 bits a pixel; convert it to an 8-bit PNG.")
        kept = image.mode == "L" or (image.mode == "P" and indices)
        values = (image if kept else image.convert("RGB")).resize(wanted, Image.Resampling.NEAREST)
        return np.asarray(values) if kept else np.asarray(values).max(axis=-1)


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
