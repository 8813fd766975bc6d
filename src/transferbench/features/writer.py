"""Writes the rows of one process into an entry of the feature store."""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import RunFailed, UserError
from transferbench.features.entry import Entry
from transferbench.features.extract import refuse_non_finite
from transferbench.features.rows import disk_dtype, encode
from transferbench.features.shards import Shard


class ShardWriter:
    """Takes rows in the order of ``shards`` and writes them at their places; each finished shard gets its line.

    The images of ``shards`` for which no row comes are the unreadable ones. A context manager: left with an error, the
    shard under way is forgotten, and the finished ones stay.

    Args:
        entry: where they go; ``prepare`` has been called.
        shards: the images to come, ascending.
        rank: of this process, among those that write the entry together.
    """

    def __init__(self, entry: Entry, shards: Sequence[range], rank: int = 0) -> None:
        self.entry, self.rank = entry, rank
        self.width = 0
        self._file: int | None = None
        self._todo = list(reversed(shards))
        self._begin()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.complete()
        finally:
            self.release()

    def add(self, where: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Write the ``rows`` (B, D) of the images at ``where`` (B,), which ascend from call to call.

        Raises:
            UserError: a row is not a vector, or of another length than those before.
            RunFailed: a feature is not finite or too large for its type, or the disk is full.
        """
        if rows.ndim != 2 or not rows.size or self.width not in (0, rows.shape[1]):
            expected = f"(B, {self.width or 'D'})"
            raise UserError(
                f"the backbone gives features of shape {rows.shape}; expected {expected}, a vector an image"
            )
        refuse_non_finite(rows)
        self.width = rows.shape[1]
        stored = encode(rows, self.entry.storage)
        start = 0
        while start < len(where):
            while where[start] >= self._shard.stop:
                self._end()
            stop = int(np.searchsorted(where, self._shard.stop))
            self._put(where[start:stop], stored[start:stop])
            if self._next == self._shard.stop:
                self._end()
            start = stop

    def complete(self) -> None:
        """End the last shard and bring all of them to the disk; raises ``RunFailed`` when it is full."""
        while len(self._shard):
            self._end()
        if self._file is not None:
            with self.entry.guarded():
                os.fsync(self._file)

    def release(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin(self) -> None:
        self._shard = self._todo.pop() if self._todo else range(self.entry.count, self.entry.count)
        self._next, self._crc, self._written = self._shard.start, 0, False
        self._unreadable: list[int] = []

    def _put(self, where: NDArray[np.int64], stored: NDArray[Any]) -> None:
        """Write the rows from the next image on to the last of ``where``, zeros between them."""
        images = np.arange(self._next, int(where[-1]) + 1)
        block = np.zeros((len(images), stored.shape[1]), disk_dtype(self.entry.storage))
        block[where - self._next] = stored
        self._write(block)
        self._unreadable += np.setdiff1d(images, where).tolist()
        self._written = True

    def _end(self) -> None:
        """Fill the shard up, and note it in the journal."""
        left = range(self._next, self._shard.stop)
        self._unreadable += left
        if self._written and left:
            self._write(np.zeros((len(left), self.width), disk_dtype(self.entry.storage)))
        images, width = self._shard, self.width if self._written else 0
        rows = len(images) if self._written else 0
        shard = Shard(images.start, images.stop, images.start, rows, width, self._crc, tuple(self._unreadable))
        journal = self.entry.folder / f"journal-{self.rank}.jsonl"
        with self.entry.guarded(), journal.open("a", encoding="utf-8") as file:
            file.write(shard.line())
        self._begin()

    def _write(self, block: NDArray[Any]) -> None:
        data = block.data.cast("B")
        with self.entry.guarded():
            if self._file is None:
                self._file = self._opened()
            at, done = self._next * self.entry.row_bytes(self.width), 0
            while done < len(data):
                done += os.pwrite(self._file, data[done:], at + done)
        self._crc = zlib.crc32(data, self._crc)
        self._next += len(block)

    def _opened(self) -> int:
        """Open the file and take the room for all rows: that a disk is too small is found now and not after hours.

        It is written by ``pwrite`` alone: a full disk is an error there, and the end of the process in a memory map.
        """
        size = self.entry.count * self.entry.row_bytes(self.width)
        file = os.open(self.entry.data, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if os.fstat(file).st_size < size:
                _take_room(file, size)
        except OSError as error:
            os.close(file)
            if self.entry.missing() == self.entry.shards:
                self.entry.data.unlink(missing_ok=True)
            free = shutil.disk_usage(self.entry.folder).free
            raise RunFailed(
                f"{self.entry.folder}: the features of {self.entry.count} images take {size / 2**20:.1f} MiB as "
                f"{self.entry.storage}, {free / 2**20:.1f} MiB are free there ({error.strerror}); make room, choose "
                "another folder, or store 16 bits a number (transfer.storage=float16)"
            ) from None
        return file


def _take_room(file: int, size: int) -> None:
    """Make a file ``size`` bytes long, and where the system can, take the blocks for them."""
    try:
        os.posix_fallocate(file, 0, size)
    except (AttributeError, OSError) as error:  # macOS does not have it, some file systems neither
        if getattr(error, "errno", errno.EOPNOTSUPP) not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        os.ftruncate(file, size)
