"""An album's records as COCO annotation files: captions and instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

Record = Mapping[str, Any]
INFO = {"description": "Pictures of the embedded world of transferbench", "version": "1.0", "year": 2026}


def caption_file(records: Sequence[Record], size: int) -> dict[str, Any]:
    """Return the content of a captions file for the ``records`` of a split."""
    ids = count(1)
    annotations = [
        {"id": next(ids), "image_id": record["id"], "caption": caption}
        for record in records
        for caption in record["captions"]
    ]
    return {"info": INFO, "licenses": [], "images": _images(records, size), "annotations": annotations}


def instance_file(records: Sequence[Record], size: int, categories: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of an instances file; a category has ``id``, ``name``, ``supercategory`` and ``lemma``."""
    ids = count(1)
    of_lemma = {category["lemma"]: category["id"] for category in categories}
    annotations = [
        {
            "id": next(ids),
            "image_id": record["id"],
            "category_id": of_lemma[seen["lemma"]],
            "bbox": seen["bbox"],
            "area": seen["area"],
            "iscrowd": 0,
            "segmentation": seen["segmentation"],
        }
        for record in records
        for seen in record["objects"]
    ]
    named = [{key: category[key] for key in ("id", "name", "supercategory")} for category in categories]
    return {
        "info": INFO,
        "licenses": [],
        "images": _images(records, size),
        "annotations": annotations,
        "categories": named,
    }


def _images(records: Sequence[Record], size: int) -> list[dict[str, Any]]:
    return [{"id": r["id"], "file_name": r["file_name"], "width": size, "height": size} for r in records]
