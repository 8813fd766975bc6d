"""One entry of the feature store: a file of rows, written shard by shard, that a process may leave at any moment."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import transferbench
from transferbench.errors import RunFailed, UserError
from transferbench.features.rows import Storage, StoredRows, disk_dtype
from transferbench.features.shards import DAMAGED, Shard, close_gaps, cut, read_journal, width_of
from transferbench.storage import digest_of, locked, write_text

log = logging.getLogger(__name__)

KEPT = "the rows written so far are kept, and the same command goes on from there once that is mended"


class Entry:
    """The features of one set of images, in a folder of their own.

    ``x.bin`` holds the rows; ``journal*.jsonl`` a line for each finished shard, one file a writing process;
    ``meta.json``, written last and in place of the journals, says that all are there.

    Args:
        folder: the entry's own.
        parts: what the features depend on, in words.
        count: images in the set.
        storage: how the numbers lie in the file.
    """

    def __init__(self, folder: Path, parts: Mapping[str, str], count: int, storage: Storage = "float32") -> None:
        self.folder, self.parts, self.count, self.storage = folder, dict(parts), count, storage
        self.data, self.meta, self.journal = folder / "x.bin", folder / "meta.json", folder / "journal.jsonl"

    @cached_property
    def shards(self) -> list[range]:
        """The images of each shard."""
        return cut(self.count)

    def row_bytes(self, width: int) -> int:
        """Return the length of a row of ``width`` numbers in the file."""
        return width * disk_dtype(self.storage).itemsize

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing the entry, after waiting for one that does."""
        lock = self.folder.with_name(f"{self.folder.name}.lock")
        with self.guarded():
            lock.parent.mkdir(parents=True, exist_ok=True)
            if _is_held(lock):
                log.warning("%s: another process is writing these features; waiting for it", self.folder)
        with locked(lock):
            yield

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn an error of the file system into ``RunFailed``, which says what is kept."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                place = next(place for place in (self.folder, *self.folder.parents) if place.exists())
                reason += f", {shutil.disk_usage(place).free / 2**20:.1f} MiB are free"
            raise RunFailed(f"{self.folder}: the features cannot be written ({reason}); {KEPT}") from None

    def complete(self, check: bool = True) -> list[Shard] | None:
        """Return all shards of a finished entry, None if it is not finished or not whole.

        ``check`` reads all rows and compares their checksums; without it only their number is compared.
        """
        if not self.meta.exists():
            return None
        shards, fault = self._examined(check)
        return None if fault else shards

    def _examined(self, check: bool) -> tuple[list[Shard], str]:
        """Return the shards in ``meta.json``, and what is wrong with it or with their rows."""
        try:
            shards = self._finished()
        except DAMAGED as error:
            return [], f"its meta.json is damaged ({error})"
        expected = sum(shard.rows for shard in shards) * self.row_bytes(width_of(shards))
        found = self.data.stat().st_size if self.data.exists() else 0
        if found != expected:
            return shards, f"its x.bin has {found} bytes, not {expected}"
        bad = len(shards) - len(self.sound(shards)) if check else 0
        return shards, f"its x.bin has changed in {bad} of {len(shards)} parts" if bad else ""

    def _finished(self) -> list[Shard]:
        """Return the shards in ``meta.json``; raises one of ``DAMAGED``."""
        stored = json.loads(self.meta.read_text(encoding="utf-8"))
        if stored.pop("check") != digest_of(stored):
            raise ValueError("it has changed")
        if stored["parts"] != self.parts:
            raise ValueError("it stands for other features")
        shards = [Shard.from_plain(plain) for plain in stored["shards"]]
        if [range(shard.start, shard.stop) for shard in shards] != self.shards:
            raise ValueError("it is cut into other parts")
        return shards

    def prepare(self) -> None:
        """Throw away what is damaged, and write down in ``journal.jsonl`` which shards are there."""
        if self.meta.exists():
            _, fault = self._examined(check=True)
            if not fault:
                return
            log.warning("%s: %s; what is damaged of these features is made again", self.folder, fault)
        with self.guarded():
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = self.sound([shard for shard in self._recorded() if shard.in_place])
            write_text(self.journal, "".join(shard.line() for shard in kept))
            self.meta.unlink(missing_ok=True)
            for journal in set(self._journals()) - {self.journal}:
                journal.unlink()
            if not kept:
                self.data.unlink(missing_ok=True)
        there = sum(shard.stop - shard.start for shard in kept)
        if there:
            log.warning("%s: going on after %d of %d images", self.folder, there, self.count)

    def missing(self) -> list[range]:
        """Return the images of the shards that ``prepare`` did not find."""
        if self.meta.exists():
            return []
        there = {shard.start for shard in read_journal(self.journal)}
        return [images for images in self.shards if images.start not in there]

    def finish(self) -> list[Shard]:
        """Write ``meta.json``, now that every shard is there, and return them all.

        Raises:
            UserError: not one image could be read.
            RunFailed: shards are missing, or the disk is full.
        """
        found = {shard.start: shard for shard in self._recorded()}
        absent = [images for images in self.shards if images.start not in found]
        if absent:
            raise RunFailed(
                f"{self.folder}: the rows of {sum(map(len, absent))} of {self.count} images are missing; expected "
                "every process to write into this folder (several machines need one that all of them see)"
            )
        shards = [found[images.start] for images in self.shards]
        if not width_of(shards):
            raise UserError(f"none of the {self.count} images could be read; expected at least one")
        if not self.meta.exists():
            with self.guarded():
                shards = close_gaps(shards, self.data, self.row_bytes(width_of(shards)))
                write_text(self.meta, self._meta_text(shards))
                for journal in self._journals():
                    journal.unlink()
        return shards

    def _meta_text(self, shards: Sequence[Shard]) -> str:
        plain = {
            "parts": self.parts,
            "images": self.count,
            "readable": sum(shard.rows for shard in shards),
            "width": width_of(shards),
            "storage": self.storage,
            "made_by": f"transferbench {transferbench.__version__}",
            "shards": [shard.plain() for shard in shards],
        }
        return json.dumps({**plain, "check": digest_of(plain)}, indent=1) + "\n"

    def rows(self, shards: Sequence[Shard]) -> tuple[StoredRows, NDArray[np.int64]]:
        """Return the rows of the readable images and their positions in the set, given all ``shards``."""
        unreadable = [position for shard in shards for position in shard.unreadable]
        positions = np.delete(np.arange(self.count), unreadable)
        return StoredRows(self.data, self.storage, len(positions), width_of(shards)), positions

    def _journals(self) -> list[Path]:
        return sorted(self.folder.glob("journal*.jsonl"))

    def _recorded(self) -> list[Shard]:
        """Return the shards in the journals, and in a ``meta.json`` whose rows are not whole."""
        found = [shard for journal in self._journals() for shard in read_journal(journal)]
        try:
            return found + (self._finished() if self.meta.exists() else [])
        except DAMAGED:
            return found

    def sound(self, shards: Sequence[Shard]) -> list[Shard]:
        """Return those of ``shards`` that fit the set and whose rows in the file have their checksum."""
        width = width_of(shards)
        known = {(images.start, images.stop) for images in self.shards}
        fitting = {s.start: s for s in shards if (s.start, s.stop) in known and s.width in (0, width)}
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            good = list(pool.map(lambda shard: shard.holds(self.data, self.row_bytes(width)), fitting.values()))
        return [shard for shard, holds in zip(fitting.values(), good) if holds]


def _is_held(lock: Path) -> bool:
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
