"""A data set that torchvision reads, by name, from files that are already there, as a data module."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image
from torch import Tensor

from transferbench.data.image_set import Splits
from transferbench.data.loading import OnError
from transferbench.data.module import ImageData
from transferbench.data.torchvision_reader import read_torchvision


class TorchvisionData(ImageData):
    """One of torchvision's data sets, from files that are already there.

    Args:
        dataset: its name in torchvision, such as ``CIFAR10``; see ``torchvision_reader.PARTS``.
        root: where torchvision finds it.

    The other arguments are those of ``ImageData``.
    """

    def __init__(
        self,
        dataset: str,
        root: str,
        crops: Callable[[Image.Image], list[Tensor]] | None,
        batch_size: int,
        eval_resize: int,
        eval_size: int,
        workers: int = 2,
        on_error: OnError = "skip",
        seed: int = 0,
    ) -> None:
        super().__init__(crops, batch_size, eval_resize, eval_size, workers, on_error, seed)
        self.name = dataset.lower()
        self.dataset = dataset
        self.root = root

    def read(self) -> Splits:
        """Read the data set; raises ``UserError``."""
        return read_torchvision(self.dataset, self.root)
