"""Labelled folders as a data module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image
from torch import Tensor

from transferbench.data.image_set import Splits
from transferbench.data.labelled import read_splits
from transferbench.data.loading import OnError
from transferbench.data.module import ImageData


class FolderData(ImageData):
    """Labelled images in folders: ``root/train/<class>`` and ``root/val/<class>``, or ``root/<class>``.

    Args:
        root: the folder; see ``data.labelled.read_splits``.
        holdout: share of each class held out for testing where ``root`` has no held-out folder.
        holdout_seed: decides which images; apart from ``seed``, so that runs of several seeds share one test set.

    The other arguments are those of ``ImageData``.
    """

    def __init__(
        self,
        root: str,
        crops: Callable[[Image.Image], list[Tensor]] | None,
        batch_size: int,
        eval_resize: int,
        eval_size: int,
        holdout: float = 0.1,
        holdout_seed: int = 0,
        workers: int = 2,
        on_error: OnError = "skip",
        seed: int = 0,
    ) -> None:
        super().__init__(crops, batch_size, eval_resize, eval_size, workers, on_error, seed)
        self.root = Path(root).expanduser()
        self.name = self.root.resolve().name
        self.holdout = holdout
        self.holdout_seed = holdout_seed

    def read(self) -> Splits:
        """List the images; raises ``UserError``."""
        return read_splits(self.root, self.holdout, self.holdout_seed)
