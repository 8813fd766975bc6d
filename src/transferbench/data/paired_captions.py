"""Captioned images of any reader as a data module."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from transferbench.data.caption_module import CaptionData
from transferbench.data.captions import CaptionRecords
from transferbench.data.coco import read_coco
from transferbench.data.image_set import FolderImages
from transferbench.errors import UserError


class PairedCaptions(CaptionData):
    """Captioned images that a reader of records finds, such as ``data.coco.read_coco``.

    Args:
        name: a short readable name.
        train: returns the training records.
        test: returns the held-out records; None holds out a share of the training records.
        holdout: that share.
        **options: those of ``CaptionData``.
    """

    def __init__(
        self,
        name: str,
        train: Callable[[], CaptionRecords],
        test: Callable[[], CaptionRecords] | None = None,
        holdout: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not 0 < holdout < 1:
            raise UserError(f"data.holdout={holdout}: expected a share above 0 and below 1")
        self.name, self.train, self.test, self.holdout = name, train, test, holdout

    def read_records(self) -> tuple[CaptionRecords, CaptionRecords]:
        """Read both parts, or split one, by a permutation drawn from the seed."""
        records = self.train()
        if self.test is not None:
            return records, self.test()
        held = max(1, round(self.holdout * len(records)))
        if held >= len(records):
            raise UserError(f"{self.name}: {len(records)} captioned images cannot be split; expected 2 or more")
        order = np.random.default_rng(self.seed).permutation(len(records))
        return select(records, np.sort(order[held:])), select(records, np.sort(order[:held]))


class CocoCaptions(PairedCaptions):
    """The captioned images of COCO (``data.coco.read_coco``).

    Args:
        root: the folder of the data set.
        train_split: the split to train on.
        test_split: the held-out split; None holds out a share of the other.
        **options: those of ``CaptionData``.
    """

    def __init__(self, root: str, train_split: str = "train", test_split: str | None = "val", **options: Any) -> None:
        test = None if test_split is None else functools.partial(read_coco, root, test_split)
        super().__init__("coco_captions", functools.partial(read_coco, root, train_split), test, **options)


def select(records: CaptionRecords, indices: Any) -> CaptionRecords:
    """Return the records at ``indices``; the images' labels are their indices among these."""
    images = records.images
    if not isinstance(images, FolderImages):
        raise TypeError("only images in files can be selected")
    chosen = images.select(indices)
    chosen.labels = np.arange(len(chosen))
    columns: dict[str, Any] = {
        key: None if (column := getattr(records, key)) is None else tuple(column[int(i)] for i in indices)
        for key in ("captions", "ids", "tags", "boxes", "sizes")
    }
    return replace(records, images=chosen, **columns)
