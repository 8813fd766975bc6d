"""Which of the image files that annotations name are there: every folder is listed once, not one question a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from transferbench.errors import UserError


class ImageLookup:
    """The files below ``root``.

    Args:
        root: the folder that names are relative to.
        remedy: what to type where that folder is wrong.

    Raises:
        UserError: no such folder.
    """

    def __init__(self, root: Path | str, remedy: str) -> None:
        self.root = Path(root).expanduser()
        self.remedy = remedy
        if not self.root.is_dir():
            what = "a file, not a folder" if self.root.exists() else "no such folder"
            raise UserError(f"{self.root}: {what}; expected the folder of the images. {remedy}")
        self._listed: dict[str, frozenset[str]] = {}

    def find(self, candidates: Iterable[str], where: str) -> str | None:
        """Return the first of ``candidates`` that is a file below the root, relative to it, or None.

        An absolute path counts as the part below the root.

        Args:
            candidates: paths with forward slashes.
            where: the file and the entry that named them, for the error.

        Raises:
            UserError: a path leads out of the root.
        """
        for candidate in candidates:
            name = self._relative(candidate, where)
            folder, _, base = name.rpartition("/")
            if base and base in self._files(folder):
                return name
        return None

    def _relative(self, candidate: str, where: str) -> str:
        if candidate.isprintable() and "/" not in candidate and candidate != "..":
            return candidate if candidate != "." else ""
        path = PurePosixPath(candidate)
        if path.is_absolute():
            root = PurePosixPath(os.path.abspath(self.root))  # noqa: PTH100 - links stay as they are
            path = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath("..")
        if ".." in path.parts:
            raise UserError(f"{where}: the image path {candidate[:200]!r} leads out of {self.root}. {self.remedy}")
        return "/".join(path.parts)

    def _files(self, folder: str) -> frozenset[str]:
        found = self._listed.get(folder)
        if found is None:
            try:
                with os.scandir(f"{self.root}/{folder}") as entries:
                    found = frozenset(entry.name for entry in entries if not entry.is_dir())
            except (OSError, ValueError):  # no such folder, or a name that no folder can have
                found = frozenset()
            self._listed[folder] = found
        return found
