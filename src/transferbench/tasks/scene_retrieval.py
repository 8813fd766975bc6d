"""Finding an object in all views from one click in one of them: the field's features beside the teacher's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from transferbench.features.extract import frozen
from transferbench.nerf.editing import distance, query_of
from transferbench.nerf.quality import average_precision, mean_average_precision
from transferbench.nerf.upsampling import bilinear, joint_bilateral, nearest
from transferbench.tasks.examination import Examined
from transferbench.tasks.field_examination import picture, shaded

PATCH = 5
"""Side of a clicked patch at most, pixels; smaller where the object is thin."""
SMALLEST = 12
"""Pixels of an object in a view below which nobody clicks on it, or is asked to find it."""
FORMS = ("teacher", "teacher_bilinear", "teacher_bilateral", "student")
SHOWN = 3
"""Objects in the report, at most."""
RADIUS, SIGMA_SPACE, SIGMA_COLOUR = 2, 1.0, 0.1
"""Of the joint bilateral filter: cells, cells, and colours in [0, 1]."""

Labels = NDArray[np.uint8]


class Click(NamedTuple):
    """Where somebody clicks on a thing: the ``frame``, the patch's top left pixel and its side."""

    name: str
    labels: tuple[int, ...]
    frame: int
    row: int
    column: int
    side: int


def clicks(scene: Any) -> list[Click]:
    """Return a click on every kind of thing: where it is thickest in the training view that shows most of it.

    Things of one name are one kind; a click hits one of them, and all have to be found.
    """
    kinds: dict[str, list[int]] = {}
    for label, name in enumerate(scene.label_names, start=1):
        kinds.setdefault(name, []).append(label)
    frames = [f for f in scene.train if scene.labelled is None or scene.labelled[f]]
    found = []
    for name, labels in kinds.items():
        sizes = [(int((scene.labels[f] == label).sum()), f, label) for f in frames for label in labels]
        size, frame, label = max(sizes, default=(0, 0, 0))
        if size >= SMALLEST:
            found.append(_thickest(name, tuple(labels), frame, scene.labels[frame] == label))
    return found


