"""From an image set to batches ``(crops, labels)``: the datasets that workers run, the collation, the loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import ImageSet
from transferbench.data.images import UnreadableImage
from transferbench.data.samplers import PADDING, TrainingShare
from transferbench.data.unreadable import UnreadableLog
from transferbench.distributed import world_size
from transferbench.errors import UserError

Batch: TypeAlias = tuple[list[Tensor], Any]
"""Crops, each (B, 3, H, W) uint8, and labels, (B,) int64 with -1 for no image; or captions with such ``indices``."""

OnError: TypeAlias = Literal["skip", "raise"]


@dataclass(frozen=True)
class Failure:
    """What a worker sends instead of a sample when the run cannot go on: ``message`` is for the user."""

    message: str


Sample: TypeAlias = tuple[list[Tensor], Any] | Failure


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's default CPU generator seeded, and leave the generator as it was."""
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


def _none_readable(images: ImageSet) -> str:
    return f"none of {len(images)} images can be read, such as {images.name(0)}; set data.root=FOLDER to readable ones."


def _failure(image: UnreadableImage) -> Failure:
    return Failure(f"{image} (remove or replace this file, or set data.on_error=skip).")


class CropSet(Dataset[Sample]):
    """Random crops of labelled images; an unreadable image is replaced by the next readable one.

    Args:
        images: what to crop.
        crops: an RGB image to its crops, at random from torch's default generator.
        unreadable: takes note of the images replaced.
        on_error: ``raise`` ends the run at the first unreadable image.
    """

    def __init__(
        self,
        images: ImageSet,
        crops: Callable[[Image.Image], list[Tensor]],
        unreadable: UnreadableLog,
        on_error: OnError = "skip",
    ) -> None:
        self.images = images
        self.crops = crops
        self.unreadable = unreadable
        self.on_error = on_error

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: tuple[int, int] | int) -> Sample:
        """Return the crops and the label for ``(index, seed)``; an index alone is its own seed."""
        index, seed = draw if isinstance(draw, tuple) else (draw, draw)
        for offset in range(len(self)):
            at = (index + offset) % len(self)
            try:
                image = self.images.image(at)
            except UnreadableImage as error:
                if self.on_error == "raise":
                    return _failure(error)
                self.unreadable.note(error)
                continue
            with seeded(seed):
                return self.sample(image, at)
        return Failure(_none_readable(self.images))

    def sample(self, image: Image.Image, index: int) -> Sample:
        """Return the crops of ``image``, the ``index``-th, at random, and its label."""
        return self.crops(image), int(self.images.labels[index])


class CentreSet(Dataset[Sample]):
    """The centre crops of labelled images; an unreadable image, and padding, is a black picture with label -1.

    Args:
        images: what to evaluate on.
        centre: an RGB image to (3, S, S).
        unreadable: takes note of the unreadable images.
        on_error: ``raise`` ends the run at the first unreadable image.
    """

    def __init__(
        self, images: ImageSet, centre: CentreCrop, unreadable: UnreadableLog, on_error: OnError = "skip"
    ) -> None:
        self.images = images
        self.centre = centre
        self.unreadable = unreadable
        self.on_error = on_error

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        """Return ``([centre crop], label)``."""
        if index != PADDING:
            try:
                return [self.centre(self.images.image(index))], self.label(index)
            except UnreadableImage as error:
                if self.on_error == "raise":
                    return _failure(error)
                self.unreadable.note(error)
        return [torch.zeros(3, self.centre.size, self.centre.size, dtype=torch.uint8)], self.label(None)

    def label(self, index: int | None) -> Any:
        """Return what goes with the ``index``-th image; None stands for no image."""
        return -1 if index is None else int(self.images.labels[index])


def collate(samples: list[Sample]) -> Batch | Failure:
    """Stack each crop over the batch and the labels; one failure fails the batch."""
    for sample in samples:
        if isinstance(sample, Failure):
            return sample
    crops, labels = default_collate(samples)
    return crops, labels


def which_images(labels: Any) -> Tensor:
    """Return the labels, or the images' indices of captions, (B,): negative where there is no image."""
    found: Tensor = labels if isinstance(labels, Tensor) else labels.indices
    return found


class CropLoader(DataLoader[Sample]):
    """A ``DataLoader`` of batches ``(crops, labels)`` that raises a worker's failure as a ``UserError``.

    Nothing starts before the first batch is asked for: by then the sampler knows the epoch, also in a run that is
    taken up again. Before it yields the last batch of an epoch it tells of the unreadable images met so far.

    Attributes:
        skip: batches at the beginning of the next epoch that a run was trained on before; they are not loaded.

    Args:
        dataset: a ``CropSet`` or ``CentreSet``.
        **options: those of ``DataLoader``.
    """

    def __init__(self, dataset: CropSet | CentreSet, **options: Any) -> None:
        super().__init__(dataset, collate_fn=collate, **options)
        self.images = dataset.images
        self.unreadable = dataset.unreadable
        self.skip = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Start the workers and iterate over the batches; raises ``UserError``."""
        skipped, self.skip = self.skip, 0
        if isinstance(self.sampler, TrainingShare):
            self.sampler.skip = skipped * (self.batch_size or 1)
        yield from self._checked(super().__iter__(), skipped)

    def _checked(self, batches: Iterator[Batch | Failure], skipped: int) -> Iterator[Batch]:
        last = len(self)
        seen_any = world_size() > 1  # a rank's share may be padding alone
        for count, batch in enumerate(batches, start=skipped + 1):
            if isinstance(batch, Failure):
                self._give_up(batches, batch.message)
            crops, labels = batch
            seen_any = seen_any or bool((which_images(labels) >= 0).any())
            if count == last:
                self.unreadable.report()
                if not seen_any:
                    self._give_up(batches, _none_readable(self.images))
            yield crops, labels

    def _give_up(self, batches: Iterator[Batch | Failure], message: str) -> NoReturn:
        """End the workers now: left to the garbage collector, each of them may hold it up for seconds."""
        shut_down = getattr(batches, "_shutdown_workers", None)
        if shut_down is not None:
            shut_down()
        self._iterator = None
        raise UserError(message)
