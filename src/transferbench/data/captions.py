"""Images with captions: the records that every reader of caption data gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from transferbench.data.annotation_files import Skipped, as_number
from transferbench.data.image_lookup import ImageLookup
from transferbench.data.image_set import FolderImages, ImageSet
from transferbench.errors import UserError
from transferbench.storage import digest_of


class Box(NamedTuple):
    """A rectangle in pixels of the image as it lies in its file, from the upper left corner of it.

    ``tag`` is an index into the records' ``tag_names``; in records without tags, the index of the image's caption that
    describes the rectangle.
    """

    tag: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class CaptionRecords:
    """N images with at least one caption each.

    Attributes:
        images: the N images; their label is their index, so that a batch of them says which captions belong to it.
        captions: the captions of each image, none empty, white space collapsed.
        ids: what the data set calls each image.
        tag_names: the names of the tags.
        tags: the tags of each image, indices into ``tag_names``; None where the data set has none.
        boxes: the rectangles of each image; None where the data set has none.
        sizes: (width, height) of each image in pixels as annotated, (0, 0) where that is unknown; None for all unknown.
        skipped: how much was left out, by reason.
    """

    images: ImageSet
    captions: tuple[tuple[str, ...], ...]
    ids: tuple[int | str, ...]
    tag_names: tuple[str, ...] = ()
    tags: tuple[frozenset[int], ...] | None = None
    boxes: tuple[tuple[Box, ...], ...] | None = None
    sizes: tuple[tuple[int, int], ...] | None = None
    skipped: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = (self.captions, self.ids, self.tags, self.boxes, self.sizes)
        if any(column is not None and len(column) != len(self.images) for column in columns):
            raise ValueError(f"{len(self.images)} images, but {[None if c is None else len(c) for c in columns]} rows")

    def __len__(self) -> int:
        return len(self.images)

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change when an image, a caption, an id, a tag or a box changes."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        tags = None if self.tags is None else [sorted(tags) for tags in self.tags]
        return digest_of(self.images.digest(), self.captions, self.ids, self.tag_names, tags, self.boxes, self.sizes)


@dataclass
class ImageFacts:
    """What a reader knows of one image.

    Attributes:
        name: the path of the image below the folder of images.
        captions: the captions found so far.
        tags: indices into the names of tags.
        boxes: the rectangles found so far.
        size: (width, height) in pixels, (0, 0) where unknown.
    """

    name: str
    captions: list[str] = field(default_factory=list)
    tags: set[int] = field(default_factory=set)
    boxes: list[Box] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)


def records_of(
    lookup: ImageLookup,
    facts: Mapping[int | str, ImageFacts],
    skipped: Skipped,
    tag_names: Sequence[str] | None = None,
    with_boxes: bool = False,
) -> CaptionRecords:
    """Make records of the images that have a caption, in the order of ``facts``; warn of all that was left out.

    Args:
        lookup: where the images are.
        facts: by the image's id.
        skipped: what was left out so far; images without caption are added.
        tag_names: the names of the tags, None for records without tags.
        with_boxes: whether the records have boxes.

    Raises:
        UserError: no image is left.
    """
    for number, found in facts.items():
        if not found.captions:
            skipped.note("image without caption", f"image {str(number)[:80]} ({found.name})")
    kept = {number: found for number, found in facts.items() if found.captions}
    if not kept:
        raise UserError(f"{skipped.source}: no image with a caption in {lookup.root} ({skipped}). {lookup.remedy}")
    skipped.report()
    names = [found.name for found in kept.values()]
    sizes = tuple(found.size for found in kept.values())
    return CaptionRecords(
        FolderImages(lookup.root, names, np.arange(len(names)), ()),
        tuple(tuple(found.captions) for found in kept.values()),
        tuple(kept),
        tuple(tag_names or ()),
        None if tag_names is None else tuple(frozenset(found.tags) for found in kept.values()),
        tuple(tuple(found.boxes) for found in kept.values()) if with_boxes else None,
        sizes if any(size != (0, 0) for size in sizes) else None,
        dict(skipped.counts),
    )


def add_caption(facts: ImageFacts, text: object, skipped: Skipped, where: str) -> bool:
    """Add a caption to an image; count one that is no text or empty, and return whether it was added."""
    if not isinstance(text, str):
        skipped.note("caption is no text", where)
        return False
    caption = clean_caption(text)
    if not caption:
        skipped.note("empty caption", where)
        return False
    facts.captions.append(caption)
    return True


def clean_caption(text: str) -> str:
    """Return ``text`` with white space collapsed and without control characters and halves of surrogate pairs.

    What has no visible character is empty.
    """
    caption = " ".join(text.split())
    if caption.isprintable():
        return caption
    whole = caption.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    visible = " ".join("".join(c for c in whole if c >= " " and not "\x7f" <= c <= "\x9f" and c != "\ufeff").split())
    return visible if any(c.isprintable() and c != " " for c in visible) else ""


def box_of(tag: int, numbers: Sequence[object], size: tuple[int, int]) -> Box | None:
    """Return the rectangle of x, y, width and height as ``clipped`` does; None also where these are no four numbers."""
    known = [number for value in numbers if (number := as_number(value)) is not None]
    if len(numbers) != 4 or len(known) != 4:
        return None
    x, y, width, height = known
    return clipped(Box(tag, x, y, x + width, y + height), size)


def clipped(box: Box, size: tuple[int, int]) -> Box | None:
    """Return the part of ``box`` inside an image of ``size`` (width, height); None where that is empty.

    (0, 0) is the size of an image of which nothing is known.
    """
    width, height = size if size != (0, 0) else (float("inf"), float("inf"))
    left, top = max(box.left, 0.0), max(box.top, 0.0)
    right, bottom = min(box.right, float(width)), min(box.bottom, float(height))
    return Box(box.tag, left, top, right, bottom) if left < right and top < bottom else None
