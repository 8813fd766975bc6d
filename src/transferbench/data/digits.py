"""The 1,797 handwritten digits, 8x8 pixels, that come with scikit-learn: real data without a download."""

from __future__ import annotations

import numpy as np

from transferbench.data.class_split import REST, split_per_class
from transferbench.data.image_set import ArrayImages, Splits

TEST_SHARE = 0.2
"""Of each digit, rounded: 1,438 training and 359 test images. No split is official."""

_LEVELS = 16  # the greatest grey value


def read_digits(seed: int) -> Splits:
    """Return the digits, ``TEST_SHARE`` of each held out for testing, drawn from ``seed``."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.rint(found.images * (255 / _LEVELS)).astype(np.uint8)  # (N, 8, 8)
    labels = found.target.astype(np.int64)
    classes = [str(name) for name in found.target_names]
    parts = split_per_class(labels, classes, {"test": TEST_SHARE}, seed, "digits")
    train, test = (
        ArrayImages(pixels[part], labels[part], classes, f"digits/{name}")
        for name, part in (("train", parts[REST]), ("test", parts["test"]))
    )
    return Splits(train, test)
