"""Features that a picture gives without any learning: the floors a representation has to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from transferbench.data.image_set import ImageSet
from transferbench.data.images import UnreadableImage
from transferbench.features.extract import Features, collect

Descriptor = Callable[[Image], NDArray[np.float32]]
"""From an RGB picture of any size to a vector (D,)."""

SIDE = 16
BINS = 8


def pixels(image: Image) -> NDArray[np.float32]:
    """Return the whole picture averaged down to 16 x 16 and flattened: (768,) in [0, 1]."""
    small = image.resize((SIDE, SIDE), Resampling.BOX)
    return np.asarray(small, dtype=np.float32).reshape(-1) / np.float32(255)


def colour_histogram(image: Image) -> NDArray[np.float32]:
    """Return the square roots of the joint RGB histogram with 8 bins a channel: (512,), of length 1.

    A dot product of two such vectors is the Bhattacharyya coefficient, the Hellinger kernel of the histograms.
    """
    colours = np.asarray(image).reshape(-1, 3).astype(np.int64) * BINS // 256
    cells = np.ravel_multi_index((colours[:, 0], colours[:, 1], colours[:, 2]), (BINS, BINS, BINS))
    shares = np.bincount(cells, minlength=BINS**3) / len(cells)
    return np.sqrt(shares.astype(np.float32))


PICTURE_FLOORS: Mapping[str, Descriptor] = {"pixels": pixels, "colour_histogram": colour_histogram}


def describe(images: ImageSet, descriptors: Mapping[str, Descriptor] = PICTURE_FLOORS) -> dict[str, Features]:
    """Return the features of ``images`` by each of ``descriptors``, every picture read once.

    Unreadable images are left out. Raises ``UserError`` when no image could be read.
    """
    positions: list[int] = []
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in descriptors}
    for position in range(len(images)):
        try:
            image = images.image(position)
        except UnreadableImage:
            continue
        positions.append(position)
        for name, descriptor in descriptors.items():
            rows[name].append(descriptor(image)[None])
    where = [np.array([position]) for position in positions]
    return {name: collect(images, vectors, where) for name, vectors in rows.items()}
