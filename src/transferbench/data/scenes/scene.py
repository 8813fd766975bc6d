"""A scene: posed images of one place, whatever format they were read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Posed images of one place, all of one size.

    Pixel coordinates run right and down from the top left corner, pixel centres at +0.5; poses are camera-to-world in
    OpenGL's axes (x right, y up, the camera looks along -z).

    Attributes:
        name: of the folder.
        names: one a frame, that of its image file without folders and suffix, with folders where two share it; unique.
        images: (N, H, W, 3) uint8, or (N, H, W, 4) with an alpha channel that is not premultiplied.
        poses: (N, 4, 4).
        intrinsics: (N, 4) focal lengths fx, fy and principal point cx, cy in pixels.
        distortion: (N, 6) k1, k2, k3, k4, p1, p2 of the lens; zeros for a pinhole.
        fisheye: the distortion is that of OpenCV's fisheye model (k1..k4 alone) instead of its usual one.
        near: (N,) distances along the viewing axis at which things begin, in the units of the poses; None where the
            format does not say.
        far: (N,) where they end; None likewise.
        box: (2, 3) the corners of the room that holds the things, None where the format does not say.
        points: (P, 3) points on surfaces, None where there are none.
        train: places of the frames to fit, in the order of the frames.
        val: places of the frames to watch.
        test: places of the frames to judge by.
        times: (N,) frame numbers of a moving scene; None for one that stands still.
        labels: (N, H, W) uint8 what each pixel shows, 0 for nothing that has a name; None without masks.
        label_names: the name of each label, from 1.
        labelled: (N,) frames that have a mask; None where all or none have.
        ignored: (N, H, W) pixels that are to be left out of fitting; None without.
        frontal: all cameras look the same way, as LLFF's do.
        background: white or black, what images with an alpha channel are put on; None for images without one.
    """

    name: str
    names: tuple[str, ...]
    images: NDArray[np.uint8]
    poses: Floats
    intrinsics: Floats
    distortion: Floats
    fisheye: bool = False
    near: Floats | None = None
    far: Floats | None = None
    box: Floats | None = None
    points: Floats | None = None
    train: tuple[int, ...]
    val: tuple[int, ...] = ()
    test: tuple[int, ...] = ()
    times: NDArray[np.int64] | None = None
    labels: NDArray[np.uint8] | None = None
    label_names: tuple[str, ...] = ()
    labelled: NDArray[np.bool_] | None = None
    ignored: NDArray[np.bool_] | None = None
    frontal: bool = False
    background: str | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def height(self) -> int:
        """Of the images, pixels."""
        return int(self.images.shape[1])

    @property
    def width(self) -> int:
        """Of the images, pixels."""
        return int(self.images.shape[2])

    @property
    def held_out(self) -> tuple[int, ...]:
        """Places of the frames to judge by: those of ``test``, or of ``val`` where there are none; perhaps none."""
        return self.test or self.val

    @property
    def closed_box(self) -> Floats | None:
        """The box that holds all there is to see (2, 3): None where images have no alpha, and show what is behind."""
        return self.box if self.images.shape[-1] == 4 else None
