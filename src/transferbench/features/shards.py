"""The parts in which stored features are written, each with a checksum and a line in a journal."""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.storage import digest_of

log = logging.getLogger(__name__)

SMALLEST_SHARD, SHARDS, LARGEST_SHARD = 256, 64, 4096
"""A set of images is cut into about ``SHARDS`` parts within these sizes: enough for many GPUs, few enough to record."""
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a record raises when it is not as it was written."""
_PIECE = 2**24  # bytes read at once when a shard is checked


def cut(count: int) -> list[range]:
    """Return the positions of ``count`` images, shard by shard."""
    size = min(max(-(-count // SHARDS), SMALLEST_SHARD), LARGEST_SHARD)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


@dataclass(frozen=True)
class Shard:
    """What is known of the rows of the images ``start`` to ``stop`` once they are written.

    While an entry is made each image has its place in the file, an unreadable one a row of zeros; in a finished entry
    the rows of the readable ones stand without gaps.
    """

    start: int
    stop: int
    first: int
    """Where the shard's rows begin in the file, in rows."""
    rows: int
    """How many they are, 0 where no image of the shard could be read."""
    width: int
    """D, 0 without rows."""
    crc: int
    """CRC-32 of the rows."""
    unreadable: tuple[int, ...] = ()
    """Positions in the image set."""

    @property
    def in_place(self) -> bool:
        """Whether the rows lie as they do while the entry is made."""
        return self.first == self.start and self.rows in (0, self.stop - self.start)

    def plain(self) -> dict[str, Any]:
        """Return plain values, with a digest of them."""
        values = asdict(self)
        return {**values, "check": digest_of(values)}

    @classmethod
    def from_plain(cls, plain: Any) -> Shard:
        """Return the shard that ``plain`` gave; raises one of ``DAMAGED`` if anything about it has changed."""
        values = {key: value for key, value in plain.items() if key != "check"}
        if plain["check"] != digest_of(values):
            raise ValueError("the record of a shard has changed")
        return cls(**{**values, "unreadable": tuple(values["unreadable"])})

    def line(self) -> str:
        """Return the shard's line in a journal."""
        return json.dumps(self.plain()) + "\n"

    def holds(self, data: Path, row_bytes: int) -> bool:
        """Tell whether the rows in the file ``data``, ``row_bytes`` each, have the checksum."""
        if not self.rows:
            return True
        crc, end = 0, (self.first + self.rows) * row_bytes
        try:
            with data.open("rb") as file:
                for at in range(self.first * row_bytes, end, _PIECE):
                    piece = os.pread(file.fileno(), min(_PIECE, end - at), at)
                    if len(piece) < min(_PIECE, end - at):
                        return False
                    crc = zlib.crc32(piece, crc)
        except OSError as error:
            log.warning("%s cannot be read: %s", data, error)
            return False
        return crc == self.crc


def width_of(shards: Iterable[Shard]) -> int:
    """Return D, 0 if no image could be read."""
    return next((shard.width for shard in shards if shard.width), 0)


def close_gaps(shards: Sequence[Shard], data: Path, row_bytes: int) -> list[Shard]:
    """Move the rows of the readable images together in the file ``data``, and return the shards as they lie then.

    A process that dies in here has to make again what it had moved, as the journal's checksums say.
    """
    closed, first = [], 0
    with data.open("r+b") as file:
        for shard in shards:
            if first < shard.start or (shard.rows and shard.unreadable):
                shard = _moved(shard, first, file.fileno(), row_bytes)
            closed.append(shard)
            first += shard.rows
        os.ftruncate(file.fileno(), first * row_bytes)
        os.fsync(file.fileno())
    return closed


def _moved(shard: Shard, first: int, file: int, row_bytes: int) -> Shard:
    """Move the rows of the readable images of ``shard`` to ``first`` or later, the unreadable ones' dropped."""
    step, crc, count = max(1, _PIECE // row_bytes), 0, 0
    for start in range(shard.start, shard.start + shard.rows, step):
        images = np.arange(start, min(start + step, shard.stop))
        block = np.frombuffer(os.pread(file, len(images) * row_bytes, start * row_bytes), np.uint8)
        kept = block.reshape(len(images), row_bytes)[~np.isin(images, shard.unreadable)].tobytes()
        os.pwrite(file, kept, (first + count) * row_bytes)
        crc, count = zlib.crc32(kept, crc), count + len(kept) // row_bytes
    return replace(shard, first=first, rows=count, crc=crc)


def read_journal(path: Path) -> list[Shard]:
    """Return the shards in a journal; a line cut short by the end of its process is left out."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            found.append(Shard.from_plain(json.loads(line)))
        except DAMAGED:
            continue
    return found
