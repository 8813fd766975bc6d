"""A process that photographs crowds: it renders chunks of an album's pictures and records what they show.

``python -m transferbench.world.album_painter FOLDER`` reads the album's ``plan.json`` and then chunks from standard
input, a JSON line each, and answers each with a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transferbench.storage import digest_of, write_text
from transferbench.world.crowd import draw_crowd
from transferbench.world.phrases import captions
from transferbench.world.render import render
from transferbench.world.survey import Sighting, fits, survey

QUALITY = 94  # of the JPEG files, with full colour resolution
PLAN = "plan.json"
SPLITS = ("train", "val")
ANSWER = "done\n"  # to each chunk


@dataclass(frozen=True)
class Plan:
    """What an album shows: ``names`` of the seen lemmas, ``unseen`` names that no caption may contain, and its seeds.

    ``captions`` are written for each picture of ``size`` pixels a side.
    """

    names: dict[str, str]
    unseen: tuple[str, ...]
    world_seed: int
    draw_seed: int
    captions: int
    size: int


@dataclass(frozen=True)
class Chunk:
    """The ``count`` pictures of ``split`` from number ``start`` on; the id of the first picture is ``first_id``."""

    split: str
    start: int
    count: int
    first_id: int

    @property
    def record(self) -> str:
        """The path of what is known of the pictures, in the album's folder."""
        return f"chunks/{self.split}_{self.start:06d}.json"

    def line(self) -> str:
        """Return the chunk as a line."""
        return json.dumps(asdict(self)) + "\n"


def photograph(plan: Plan, split: str, index: int) -> tuple[NDArray[np.uint8], tuple[Sighting, ...], tuple[str, ...]]:
    """Return one picture (size, size, 3), the objects on it and its captions: they depend on the arguments alone."""
    names = int(digest_of(sorted(plan.names.items())), 16)
    entropy = [plan.world_seed, plan.draw_seed, names, SPLITS.index(split), index]
    scene_seed, words_seed = np.random.SeedSequence(entropy).spawn(2)
    rng = np.random.default_rng(scene_seed)
    while True:
        crowd = draw_crowd(sorted(plan.names), rng, plan.size)
        sightings = survey(crowd)
        if sightings and fits(sightings):
            break
    words = captions(sightings, plan.names, plan.captions, np.random.default_rng(words_seed), plan.unseen)
    return render(crowd.scene, rng).rgb, sightings, words


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return COCO's uncompressed run lengths of a mask (H, W): down the columns, beginning with a run of zeros."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate([[0], changes, [mask.size]])
    runs: list[int] = np.diff(ends).tolist()
    return runs if runs[-1] else runs[:-1]


def record(plan: Plan, folder: Path, chunk: Chunk) -> list[dict[str, Any]]:
    """Render the pictures of a chunk into ``folder`` and return what is known of each.

    The record names the size of each file, so that one that an interruption cut short is found.
    """
    (folder / chunk.split).mkdir(exist_ok=True)
    known = []
    for index in range(chunk.start, chunk.start + chunk.count):
        rgb, sightings, words = photograph(plan, chunk.split, index)
        image_id = chunk.first_id + index - chunk.start
        file_name = f"{image_id:012d}.jpg"
        path = folder / chunk.split / file_name
        Image.fromarray(rgb).save(path, quality=QUALITY, subsampling=0)
        known.append(
            {
                "id": image_id,
                "file_name": file_name,
                "bytes": path.stat().st_size,
                "captions": words,
                "objects": [_object(sighting) for sighting in sightings],
            }
        )
    return known


def _object(sighting: Sighting) -> Mapping[str, Any]:
    return {
        "lemma": sighting.lemma,
        "bbox": list(sighting.box),
        "area": int(sighting.mask.sum()),
        "segmentation": {"counts": run_lengths(sighting.mask), "size": list(sighting.mask.shape)},
    }


def main() -> None:
    """Render the chunks that standard input names, until it ends."""
    folder = Path(sys.argv[1])
    plan = Plan(**json.loads((folder / PLAN).read_text(encoding="utf-8")))
    for line in sys.stdin:
        chunk = Chunk(**json.loads(line))
        write_text(folder / chunk.record, json.dumps(record(plan, folder, chunk)))
        sys.stdout.write(ANSWER)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
