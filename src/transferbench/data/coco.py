"""COCO captions, with the object categories and boxes of COCO instances (Lin et al., ECCV 2014; arXiv:1504.00325)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transferbench.data.annotation_files import Skipped, as_id, as_size, is_repeated, json_lists, read_json
from transferbench.data.captions import CaptionRecords, ImageFacts, add_caption, box_of, records_of
from transferbench.data.image_lookup import ImageLookup
from transferbench.errors import UserError

LAYOUT = "annotations/captions_<split>2017.json and <split>2017/*.jpg"
REMEDY = f"Set data.root=FOLDER to a folder that holds {LAYOUT}."
REPEATED = "duplicated annotation id"


def read_coco(
    root: Path | str,
    split: str,
    captions: Path | str | None = None,
    instances: Path | str | None = None,
    tags: bool = True,
) -> CaptionRecords:
    """Read the captions of one split; images are in the order of their first caption.

    ``annotations/captions_<split>*.json`` names the split's folder: ``train2017`` for ``captions_train2017.json``,
    looked for in ``root`` and in ``root/images``.

    Args:
        root: the folder of the data set.
        split: ``train``, ``val``, or with the year where several are there, ``train2014``.
        captions: the file of captions, found by its name when None.
        instances: the file of instances; when None the one beside the captions, and no tags where there is none.
        tags: whether to read the instances at all: with their outlines they are large.

    Raises:
        UserError: a file or folder is missing, ambiguous or damaged, or no image with a caption is there.
    """
    folder = Path(root).expanduser()
    file = _found(folder, split) if captions is None else Path(captions).expanduser()
    name = file.stem.removeprefix("captions_") if file.stem.startswith("captions_") else split
    lookup = ImageLookup(_image_folder(folder, name, split), REMEDY)
    skipped = Skipped(file)
    facts = _captioned(file, lookup, name, skipped)
    beside = file.with_name(f"instances_{name}.json")
    if not tags or (instances is None and not beside.is_file()):
        return records_of(lookup, facts, skipped)
    listed = beside if instances is None else Path(instances).expanduser()
    return records_of(lookup, facts, skipped, _add_instances(listed, facts, skipped), with_boxes=True)


def _found(root: Path, split: str) -> Path:
    folder = root / "annotations"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder. {REMEDY}")
    exact = folder / f"captions_{split}.json"
    if exact.is_file():
        return exact
    year = re.compile(rf"captions_{re.escape(split)}\d*\.json")
    files = sorted(file for file in folder.iterdir() if year.fullmatch(file.name))
    if len(files) == 1:
        return files[0]
    if not files:
        there = ", ".join(sorted(file.name for file in folder.glob("captions_*.json"))) or "none"
        raise UserError(f"{folder}: no captions_{split}*.json there (captions found: {there}). {REMEDY}")
    splits = " or ".join(file.stem.removeprefix("captions_") for file in files)
    raise UserError(f"{folder}: several files of captions for {split}; name one of them: {splits}.")


def _image_folder(root: Path, name: str, split: str) -> Path:
    """Return the first folder that is there; the most usual one where none is."""
    usual = [root / name, root / "images" / name, root / split, root / "images" / split, root / "images"]
    return next((folder for folder in usual if folder.is_dir()), usual[0])


def _captioned(file: Path, lookup: ImageLookup, name: str, skipped: Skipped) -> dict[int | str, ImageFacts]:
    content = read_json(file, "COCO captions", REMEDY)
    images, annotations = json_lists(file, content, ("images", "annotations"), REMEDY)
    known = _images(file, images, lookup, name, skipped)
    facts: dict[int | str, ImageFacts] = {}
    seen: set[int | str] = set()
    for index, image, entry in _annotations(annotations, skipped):
        if image not in known:
            skipped.note("caption of an image not listed", f"annotations[{index}]")
        elif (
            not is_repeated(entry.get("id"), seen, skipped, REPEATED, f"annotations[{index}]")
            and (found := known[image]) is not None
        ):
            facts.setdefault(image, found)
            add_caption(found, entry.get("caption"), skipped, f"annotations[{index}]")
    for image, found in known.items():  # the images without caption, last: they are counted there
        if found is not None:
            facts.setdefault(image, found)
    return facts


def _images(
    file: Path, images: list[Any], lookup: ImageLookup, name: str, skipped: Skipped
) -> dict[int | str, ImageFacts | None]:
    """Return what is known of each image by its id, None where its file is missing."""
    known: dict[int | str, ImageFacts | None] = {}
    for index, entry in enumerate(images):
        where = f"images[{index}]"
        number = as_id(entry.get("id")) if isinstance(entry, dict) else None
        if number is None:
            skipped.note("image without id", where)
        elif number in known:
            skipped.note("duplicated image id", where)
        else:
            path = lookup.find(_file_names(entry.get("file_name"), number, name), f"{file}, {where}")
            if path is None:
                known[number] = None
                skipped.note("image missing", f"{where} ({str(entry.get('file_name'))[:80]})")
            else:
                known[number] = ImageFacts(path, size=as_size(entry))
    return known


def _file_names(file_name: object, number: int | str, name: str) -> Iterator[str]:
    """Yield the names that an image may have: as listed, without its folder, and by its id as 2014 and 2017 do."""
    if isinstance(file_name, str) and file_name:
        yield file_name
        yield file_name.rpartition("/")[2]
    if isinstance(number, int) and 0 <= number < 10**12:
        yield f"{number:012d}.jpg"
        yield f"COCO_{name}_{number:012d}.jpg"


def _annotations(annotations: list[Any], skipped: Skipped) -> Iterator[tuple[int, int | str, dict[str, Any]]]:
    """Yield the index, the image's id and the entry; count what says nothing of an image."""
    for index, entry in enumerate(annotations):
        image = as_id(entry.get("image_id")) if isinstance(entry, dict) else None
        if image is None:
            skipped.note("annotation without image id", f"annotations[{index}]")
        else:
            yield index, image, entry


