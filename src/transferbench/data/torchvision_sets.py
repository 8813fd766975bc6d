"""Data sets that torchvision reads, by name, from files that are already there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torchvision.datasets
from PIL import Image
from torch import Tensor

from transferbench.data.image_set import ArrayImages, FolderImages, ImageSet, Splits
from transferbench.data.loading import OnError
from transferbench.data.module import ImageData
from transferbench.errors import UserError

_TRAIN_FLAG = ([{"train": True}], [{"train": False}])
_TRAIN_TEST = ([{"split": "train"}], [{"split": "test"}])
_TRAINVAL_TEST = ([{"split": "trainval"}], [{"split": "test"}])
_THREE_PARTS = ([{"split": "train"}, {"split": "val"}], [{"split": "test"}])

PARTS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "CIFAR10": _TRAIN_FLAG,
    "CIFAR100": _TRAIN_FLAG,
    "MNIST": _TRAIN_FLAG,
    "FashionMNIST": _TRAIN_FLAG,
    "STL10": _TRAIN_TEST,
    "SVHN": _TRAIN_TEST,
    "Food101": _TRAIN_TEST,
    "DTD": _THREE_PARTS,
    "Flowers102": _THREE_PARTS,
    "FGVCAircraft": _TRAINVAL_TEST,
    "OxfordIIITPet": _TRAINVAL_TEST,
}
"""torchvision's class name to the arguments that give the parts of the training set and of the test set."""


def read_torchvision(dataset: str, root: Path | str) -> Splits:
    """Read torchvision's ``dataset`` (one of ``PARTS``) from ``root``; training and validation parts are joined.

    Raises:
        UserError: the name is unknown or the files are not there.
    """
    if dataset not in PARTS:
        raise UserError(f"data.dataset is {dataset!r}; expected one of {', '.join(PARTS)}.")
    folder = Path(root).expanduser()
    train, test = PARTS[dataset]
    return Splits(
        _joined([_part(dataset, folder, arguments) for arguments in train], f"{dataset}/train"),
        _joined([_part(dataset, folder, arguments) for arguments in test], f"{dataset}/test"),
    )


def _part(dataset: str, folder: Path, arguments: dict[str, Any]) -> Any:
    reader = getattr(torchvision.datasets, dataset)
    try:
        return reader(root=str(folder), download=False, **arguments)
    except (RuntimeError, FileNotFoundError) as error:
        raise UserError(
            f"{folder}: {dataset} is not there ({' '.join(str(error).split())}); set data.root=FOLDER to where it is, "
            f"or fetch it once with: python -c \"import torchvision as t; t.datasets.{dataset}('{folder}', "
            f'{", ".join(f"{key}={value!r}" for key, value in arguments.items())}, download=True)"'
        ) from error


def _joined(parts: list[Any], prefix: str) -> ImageSet:
    """Join torchvision data sets of one kind, which hold their images as an array or as a list of paths."""
    labels = np.concatenate([_first(part, "targets", "labels", "_labels") for part in parts]).astype(np.int64)
    files = [str(path) for part in parts for path in _first(part, "_image_files", "_images", absent=())]
    named = _first(parts[0], "classes", absent=()) or [str(label) for label in range(int(labels.max()) + 1)]
    classes = [str(name) for name in named]
    if files:
        base = Path(_first(parts[0], "root"))
        return FolderImages(base, [Path(file).relative_to(base).as_posix() for file in files], labels, classes)
    pixels = np.concatenate([np.asarray(part.data) for part in parts])
    if type(parts[0]).__name__ in ("STL10", "SVHN"):
        pixels = pixels.transpose(0, 2, 3, 1)  # these two hold (N, 3, H, W)
    return ArrayImages(np.ascontiguousarray(pixels), labels, classes, prefix)


def _first(part: Any, *attributes: str, absent: Any = None) -> Any:
    """Return the first attribute that ``part`` has; torchvision has no common name for its labels and files."""
    return next((getattr(part, name) for name in attributes if hasattr(part, name)), absent)


class TorchvisionData(ImageData):
    """One of torchvision's data sets, from files that are already there.

    Args:
        dataset: its name in torchvision, such as ``CIFAR10``; see ``PARTS``.
        root: where torchvision finds it.

    The other arguments are those of ``ImageData``.
    """

    def __init__(
        self,
        dataset: str,
        root: str,
        crops: Callable[[Image.Image], list[Tensor]],
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
