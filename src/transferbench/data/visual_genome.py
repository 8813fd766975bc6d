"""The region descriptions of Visual Genome (Krishna et al., IJCV 2017) as captions with boxes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from transferbench.data.annotation_files import Skipped, as_id, as_size, is_repeated, read_json
from transferbench.data.captions import CaptionRecords, ImageFacts, add_caption, box_of, records_of
from transferbench.data.image_lookup import ImageLookup
from transferbench.errors import UserError

IMAGES, REGIONS = "image_data.json", "region_descriptions.json"
REMEDY = f"Set data.root=FOLDER to a folder that holds {IMAGES}, {REGIONS} and VG_100K/ and VG_100K_2/."


def read_visual_genome(root: Path | str, exclude_coco: Collection[int] | None = None) -> CaptionRecords:
    """Read the phrases of all images, in the order of ``region_descriptions.json``.

    A box has for ``tag`` the index of its phrase among the image's captions; it is cut to the image. Both styles of the
    dump are read: the image's id at the outer level (``image_id`` or ``id``) or in the regions alone.

    Args:
        root: the folder of the data set; images lie in ``VG_100K`` and ``VG_100K_2`` in it, or in its ``images``.
        exclude_coco: COCO ids of images to leave out, such as those of val2017: half of the images are COCO's.

    Raises:
        UserError: a file is missing or damaged, no image with a phrase is there, or images are to be left out and
            none of them says whether it is COCO's.
    """
    folder = Path(root).expanduser()
    lookup = ImageLookup(folder, REMEDY)
    file = folder / REGIONS
    skipped = Skipped(file)
    known = _images(folder / IMAGES, lookup, skipped, frozenset(exclude_coco or ()))
    facts: dict[int | str, ImageFacts] = {}
    seen: set[int | str] = set()
    for where, image, region in _regions(file, skipped):
        if image not in known:
            skipped.note("region of an image not listed", where)
        elif (found := known[image]) is not None:
            facts.setdefault(image, found)
            _add_region(found, region, seen, skipped, where)
    for image, found in known.items():  # the images without phrase, last: they are counted there
        if found is not None:
            facts.setdefault(image, found)
    return records_of(lookup, facts, skipped, with_boxes=True)


def _list_in(file: Path) -> list[Any]:
    content = read_json(file, "a list from Visual Genome", REMEDY)
    if not isinstance(content, list):
        raise UserError(f"{file}: no list; expected the file of that name from Visual Genome. {REMEDY}")
    return content


def _images(
    file: Path, lookup: ImageLookup, skipped: Skipped, exclude: frozenset[int]
) -> dict[int | str, ImageFacts | None]:
    """Return what is known of each image by its id, None where it is missing or left out."""
    known: dict[int | str, ImageFacts | None] = {}
    tells = False
    for index, entry in enumerate(_list_in(file)):
        where = f"{file.name}, entry {index}"
        number = _id_of(entry, "image_id")
        if number is None:
            skipped.note("image without id", where)
            continue
        tells = tells or "coco_id" in entry
        if number in known:
            skipped.note("duplicated image id", where)
        elif exclude and as_id(entry.get("coco_id")) in exclude:
            skipped.note("image excluded by its COCO id", where)
            known[number] = None
        elif (path := lookup.find(_file_names(entry.get("url"), number), f"{file}, entry {index}")) is None:
            skipped.note("image missing", f"{where} ({str(number)[:80]}.jpg)")
            known[number] = None
        else:
            known[number] = ImageFacts(path, size=as_size(entry))
    if exclude and not tells:
        raise UserError(
            f"{file}: no coco_id in any entry, so images of COCO cannot be told; expected it in every entry. "
            "Fetch the file again, or leave data.exclude_coco out."
        )
    return known


def _id_of(entry: object, key: str) -> int | str | None:
    """Return the id under ``key``, or under ``id`` as the first dumps have it."""
    if not isinstance(entry, dict):
        return None
    number = as_id(entry.get(key))
    return as_id(entry.get("id")) if number is None else number


def _file_names(url: object, number: int | str) -> Iterator[str]:
    """Yield the names that an image may have: the end of its address, and by its id in the folders of the archives."""
    parts = [part for part in url.split("/") if part] if isinstance(url, str) else []
    if len(parts) >= 2 and ".." not in parts:
        yield "/".join(parts[-2:])
    if isinstance(number, int):
        for folder in ("VG_100K/", "VG_100K_2/", "images/", "images/VG_100K/", "images/VG_100K_2/", ""):
            yield f"{folder}{number}.jpg"


def _regions(file: Path, skipped: Skipped) -> Iterator[tuple[str, int | str, dict[str, Any]]]:
    """Yield where a region stands, the id of its image and the region."""
    for index, entry in enumerate(_list_in(file)):
        regions = entry.get("regions") if isinstance(entry, dict) else None
        if not isinstance(regions, list):
            skipped.note("entry without regions", f"entry {index}")
            continue
        outer = _id_of(entry, "image_id")
        for place, region in enumerate(regions):
            where = f"entry {index}, regions[{place}]"
            found = region if isinstance(region, dict) else {}
            inner = as_id(found.get("image_id"))
            image = outer if outer is not None else inner if inner is not None else as_id(found.get("image"))
            if not found or image is None:
                skipped.note("region without image", where)
            else:
                yield where, image, found


def _add_region(facts: ImageFacts, region: dict[str, Any], seen: set[int | str], skipped: Skipped, where: str) -> None:
    if is_repeated(_id_of(region, "region_id"), seen, skipped, "duplicated region id", where):
        return
    if not add_caption(facts, region.get("phrase"), skipped, where):
        return
    numbers = [region.get(key) for key in ("x", "y", "width", "height")]
    box = box_of(len(facts.captions) - 1, numbers, facts.size)
    if box is None:
        skipped.note("box empty, broken or outside the image", where)
    else:
        facts.boxes.append(box)
