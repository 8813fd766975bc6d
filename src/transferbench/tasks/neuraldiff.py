"""Fitting a moving scene and finding what moves in it, without being told (NeuralDiff, arXiv:2110.09936)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from transferbench.errors import UserError
from transferbench.features.extract import evenly_spaced, frozen
from transferbench.nerf.bundle import Rays
from transferbench.nerf.mixing import ACTOR, DYNAMIC, STATIC, mixing_loss
from transferbench.nerf.quality import average_precision, mean_average_precision, psnr
from transferbench.tasks.examination import Examined
from transferbench.tasks.field import FieldFitting
from transferbench.tasks.field_examination import picture

Picture = NDArray[np.uint8]
Row = tuple[str, list[tuple[str, Picture]]]

MASKS = {"dynamic": DYNAMIC, "actor": ACTOR}
"""What annotations may tell apart, by the label of its pixels, which is the place of its stream."""
MOVING = "moving"
"""Both together."""
SHOWN = 4
"""Views whose parts are shown, at most."""
TINTS = np.array([(255, 140, 40), (50, 130, 255)], np.float32)
"""Colours of dynamic and actor in pictures of masks, sRGB."""


class NeuralDiffFitting(FieldFitting):
    """Make rendered colours equal those of the pixels, where the model may say how sure it is.

    Args:
        backbone: ``models.neuraldiff.NeuralDiff``.
        head: not used.
        optimizer: makes the optimiser, called with parameters and ``lr=``.
        lr: at the first step.
        least_lr: what the rate would reach on the level behind the last.
        levels: on which the rate falls, each a run's equal part; an epoch each in the published run of 10.
        sparsity: weight of the mean densities of dynamic and actor.
        pixel_centre: where in a pixel its ray goes through; the released code's is 0.
        compile: as in ``FieldFitting``; the decomposed field alone.
    """

    def __init__(
        self,
        backbone: Any,
        head: None = None,
        *,
        optimizer: Callable[..., Optimizer],
        lr: float = 5e-4,
        least_lr: float = 1e-8,
        levels: int = 10,
        sparsity: float = 0.01,
        pixel_centre: float = 0.5,
        compile: bool = False,
    ) -> None:
        super().__init__(backbone, head, optimizer=optimizer, lr=lr, pixel_centre=pixel_centre, compile=compile)
        if levels < 1 or sparsity < 0:
            raise UserError(f"task: found levels={levels}, sparsity={sparsity}; expected 1 or more, 0 or more")
        self.least_lr, self.levels, self.sparsity = least_lr, levels, sparsity

    def check_data(self, data: Any) -> None:
        """Take over the cameras of a scene, and tell the model which frames there are.

        Raises:
            UserError: the data are no scene, or one that stands still, or its frame numbers are beyond the model's.
        """
        super().check_data(data)
        scene = data.scene
        if scene.times is None:
            raise UserError(
                f"{scene.name}: its frames have no numbers, so it stands still; expected a moving scene, as in "
                "EPIC-Diff's format: choose data=world_kitchen, or data=scene data.root=FOLDER of such a scene"
            )
        times = torch.from_numpy(np.asarray(scene.times, np.int64))
        self.backbone.know(times, times[list(scene.train)])

    def objective(self, passes: list[Any], truth: Tensor, rays: Rays) -> Tensor:
        """Return the loss of a coarse and a decomposed pass: squared errors, the latter over the variance; sparsity."""
        coarse, fine = passes
        return mixing_loss(coarse.colour, fine.colour, fine.beta, fine.densities, truth, self.sparsity).total

    def rates(self, steps: int, warmup_steps: int) -> NDArray[np.float64]:
        """Return rates that fall along half a cosine, on ``levels`` of equally many steps."""
        done = np.arange(steps) * self.levels // max(steps, 1) / self.levels
        found: NDArray[np.float64] = self.least_lr + (self.lr - self.least_lr) * (1 + np.cos(np.pi * done)) / 2
        return found

    def examine(self, data: Any, sets: Mapping[str, Any], device: str) -> Any:
        """Judge the test views, and what was found to move in them."""
        metrics, facts, rows = examine_motion(self, data, device)
        panels = [{"title": title, "pictures": pictures} for title, pictures in rows]
        return super().examine(data, sets, device) | Examined(metrics, facts, panels=panels)


def examine_motion(task: Any, data: Any, device: str) -> tuple[dict[str, float], list[str], list[Row]]:
    """Hold the soft masks of dynamic and actor against the annotations of the test frames, and show the streams.

    ``field/map/<what>`` is the mean over annotated frames of the average precision of how much of each pixel's ray
    belongs to the dynamic stream, the actor, or both (``moving``, the only one where annotations do not tell them
    apart); frames without such pixels are left out. ``field/map_static/<what>`` is the baseline on the same frames: the
    residual of a NeRF without time, |rendered - image| averaged over the channels, which cannot tell the two apart.
    That NeRF is the coarse field of the same fit: the same rays, but only the coarse samples and noisy densities.
    ``psnr`` is that of all streams together, ``psnr_static`` that of the coarse field, in dB.
    """
    scene = data.scene
    frames = scene.held_out or scene.train
    which = "test" if scene.test else "val" if scene.val else "train"
    shown = {frames[place] for place in evenly_spaced(len(frames), SHOWN)}
    quality: dict[str, list[float]] = {"psnr": [], "psnr_static": []}
    precisions: list[dict[str, float | None]] = []
    rows: list[Row] = []
    with frozen(task, device), torch.inference_mode():
        for frame in frames:
            view, truth = task.view(frame), task.truth(frame)
            for key, colour in (("psnr", view.colour), ("psnr_static", view.still)):
                quality[key].append(psnr(colour.clamp(0, 1).view_as(truth), truth))
            masks = truth_masks(scene, frame)
            precisions.append(segmentation(view, truth, masks))
            if frame in shown:
                rows.append((f"Frame {scene.names[frame]} by streams", pictures(view, truth, masks)))
    means = {
        key: mean_average_precision(found.get(key) for found in precisions)
        for key in sorted({key for found in precisions for key in found})
    }
    metrics = {f"field/{which}/{key}": float(np.mean(values)) for key, values in quality.items()}
    metrics |= {f"field/{key}": value for key, value in means.items() if value is not None}
    return metrics, motion_facts(scene, which, precisions), rows


def truth_masks(scene: Any, frame: int) -> dict[str, NDArray[np.bool_]]:
    """Return the annotated pixels (H W,) of ``moving`` and, where told apart, of each stream; nothing without any."""
    if scene.labels is None or (scene.labelled is not None and not scene.labelled[frame]):
        return {}
    labels = scene.labels[frame].ravel()
    told_apart = tuple(scene.label_names) == tuple(MASKS)
    apart = {name: labels == label for name, label in MASKS.items()} if told_apart else {}
    return apart | {MOVING: labels > 0}


def segmentation(view: Any, truth: Tensor, masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, float | None]:
    """Return the average precisions ``map/<what>`` of a decomposed view and ``map_static/<what>`` of the baseline.

    ``truth`` (H, W, 3) is the image, ``masks`` the annotated pixels (H W,); None stands for a mask without pixels.
    """
    residual = (view.still.view_as(truth) - truth).abs().mean(-1)
    found: dict[str, float | None] = {}
    for name, mask in masks.items():
        score = view.presence[:, STATIC + 1 :].sum(-1) if name == MOVING else view.presence[:, MASKS[name]]
        found[f"map/{name}"] = average_precision(score.float(), mask)
        found[f"map_static/{name}"] = average_precision(residual.float(), mask)
    return found


def motion_facts(scene: Any, which: str, precisions: list[dict[str, float | None]]) -> list[str]:
    """Return sentences about how motion was judged."""
    annotated = [found for found in precisions if found]
    if not annotated:
        return [f"No {which} frame has an annotation of what moves: there is no average precision."]
    names = [key.removeprefix("map/") for key in annotated[0] if key.startswith("map/")]
    counts = [f"{name} {sum(found[f'map/{name}'] is not None for found in annotated)}" for name in names]
    return [
        f"Average precision a frame of soft masks, the mean over those of {len(annotated)} annotated {which} frames "
        f"that have such pixels ({', '.join(counts)}).",
        "The baseline (map_static) is the residual of a NeRF without time: the coarse field of the same fit.",
    ]


def pictures(view: Any, truth: Tensor, masks: Mapping[str, NDArray[np.bool_]]) -> list[tuple[str, Picture]]:
    """Return pictures (H, W, 3) of a decomposed view: the image ``truth`` (H, W, 3), composite, streams and masks."""
    size = (truth.shape[0], truth.shape[1])

    def pixels(values: Tensor) -> Picture:
        return picture(values.clamp(0, 1).reshape(*size, 3))

    residual = (view.still.view_as(truth) - truth).abs().mean(-1, keepdim=True).expand(*size, 3)
    found = [
        ("image", pixels(truth)),
        ("all streams", pixels(view.colour)),
        ("static", pixels(view.alone[:, STATIC])),
        ("dynamic", pixels(view.alone[:, DYNAMIC])),
        ("actor", pixels(view.alone[:, ACTOR])),
        ("soft masks", tinted(view.presence[:, STATIC + 1 :].float().cpu().numpy(), size)),
        ("residual of a static field x 2", pixels(2 * residual)),
    ]
    if masks:
        names = list(MASKS) if len(masks) > 1 else [MOVING, MOVING]
        found.append(("annotation", tinted(np.stack([masks[name] for name in names], -1), size)))
    return found


def tinted(shares: NDArray[Any], size: tuple[int, int]) -> Picture:
    """Return ``shares`` (H W, 2) of dynamic and actor, in [0, 1], as orange and blue (H, W, 3)."""
    colours = np.clip(np.asarray(shares, np.float32) @ TINTS, 0, 255)
    return np.ascontiguousarray(colours.round().astype(np.uint8).reshape(*size, 3))
