"""Finding an object in all views from one click in one of them: the field's features beside the teacher's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transferbench.features.extract import frozen
from transferbench.nerf.editing import distance, query_of
from transferbench.nerf.quality import average_precision, mean_average_precision
from transferbench.nerf.upsampling import bilinear, joint_bilateral, nearest
from transferbench.tasks.examination import Examined
from transferbench.tasks.field_examination import picture, shaded
from transferbench.tasks.scene_clicks import PATCH, SMALLEST, Click, Kind, clicks

FORMS = ("teacher", "teacher_bilinear", "teacher_bilateral", "student")
SHOWN = 3
"""Objects in the report, at most."""
RADIUS, SIGMA_SPACE, SIGMA_COLOUR = 2, 1.0, 0.1
"""Of the joint bilateral filter: cells, cells, and colours in [0, 1]."""

Labels = NDArray[np.uint8]


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
    frames, asked = judged(scene), clicks(scene)
    views = {click.name: [f for f in frames if f != click.frame and shows(scene, f, click)] for click in asked}
    first = {name: seen[0] for name, seen in [one for one in views.items() if one[1]][:SHOWN]}
    found: dict[str, dict[str, list[float | None]]] = {name: {form: [] for form in FORMS} for name in views}
    panels: dict[str, dict[str, Any]] = {}
    with frozen(task, device), torch.inference_mode():
        queries = queries_of(task, asked)
        for frame in frames:
            maps = forms_of(task, frame)
            for click, query in zip(asked, queries):
                if frame not in views[click.name]:
                    continue
                for form in FORMS:
                    one = precision(scene, frame, click, distance(maps[form], query[form]))
                    found[click.name][form].append(one)
                if first.get(click.name) == frame:
                    panels[click.name] = shown(task, scene, click, frame, maps, query)
    facts = [
        f"{len(asked)} kinds of things, each clicked once in a fitted view ({PATCH} x {PATCH} pixels at most) and "
        f"looked for in {len(frames)} held-out views; average precision over pixels that show something."
    ]
    return Examined(averaged(found), facts, panels=[panels[name] for name in first])


def judged(scene: Any) -> list[int]:
    """Return the held-out views of which somebody says what they show."""
    return [f for f in scene.held_out if scene.labelled is None or scene.labelled[f]]


def shows(scene: Any, frame: int, thing: Kind | Click) -> bool:
    """Tell whether a view shows enough of a kind of thing that it is to be found there."""
    return bool(truth_of(scene, frame, thing).sum() >= SMALLEST)


def averaged(found: Mapping[str, Mapping[str, list[float | None]]], asked: str = "") -> dict[str, float]:
    """Return means over views and over kinds of average precisions, ``found`` by name of the kind and by form.

    Their keys are ``field/<form>/ap<asked>/<name>`` and ``field/<form>/map<asked>``; without a view there is none.
    """
    metrics: dict[str, float] = {}
    means: dict[str, list[float | None]] = {form: [] for form in FORMS}
    for name, forms in found.items():
        for form, precisions in forms.items():
            means[form].append(mean_average_precision(precisions))
            if (mean := means[form][-1]) is not None:
                metrics[f"field/{form}/ap{asked}/{name.replace(' ', '_')}"] = mean
    for form, values in means.items():
        if (mean := mean_average_precision(values)) is not None:
            metrics[f"field/{form}/map{asked}"] = mean
    return metrics


def queries_of(task: Any, asked: list[Click]) -> list[dict[str, Tensor]]:
    """Return, for each click, the unit feature (C,) of what was clicked on in each of the ``FORMS``."""
    found: dict[int, dict[str, Tensor]] = {}
    for frame in sorted({click.frame for click in asked}):
        maps = forms_of(task, frame)
        for place, click in enumerate(asked):
            if click.frame == frame:
                found[place] = {form: query_of(maps[form], click.row, click.column, click.side) for form in FORMS}
    return [found[place] for place in range(len(asked))]


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


def truth_of(scene: Any, frame: int, thing: Kind | Click) -> NDArray[np.bool_]:
    """Return where a view shows things of a kind (H, W)."""
    return np.isin(scene.labels[frame], thing.labels)


def visible_of(scene: Any, frame: int) -> NDArray[np.bool_]:
    """Return where a view shows something (H, W): everywhere but where it is transparent."""
    image = scene.images[frame]
    found: NDArray[np.bool_] = image[..., 3] > 0 if image.shape[-1] == 4 else np.ones(image.shape[:2], bool)
    return found


def precision(scene: Any, frame: int, thing: Kind | Click, distances: Tensor) -> float | None:
    """Return the average precision of nearness as a score of the pixels that show something."""
    visible = visible_of(scene, frame)
    return average_precision(-distances.numpy()[visible], truth_of(scene, frame, thing)[visible])


def shown(
    task: Any, scene: Any, click: Click, frame: int, maps: Mapping[str, Tensor], query: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Return a row of pictures: the click, a view, its features, and where each form of them finds the thing."""
    clicked = picture(task.truth(click.frame)).copy()
    bottom, right = click.row + click.side, click.column + click.side
    clicked[click.row : bottom, click.column : right] = (255, 0, 200)
    pictures = [(f"click on {click.name}", clicked), ("view", picture(task.truth(frame)))]
    for form, name in (("teacher", "teacher"), ("teacher_bilateral", "teacher, bilateral"), ("student", "student")):
        near = 1 - distance(maps[form], query[form]).numpy() / 2
        pictures.append((f"{name} finds", shaded(stretched(near))))
    for form in ("teacher", "student"):
        pictures.append((f"features of the {form}", coloured(maps[form].numpy())))
    pictures.append(("truth", shaded(truth_of(scene, frame, click).astype(float))))
    return {"title": f"Looking for {click.name}", "pictures": pictures}


def stretched(values: NDArray[Any]) -> NDArray[Any]:
    """Return ``values`` spread over [0, 1] for a picture, but for the lowest 2 % and the highest 0.5 %."""
    low, high = np.quantile(values, [0.02, 0.995])
    spread: NDArray[Any] = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    return spread


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
