"""The embedded world's 3-D scenes on disk: rendered on first use into the cache, found there afterwards."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from transferbench.errors import UserError
from transferbench.storage import cache_dir, digest_of, locked, write_bytes, write_text
from transferbench.world.cache import SOURCES, contents
from transferbench.world.kitchen_painter import KitchenPainter, KitchenPlan
from transferbench.world.painters import progress_bar
from transferbench.world.stage_painter import StagePainter, StagePlan
from transferbench.world.taxonomy import leaves, read_taxonomy

log = logging.getLogger(__name__)

KINDS = ("stage", "kitchen")
SIZES = {"stage": 100, "kitchen": 114}  # pixels from left to right
ASPECT = 64 / 114  # of the kitchen's frames, height to width
# What stands in a kitchen; concepts of the world.
UTENSILS = (
    "alarm_clock", "apple", "basket", "bottle", "bucket", "cake", "corn", "hamburger", "mug", "pear", "pineapple",
    "pumpkin", "strawberry", "teapot", "vase", "watering_can", "wineglass",
)  # fmt: skip
CARRIED = 2  # objects of a kitchen, of those that it has
DONE = "done.json"  # written when everything is there
# What scenes depend on, beside the sources of the world; this module is left out.
SCENE_SOURCES = (
    *SOURCES,
    "world/colour_words.py",
    "world/sun_map.py",
    "world/props.py",
    "world/exposure.py",
    "world/scene_files.py",
    "world/stage.py",
    "world/stage_painter.py",
    "world/head.py",
    "world/person.py",
    "world/kitchen.py",
    "world/kitchen_painter.py",
)


@dataclass(frozen=True)
class RenderedScene:
    """Where a scene lies: its ``folder``; ``seconds`` were spent on rendering by this call."""

    folder: Path
    seconds: float
    digest: str


def open_scene(
    kind: str,
    seed: int = 0,
    size: int | None = None,
    *,
    lemmas: Sequence[str] | None = None,
    objects: int | None = None,
    train: int = 40,
    val: int = 4,
    test: int = 8,
    frames: int = 120,
    progress: bool = True,
) -> RenderedScene:
    """Return a scene of ``seed``, rendered first if the cache lacks it.

    A ``stage`` stands still: NeRF's Blender format, ``train``, ``val`` and ``test`` views of ``size`` pixels a side
    (100), masks of its ``objects`` (5, two of one concept) in ``masks``, and the test views without each of them in
    ``without_<label>``; ``objects.json`` names them. A ``kitchen`` moves: EPIC-Diff's format, ``frames`` of ``size``
    pixels from left to right (114), ``objects`` on the worktop (7) of which two are carried.

    ``lemmas`` are the concepts to choose from, by default all leaf concepts for a stage and what stands in kitchens
    for the other. An interrupted rendering continues where it was, a damaged scene is rendered again, and a second
    process that asks for the same scene waits. Raises UserError for unknown concepts or numbers that make no sense.
    """
    plan: StagePlan | KitchenPlan
    if kind == "stage":
        plan = _stage_plan(_chosen(kind, lemmas), seed, size or SIZES[kind], objects or 5, (train, val, test))
    elif kind == "kitchen":
        plan = _kitchen_plan(_chosen(kind, lemmas), seed, size or SIZES[kind], objects or 7, frames)
    else:
        raise UserError(f"the embedded world has no scene {kind!r}; expected {' or '.join(KINDS)}")
    digest = scene_digest(plan)
    folder = cache_dir() / "scenes" / digest
    seconds = 0.0
    if not _complete(folder):
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not _complete(folder):
                start = time.monotonic()
                painter = StagePainter(plan) if isinstance(plan, StagePlan) else KitchenPainter(plan)
                _render(folder, painter, f"rendering the {kind}", progress)
                seconds = time.monotonic() - start
    return RenderedScene(folder, seconds, digest)


def scene_digest(plan: StagePlan | KitchenPlan) -> str:
    """Return the digest of a scene: of the sources that it depends on and of everything that was asked for."""
    return digest_of(*contents(SCENE_SOURCES), type(plan).__name__, asdict(plan))


def _stage_plan(lemmas: tuple[str, ...], seed: int, size: int, objects: int, views: tuple[int, int, int]) -> StagePlan:
    if min(views) < 1 or size < 16 or seed < 0 or not 2 <= objects <= 7 or len(lemmas) < objects - 1:
        raise UserError(
            f"stage: found size={size}, seed={seed}, objects={objects} out of {len(lemmas)} concepts and "
            f"train, val, test={', '.join(map(str, views))}; expected 16 pixels or more, a seed from 0, 2 to 7 "
            "objects, a concept for each but one of them, and at least 1 view of each split"
        )
    return StagePlan(lemmas, seed, size, objects, *views)


def _kitchen_plan(lemmas: tuple[str, ...], seed: int, size: int, objects: int, frames: int) -> KitchenPlan:
    if frames < 20 or size < 16 or seed < 0 or not CARRIED <= objects <= 8:
        raise UserError(
            f"kitchen: found size={size}, seed={seed}, objects={objects}, frames={frames}; expected 16 pixels or more, "
            f"a seed from 0, {CARRIED} to 8 objects and at least 20 frames"
        )
    return KitchenPlan(lemmas, seed, size, round(size * ASPECT), frames, objects - CARRIED, CARRIED)


def _chosen(kind: str, lemmas: Sequence[str] | None) -> tuple[str, ...]:
    known = sorted(concept.lemma for concept in leaves(read_taxonomy()))
    if lemmas is None:
        return tuple(known) if kind == "stage" else UTENSILS
    unknown = sorted(set(lemmas) - set(known))
    if unknown or not lemmas:
        raise UserError(f"{kind}: found the concept {unknown[0] if unknown else 'none'}, expected {', '.join(known)}")
    return tuple(sorted(set(lemmas)))


def _complete(folder: Path) -> bool:
    """Tell whether the scene is there, whole."""
    if not (folder / DONE).is_file():
        return False
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        sizes = json.loads((folder / DONE).read_text(encoding="utf-8"))["bytes"]
        if all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()):
            return True
    return False


def _render(folder: Path, painter: StagePainter | KitchenPainter, title: str, progress: bool) -> None:
    """Write the files that are missing, then what says that they are there."""
    if (folder / DONE).is_file():
        log.warning("%s: files of the scene are missing or broken; rendering it again", folder)
        shutil.rmtree(folder)
    steps = list(painter.steps())
    with progress_bar(progress) as bar:
        row = bar.add_task(title, total=len(steps))
        for step in steps:
            if not all(
                (folder / name).is_file() for name in step.names
            ):  # writes are atomic: one that is there is whole
                for name, data in step.paint().items():
                    write_bytes(folder / name, data)
            bar.advance(row)
    for name, data in painter.records().items():
        write_bytes(folder / name, data)
    for leftover in folder.rglob(".*.part"):  # of an interrupted write
        leftover.unlink()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    write_text(folder / DONE, json.dumps({"bytes": sizes}))
