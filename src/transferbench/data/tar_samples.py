"""The samples of one webdataset shard, streamed: neighbouring members of one name are a sample."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from transferbench.data.annotation_files import Skipped
from transferbench.data.captions import clean_caption

IMAGE_SUFFIXES = ("jpg", "png", "jpeg", "webp")
LARGEST = 2**28
"""Bytes of the largest member that is read: what is larger is no photo."""

Part: TypeAlias = tuple[bytes, int]
"""The content of a member, and where it begins in the archive."""
NOTHING: Part = (b"", 0)


@dataclass(frozen=True)
class TarSample:
    """One sample as it lies in the shard.

    Attributes:
        key: folder and name of its members, up to the first dot of the name.
        image: the bytes of the image's file.
        captions: at least one.
        offset: where the image's bytes begin in the archive, decompressed.
    """

    key: str
    image: bytes
    captions: tuple[str, ...]
    offset: int = 0


class _StrictInfo(tarfile.TarInfo):
    """A header that has to be whole: ``tarfile`` itself takes a damaged one for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _StrictInfo:
        """Read the next header; raises ``ReadError`` where it is damaged or cut off."""
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the blocks of zeros that end every whole archive
                raise
            raise tarfile.ReadError(str(error) or "damaged header") from error


def samples_in(shard: Path, skipped: Skipped, caption_field: str | None = None) -> Iterator[TarSample]:
    """Yield the samples of ``shard`` that have an image and a caption, in order, reading it once from front to back.

    A member's key is its path up to the first dot of its name, the rest its suffix, whatever the case. A new key, or a
    suffix that is there already, begins a new sample. Never more than one sample is held.

    Args:
        shard: a tar archive, compressed or not.
        skipped: counts what is left out; a shard that is damaged gives the samples before the damage.
        caption_field: the field of the ``.json`` member that holds the caption, or a list of them; None for ``.txt``.
    """
    key, parts = "", dict[str, Part]()
    for new, suffix, part in _members(shard, skipped, "txt" if caption_field is None else "json"):
        if new != key or suffix in parts:
            yield from _sample(shard, key, parts, skipped, caption_field)
            key, parts = new, {}
        if part is not None:
            parts[suffix] = part
    yield from _sample(shard, key, parts, skipped, caption_field)


def _members(shard: Path, skipped: Skipped, caption_suffix: str) -> Iterator[tuple[str, str, Part | None]]:
    """Yield key, suffix and, of images and captions, the content and where it begins."""
    wanted = (*IMAGE_SUFFIXES, caption_suffix)
    try:
        with tarfile.open(shard, "r|*", tarinfo=_StrictInfo) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined] # kept for random access, which a stream has not
                folder, slash, base = member.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if member.isdir() or base.startswith("."):
                    continue
                if not member.isfile() or not suffix or member.size > LARGEST:
                    skipped.note(
                        "member that is no file, has no suffix or is too large", f"{shard}, {member.name[:80]}"
                    )
                    continue
                stream = archive.extractfile(member) if suffix.lower() in wanted else None
                part = None if stream is None else (stream.read(), member.offset_data)
                yield f"{folder}{slash}{stem}", suffix.lower(), part
    except Exception as error:  # damaged archives raise almost anything; what was before the damage is used
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        skipped.note("shard damaged or cut off, its rest", f"{shard} ({reason})")


def _sample(
    shard: Path, key: str, parts: dict[str, Part], skipped: Skipped, caption_field: str | None
) -> Iterator[TarSample]:
    """Yield the sample if it is whole, count it otherwise; members of other kinds alone are nothing."""
    if not parts:
        return
    image = next((parts[suffix] for suffix in IMAGE_SUFFIXES if suffix in parts), None)
    captions = _captions(parts, caption_field)
    if image is None:
        skipped.note("sample without image", f"{shard}, {key[:80]}")
    elif not captions:
        skipped.note("sample without caption", f"{shard}, {key[:80]}")
    else:
        yield TarSample(key, image[0], captions, image[1])


def _captions(parts: dict[str, Part], caption_field: str | None) -> tuple[str, ...]:
    if caption_field is None:
        texts: list[object] = [parts.get("txt", NOTHING)[0].decode("utf-8-sig", "replace")]
    else:
        try:
            content = json.loads(parts.get("json", NOTHING)[0].decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            return ()
        value = content.get(caption_field) if isinstance(content, dict) else None
        texts = value if isinstance(value, list) else [value]
    cleaned = [clean_caption(text) for text in texts if isinstance(text, str)]
    return tuple(caption for caption in cleaned if caption)
