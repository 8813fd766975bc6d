"""Draws of pixels to fit a scene to: of all images at once, or of one image a step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from transferbench.data.scenes.scene import Scene
from transferbench.errors import UserError


class Pixels(NamedTuple):
    """R pixels: ``frames``, ``rows`` and ``columns`` (R,) int64, and their ``colours`` (R, 3 or 4) uint8."""

    frames: Tensor
    rows: Tensor
    columns: Tensor
    colours: Tensor


@dataclass(frozen=True)
class Draw:
    """How pixels are drawn.

    Attributes:
        rays: pixels a step.
        one_image: all of a step are of one image, as NeRF's code does on Blender scenes; else of all images at once.
        precrop_steps: steps that draw from the middle of the images alone, which keeps a fit from collapsing.
        precrop: share of height and width that is the middle.
        opaque: share of the draws that are taken among pixels that show something, where there is an alpha channel.
    """

    rays: int
    one_image: bool = False
    precrop_steps: int = 0
    precrop: float = 0.5
    opaque: float = 0.0

    def __post_init__(self) -> None:
        if self.rays < 1 or not 0 < self.precrop <= 1 or not 0 <= self.opaque < 1:
            raise UserError(
                f"found rays={self.rays}, precrop={self.precrop}, opaque={self.opaque}; expected one ray or more, a "
                "precrop in (0, 1] and a share of opaque pixels in [0, 1): set scale.rays, scale.precrop, scale.opaque"
            )


class PixelDraws:
    """An epoch of ``steps`` batches of pixels of a scene's training frames; each follows from the seed and its number.

    Attributes:
        batch_size: pixels a batch.
        skip: batches of the coming epoch that are left out, once.
    """

    def __init__(self, scene: Scene, draw: Draw, steps: int, seed: int, rank: int = 0) -> None:
        self.draw, self.steps, self.seed, self.rank = draw, steps, seed, rank
        self.batch_size, self.skip, self.epoch = draw.rays, 0, 0
        self.images = torch.from_numpy(scene.images)
        self.train = torch.tensor(scene.train)
        self.height, self.width = scene.height, scene.width
        usable = None if scene.ignored is None else torch.from_numpy(~scene.ignored[list(scene.train)])
        if usable is not None and not bool(usable.any()):
            raise UserError(f"{scene.name}: the masks leave no pixel to fit; expected some that are not ignored")
        self.usable = None if usable is None else usable.flatten().nonzero().squeeze(1)
        self.shown: Tensor | None = None
        if draw.opaque > 0 and self.images.shape[-1] == 4:
            self.shown = (self.images[self.train][..., 3] > 0).flatten().nonzero().squeeze(1)
            self.shown = self.shown if len(self.shown) else None

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Pixels]:
        first, self.skip = self.skip, 0
        start, self.epoch = self.epoch * self.steps, self.epoch + 1
        for step in range(start + first, start + self.steps):
            yield self.batch(step)

    def batch(self, step: int) -> Pixels:
        """Return the pixels of optimiser step ``step``."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + step) * 1009 + self.rank)
        area = self.height * self.width
        if step < self.draw.precrop_steps:
            place, rows, columns = self._central(generator)
        else:
            flat = self._anywhere(generator, area)
            place, rest = flat // area, flat % area
            rows, columns = rest // self.width, rest % self.width
        if self.draw.one_image:
            place = torch.randint(len(self.train), (1,), generator=generator).expand_as(rows)
        frames = self.train[place]
        return Pixels(frames, rows, columns, self.images[frames, rows, columns])

    def _anywhere(self, generator: torch.Generator, area: int) -> Tensor:
        count = self.draw.rays
        if self.usable is not None and not self.draw.one_image:
            return self.usable[torch.randint(len(self.usable), (count,), generator=generator)]
        flat = torch.randint(len(self.train) * area, (count,), generator=generator)
        if self.shown is not None:
            some = int(count * self.draw.opaque)
            flat[:some] = self.shown[torch.randint(len(self.shown), (some,), generator=generator)]
            flat = flat[torch.randperm(count, generator=generator)]
        return flat

    def _central(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        count, share = self.draw.rays, self.draw.precrop
        place = torch.randint(len(self.train), (count,), generator=generator)
        inner = [max(int(side * share), 1) for side in (self.height, self.width)]
        rows, columns = (torch.randint(side, (count,), generator=generator) for side in inner)
        return place, rows + (self.height - inner[0]) // 2, columns + (self.width - inner[1]) // 2
