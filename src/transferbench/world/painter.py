"""A process that renders the pictures of concepts into folders.

It reads tasks from standard input, a JSON line each, and answers each with a line: a pool of such processes shares
nothing, and importing this module imports NumPy and Pillow only.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from transferbench.world.render import render
from transferbench.world.scene import draw_scene
from transferbench.world.shapes import SHAPES

SIZE = 64  # pixels a side
QUALITY = 94  # of the JPEG files, with full colour resolution
ANSWER = "done\n"  # to each task
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Task:
    """``count`` pictures of ``lemma`` for ``split``, to be put into ``folder``, which must not exist yet."""

    lemma: str
    split: str
    count: int
    seed: int
    folder: str

    def line(self) -> str:
        """Return the task as a line."""
        return json.dumps(asdict(self)) + "\n"


def picture(lemma: str, split: str, index: int, seed: int) -> Image.Image:
    """Return one picture of the world: it depends on nothing but the arguments."""
    entropy = [seed, SPLITS.index(split), index, *lemma.encode()]
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    scene = draw_scene(SHAPES[lemma](rng), rng, SIZE)
    return Image.fromarray(render(scene, rng).rgb)


def paint(task: Task) -> None:
    """Render a task's pictures ``0000.jpg`` and so on; the folder appears when all are there."""
    target = Path(task.folder)
    unfinished = target.with_name(f".{target.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for index in range(task.count):
        image = picture(task.lemma, task.split, index, task.seed)
        image.save(unfinished / f"{index:04d}.jpg", quality=QUALITY, subsampling=0)
    unfinished.rename(target)


def main() -> None:
    """Render the tasks that standard input names, until it ends."""
    for line in sys.stdin:
        paint(Task(**json.loads(line)))
        sys.stdout.write(ANSWER)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
