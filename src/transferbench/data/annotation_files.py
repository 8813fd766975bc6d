"""Files of annotations that people wrote: opened with a clear reason why not, their flaws counted, never silent."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transferbench.errors import UserError

log = logging.getLogger(__name__)


class Skipped:
    """Counts of what a reader leaves out, by reason, with the first example of each.

    Attributes:
        counts: how many, by reason, in the order in which the reasons came up.

    Args:
        source: the file that the entries come from.
    """

    def __init__(self, source: Path | str) -> None:
        self.source = source
        self.counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def note(self, reason: str, where: str) -> None:
        """Count one entry; ``where`` says which, such as ``line 7`` or ``annotations[7]``."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self._first.setdefault(reason, where)

    def __str__(self) -> str:
        return ", ".join(f"{reason}: {count:,}" for reason, count in self.counts.items()) or "nothing left out"

    def report(self) -> None:
        """Log one warning a reason."""
        for reason, count in self.counts.items():
            log.warning("%s: left out, %s: %s, first at %s", self.source, reason, f"{count:,}", self._first[reason])


def read_json(file: Path, expected: str, remedy: str) -> Any:
    """Return the content of a JSON file in UTF-8, with or without a byte order mark.

    Args:
        file: what to read.
        expected: what the file should hold, for the error.
        remedy: what to type, for the error.

    Raises:
        UserError: no such file, not UTF-8, or broken JSON: the message names the line.
    """
    try:
        return json.loads(file.read_bytes().decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        fault = f"broken JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except UnicodeDecodeError as error:
        fault = f"not UTF-8 (byte {error.start})"
    except (OSError, ValueError, RecursionError) as error:
        fault = f"cannot read it ({getattr(error, 'strerror', None) or error})"
    raise UserError(f"{file}: {fault}; expected {expected}. {remedy}")


def json_lists(file: Path, content: Any, keys: tuple[str, ...], remedy: str) -> tuple[list[Any], ...]:
    """Return the lists that an object has under ``keys``; raises ``UserError`` for those it lacks."""
    found = content if isinstance(content, dict) else {}
    lacking = [key for key in keys if not isinstance(found.get(key), list)]
    if lacking:
        raise UserError(f"{file}: no list of {' and of '.join(lacking)} in it. {remedy}")
    return tuple(found[key] for key in keys)


def lines_of(file: Path, expected: str, remedy: str) -> Iterator[tuple[int, str]]:
    r"""Yield the number, from 1, and the text of every line that is not blank; ``\n`` and ``\r\n`` end lines.

    Bytes that are not UTF-8 become the replacement character; a byte order mark is dropped.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="\n") as stream:
            for number, line in enumerate(stream, start=1):
                text = line.rstrip("\r\n")
                if text.strip():
                    yield number, text
    except OSError as error:
        raise UserError(f"{file}: cannot read it ({error.strerror or error}); expected {expected}. {remedy}") from None


def as_id(value: object) -> int | str | None:
    """Return ``value`` if it can name an entry: an integer or a text that is not empty."""
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        return None
    return value


def is_repeated(value: object, seen: set[int | str], skipped: Skipped, reason: str, where: str) -> bool:
    """Tell whether the id ``value`` was ``seen`` before, and count it; what has no id is taken for new."""
    number = as_id(value)
    if number is None:
        return False
    if number in seen:
        skipped.note(reason, where)
        return True
    seen.add(number)
    return False


def as_number(value: object) -> float | None:
    """Return ``value`` if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_length(value: object) -> int:
    """Return ``value`` if it can be a width or height in pixels, else 0."""
    number = as_number(value)
    return int(number) if number is not None and 0 < number < 2**31 else 0


def as_size(entry: Mapping[str, object]) -> tuple[int, int]:
    """Return an entry's (width, height) in pixels, (0, 0) where one of them is unknown."""
    size = as_length(entry.get("width")), as_length(entry.get("height"))
    return size if all(size) else (0, 0)
