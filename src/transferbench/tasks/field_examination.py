"""How well a fitted field shows views that it was not fitted to."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from transferbench.features.extract import evenly_spaced, frozen
from transferbench.nerf.quality import lpips_or_none, psnr, ssim
from transferbench.nerf.rendering import Rendered
from transferbench.tasks.examination import Examined

SHOWN = 4
"""Views in the report, at most."""


def examine_field(task: Any, data: Any, device: str) -> Examined:
    """Render the test views, compare them with the images, and show some beside them.

    PSNR in dB and SSIM are means over views (LPIPS where its weights are on disk); ``field/seconds_per_view`` is the
    median.
    """
    scene = data.scene
    frames = scene.held_out or scene.train
    which = "test" if scene.test else "val" if scene.val else "train"
    shown = [frames[place] for place in evenly_spaced(len(frames), SHOWN)]
    found: dict[str, list[float]] = {"psnr": [], "ssim": [], "lpips": []}
    seconds, panels = [], []
    with frozen(task, device), torch.inference_mode():
        for frame in frames:
            start = time.perf_counter()
            view = task.view(frame)
            view.colour.cpu()  # a GPU is done only then
            seconds.append(time.perf_counter() - start)
            truth = task.truth(frame)
            colour = fitted_to(scene, frame, view.colour.clamp(0, 1).view_as(truth), truth)
            found["psnr"].append(psnr(colour, truth))
            found["ssim"].append(ssim(colour, truth))
            if (distance := lpips_or_none(colour, truth)) is not None:
                found["lpips"].append(distance)
            if frame in shown:
                panels.append(panel(scene, frame, picture(truth), view))
    metrics = {f"field/{which}/{key}": float(np.mean(values)) for key, values in found.items() if values}
    metrics["field/seconds_per_view"] = float(np.median(seconds))
    facts = [
        f"{len(frames)} {'held-out' if which != 'train' else 'fitted (none is held out)'} views of "
        f"{scene.width} x {scene.height} pixels; {len(scene.train)} fitted to."
    ]
    if scene.ignored is not None:
        facts.append("Pixels that masks leave out count as rendered without an error.")
    return Examined(metrics, facts, panels=panels)


def fitted_to(scene: Any, frame: int, colour: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return ``colour`` (H, W, 3) with the pixels of the ``truth`` where masks leave them out of fitting."""
    if scene.ignored is None:
        return colour
    left_out = torch.from_numpy(scene.ignored[frame]).to(colour.device)
    return torch.where(left_out[..., None], truth, colour)


def panel(scene: Any, frame: int, truth: NDArray[np.uint8], view: Rendered) -> dict[str, Any]:
    """Return a row of pictures of one view: the image, what was rendered, where they differ, how far things are."""
    height, width = scene.height, scene.width
    colour = picture(view.colour.clamp(0, 1).reshape(height, width, 3))
    difference = np.abs(truth.astype(np.float32) - colour).mean(2)
    pictures = [
        ("image", truth),
        ("rendered", colour),
        ("difference x 4", shaded(np.clip(difference * 4 / 255, 0, 1))),
        ("depth", depth_picture(view, height, width)),
    ]
    return {"title": f"View {scene.names[frame]}", "pictures": pictures}


def picture(image: torch.Tensor) -> NDArray[np.uint8]:
    """Return ``image`` (H, W, 3) in [0, 1] as uint8."""
    pixels: NDArray[np.uint8] = (image.cpu().float().numpy() * 255).round().astype(np.uint8)
    return pixels


def depth_picture(view: Rendered, height: int, width: int) -> NDArray[np.uint8]:
    """Return the depth of a view as colours (H, W, 3), near things bright, what nothing was hit in black."""
    opacity = view.opacity.float().cpu().numpy()
    depth = view.depth.float().cpu().numpy() / np.maximum(opacity, 1e-6)
    hit = opacity > 0.5
    low, high = np.quantile(depth[hit], [0.02, 0.98]) if hit.any() else (0.0, 1.0)
    nearness = 1 - np.clip((depth - low) / max(high - low, 1e-6), 0, 1)
    return shaded(np.where(hit, 0.1 + 0.9 * nearness, 0.0).reshape(height, width))


def shaded(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return ``values`` (H, W) in [0, 1] as colours (H, W, 3) of matplotlib's magma."""
    from matplotlib import colormaps

    colours: NDArray[np.uint8] = (colormaps["magma"](np.asarray(values, float))[..., :3] * 255).round().astype(np.uint8)
    return colours
