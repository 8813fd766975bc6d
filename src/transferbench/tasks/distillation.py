"""Fusing the 2-D features of a pretrained network into a radiance field (N3F, arXiv:2209.03494)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from transferbench.errors import UserError
from transferbench.features.dense import Extract, TeacherMaps, teacher_maps
from transferbench.nerf.bundle import Rays
from transferbench.nerf.editing import unit
from transferbench.nerf.rendering import Rendered
from transferbench.tasks.field import FieldFitting
from transferbench.tasks.scene_words import Asked, asked_of, refuse_reduction
from transferbench.tasks.viewing import on
from transferbench.text.prompts import read_prompts


class FeatureDistillation(FieldFitting):
    """Make rendered features equal those of a teacher, beside the colours where the field is not held.

    Args:
        backbone: a scene's model with a branch of features (``models.fields.with_features``).
        head: not used.
        teacher: makes the teacher, called with nothing (``checkpoint.dense_teacher``).
        dimensions: of the features after PCA; None for all.
        feature_weight: of the squared distance of unit features, summed over passes; 1e-3 as released.
        thaw_after: steps in which the branch alone is fitted; None for all (N3F on flower and horns), 1,000 as on fern,
            0 for joint training from the start.
        stop_gradient: keep the features from changing the field: where things are, and what the branch reads of it.
        fit_all: fit the PCA to all views, as N3F does; else to those for training.
        ask: words that a teacher by words is asked for, beside the names of the scene's things.
        prompts: what words are put into: the name of a list, or a file (``text.prompts.read_prompts``).
        **options: those of ``FieldFitting``.
    """

    def __init__(
        self,
        backbone: Any,
        head: None = None,
        *,
        teacher: Callable[[], Extract],
        dimensions: int | None = 64,
        feature_weight: float = 1e-3,
        thaw_after: int | None = None,
        stop_gradient: bool = False,
        fit_all: bool = True,
        ask: Sequence[str] = (),
        prompts: str = "photo",
        **options: Any,
    ) -> None:
        super().__init__(backbone, head, **options)
        if feature_weight <= 0:
            raise UserError(f"task.feature_weight={feature_weight}: expected more than 0")
        self.teacher, self.dimensions, self.feature_weight = teacher, dimensions, feature_weight
        self.thaw_after, self.fit_all = thaw_after, fit_all
        self.ask, self.prompts = tuple(ask), read_prompts(prompts)
        self.asked: Asked | None = None
        fields = [getattr(backbone, name) for name in getattr(backbone, "featured", ())]
        if not fields or not all(hasattr(field, "branch") for field in fields):
            raise UserError("this model has no branch of features; choose model=n3f or model=n3f_nerf")
        backbone.features_shape = not stop_gradient
        for field in fields:
            field.apart = stop_gradient
        self.hold(thaw_after != 0)

    def hold(self, held: bool) -> None:
        """Fit the branch alone, or everything."""
        self.backbone.requires_grad_(not held)
        for name in self.backbone.featured:
            field: Any = getattr(self.backbone, name)
            field.held = held
            field.branch.requires_grad_(True)

    @property
    def held(self) -> bool:
        """Whether the branch alone is fitted."""
        return self.thaw_after is None or self.global_step < self.thaw_after

    def check_data(self, data: Any) -> None:
        """Take over the scene, and have the teacher look at its views."""
        super().check_data(data)
        self.maps: TeacherMaps = self.taught(data.scene)
        channels = self.maps.maps.shape[1]
        for name in self.backbone.featured:
            own: int = getattr(self.backbone, name).branch.channels
            if own != channels:
                raise UserError(f"the teacher has {channels} features, the branch {own}; set scale.features={channels}")

    def taught(self, scene: Any) -> TeacherMaps:
        """Return the teacher's maps of all views, on the scene's own background, and keep what words are to it.

        Raises:
            UserError: words are asked for that it does not know, or its features would be reduced, which words are not.
        """
        teacher, dimensions = self.teacher(), self.dimensions
        self.asked = asked_of(getattr(teacher, "words", None), scene.label_names, self.ask, self.prompts)
        if self.asked is not None:
            refuse_reduction(dimensions, self.asked.width)
            dimensions = None
        images = np.stack([(on(one, self.own_background) * 255).round().byte().numpy() for one in self.images])
        rows = None if self.fit_all else scene.train
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return teacher_maps(images, teacher, dimensions, rows=rows, device=device)

    def on_train_start(self) -> None:
        """Hold the field, or let it go, as the step says.

        Raises:
            UserError: it would be let go on several devices, which agreed on what is fitted when they began.
        """
        if self.thaw_after and self.trainer.world_size > 1:
            raise UserError(
                f"task.thaw_after={self.thaw_after}: several devices cannot begin to fit a field midway; set "
                "trainer.devices=1, or task.thaw_after=0 or null"
            )
        self.hold(self.held)

    def training_step(self, batch: Any, index: int) -> Tensor:
        """Look up the teacher's features of the batch, then go on as with colours alone."""
        if self.global_step == self.thaw_after:
            self.hold(False)
        frames, rows, columns, pixels = batch
        found = self.maps.at(*(part.cpu().numpy() for part in (frames, rows, columns)))
        self.target = torch.from_numpy(found).to(self.device)
        self.shown = pixels[:, 3] > 0 if pixels.shape[1] == 4 else torch.ones_like(rows, dtype=torch.bool)
        return super().training_step(batch, index)

    def objective(self, passes: list[Rendered], truth: Tensor, rays: Rays) -> Tensor:
        """Return the weighted distance of features, and that of colours where the field is not held.

        Features count where the images show something: what is transparent has none.
        """
        shown, target = self.shown[: len(rays)].float(), self.target[: len(rays)]
        shares = shown / shown.sum().clamp(min=1)
        terms = [
            ((unit(one.features) - target).square().sum(-1) * shares).sum()
            for one in passes
            if one.features is not None
        ]
        apart = torch.stack(terms).sum()
        if self.global_step % 10 == 0:
            self.log("train/features", apart.detach() / len(terms))
        if self.held:
            return self.feature_weight * apart
        return super().objective(passes, truth, rays) + self.feature_weight * apart

    def optimiser(self) -> Optimizer:
        """Return the optimiser over all that will be fitted, now or once the field is let go."""
        if self.thaw_after is None:
            return super().optimiser()
        return self.optimizer(self.backbone.parameters(), lr=1.0)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Let the model look after itself between steps, unless it is held."""
        if not self.held:
            super().on_train_batch_start(batch, batch_idx)

    def refuse_collapse(self, colour: Tensor, truth: Tensor) -> None:
        """A field that is held cannot collapse."""
        if not self.held:
            super().refuse_collapse(colour, truth)

    def examine(self, data: Any, sets: Mapping[str, Any], device: str) -> Any:
        """Judge the test views, then look for every object in them by one click, and by its name where words tell."""
        from transferbench.tasks.scene_retrieval import examine_retrieval
        from transferbench.tasks.scene_words import examine_words

        found = super().examine(data, sets, device) | examine_retrieval(self, data, device)
        return found if self.asked is None else found | examine_words(self, data, device)

    def student_map(self, frame: int) -> tuple[np.ndarray[Any, Any], Rendered]:
        """Return the unit features (H, W, C) of a view, and all that was rendered."""
        shown = self.view(frame)
        if shown.features is None:
            raise UserError("this model renders no features")
        height, width = self.views.size
        return unit(shown.features).reshape(height, width, -1).cpu().float().numpy(), shown
