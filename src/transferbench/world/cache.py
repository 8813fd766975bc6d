"""The embedded world on disk: rendered on first use into the cache, found there afterwards."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from transferbench.errors import RunFailed, UserError
from transferbench.storage import cache_dir, digest_of, locked, write_text
from transferbench.world.painter import ANSWER, SPLITS, Task
from transferbench.world.painters import Painter, ask, progress_bar, start_painter
from transferbench.world.taxonomy import Concept, concept_ids, leaves, read_taxonomy, write_wordnet

log = logging.getLogger(__name__)

TRAIN_IMAGES = 120  # pictures of a concept
VAL_IMAGES = 30
DONE = "done.json"  # written when every picture is there
PACKAGE = Path(__file__).parents[1]
# What pictures, concepts and their ids depend on; contact sheets and this module are left out.
SOURCES = (
    "world/parts.py",
    "world/solids.py",
    "world/trace.py",
    "world/light.py",
    "world/surface.py",
    "world/backdrop.py",
    "world/palette.py",
    "world/scene.py",
    "world/render.py",
    "world/painter.py",
    "world/taxonomy.py",
    "world/taxonomy.txt",
    "world/shapes/*.py",
    "nerf/cameras.py",
)


@dataclass(frozen=True)
class World:
    """Where the world lies.

    ``images`` holds ``train/<wnid>/*.jpg`` and ``val/<wnid>/*.jpg``; ``wordnet`` holds ``data.noun`` and
    ``index.noun``; ``leaves`` are the ids of the concepts with pictures, sorted; ``names`` the readable names of all
    concepts by id; ``seconds`` were spent on rendering by this call.
    """

    images: Path
    wordnet: Path
    leaves: tuple[str, ...]
    names: dict[str, str]
    digest: str
    seconds: float


def world_digest(seed: int = 0, train_images: int = TRAIN_IMAGES, val_images: int = VAL_IMAGES) -> str:
    """Return the digest of the world: of the sources that it depends on, the seed and the numbers of pictures."""
    return digest_of(*contents(SOURCES), seed, train_images, val_images)


def contents(sources: Iterable[str]) -> list[str | bytes]:
    """Return the names and contents of the files that match the patterns ``sources``, relative to the package."""
    files = sorted(path for pattern in sources for path in PACKAGE.glob(pattern))
    return [value for path in files for value in (path.name, path.read_bytes())]


def open_world(
    seed: int = 0,
    progress: bool = True,
    *,
    train_images: int = TRAIN_IMAGES,
    val_images: int = VAL_IMAGES,
    lemmas: Sequence[str] | None = None,
    workers: int | None = None,
) -> World:
    """Return the world of ``seed``, rendered first if the cache does not hold it.

    ``train_images`` and ``val_images`` count the pictures of a concept; ``lemmas`` restricts the leaf concepts (all by
    default); ``workers`` processes render (one a core by default). An interrupted rendering continues where it was,
    and a second process that asks for the same world waits. Raises UserError for a lemma that is no leaf concept,
    RunFailed when a rendering process dies.
    """
    concepts = read_taxonomy()
    chosen = _chosen(concepts, lemmas)
    digest = world_digest(seed, train_images, val_images)
    folder = cache_dir() / "world" / (digest if lemmas is None else f"{digest}-{digest_of(sorted(lemmas))}")
    ids = concept_ids(concepts)
    counts = dict(zip(SPLITS, (train_images, val_images)))
    tasks = [
        Task(concept.lemma, split, count, seed, str(folder / "images" / split / ids[concept.lemma]))
        for concept in chosen
        for split, count in counts.items()
    ]
    seconds = 0.0
    if not _complete(folder, tasks):
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not _complete(folder, tasks):
                seconds = _render(folder, concepts, tasks, progress, workers or os.cpu_count() or 1)
    return World(
        images=folder / "images",
        wordnet=folder / "wordnet",
        leaves=tuple(sorted(ids[concept.lemma] for concept in chosen)),
        names={ids[concept.lemma]: concept.name for concept in concepts},
        digest=digest,
        seconds=seconds,
    )


def _chosen(concepts: Sequence[Concept], lemmas: Sequence[str] | None) -> list[Concept]:
    found = {concept.lemma: concept for concept in leaves(concepts)}
    unknown = sorted(set(lemmas or ()) - set(found))
    if unknown:
        raise UserError(f"the world has no leaf concept {unknown[0]!r}; it has {', '.join(sorted(found))}")
    return list(found.values()) if lemmas is None else [found[lemma] for lemma in sorted(set(lemmas))]


def _complete(folder: Path, tasks: Sequence[Task]) -> bool:
    """Tell whether every picture is there, and say so when a finished world has lost some."""
    if not (folder / DONE).is_file():
        return False
    broken = [task for task in tasks if not _painted(task)]
    if broken or not all((folder / "wordnet" / name).is_file() for name in ("data.noun", "index.noun")):
        log.warning("%s: %d folders of pictures are missing or broken; rendering them again", folder, len(broken))
        (folder / DONE).unlink(missing_ok=True)
        return False
    return True


def _painted(task: Task) -> bool:
    """Tell whether a task's folder holds its pictures, by their number."""
    folder = Path(task.folder)
    return folder.is_dir() and sum(entry.name.endswith(".jpg") for entry in os.scandir(folder)) == task.count


def _render(folder: Path, concepts: Sequence[Concept], tasks: Sequence[Task], progress: bool, workers: int) -> float:
    """Render what is missing and return the seconds it took."""
    start = time.monotonic()
    missing = [task for task in tasks if not _painted(task)]
    write_wordnet(concepts, folder / "wordnet")
    for task in missing:
        shutil.rmtree(task.folder, ignore_errors=True)
    with progress_bar(progress) as bar:
        row = bar.add_task("rendering the embedded world", total=sum(task.count for task in tasks))
        bar.advance(row, sum(task.count for task in tasks) - sum(task.count for task in missing))
        for task in _painting(missing, max(min(workers, len(missing)), 1)):
            bar.advance(row, task.count)
    write_text(folder / DONE, json.dumps({"folders": len(tasks), "pictures": sum(task.count for task in tasks)}))
    return time.monotonic() - start


def _painting(tasks: Sequence[Task], workers: int) -> Iterator[Task]:
    """Yield the tasks as ``workers`` painters finish them."""
    with _painters(workers) as free, ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(_painted_by, free, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


@contextmanager
def _painters(workers: int) -> Iterator[SimpleQueue[Painter]]:
    """Yield a queue of running painter processes, which end with the block (or when this process dies)."""
    free: SimpleQueue[Painter] = SimpleQueue()
    started: list[Painter] = []
    try:
        for _ in range(workers):
            painter = start_painter("transferbench.world.painter")
            started.append(painter)
            free.put(painter)
        yield free
    finally:
        for painter in started:
            painter.communicate()


def _painted_by(free: SimpleQueue[Painter], task: Task) -> Task:
    """Have the next free painter do ``task``, and return it."""
    painter = free.get()
    try:
        answer = ask(painter, task.line())
    finally:
        free.put(painter)
    if answer != ANSWER:
        raise RunFailed(f"the process that renders {task.lemma} ended with code {painter.wait()}; its error is above")
    return task
