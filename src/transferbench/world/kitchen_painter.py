"""A kitchen as files: a moving scene in the format of EPIC-Diff, every frame with its annotation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from transferbench.world.exposure import expose
from transferbench.world.kitchen import FOCAL, Kitchen, draw_kitchen, lens
from transferbench.world.scene_files import Step, as_json, as_png, instance
from transferbench.world.sun_map import SunMap

NTH = 8  # every 16th frame is for tests, and every 16th for validation, half way between
NEARER, FURTHER = 0.92, 1.05  # than what a coarse view of a frame meets
COARSE = 80  # pixels from left to right, for depths


@dataclass(frozen=True)
class KitchenPlan:
    """What a kitchen depends on: concepts, seed, frames and their size, and how many objects stay or are carried."""

    lemmas: tuple[str, ...]
    seed: int
    width: int
    height: int
    frames: int
    still: int
    carried: int


class KitchenPainter:
    """Makes the files of the kitchen of a plan, in steps, each of which depends on the plan alone."""

    def __init__(self, plan: KitchenPlan) -> None:
        self.plan = plan

    @cached_property
    def kitchen(self) -> Kitchen:
        """The kitchen."""
        plan = self.plan
        rng = np.random.default_rng(np.random.SeedSequence([plan.seed, 2]))
        return draw_kitchen(plan.lemmas, rng, plan.still, plan.carried, plan.frames)

    def steps(self) -> Iterator[Step]:
        """Yield the frames with their annotations."""
        for time in range(self.plan.frames):
            name = _name(time)
            yield Step((f"frames/{name}", f"annotations/{name}"), partial(self._frame, time))

    def records(self) -> dict[str, bytes]:
        """Return the files that say what the frames are."""
        return {"meta.json": as_json(self._meta()), "objects.json": as_json(self._objects())}

    @cached_property
    def _shadows(self) -> SunMap:
        return self.kitchen.still_shadows()

    def _frame(self, time: int) -> dict[str, bytes]:
        pose = self.kitchen.head.pose(time)
        shot = expose(
            self.kitchen.arrangement(time, pose, self._shadows), lens(pose, self.plan.width, self.plan.height)
        )
        return {f"frames/{_name(time)}": as_png(shot.rgb), f"annotations/{_name(time)}": as_png(shot.owner)}

    def _meta(self) -> Mapping[str, Any]:
        plan, ids = self.plan, list(range(self.plan.frames))
        depths = {str(time): self._depths(time) for time in ids}
        focal = FOCAL * plan.width
        test, val = ids[:: 2 * NTH], ids[NTH :: 2 * NTH]
        return {
            "ids_all": ids,
            "ids_train": [time for time in ids if time not in test and time not in val],
            "ids_val": val,
            "ids_test": test,
            "images": {str(time): _name(time) for time in ids},
            "poses": {str(time): self.kitchen.head.pose(time)[:3].tolist() for time in ids},
            "nears": {time: near for time, (near, _) in depths.items()},
            "fars": {time: far for time, (_, far) in depths.items()},
            "intrinsics": [[focal, 0.0, plan.width / 2], [0.0, focal, plan.height / 2], [0.0, 0.0, 1.0]],
            "image_w": plan.width,
            "image_h": plan.height,
        }

    def _depths(self, time: int) -> tuple[float, float]:
        """Return where things begin and end along the viewing axis of a frame."""
        pose = self.kitchen.head.pose(time)
        view = lens(pose, COARSE, round(self.plan.height * COARSE / self.plan.width))
        depth = view.see(self.kitchen.solids(time, pose))[0].depth
        return round(float(depth.min()) * NEARER, 4), round(float(depth.max()) * FURTHER, 4)

    def _objects(self) -> Mapping[str, Any]:
        kitchen = self.kitchen
        return {
            "labels": {"1": "object that is carried", "2": "person"},
            "still": [instance(prop.lemma) for prop in kitchen.still],
            "carried": [{**instance(one.prop.lemma), "start": one.start, "stop": one.stop} for one in kitchen.carried],
        }


def _name(time: int) -> str:
    return f"frame_{time:010d}.png"
