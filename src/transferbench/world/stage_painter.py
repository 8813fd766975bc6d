"""A stage as files: a scene in the Blender format of NeRF, with masks, and without each of its objects in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from transferbench.world.exposure import Arrangement, expose
from transferbench.world.scene_files import Step, as_json, as_png, instance
from transferbench.world.stage import ANGLE, DISTANCE, MIDDLE, SPLITS, Stage, draw_stage, lens

SPARE = 0.02  # units, between what there is and the box around it


@dataclass(frozen=True)
class StagePlan:
    """What a stage depends on: concepts, seed, the number of ``objects``, of pixels a side, and of views by split."""

    lemmas: tuple[str, ...]
    seed: int
    size: int
    objects: int
    train: int
    val: int
    test: int


class StagePainter:
    """Makes the files of the stage of a plan, in steps, each of which depends on the plan alone."""

    def __init__(self, plan: StagePlan) -> None:
        self.plan = plan
        self._last: tuple[int, Arrangement] | None = None

    @cached_property
    def stage(self) -> Stage:
        """The stage."""
        rng = np.random.default_rng(np.random.SeedSequence([self.plan.seed, 1]))
        views = {split: getattr(self.plan, split) for split in SPLITS}
        return draw_stage(self.plan.lemmas, rng, self.plan.objects, views)

    def steps(self) -> Iterator[Step]:
        """Yield the pictures: all views, with masks, then the test views without each object."""
        views = [(split, index) for split in SPLITS for index in range(getattr(self.plan, split))]
        for split, index in views:
            picture = f"{split}/r_{index}.png"
            yield Step((picture, f"masks/{picture}"), partial(self._view, split, index))
        for label in range(1, self.plan.objects + 1):
            for index in range(self.plan.test):
                name = f"without_{label}/test/r_{index}.png"
                yield Step((name,), partial(self._view_without, label, index))

    def records(self) -> dict[str, bytes]:
        """Return the files that say what the pictures are."""
        files = {f"transforms_{split}.json": as_json(self._transforms(split)) for split in SPLITS}
        return {**files, "objects.json": as_json(self._objects())}

    def _view(self, split: str, index: int) -> dict[str, bytes]:
        shot = expose(self._arranged(0), lens(self.stage.poses[split][index], self.plan.size))
        name = f"{split}/r_{index}.png"
        return {name: as_png(np.dstack([shot.rgb, shot.alpha])), f"masks/{name}": as_png(shot.owner)}

    def _view_without(self, label: int, index: int) -> dict[str, bytes]:
        shot = expose(self._arranged(label), lens(self.stage.poses["test"][index], self.plan.size))
        return {f"without_{label}/test/r_{index}.png": as_png(np.dstack([shot.rgb, shot.alpha]))}

    def _arranged(self, without: int) -> Arrangement:
        """Return the arrangement, whose shadows are traced once for all views of it."""
        if self._last is None or self._last[0] != without:
            self._last = without, self.stage.arrangement(without)
        return self._last[1]

    def _transforms(self, split: str) -> Mapping[str, Any]:
        low, high = self.stage.box()
        furthest = np.maximum(np.abs(low - MIDDLE), np.abs(high - MIDDLE))
        reach = float(np.linalg.norm(furthest)) + SPARE
        return {
            "camera_angle_x": ANGLE,
            "near": round(DISTANCE - reach, 4),
            "far": round(DISTANCE + reach, 4),
            "box": [np.round(low - SPARE, 4).tolist(), np.round(high + SPARE, 4).tolist()],
            "frames": [
                {"file_path": f"./{split}/r_{index}", "transform_matrix": pose.tolist()}
                for index, pose in enumerate(self.stage.poses[split])
            ],
        }

    def _objects(self) -> Mapping[str, Any]:
        instances = {str(label): instance(prop.lemma) for label, prop in enumerate(self.stage.props, start=1)}
        texture = self.stage.texture
        return {
            "labels": {label: one["name"] for label, one in instances.items()},
            "instances": instances,
            "concepts": {one["wnid"]: one["name"] for one in instances.values()},
            "floor": {
                "shape": "disc" if self.stage.floor.kind == "cone" else "square",
                "extent": self.stage.floor.size[0],
                "texture": texture.kind,
            },
        }
