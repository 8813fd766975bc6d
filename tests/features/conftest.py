"""Networks and pictures for the tests of extraction."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from transferbench.data.image_set import ArrayImages


class TallyingNetwork(nn.Module):
    """Five features of a picture; each picture adds a byte to the file ``tally``, from whatever process."""

    def __init__(self, tally: Path) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU())
        self.tally = tally
        self.before = lambda images: None  # called with every batch

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.before(images)
        handle = os.open(self.tally, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, b"." * len(images))
        os.close(handle)
        return self.body(images.float() / 255).mean(dim=(2, 3))

    @property
    def seen(self) -> int:
        return self.tally.stat().st_size if self.tally.exists() else 0


@pytest.fixture
def tallying(tmp_path: Path) -> TallyingNetwork:
    torch.manual_seed(0)
    return TallyingNetwork(tmp_path / "tally")


@pytest.fixture
def pictures() -> Callable[[int], ArrayImages]:
    """``pictures(count)`` gives random pictures of 8 x 8 pixels in three classes."""

    def made(count: int) -> ArrayImages:
        pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        return ArrayImages(pixels, np.arange(count) % 3, ("a", "b", "c"))

    return made


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut sets into shards of 10 images."""
    monkeypatch.setattr("transferbench.features.shards.SMALLEST_SHARD", 10)
    monkeypatch.setattr("transferbench.features.shards.LARGEST_SHARD", 10)
