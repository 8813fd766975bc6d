"""Taking a thing out of a scene by its features, or all else (N3F, arXiv:2209.03494)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from transferbench.errors import UserError
from transferbench.features.extract import evenly_spaced, frozen
from transferbench.nerf.editing import distance, query_of, unit, valley_threshold
from transferbench.tasks.examination import Examined
from transferbench.tasks.field_examination import picture
from transferbench.tasks.scene_clicks import SMALLEST, Click, clicks
from transferbench.tasks.viewing import Viewing, on

LOOKED_AT = 6
"""Fitted views whose distances decide on a threshold."""
SHOWN = 4
"""Things in the report, at most."""


class SceneEditing(Viewing):
    """Remove things from a fitted scene with features, or extract them, and compare with the scene without them.

    Nothing is trained. A thing is clicked on in a fitted view; what is near to it in features is emptied.

    Args:
        backbone: a scene's model with features (``+experiment=n3f``).
        head: not used.
        edit: makes an edit, called with the query, ``threshold=`` and ``mode=`` (``models.fields.Edit``).
        target: name of the thing; None for every thing that there is one of.
        threshold: distance of unit features in [0, 2]; None for the valley of the histogram of the fitted views.
        mode: remove or extract.
        coarse: edit the coarse field of two as well, which says where the fine one is looked at; N3F does not.
        fit: what the checkpoint says of the fit (``checkpoint.facts_of``): where in a pixel its rays went through,
            whether they were projected.
    """

    def __init__(
        self,
        backbone: Any,
        head: None = None,
        *,
        edit: Callable[..., Any],
        target: str | None = None,
        threshold: float | None = None,
        mode: Literal["remove", "extract"] = "remove",
        coarse: bool = True,
        fit: Mapping[str, Any] | None = None,
    ) -> None:
        if mode not in ("remove", "extract") or not (threshold is None or 0 <= threshold <= 2):
            raise UserError(
                f"task: found mode={mode}, threshold={threshold}; expected remove or extract, a threshold in [0, 2]"
            )
        if not any(hasattr(getattr(backbone, name), "edit") for name in getattr(backbone, "featured", ())):
            raise UserError("this model has no features to edit by; name a run of +experiment=n3f as needs.model")
        self.backbone, self.head, self.edit = backbone, head, edit
        self.target, self.threshold, self.mode, self.coarse = target, threshold, mode, coarse
        self.look_through(fit)

    def check_data(self, data: Any) -> None:
        """Take over the scene, and find what to take out."""
        super().check_data(data)
        scene = data.scene
        if scene.labels is None:
            raise UserError(f"{data.name}: no masks say what there is to take out; expected masks beside the images")
        found = clicks(scene)
        if self.target is None:
            self.clicks = [click for click in found if len(click.labels) == 1]
        else:
            self.clicks = [click for click in found if click.name == self.target]
        if not self.clicks:
            names = ", ".join(click.name for click in found)
            raise UserError(
                f"task.target={self.target}: {data.name} has no such thing to click on; expected one of {names}"
            )

    def examine(self, data: Any, sets: Mapping[str, Any], device: str) -> Examined:
        """Render the test views without each thing, and compare the place where it was with the truth."""
        found = Examined()
        before: list[float] = []
        after: list[float] = []
        with frozen(self.backbone, device), torch.inference_mode():
            self.views.to(device)
            for click in self.clicks:
                one = self.edited(data, click)
                before += one.pop("before")
                after += one.pop("after")
                panels = one.pop("panels") if len(found.panels) < SHOWN else []
                found |= Examined({f"field/edit/{key}": value for key, value in one.items()}, panels=panels)
        metrics = {}
        if before:
            metrics = {"field/edit/psnr_before": decibels(before), "field/edit/psnr_after": decibels(after)}
        said = "removed" if self.mode == "remove" else "extracted"
        fact = (
            f"{len(self.clicks)} things {said}, each clicked once in a fitted view; judged where it was, in test views."
        )
        return found | Examined(metrics, [fact])

    def edited(self, data: Any, click: Click) -> dict[str, Any]:
        """Return the squared errors where a thing was, in all test views, before and after; and what is to be shown."""
        scene, name = data.scene, click.name.replace(" ", "_")
        query = self.query(click)
        threshold = self.threshold if self.threshold is not None else self.valley(scene, query)
        alone = len(click.labels) == 1 and self.mode == "remove"  # what is rendered is the scene without one thing
        truths = data.without(click.labels[0]) if hasattr(data, "without") and alone else {}
        shown = self.shown(scene, click)
        found: dict[str, Any] = {f"threshold/{name}": threshold, "before": [], "after": [], "panels": []}
        for frame in scene.held_out or scene.train:
            region = np.isin(scene.labels[frame], click.labels)
            compared = frame in truths and region.sum() >= SMALLEST
            if frame != shown and not compared:
                continue
            whole = self.rendered(frame)
            with self.taken_out(query, threshold):
                rest = self.rendered(frame)
            pictures = [("image", picture(self.truth(frame))), ("rendered", picture(whole)), (self.mode, picture(rest))]
            if frame in truths:
                truth = self.read(truths[frame])
                pictures.append(("truth", picture(truth)))
            if compared:
                inside = torch.from_numpy(region)
                found["before"].append(float((whole - truth)[inside].square().mean()))
                found["after"].append(float((rest - truth)[inside].square().mean()))
            if frame == shown:
                title = f"{click.name}, distance {'<' if self.mode == 'remove' else '>='} {threshold:.2f}"
                found["panels"].append({"title": title, "pictures": pictures})
        if found["before"]:
            found[f"psnr_before/{name}"] = decibels(found["before"])
            found[f"psnr_after/{name}"] = decibels(found["after"])
        return found

    def query(self, click: Click) -> Tensor:
        """Return the unit feature (C,) of what is clicked on, as the field shows it."""
        height, width = self.views.size
        features = self.view(click.frame).features
        if features is None:
            raise UserError("this model renders no features; name a run of +experiment=n3f as needs.model")
        return query_of(unit(features).reshape(height, width, -1), click.row, click.column, click.side)

    def valley(self, scene: Any, query: Tensor) -> float:
        """Return the threshold between what is near to the ``query`` and what is not, over some fitted views."""
        apart = []
        for place in evenly_spaced(len(scene.train), LOOKED_AT):
            view = self.view(scene.train[place])
            if view.features is not None:
                apart.append(distance(view.features, query)[view.opacity > 0.5].cpu())
        found = torch.cat(apart)
        if not len(found):
            raise UserError(
                "nothing opaque is in the fitted views to tell things by; fit for longer, or type task.threshold=0.5"
            )
        return valley_threshold(found).threshold

    def shown(self, scene: Any, click: Click) -> int:
        """Return the view that shows most of the thing."""
        frames: tuple[int, ...] = scene.held_out or scene.train
        sizes = [int(np.isin(scene.labels[frame], click.labels).sum()) for frame in frames]
        return frames[int(np.argmax(sizes))]

    def rendered(self, frame: int) -> Tensor:
        """Return a view (H, W, 3) on the CPU."""
        return self.view(frame).colour.clamp(0, 1).reshape(*self.views.size, 3).cpu()

    def read(self, file: Path) -> Tensor:
        """Return a picture (H, W, 3) on the scene's background."""
        pixels: NDArray[np.uint8] = np.asarray(Image.open(file))
        return on(torch.from_numpy(pixels.copy()), self.own_background)

    @contextmanager
    def taken_out(self, query: Tensor, threshold: float) -> Iterator[None]:
        """Render without the thing meanwhile."""
        names = self.backbone.featured if self.coarse else self.backbone.featured[-1:]
        fields = [getattr(self.backbone, name) for name in names]
        try:
            for field in fields:
                field.edit = self.edit(query, threshold=threshold, mode=self.mode)
            yield
        finally:
            for field in fields:
                field.edit = None


def decibels(errors: list[float]) -> float:
    """Return the PSNR of the mean of squared errors."""
    return float(-10 * np.log10(max(float(np.mean(errors)), 1e-12)))
