"""Multi-crop on one core: ours against the same crops by torchvision's transforms on PIL images, as a ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from transferbench.data.multicrop import MultiCrop

SCALES = {"64 px, 1x48 + 8x24": (64, 64, 48, 24), "500x375, 1x224 + 8x96": (500, 375, 224, 96)}
REPEATS = 5


def peer(size: int, scale: tuple[float, float], blur: float, solarise: float) -> v2.Transform:
    """Return one crop of the reference's table (arXiv:2206.15369) by torchvision."""
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale, interpolation=v2.InterpolationMode.BICUBIC),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(2 * (size // 20) + 1, (0.1, 2.0))], blur),
            v2.RandomSolarize(128, solarise),
            v2.PILToTensor(),
        ]
    )


def milliseconds(work: Callable[[], object], count: int) -> float:
    """Return the time of one call, in milliseconds."""
    begin = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - begin) / count * 1000


def main() -> None:
    """Print the medians and the ratio for each scale."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    for name, (width, height, big, small) in SCALES.items():
        noise = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8))
        image = noise.resize((width, height), Image.Resampling.BICUBIC)
        ours = MultiCrop(
            {
                "global": {"count": 1, "size": big, "scale": [0.25, 1.0], "blur": 0.2, "solarise": 0.2},
                "local": {"count": 8, "size": small, "scale": [0.05, 0.25], "blur": 0.5},
            }
        )
        theirs = [peer(big, (0.25, 1.0), 0.2, 0.2)] + [peer(small, (0.05, 0.25), 0.5, 0.0)] * 8
        count = 100 if width < 100 else 12
        pairs = [
            (
                milliseconds(lambda: ours(image), count),  # noqa: B023  called at once
                milliseconds(lambda: [crop(image) for crop in theirs], count),  # noqa: B023
            )
            for _ in range(REPEATS)
        ]
        mine, other = (statistics.median(column) for column in zip(*pairs))
        print(f"{name}: ours {mine:.2f} ms, torchvision {other:.2f} ms an image, {other / mine:.1f} times as fast")


if __name__ == "__main__":
    main()
