from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from transferbench.data.image_set import ArrayImages, Splits


class Network(nn.Module):
    """A small backbone that normalises its pictures itself."""

    width = 8

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images.float() / 255).mean(dim=(2, 3))


def coloured(count: int, seed: int, prefix: str, classes: int = 4) -> ArrayImages:
    """Noise over one colour a class, shifted from picture to picture: neither chance nor certainty."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [180, 180, 30]])
    shifted = colours[labels] + generator.normal(0, 70, (count, 3))
    pictures = shifted[:, None, None] + generator.integers(-30, 31, (count, 20, 20, 3))
    return ArrayImages(pictures.clip(0, 255).astype(np.uint8), labels, [f"class_{i}" for i in range(classes)], prefix)


@pytest.fixture
def sets() -> dict[str, Splits]:
    return {
        name: Splits(coloured(40, seed, f"{name}/train"), coloured(12, seed + 50, f"{name}/test"))
        for seed, name in enumerate(["seen", "level_1", "level_2"])
    }


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network()
