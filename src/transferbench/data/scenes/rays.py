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
                "precrop in (0, 1] and a share of opaque pixels in [0, 1): set scale.rays, data.pixels.precrop, "
                "data.pixels.opaque"
            )


class PixelDraws:
    """An epoch of ``steps`` batches of pixels of a scene's training frames; each follows from the seed and its number.

    Attributes:
        batch_size: pixels a batch.
        skip: batches of the coming epoch that are left out, once.

    Raises:
        UserError: the masks leave no pixel to draw.
    """

    def __init__(self, scene: Scene, draw: Draw, steps: int, seed: int, rank: int = 0) -> None:
        self.draw, self.steps, self.seed, self.rank = draw, steps, seed, rank
        self.batch_size, self.skip, self.epoch = draw.rays, 0, 0
        self.images = torch.from_numpy(scene.images)
        self.train = torch.tensor(scene.train)
        self.height, self.width = scene.height, scene.width
        self.inner = [max(int(side * draw.precrop), 1) for side in (self.height, self.width)]
        self.first = [(self.height - self.inner[0]) // 2, (self.width - self.inner[1]) // 2]
        self.usable: Tensor | None = None  # places (frame, row, column), numbered through in ascending order; None: all
        self.middle: Tensor | None = None
        self.shown: Tensor | None = None
        if scene.ignored is not None:
            self._leave_out(scene.name, torch.from_numpy(scene.ignored)[self.train])
        if draw.opaque > 0 and self.images.shape[-1] == 4:
            shown = (self.images[self.train][..., 3] > 0).flatten().nonzero().squeeze(1)
            shown = shown if self.usable is None else shown[torch.isin(shown, self.usable)]
            self.shown = shown if len(shown) else None

    def _leave_out(self, name: str, ignored: Tensor) -> None:
        central = torch.zeros_like(ignored[0])
        (top, left), (high, wide) = self.first, self.inner
        central[top : top + high, left : left + wide] = True
        self.usable = (~ignored).flatten().nonzero().squeeze(1)
        self.middle = (~ignored & central).flatten().nonzero().squeeze(1)
        if not len(self.usable):
            raise UserError(f"{name}: the masks leave no pixel to fit; expected some that are not ignored")
        if self.draw.precrop_steps and not len(self.middle):
            raise UserError(f"{name}: the masks leave no pixel in the middle; set scale.precrop_steps=0")

    def __len__(self) -> int:
        return self.steps

    @property
    def sampler(self) -> PixelDraws:
        """What Lightning tells the epoch, also that in which a run is taken up again."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Let the next epoch be this one."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Pixels]:
        first, self.skip = self.skip, 0
        start, self.epoch = self.epoch * self.steps, self.epoch + 1
        for step in range(start + first, start + self.steps):
            yield self.batch(step)

    def batch(self, step: int) -> Pixels:
        """Return the pixels of optimiser step ``step``."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + step) * 1009 + self.rank)
        central = step < self.draw.precrop_steps
        pool = self.middle if central else self.usable
        image = self._image(pool, generator) if self.draw.one_image else None
        if pool is not None:
            flat = self._among(pool, self.draw.rays, image, generator)
        else:
            flat = self._central(image, generator) if central else self._anywhere(image, generator)
        if self.shown is not None and not central:
            some = self._among(self.shown, int(self.draw.rays * self.draw.opaque), image, generator)
            flat = torch.cat([some, flat[len(some) :]])[torch.randperm(len(flat), generator=generator)]
        area = self.height * self.width
        frames, rest = self.train[flat // area], flat % area
        rows, columns = rest // self.width, rest % self.width
        return Pixels(frames, rows, columns, self.images[frames, rows, columns])

    def _image(self, pool: Tensor | None, generator: torch.Generator) -> int:
        """Return the place of one training frame that has something to draw."""
        area = self.height * self.width
        choice = torch.arange(len(self.train)) if pool is None else torch.unique_consecutive(pool // area)
        return int(choice[torch.randint(len(choice), (1,), generator=generator)])

    def _among(self, pool: Tensor, count: int, image: int | None, generator: torch.Generator) -> Tensor:
        """Return ``count`` of the places of ``pool``, of one ``image`` alone where it is said (0 where it has none)."""
        low, high = 0, len(pool)
        if image is not None:
            area = self.height * self.width
            low, high = torch.searchsorted(pool, torch.tensor([image * area, (image + 1) * area])).tolist()
        return pool[low + torch.randint(max(high - low, 1), (count if high > low else 0,), generator=generator)]

    def _anywhere(self, image: int | None, generator: torch.Generator) -> Tensor:
        area = self.height * self.width
        flat = torch.randint(len(self.train) * area, (self.draw.rays,), generator=generator)
        return flat if image is None else image * area + flat % area

    def _central(self, image: int | None, generator: torch.Generator) -> Tensor:
        count = (self.draw.rays,)
        place = torch.randint(len(self.train), count, generator=generator) if image is None else image
        rows, columns = (torch.randint(side, count, generator=generator) for side in self.inner)
        return (place * self.height + rows + self.first[0]) * self.width + columns + self.first[1]
