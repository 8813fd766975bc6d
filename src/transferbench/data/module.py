"""Labelled images as a Lightning data module: random crops for training, centre crops for validation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import Splits
from transferbench.data.images import UnreadableImage
from transferbench.data.loading import Batch, CentreSet, CropLoader, CropSet, OnError
from transferbench.data.resuming import ResumingData
from transferbench.data.samplers import EvaluationShare, TrainingShare
from transferbench.data.unreadable import UnreadableLog
from transferbench.distributed import is_main, outlive_sigterm, rank, world_size
from transferbench.errors import UserError
from transferbench.storage import digest_of

SHOWN_SIDE = 256
"""The longer side of an image in a report is at most this, pixels."""


class ImageData(ResumingData, ABC):
    """Training and test images of one data set; a subclass says how to ``read`` them.

    A batch is ``(crops, labels)``: a list of (B, 3, H, W) uint8 tensors, and (B,) int64. In validation the list holds
    the centre crop alone, and the label -1 marks what is no image (the padding of a rank's share, an unreadable file).

    Each image's crops are drawn from a seed of their own, which follows from ``seed``, the epoch and the image: they do
    not depend on the number of ranks and workers, ranks never share a stream, and no other random state is touched.

    Attributes:
        name: a short readable name of the data set.

    Args:
        crops: an RGB image to its training crops (``MultiCrop``); one that is ``batched`` cuts them in the workers and
            finishes them on the device, a batch at a time. None where nothing is trained.
        batch_size: images a device and step.
        eval_resize: length of the shorter side in validation, pixels (bilinear).
        eval_size: height and width of the centre crop in validation, pixels.
        workers: loading processes a device and loader; 0 loads in the main process.
        on_error: an unreadable image is replaced by the next one and told of at the end of the epoch (``skip``), or
            ends the run (``raise``).
        seed: of the order of the images and of their crops.
    """

    name: str

    def __init__(
        self,
        crops: Callable[[Image.Image], list[Tensor]] | None,
        batch_size: int,
        eval_resize: int,
        eval_size: int,
        workers: int = 2,
        on_error: OnError = "skip",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1 or workers < 0:
            raise UserError(
                f"the batch size is {batch_size} and data.workers is {workers}; expected scale.batch_size=1 or more "
                f"and data.workers=0 or more."
            )
        if on_error not in ("skip", "raise"):
            raise UserError(f"data.on_error is {on_error!r}; expected skip or raise.")
        self.crops: Any = crops
        self.centre = CentreCrop(eval_resize, eval_size, "bilinear")
        self.batch_size = batch_size
        self.workers = workers
        self.on_error = on_error
        self.seed = seed
        self._splits: Splits | None = None
        self._unreadable: UnreadableLog | None = None

    @abstractmethod
    def read(self) -> Splits:
        """Return the training and test images; called once, by ``setup``. Raises ``UserError``."""

    def setup(self, stage: str | None = None) -> None:
        """Read the lists of images, unless that is done; raises ``UserError``."""
        if self._splits is None:
            self._splits = self.read()

    @property
    def splits(self) -> Splits:
        """The training and test images."""
        if self._splits is None:
            raise RuntimeError("call setup() before asking a data module for its images")
        return self._splits

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the labels."""
        return self.splits.train.classes

    @property
    def trained_classes(self) -> tuple[str, ...]:
        """The classes that a model of this data has seen, as evaluation sets call them."""
        return self.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """A readable name a class, in the order of the labels."""
        return self.classes

    @property
    def offered(self) -> dict[str, int]:
        """The numbers that a head may ask for: here that of the ``classes``."""
        return {"classes": len(self.classes)}

    def kept(self) -> dict[str, Any]:
        """Return what a checkpoint needs of the data beside the classes to be used again: plain values by name."""
        return {}

    @property
    def render_seconds(self) -> float:
        """Seconds that ``setup`` spent making the images; 0 for images that exist."""
        return 0.0

    def sample_crops(self, count: int) -> list[tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]]:
        """Return up to ``count`` training images (H, W, 3), spread over the set, each with crops of it (S, S, 3).

        The images, not the crops, are scaled down to ``SHOWN_SIDE``: a report shows them.
        """
        images, shown = self.splits.train, []
        for index in np.unique(np.linspace(0, len(images) - 1, count).round().astype(int)):
            try:
                picture = images.image(int(index))
            except UnreadableImage:
                continue
            crops = [crop.permute(1, 2, 0).numpy() for crop in self.crops(picture)]
            picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
            shown.append((np.asarray(picture), crops))
        return shown

    def evaluation_sets(self) -> dict[str, Splits]:
        """Return what to measure transfer on; here the data set itself, as ``seen``."""
        return {"seen": self.splits}

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change with the content of the data set."""
        return digest_of(self.splits.train.digest(), self.splits.test.digest())

    @property
    def batched(self) -> bool:
        """Whether the workers only cut the crops."""
        return bool(getattr(self.crops, "batched", False))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Finish, on the device, crops that the workers only cut."""
        crops, labels = batch
        cut = self.batched and self.trainer is not None and self.trainer.training
        return (self.crops.finish(crops), labels) if cut else batch

    def check_batch(self, devices: int) -> None:
        """Raise ``UserError`` when there are no crops, or the training images fill no batch on each of ``devices``."""
        if self.crops is None:
            raise UserError("crops is left out, and training needs them; choose crops=...")
        length = len(self.splits.train)
        if length < self.batch_size * devices:
            each = f" on each of {devices} devices" if devices > 1 else ""
            raise UserError(
                f"{self.name} has {length} training images, fewer than one batch of {self.batch_size}{each}; "
                f"set scale.batch_size={max(1, length // devices)} or lower."
            )

    def train_dataloader(self) -> CropLoader:
        """Return this rank's loader of training crops; raises ``UserError`` when the images fill no batch."""
        images, world = self.splits.train, world_size()
        self.check_batch(world)
        sampler = TrainingShare(len(images), self.seed, rank(), world)
        loader = self._loader(self.training_set(), sampler=sampler, drop_last=True)
        loader.skip = self.behind()
        return loader

    def val_dataloader(self) -> CropLoader:
        """Return this rank's loader of the test images' centre crops."""
        sampler = EvaluationShare(len(self.splits.test), rank(), world_size())
        return self._loader(self.validation_set(), sampler=sampler)

    def training_set(self) -> CropSet:
        """Return the training images with their random crops."""
        crops = self.crops.cut if self.batched else self.crops
        return CropSet(self.splits.train, crops, self._log(), self.on_error)

    def validation_set(self) -> CentreSet:
        """Return the test images with their centre crops."""
        return CentreSet(self.splits.test, self.centre, self._log(), self.on_error)

    def report_unreadable(self) -> int:
        """Warn, once, of the unreadable images met since the last report; return how many (0 but on rank 0)."""
        return self._unreadable.report() if self._unreadable is not None else 0

    def teardown(self, stage: str | None = None) -> None:
        """Tell of unreadable images not told of yet."""
        self.report_unreadable()
        if self._unreadable is not None and is_main():
            self._unreadable.remove()

    def _log(self) -> UnreadableLog:
        if self._unreadable is None:
            self._unreadable = UnreadableLog()
        return self._unreadable

    def _loader(self, dataset: CropSet | CentreSet, **options: Any) -> CropLoader:
        return CropLoader(
            dataset,
            batch_size=self.batch_size,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            worker_init_fn=outlive_sigterm,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.seed),  # so that a loader leaves the default one alone
            **options,
        )
