"""Lists of concepts in files: counts of images, seen concepts, choices made by hand, published levels."""

import csv
import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from transferbench.concepts.wordnet import WordNet
from transferbench.errors import UserError
from transferbench.unpickle import unpickle

MAPPING = "cog_levels_mapping_file.pkl"
"""ImageNet-CoG's official file: a list of five lists of wnids."""
IMAGENET1K = "imagenet1k"
"""The name of the thousand classes of ImageNet-1K, instead of a file."""
COG_DROPS = "cog"
"""The name of the choices of ImageNet-CoG that are known by name, instead of a file (``cog_drops.txt``)."""

_WNID = re.compile(r"n\d{8}")
_LEVEL_FILE = re.compile(r"level_([1-9]\d*)\.txt")
_NAMED = 5  # how many wnids a message names; the others are counted


def read_counts(path: Path) -> dict[str, int]:
    """Read a CSV file with the columns ``wnid`` and ``images``.

    Raises:
        UserError: the file is missing, or a line of it is wrong (names the line).
    """
    counts: dict[str, int] = {}
    rows = csv.reader(_text(path, "a CSV file with the columns wnid,images").splitlines())
    head = [name.strip() for name in next(rows, [])]
    if not {"wnid", "images"} <= set(head):
        raise UserError(f"{path}, line 1: found {','.join(head)!r}, expected a header with the columns wnid,images")
    wnid_at, images_at = head.index("wnid"), head.index("images")
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        if not row:
            continue
        if len(row) != len(head):
            raise UserError(f"{where}: found {len(row)} columns, expected {len(head)} ({','.join(head)})")
        wnid, images = row[wnid_at].strip(), row[images_at].strip()
        _check_wnid(wnid, counts, where)
        if not images.isdecimal():
            raise UserError(f"{where}: found {images!r} images of {wnid}, expected a whole number")
        counts[wnid] = int(images)
    if not counts:
        raise UserError(f"{path}: no line below the header; expected a wnid and its number of images a line")
    return counts


def read_wnids(path: Path) -> tuple[str, ...]:
    """Read a list: a wnid a line, perhaps a remark behind it; blank lines and those with ``#`` are passed over.

    Raises:
        UserError: the file is missing or empty, or a line of it is wrong (names the line).
    """
    found: dict[str, None] = {}
    for number, line in enumerate(_text(path, "a wnid a line").splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            wnid = line.split()[0]
            _check_wnid(wnid, found, f"{path}, line {number}")
            found[wnid] = None
    if not found:
        raise UserError(f"{path}: no wnid in it; expected one a line")
    return tuple(found)


def read_seen(seen: str | Sequence[str]) -> tuple[str, ...]:
    """The seen concepts: ``imagenet1k``, a file of wnids, a folder with a folder a wnid, or the wnids themselves."""
    if not isinstance(seen, str):
        return tuple(seen)
    if seen == IMAGENET1K:
        return imagenet1k()
    place = Path(seen).expanduser()
    if not place.is_dir():
        return read_wnids(place)
    found = tuple(sorted(entry.name for entry in place.iterdir() if _WNID.fullmatch(entry.name)))
    if not found:
        raise UserError(f"{place}: no folder with a wnid as its name; expected those of the seen concepts")
    return found


def imagenet1k() -> tuple[str, ...]:
    """The wnids of ImageNet-1K in the order of its class indices, from the list that timm carries."""
    package = importlib.util.find_spec("timm")  # found, not imported: that would take seconds
    if package is None or package.origin is None:
        raise UserError("the list of ImageNet-1K comes with timm, which is not installed; pip install timm")
    return read_wnids(Path(package.origin).parent / "data" / "_info" / "imagenet_synsets.txt")


def read_drops(drop: str) -> tuple[str, ...]:
    """The concepts to drop: ``cog`` for those of ImageNet-CoG that are known by name, or a file of wnids."""
    if drop == COG_DROPS:
        return read_wnids(Path(str(files("transferbench.concepts").joinpath("cog_drops.txt"))))
    return read_wnids(Path(drop).expanduser())


def read_levels(place: Path) -> dict[int, tuple[str, ...]]:
    """Read published levels by number: ``level_<k>.txt`` of a folder, or else the official mapping, a pickle.

    Args:
        place: the folder, or a pickle with a list of lists of wnids.

    Returns:
        sorted wnids; a folder may lack some levels.

    Raises:
        UserError: there are none, one is broken, a concept stands in two, or the pickle holds anything else.
    """
    if place.is_dir():
        listed = {int(named[1]): path for path in place.iterdir() if (named := _LEVEL_FILE.fullmatch(path.name))}
        levels = {level: read_wnids(path) for level, path in sorted(listed.items())}
        if not levels and (place / MAPPING).exists():
            return read_levels(place / MAPPING)
        if not levels:
            raise UserError(f"{place}: no level_<k>.txt and no {MAPPING} in it; expected published levels")
    else:
        levels = _unpickled(place)
    level_of: dict[str, int] = {}
    for level, wnids in levels.items():
        twice = [wnid for wnid in wnids if wnid in level_of]
        if twice:
            raise UserError(f"{place}: {listing(twice)} of level {level} stand in level {level_of[twice[0]]} too")
        level_of |= dict.fromkeys(wnids, level)
    return {level: tuple(sorted(wnids)) for level, wnids in levels.items()}


def check_known(wnids: Iterable[str], wordnet: WordNet, source: str) -> None:
    """See that WordNet has all these.

    Raises:
        UserError: it lacks some; counts and names them.
    """
    given = list(wnids)
    unknown = [wnid for wnid in given if wnid not in wordnet]
    if unknown:
        raise UserError(
            f"{source}: {len(unknown)} of {len(given)} wnids are no noun synsets of {wordnet.source} "
            f"({listing(unknown)}); ImageNet's ids are those of WordNet 3.0"
        )


def listing(wnids: Sequence[str]) -> str:
    """The first few of some wnids, for a message, and how many more there are."""
    more = f" and {len(wnids) - _NAMED} more" if len(wnids) > _NAMED else ""
    return ", ".join(wnids[:_NAMED]) + more


def _unpickled(path: Path) -> dict[int, tuple[str, ...]]:
    content: Any = unpickle(path)
    if not isinstance(content, (list, tuple)) or not content:
        raise UserError(f"{path}: found a {type(content).__name__}, expected a list of lists of wnids, one a level")
    levels: dict[int, tuple[str, ...]] = {}
    for level, wnids in enumerate(content, start=1):
        found: dict[str, None] = {}
        for wnid in wnids if hasattr(wnids, "__iter__") else ():
            _check_wnid(str(wnid), found, f"{path}, list {level}")
            found[str(wnid)] = None
        if not found:
            raise UserError(f"{path}, list {level}: no wnid in it; expected a list of lists of wnids, one a level")
        levels[level] = tuple(found)
    return levels


def _check_wnid(wnid: str, before: Mapping[str, object], where: str) -> None:
    if not _WNID.fullmatch(wnid):
        raise UserError(f"{where}: found {wnid[:60]!r}, expected a wnid such as n01322508")
    if wnid in before:
        raise UserError(f"{where}: {wnid} stands there a second time; expected different concepts")


def _text(path: Path, expected: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UserError(f"{path}: cannot read it ({reason}); expected {expected}") from None
