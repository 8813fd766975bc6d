"""The unreadable images met by all worker processes of a run, told once."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from uuid import uuid4

from transferbench.data.images import UnreadableImage
from transferbench.distributed import is_distributed, is_main, world_size
from transferbench.storage import digest_of

log = logging.getLogger(__name__)

NAMED = 5
"""How many images a warning names; the others are counted."""


class UnreadableLog:
    """A file that every worker of every rank on this machine appends to and that rank 0 reads.

    It comes into being with the first unreadable image.
    """

    def __init__(self) -> None:
        self.path = _shared_path()
        if is_main():
            self.remove()  # of an earlier job on the same port
        self._noted: set[str] = set()
        self._told: set[str] = set()

    def note(self, image: UnreadableImage) -> None:
        """Append one image, once a process: one line in one write, which ``O_APPEND`` keeps whole."""
        if image.path in self._noted:
            return
        self._noted.add(image.path)
        line = json.dumps([image.path, image.reason]) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, line.encode("ascii"))
        finally:
            os.close(handle)

    def new(self) -> list[UnreadableImage]:
        """Return the images noted since the last call, each once."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="ascii").splitlines():
            path, reason = json.loads(line)
            if path not in self._told:
                self._told.add(path)
                found.append(UnreadableImage(path, reason))
        return found

    def report(self) -> int:
        """Log one warning that counts and names the new images (rank 0 only); return how many."""
        found = self.new() if is_main() else []
        if found:
            named = "; ".join(str(image) for image in found[:NAMED])
            more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
            images = "1 image" if len(found) == 1 else f"{len(found)} images"
            log.warning("%s could not be read and %s left out: %s%s", images, _were(found), named, more)
        return len(found)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


def _were(found: list[UnreadableImage]) -> str:
    return "was" if len(found) == 1 else "were"


def _shared_path() -> Path:
    """Return a path in the temporary folder, the same on all ranks of this machine without asking each other."""
    job: list[object] = [uuid4().hex]
    if is_distributed():
        keys = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID")
        job = [os.getuid(), world_size(), *(os.environ.get(key, "") for key in keys)]
    return Path(tempfile.gettempdir()) / f"transferbench-unreadable-{digest_of(*job)}.log"
