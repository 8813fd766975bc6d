"""Published sets of captioned images as data modules, one class a format."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal, TypeAlias

from transferbench.data.annotation_files import as_id, json_lists, read_json
from transferbench.data.caption_tables import read_conceptual, read_open_clip_csv
from transferbench.data.flickr_tokens import read_flickr_tokens
from transferbench.data.karpathy import read_karpathy
from transferbench.data.paired_captions import PairedCaptions
from transferbench.data.visual_genome import read_visual_genome
from transferbench.errors import UserError

Split: TypeAlias = Literal["train", "restval", "val", "test"]


class KarpathyCaptions(PairedCaptions):
    """COCO, Flickr8k or Flickr30k in the splits of Karpathy and Fei-Fei (``data.karpathy``).

    Args:
        captions: ``dataset_coco.json``, ``dataset_flickr8k.json`` or ``dataset_flickr30k.json``.
        images: the folder of the images.
        train_split: the split to train on; ``train`` has COCO's ``restval`` in it.
        test_split: the held-out split; None holds out a share of the other.
        **options: those of ``PairedCaptions`` and ``CaptionData``.
    """

    def __init__(
        self,
        captions: str,
        images: str,
        train_split: Split = "train",
        test_split: Split | None = "val",
        **options: Any,
    ) -> None:
        if train_split == test_split:
            raise UserError(f"data.train_split and data.test_split are both {test_split}; train and test on others.")
        read = functools.partial(read_karpathy, captions, images)
        test = None if test_split is None else functools.partial(read, test_split)
        super().__init__("karpathy", functools.partial(read, train_split), test, **options)


class VisualGenomeCaptions(PairedCaptions):
    """The regions of Visual Genome and what is said of them (``data.visual_genome``); a share is held out.

    Args:
        root: the folder of the data set.
        exclude_coco: a file of COCO's annotations, such as ``captions_val2017.json``, whose images are left out: half
            of Visual Genome's images are COCO's. None leaves out none.
        **options: those of ``PairedCaptions`` and ``CaptionData``.
    """

    def __init__(self, root: str, exclude_coco: str | None = None, **options: Any) -> None:
        self.root, self.exclude_coco = root, exclude_coco
        super().__init__("visual_genome", self._read, **options)

    def _read(self) -> Any:
        excluded = None if self.exclude_coco is None else coco_ids(Path(self.exclude_coco).expanduser())
        return read_visual_genome(self.root, excluded)


class ConceptualCaptions(PairedCaptions):
    """Conceptual Captions 3M and 12M (``data.caption_tables``); a share is held out.

    Args:
        captions: the table.
        images: the folder of the downloaded images.
        columns: the order of the columns: ``cc3m`` (caption, address) or ``cc12m`` (address, caption).
        names: a file of lines ``row TAB path below images``; None for images named by their rows.
        **options: those of ``PairedCaptions`` and ``CaptionData``.
    """

    def __init__(
        self,
        captions: str,
        images: str,
        columns: Literal["cc3m", "cc12m"],
        names: str | None = None,
        **options: Any,
    ) -> None:
        read = functools.partial(read_conceptual, captions, images, columns, names)
        super().__init__("conceptual", read, **options)


class CsvCaptions(PairedCaptions):
    """A table with a header, a path and a caption a row, as open_clip reads it (``data.caption_tables``).

    Args:
        captions: the table to train on.
        images: the folder that paths are relative to; None for the folder of each table.
        test_captions: the table of held-out images; None holds out a share of the other.
        separator: what stands between the cells, one character.
        image_column: the name of the column of paths.
        caption_column: the name of the column of captions.
        **options: those of ``PairedCaptions`` and ``CaptionData``.
    """

    def __init__(
        self,
        captions: str,
        images: str | None = None,
        test_captions: str | None = None,
        separator: str = "\t",
        image_column: str = "filepath",
        caption_column: str = "title",
        **options: Any,
    ) -> None:
        read = functools.partial(
            read_open_clip_csv, separator=separator, image=image_column, caption=caption_column, images=images
        )
        test = None if test_captions is None else functools.partial(read, test_captions)
        super().__init__("open_clip_csv", functools.partial(read, captions), test, **options)


class FlickrCaptions(PairedCaptions):
    """Flickr8k and Flickr30k as first distributed (``data.flickr_tokens``).

    Args:
        captions: ``Flickr8k.token.txt`` or ``results_20130124.token``.
        images: the folder of the images.
        train_split: a list of the images to train on, such as ``Flickr_8k.trainImages.txt``; None for all images.
        test_split: a list of the held-out images; None holds out a share of the others.
        **options: those of ``PairedCaptions`` and ``CaptionData``.
    """

    def __init__(
        self,
        captions: str,
        images: str,
        train_split: str | None = None,
        test_split: str | None = None,
        **options: Any,
    ) -> None:
        if test_split is not None and train_split is None:
            raise UserError(
                f"data.test_split is {test_split} and data.train_split is left out, so that all images would be "
                "trained on; set data.train_split=FILE to a list of others."
            )
        read = functools.partial(read_flickr_tokens, captions, images)
        test = None if test_split is None else functools.partial(read, test_split)
        super().__init__("flickr_tokens", functools.partial(read, train_split), test, **options)


def coco_ids(file: Path) -> frozenset[int]:
    """Return the ids of the images in a file of COCO's annotations; raises ``UserError``."""
    remedy = "Set data.exclude_coco=FILE to COCO's annotations, such as captions_val2017.json."
    (entries,) = json_lists(file, read_json(file, "COCO's annotations", remedy), ("images",), remedy)
    ids = {as_id(entry.get("id")) for entry in entries if isinstance(entry, dict)}
    return frozenset(number for number in ids if isinstance(number, int))
