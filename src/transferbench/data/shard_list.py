"""Which shards of a webdataset there are, and how many samples lie in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from transferbench.data.annotation_files import read_json
from transferbench.errors import UserError

MOST = 1_000_000
"""More shards than this are taken for a slip in the braces."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def find_shards(sources: str) -> list[list[Path]]:
    """Return the shards of every source, in order.

    Args:
        sources: one or several joined by ``::``, each a folder of ``.tar`` files or the paths of shards with braces:
            ``cc3m/{00000..00331}.tar`` counts, ``{train,val}/0.tar`` lists.

    Raises:
        UserError: braces that do not pair or count, a source that is an address, or shards that are not there.
    """
    found = [_shards_of(source.strip()) for source in sources.split("::")]
    shards = [shard for group in found for shard in group]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        raise UserError(
            f"{missing[0]}: no such file ({len(missing):,} of {len(shards):,} shards are missing); "
            "set data.shards to the shards that are there, such as \"data.shards='folder/{00000..00099}.tar'\"."
        )
    return found


def _shards_of(source: str) -> list[Path]:
    if not source:
        raise UserError(
            "data.shards names no shard; set it to a folder, or: \"data.shards='folder/{00000..00099}.tar'\"."
        )
    if source.startswith("pipe:") or "://" in source:
        raise UserError(f"data.shards names {source}: only files are read; fetch the shards and name their folder.")
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return [Path(name).expanduser() for name in expand_braces(source)]
    shards = sorted(folder.glob("*.tar"))
    if not shards:
        raise UserError(f"{folder}: no .tar files in it; set data.shards to a folder of shards.")
    return shards


def expand_braces(pattern: str) -> list[str]:
    """Return the names that a pattern stands for: ``{08..11}`` counts with leading zeros kept, ``{a,b}`` lists.

    Raises:
        UserError: braces that do not pair, that hold neither, or that stand for more than a million names.
    """
    pieces = _BRACES.split(pattern)
    choices = [_choices(piece, pattern) if index % 2 else (piece,) for index, piece in enumerate(pieces)]
    if any(mark in piece for piece in pieces[::2] for mark in "{}"):
        raise UserError(f"data.shards: the braces of {pattern!r} do not pair; expected such as {{00000..00099}}.")
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MOST:
        raise UserError(f"data.shards: {pattern!r} stands for more than {MOST:,} shards; check the braces.")
    return ["".join(names) for names in product(*choices)]


def _choices(inside: str, pattern: str) -> Sequence[str]:
    counted = _RANGE.fullmatch(inside)
    if counted is None:
        if "," not in inside:
            raise UserError(
                f"data.shards: {{{inside}}} in {pattern!r} is neither a range such as {{00000..00099}} "
                "nor a list such as {a,b}."
            )
        return inside.split(",")
    first, last = counted.groups()
    if len(last) > 12 or not int(first) <= int(last) < int(first) + MOST:
        raise UserError(f"data.shards: {{{inside}}} in {pattern!r} does not count up to at most {MOST:,} shards.")
    width = len(first)
    return [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]


def count_samples(shards: Sequence[Path]) -> int:
    """Return the number of samples in ``shards`` as their folders tell it.

    ``sizes.json`` gives the samples by the name of a shard; else ``__len__`` holds the number of all of the folder.

    Raises:
        UserError: a folder tells nothing, or not of all these shards.
    """
    folders: dict[Path, list[Path]] = {}
    for shard in shards:
        folders.setdefault(shard.parent, []).append(shard)
    return sum(_count_in(folder, inside) for folder, inside in folders.items())


def _count_in(folder: Path, shards: Sequence[Path]) -> int:
    remedy = "Set data.samples=N to the number of samples in all shards."
    sizes, length = folder / "sizes.json", folder / "__len__"
    if sizes.is_file():
        listed = read_json(sizes, "the number of samples by the name of the shard", remedy)
        total = 0
        for shard in shards:
            count = listed.get(shard.name) if isinstance(listed, dict) else None
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise UserError(f"{sizes}: no number of samples for {shard.name}. {remedy}")
            total += count
        return total
    if not length.is_file():
        raise UserError(f"{folder}: neither sizes.json nor __len__ tells how many samples the shards hold. {remedy}")
    try:
        text = length.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise UserError(f"{length}: {text[:40]!r} is no number of samples. {remedy}")
    there = len(list(folder.glob("*.tar")))
    if there != len(set(shards)):
        raise UserError(f"{length} counts {there:,} shards, of which {len(set(shards)):,} are named. {remedy}")
    return int(text) * len(shards) // len(set(shards))