def _add_instances(file: Path, facts: dict[int | str, ImageFacts], skipped: Skipped) -> tuple[str, ...]:
    """Add the tags and boxes of the objects; return the names of the categories in the order of their ids."""
    content = read_json(file, "COCO instances", "Fetch it again, or set data.tags=false to do without it.")
    remedy = "Expected COCO instances; set data.tags=false to do without them."
    categories, annotations = json_lists(file, content, ("categories", "annotations"), remedy)
    names = _categories(file, categories, remedy)
    rank = {number: index for index, number in enumerate(names)}
    seen: set[int | str] = set()
    for index, image, entry in _annotations(annotations, skipped):
        where = f"{file.name}, annotations[{index}]"
        category = as_id(entry.get("category_id"))
        tag = rank.get(category) if isinstance(category, int) else None
        if tag is None:
            skipped.note("object of an unknown category", where)
        elif not is_repeated(entry.get("id"), seen, skipped, REPEATED, where) and image in facts:
            facts[image].tags.add(tag)
            listed = entry.get("bbox")
            box = box_of(tag, listed if isinstance(listed, list) else (), facts[image].size)
            if box is None:
                skipped.note("box empty or broken", where)
            else:
                facts[image].boxes.append(box)
    return tuple(names.values())


def _categories(file: Path, categories: list[Any], remedy: str) -> dict[int, str]:
    names: dict[int, str] = {}
    for index, entry in enumerate(categories):
        number, name = (entry.get("id"), entry.get("name")) if isinstance(entry, dict) else (None, None)
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(name, str) or number in names:
            raise UserError(
                f"{file}: categories[{index}] is {str(entry)[:80]}; expected an id of its own and a name. {remedy}"
            )
        names[number] = name
    return dict(sorted(names.items()))
