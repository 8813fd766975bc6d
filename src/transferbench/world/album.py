"""The embedded world's captioned pictures on disk: rendered on first use into the cache, found there afterwards."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transferbench.errors import UserError
from transferbench.storage import cache_dir, digest_of, locked, write_text
from transferbench.world.album_painter import PLAN, SPLITS, Chunk, Plan
from transferbench.world.cache import SOURCES, contents
from transferbench.world.coco import caption_file, instance_file
from transferbench.world.crew import paint_chunks
from transferbench.world.lexicon import write_lexicon
from transferbench.world.nouns import noun_of, plural_of
from transferbench.world.painters import progress_bar
from transferbench.world.taxonomy import Concept, concept_ids, leaves, read_taxonomy

log = logging.getLogger(__name__)

CHUNK = 50  # pictures between two records
DONE = "done.json"  # written when everything is there
# What pictures, captions and annotations depend on, beside the sources of the world; this module is left out.
ALBUM_SOURCES = (
    *SOURCES,
    "world/colour_words.py",
    "world/crowd.py",
    "world/layout.py",
    "world/survey.py",
    "world/nouns.py",
    "world/phrases.py",
    "world/view.py",
    "world/lexicon.py",
    "world/coco.py",
    "world/album_painter.py",
)


@dataclass(frozen=True)
class Album:
    """Where the album lies.

    ``folder`` holds ``train/*.jpg`` and ``val/*.jpg``; ``annotations`` with ``captions_<split>.json`` and
    ``instances_<split>.json``; ``wordnet`` with the index files of the captions' words. ``seconds`` were spent on
    rendering by this call. ``contaminated`` are the names of unseen concepts that a caption contains as words.
    """

    folder: Path
    seconds: float
    digest: str
    contaminated: tuple[str, ...]


def open_album(
    names: Mapping[str, str],
    draw_seed: int = 0,
    world_seed: int = 0,
    progress: bool = True,
    *,
    pictures: int = 6000,
    held_out: int = 600,
    captions: int = 5,
    size: int = 96,
    workers: int | None = None,
) -> Album:
    """Return the album of the seen concepts ``names`` (readable name by wnid), rendered first if the cache lacks it.

    ``pictures`` for training and ``held_out`` ones show two to four objects each, in ``size`` pixels a side, with
    ``captions`` sentences; ``workers`` processes render (one a core by default). An interrupted rendering continues
    where it was, and a second process that asks for the same album waits. Raises UserError for concepts that are no
    leaves of the world or numbers that make no sense, RunFailed when a rendering process dies.
    """
    concepts = read_taxonomy()
    seen = _seen(concepts, names)
    if min(pictures, held_out, captions) < 1 or size < 32 or min(draw_seed, world_seed) < 0:
        raise UserError(
            f"album: found pictures={pictures}, held_out={held_out}, captions={captions}, size={size}, "
            f"draw_seed={draw_seed}, world_seed={world_seed}; expected at least 1 of each, 32 pixels, seeds from 0"
        )
    unseen = tuple(leaf.name for leaf in leaves(concepts) if leaf.lemma not in seen)
    plan = Plan(seen, unseen, world_seed, draw_seed, captions, size)
    digest = album_digest(plan, pictures, held_out)
    folder = cache_dir() / "album" / digest
    chunks = _chunks(pictures, held_out)
    seconds = 0.0
    if (done := _done(folder)) is None:
        with locked(folder.with_name(f"{folder.name}.lock")):
            if (done := _done(folder)) is None:
                start = time.monotonic()
                _render(folder, plan, chunks, progress, workers or os.cpu_count() or 1)
                done = _finish(folder, plan, concepts, chunks)
                seconds = time.monotonic() - start
    return Album(folder, seconds, digest, tuple(done["contaminated"]))


def album_digest(plan: Plan, pictures: int, held_out: int) -> str:
    """Return the digest of an album: of the sources that it depends on and of everything that was asked for."""
    return digest_of(*contents(ALBUM_SOURCES), asdict(plan), pictures, held_out)


def spoken(captions: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``names`` that stand in a caption as whole words, in the singular or the plural, sorted."""
    text = " . ".join("".join(c if c.isalnum() else " " for c in caption.lower()) for caption in captions)
    padded = f" {' '.join(text.split())} "
    return tuple(sorted(name for name in names if any(f" {form} " in padded for form in (name, plural_of(name)))))


def _seen(concepts: Sequence[Concept], names: Mapping[str, str]) -> dict[str, str]:
    """Return the readable names by lemma, sorted."""
    ids = concept_ids(concepts)
    leaf_of = {ids[leaf.lemma]: leaf for leaf in leaves(concepts)}
    unknown = sorted(set(names) - set(leaf_of))
    if unknown or not names:
        found = f"{unknown[0]} ({names[unknown[0]]})" if unknown else "none"
        raise UserError(f"album: found the concept {found}, expected ids of leaf concepts of the embedded world")
    seen = sorted((leaf_of[wnid] for wnid in names), key=lambda leaf: leaf.lemma)
    return {leaf.lemma: leaf.name for leaf in seen}


def _chunks(pictures: int, held_out: int) -> list[Chunk]:
    numbers = dict(zip(SPLITS, (pictures, held_out)))
    first_id = {"train": 1, "val": pictures + 1}
    return [
        Chunk(split, start, min(CHUNK, number - start), first_id[split] + start)
        for split, number in numbers.items()
        for start in range(0, number, CHUNK)
    ]


def _done(folder: Path) -> dict[str, Any] | None:
    """Return what is known of a complete album; None where there is none, with a message where it was damaged."""
    if not (folder / DONE).is_file():
        return None
    with suppress(ValueError, KeyError, TypeError):
        done: dict[str, Any] = json.loads((folder / DONE).read_text(encoding="utf-8"))
        if isinstance(done["contaminated"], list) and all(_intact(folder / n, b) for n, b in done["bytes"].items()):
            return done
    log.warning("%s: files of the album are missing or broken; rendering them again", folder)
    (folder / DONE).unlink(missing_ok=True)
    return None


def _intact(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _known(folder: Path, chunk: Chunk) -> list[dict[str, Any]] | None:
    """Return the record of a chunk; None where it, or a picture of it, is missing or broken."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        known: list[dict[str, Any]] = json.loads((folder / chunk.record).read_text(encoding="utf-8"))
        if len(known) == chunk.count and all(_intact(folder / chunk.split / r["file_name"], r["bytes"]) for r in known):
            return known
    return None


def _render(folder: Path, plan: Plan, chunks: Sequence[Chunk], progress: bool, workers: int) -> None:
    """Render the chunks that are missing."""
    write_text(folder / PLAN, json.dumps(asdict(plan)))
    missing = [chunk for chunk in chunks if _known(folder, chunk) is None]
    for chunk in missing:
        (folder / chunk.record).unlink(missing_ok=True)
    with progress_bar(progress) as bar:
        total = sum(chunk.count for chunk in chunks)
        row = bar.add_task("rendering captioned pictures", total=total)
        bar.advance(row, total - sum(chunk.count for chunk in missing))
        paint_chunks(folder, missing, max(min(workers, len(missing)), 1), lambda chunk: bar.advance(row, chunk.count))


def _finish(folder: Path, plan: Plan, concepts: Sequence[Concept], chunks: Sequence[Chunk]) -> dict[str, Any]:
    """Write the annotations and the lexicon, and return what is known of the album."""
    parents = {concept.lemma: (concept.parent or "entity").replace("_", " ") for concept in concepts}
    categories = [
        {"id": index, "lemma": lemma, "name": noun_of(name, plan.unseen).name, "supercategory": parents[lemma]}
        for index, (lemma, name) in enumerate(plan.names.items(), start=1)
    ]
    written: list[str] = []
    captions: list[str] = []
    sizes: dict[str, int] = {}
    for split in SPLITS:
        records = [r for chunk in chunks if chunk.split == split for r in _known(folder, chunk) or []]
        captions += [caption for record in records for caption in record["captions"]]
        sizes |= {f"{split}/{record['file_name']}": record["bytes"] for record in records}
        for kind, content in (
            ("captions", caption_file(records, plan.size)),
            ("instances", instance_file(records, plan.size, categories)),
        ):
            written.append(f"annotations/{kind}_{split}.json")
            write_text(folder / written[-1], json.dumps(content))
    write_lexicon(concepts, folder / "wordnet")
    written += [f"wordnet/{path.name}" for path in sorted((folder / "wordnet").iterdir())]
    sizes |= {name: (folder / name).stat().st_size for name in written}
    done = {"contaminated": list(spoken(captions, plan.unseen)), "bytes": sizes}
    write_text(folder / DONE, json.dumps(done))
    return done
