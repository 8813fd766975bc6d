"""Captions of Flickr8k and Flickr30k as first distributed: lines ``<image>#<number> TAB <caption>`` and split lists.

Flickr8k: Hodosh et al., JAIR 2013 (``Flickr8k.token.txt``); Flickr30k: Young et al., TACL 2014
(``results_20130124.token``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from transferbench.data.annotation_files import Skipped, lines_of
from transferbench.data.captions import CaptionRecords, ImageFacts, add_caption, records_of
from transferbench.data.image_lookup import ImageLookup
from transferbench.errors import UserError

FILE_REMEDY = "Set data.captions=FILE to Flickr8k.token.txt or results_20130124.token."
IMAGES_REMEDY = "Set data.images=FOLDER to the folder of the images."


def read_flickr_tokens(file: Path | str, images: Path | str, split: Path | str | None = None) -> CaptionRecords:
    """Read the captions, images in the order of their first one; an image's id is its name.

    Args:
        file: the captions.
        images: the folder of the images.
        split: a list of the images to take, a name a line with or without ``.jpg``, such as
            ``Flickr_8k.trainImages.txt``; all images when None.

    Raises:
        UserError: a file or folder is missing, or no image with a caption is there.
    """
    source = Path(file).expanduser()
    lookup = ImageLookup(images, IMAGES_REMEDY)
    skipped = Skipped(source)
    wanted = None if split is None else _listed(Path(split).expanduser())
    facts: dict[int | str, ImageFacts] = {}
    seen: set[str] = set()
    missing: set[str] = set()
    for number, name, which, caption in _captions(source, skipped):
        if name in missing or (wanted is not None and _stem(name) not in wanted):
            continue
        if name not in facts:
            path = lookup.find((name,), f"{source}, line {number}")
            if path is None:
                missing.add(name)
                skipped.note("image missing", f"line {number} ({name[:80]})")
                continue
            facts[name] = ImageFacts(path)
        if f"{name}#{which}" in seen:
            skipped.note("duplicated caption id", f"line {number}")
            continue
        seen.add(f"{name}#{which}")
        add_caption(facts[name], caption, skipped, f"line {number}")
    captioned = {_stem(str(name)) for name in facts} | {_stem(name) for name in missing}
    for name in sorted((wanted or set()) - captioned):
        skipped.note("image of the split without caption", name[:80])
    return records_of(lookup, facts, skipped)


def _captions(file: Path, skipped: Skipped) -> Iterator[tuple[int, str, str, str]]:
    """Yield the number of the line, the name of the image, the number of the caption and the caption."""
    for number, line in lines_of(file, "an image's name, #, a number, a TAB and a caption a line", FILE_REMEDY):
        key, tab, caption = line.partition("\t")
        name, mark, which = key.strip().rpartition("#")
        if tab and mark and name and which.isascii() and which.isdigit():
            yield number, name, which, caption
        else:
            skipped.note("line broken", f"line {number}")


def _listed(file: Path) -> set[str]:
    names = {_stem(line.strip()) for _, line in lines_of(file, "an image's name a line", "Set data.split=FILE.")}
    if not names:
        raise UserError(f"{file}: no names in it; expected an image's name a line. Set data.split=FILE.")
    return names


def _stem(name: str) -> str:
    return name[:-4] if name.lower().endswith(".jpg") else name
