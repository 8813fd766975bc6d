"""Captions of COCO, Flickr8k and Flickr30k in the splits of Karpathy and Fei-Fei (CVPR 2015): ``dataset_*.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transferbench.data.annotation_files import Skipped, as_id, is_repeated, json_lists, read_json
from transferbench.data.captions import CaptionRecords, ImageFacts, add_caption, records_of
from transferbench.data.image_lookup import ImageLookup
from transferbench.errors import UserError

SPLITS = {"train": {"train", "restval"}, "restval": {"restval"}, "val": {"val"}, "test": {"test"}}
"""The rows of each split: ``restval``, the rest of the validation images of COCO, is used for training."""

FILE_REMEDY = "Set data.captions=FILE to dataset_coco.json, dataset_flickr8k.json or dataset_flickr30k.json."
IMAGES_REMEDY = (
    "Set data.images=FOLDER to the folder of the images (for COCO the one that holds train2014/ and val2014/)."
)


def read_karpathy(file: Path | str, images: Path | str, split: str) -> CaptionRecords:
    """Read the captions of one split as they were typed (``raw``); images are in the order of the file.

    An image is ``<filepath>/<filename>`` below ``images``, or ``<filename>``; its id is its ``cocoid``, else its
    ``imgid``.

    Args:
        file: ``dataset_coco.json``, ``dataset_flickr8k.json`` or ``dataset_flickr30k.json``.
        images: the folder of the images.
        split: ``train`` (with ``restval``), ``restval``, ``val`` or ``test``.

    Raises:
        UserError: the file or folder is missing or damaged, or no image of the split with a caption is there.
    """
    source = Path(file).expanduser()
    if split not in SPLITS:
        raise UserError(f"{source}: no split {split!r}; set data.split to one of {', '.join(SPLITS)}.")
    content = read_json(source, "the captions of Karpathy's splits", FILE_REMEDY)
    (rows,) = json_lists(source, content, ("images",), FILE_REMEDY)
    lookup = ImageLookup(images, IMAGES_REMEDY)
    skipped = Skipped(source)
    chosen = list(_rows(rows, SPLITS[split], skipped))
    if not chosen:
        counts = Counter(str(row.get("split"))[:40] for row in rows if isinstance(row, dict))
        there = ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())[:8]) or "no rows"
        raise UserError(f"{source}: no rows of the split {split} (found {there}). {FILE_REMEDY}")
    return records_of(lookup, _facts(source, chosen, lookup, skipped), skipped)


def _rows(rows: list[Any], splits: set[str], skipped: Skipped) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of the splits, each with where it stands."""
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("split"), str):
            skipped.note("row without split", f"images[{index}]")
        elif row["split"] in splits:
            yield f"images[{index}]", row


def _facts(
    source: Path, rows: list[tuple[str, dict[str, Any]]], lookup: ImageLookup, skipped: Skipped
) -> dict[int | str, ImageFacts]:
    facts: dict[int | str, ImageFacts] = {}
    seen: set[int | str] = set()
    for where, row in rows:
        coco, own = as_id(row.get("cocoid")), as_id(row.get("imgid"))
        number = own if coco is None else coco
        filename = row.get("filename")
        if number is None or not isinstance(filename, str) or not filename:
            skipped.note("row without id or file name", where)
        elif number in facts:
            skipped.note("duplicated image id", where)
        elif (path := lookup.find(_file_names(row.get("filepath"), filename), f"{source}, {where}")) is None:
            skipped.note("image missing", f"{where} ({filename[:80]})")
        else:
            facts[number] = ImageFacts(path)
            _add_sentences(facts[number], row.get("sentences"), seen, skipped, where)
    return facts


def _file_names(filepath: object, filename: str) -> Iterator[str]:
    if isinstance(filepath, str) and filepath:
        yield f"{filepath}/{filename}"
    yield filename


def _add_sentences(facts: ImageFacts, sentences: object, seen: set[int | str], skipped: Skipped, where: str) -> None:
    for index, sentence in enumerate(sentences if isinstance(sentences, list) else ()):
        place = f"{where}.sentences[{index}]"
        if not isinstance(sentence, dict):
            skipped.note("caption is no text", place)
            continue
        if not is_repeated(sentence.get("sentid"), seen, skipped, "duplicated caption id", place):
            add_caption(facts, sentence.get("raw"), skipped, place)