def _thickest(name: str, labels: tuple[int, ...], frame: int, mask: NDArray[np.bool_]) -> Click:
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    side = min(PATCH, max(2 * int(depth.max() / 1.5) - 1, 1))
    top = int(np.clip(row - side // 2, 0, mask.shape[0] - side))
    left = int(np.clip(column - side // 2, 0, mask.shape[1] - side))
    return Click(name, labels, frame, top, left, side)


def examine_retrieval(task: Any, data: Any, device: str) -> Examined:
    """Score every test view by the likeness of its features to those clicked, for the student and the teacher.

    The teacher stands beside the student as it is (every pixel has the feature of its cell), bilinearly interpolated,
    and refined by a joint bilateral filter along the edges of the image, so that resolution alone does not win. The
    clicked view is never scored; views that do not show the thing are left out, and so are transparent pixels, which no
    feature belongs to. Average precisions are averaged over views, then over kinds of things.
    """
    scene = data.scene
    if scene.labels is None:
        return Examined(facts=["No masks: nothing was looked for."])
    frames = [f for f in (scene.test or scene.val) if scene.labelled is None or scene.labelled[f]]
    asked = clicks(scene)
    with frozen(task, device), torch.inference_mode():
        maps = {frame: forms_of(task, frame) for frame in {*frames, *(click.frame for click in asked)}}
    scores: dict[str, list[float | None]] = {form: [] for form in FORMS}
    metrics: dict[str, float] = {}
    panels: list[dict[str, Any]] = []
    for click in asked:
        views = [f for f in frames if f != click.frame and truth_of(scene, f, click).sum() >= SMALLEST]
        for form in FORMS:
            query = query_of(maps[click.frame][form], click.row, click.column, click.side)
            found = [precision(scene, f, click, distance(maps[f][form], query)) for f in views]
            scores[form].append(mean_average_precision(found))
            if scores[form][-1] is not None:
                metrics[f"field/{form}/ap/{click.name.replace(' ', '_')}"] = float(scores[form][-1] or 0)
        if len(panels) < SHOWN and views:
            panels.append(shown(task, scene, click, views[0], maps))
    for form in FORMS:
        if (value := mean_average_precision(scores[form])) is not None:
            metrics[f"field/{form}/map"] = value
    facts = [
        f"{len(asked)} kinds of things, each clicked once in a fitted view ({PATCH} x {PATCH} pixels at most) and "
        f"looked for in {len(frames)} held-out views; average precision over pixels that show something."
    ]
    return Examined(metrics, facts, panels=panels)


def forms_of(task: Any, frame: int) -> dict[str, Tensor]:
    """Return the features (H, W, C) of a view in each of the ``FORMS``."""
    size = task.views.size
    student, _ = task.student_map(frame)
    coarse = torch.from_numpy(task.maps.maps[frame])
    guide = task.truth(frame).cpu().permute(2, 0, 1)
    refined = joint_bilateral(coarse, guide, RADIUS, SIGMA_SPACE, SIGMA_COLOUR)
    found = {
        "teacher": nearest(coarse, size),
        "teacher_bilinear": bilinear(coarse, size),
        "teacher_bilateral": refined,
    }
    return {**{form: one.permute(1, 2, 0) for form, one in found.items()}, "student": torch.from_numpy(student)}


def truth_of(scene: Any, frame: int, click: Click) -> NDArray[np.bool_]:
    """Return where a view shows things of the clicked kind (H, W)."""
    return np.isin(scene.labels[frame], click.labels)


def precision(scene: Any, frame: int, click: Click, distances: Tensor) -> float | None:
    """Return the average precision of nearness as a score of the pixels that show something."""
    visible = scene.images[frame][..., 3] > 0 if scene.images.shape[-1] == 4 else np.ones(distances.shape, bool)
    return average_precision(-distances.numpy()[visible], truth_of(scene, frame, click)[visible])


def shown(task: Any, scene: Any, click: Click, frame: int, maps: dict[int, dict[str, Tensor]]) -> dict[str, Any]:
    """Return a row of pictures: the click, a view, its features, and where each form of them finds the thing."""
    clicked = picture(task.truth(click.frame)).copy()
    bottom, right = click.row + click.side, click.column + click.side
    clicked[click.row : bottom, click.column : right] = (255, 0, 200)
    pictures = [(f"click on {click.name}", clicked), ("view", picture(task.truth(frame)))]
    for form, name in (("teacher", "teacher"), ("teacher_bilateral", "teacher, bilateral"), ("student", "student")):
        query = query_of(maps[click.frame][form], click.row, click.column, click.side)
        near = 1 - distance(maps[frame][form], query).numpy() / 2
        pictures.append((f"{name} finds", shaded(_stretched(near))))
    for form in ("teacher", "student"):
        pictures.append((f"features of the {form}", coloured(maps[frame][form].numpy())))
    pictures.append(("truth", shaded(truth_of(scene, frame, click).astype(float))))
    return {"title": f"Looking for {click.name}", "pictures": pictures}


def _stretched(values: NDArray[Any]) -> NDArray[Any]:
    low, high = np.quantile(values, [0.02, 0.995])
    stretched: NDArray[Any] = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    return stretched


def coloured(features: NDArray[Any]) -> NDArray[np.uint8]:
    """Return features (H, W, C) as colours (H, W, 3): their first three directions of most spread."""
    flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
    flat = flat - flat.mean(0)
    _, vectors = np.linalg.eigh(flat.T @ flat)
    three = flat @ vectors[:, ::-1][:, :3]
    low, high = np.quantile(three, [0.02, 0.98], axis=0)
    scaled = np.clip((three - low) / np.maximum(high - low, 1e-9), 0, 1)
    pixels: NDArray[np.uint8] = (scaled.reshape(*features.shape[:2], -1) * 255).round().astype(np.uint8)
    return pixels
