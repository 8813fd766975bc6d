"""Captures that COLMAP gave poses: a sparse model, binary or as text, beside ``images``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from transferbench.data.scenes.assembling import Draft
from transferbench.data.scenes.calibration import Calibration
from transferbench.data.scenes.colmap_cameras import calibration
from transferbench.data.scenes.colmap_files import ColmapModel, is_model, read_model
from transferbench.data.scenes.poses import flip_axes
from transferbench.data.scenes.reading import inside, natural, present
from transferbench.data.scenes.scene import Floats, Scene
from transferbench.data.scenes.sizing import FULL, Sizing
from transferbench.data.scenes.splits import every, ruled
from transferbench.errors import UserError

log = logging.getLogger(__name__)

PLACES = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")  # where a model is looked for, in this order
QUANTILES = (0.001, 0.999)  # of the depths of the points: where things begin and end


def find_model(root: Path) -> Path | None:
    """Return the folder of the first model that is there, None where there is none."""
    return next((root / place for place in PLACES if is_model(root / place)), None)


def read_colmap(root: Path, sizing: Sizing = FULL, split: float | None = None) -> Scene:
    """Read a capture; frames are sorted by name, every 8th is for the test.

    Near and far are the 0.1 % and 99.9 % quantiles of the depths of the points before a camera, frame by frame; units
    are COLMAP's. With a whole downscale factor ``images_<factor>`` is read where it has all images. Images that are
    missing are left out with a warning.

    Args:
        root: holds ``images`` and the model, in ``sparse/0`` as a rule.
        sizing: of the images.
        split: a rule in place of every 8th.

    Raises:
        UserError: a file is missing, cut off or broken, or a camera model is not supported.
    """
    folder = find_model(root)
    if folder is None:
        raise UserError(
            f"{root}: no model of COLMAP in {', '.join(PLACES)}; expected cameras.bin and images.bin there."
        )
    if folder.name == "0" and (
        others := [path.name for path in folder.parent.iterdir() if path.name != "0" and is_model(path)]
    ):
        log.warning("%s: read, of %s models; the others have images of their own", folder, len(others) + 1)
    model = read_model(folder)
    order = sorted(range(len(model.names)), key=lambda place: natural(model.names[place]))
    files, rest = _images(root, model, order, sizing)
    kept = present(model.source, [model.names[place] for place in order], files)
    order, there = [order[place] for place in kept], [file for file in files if file is not None]
    chosen, poses = ruled(split, len(there), every(len(there))), flip_axes(model.poses()[order])
    draft = Draft(root, model.source, there, poses, chosen, rest)
    bounds = depth_range(model, draft.names, poses)
    return replace(draft.finished(_cameras(model, order, draft.gallery.original), bounds), points=model.points)


def depth_range(model: ColmapModel, names: Sequence[str], poses: Floats) -> Floats | None:
    """Return near and far (N, 2) of ``poses`` (N, 4, 4) by the points of a model; None without points, with a warning.

    Raises UserError for a camera that has no point before it.
    """
    if model.points is None or not len(model.points):
        log.warning("%s: no points in the model, so near and far are not known", model.source.parent)
        return None
    bounds = []
    for name, pose in zip(names, poses):
        depth = (pose[:3, 3] - model.points) @ pose[:3, 2]
        before = depth[depth > 0]
        if not len(before):
            raise UserError(f"{model.source}: no point lies before {name}; leave the image out of the model.")
        bounds.append(np.quantile(before, QUANTILES))
    return np.array(bounds)


def _images(root: Path, model: ColmapModel, order: list[int], sizing: Sizing) -> tuple[list[Path | None], Sizing]:
    """Return the image of each frame, None where it is missing, and what is still to be done to their size."""
    ready = root / f"images_{sizing.factor}"
    if sizing.factor and ready.is_dir():
        files = [inside(ready, model.names[place], model.source) for place in order]
        if all(file.is_file() for file in files):
            return list(files), FULL
    folder = root / "images"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the images of {model.source} in it.")
    files = [inside(folder, model.names[place], model.source) for place in order]
    return [file if file.is_file() else None for file in files], sizing


def _cameras(model: ColmapModel, order: list[int], size: tuple[int, int]) -> list[Calibration]:
    """Return the camera of each frame, for images of ``size``."""
    cameras = []
    for number in (model.camera_ids[place] for place in order):
        camera, where = model.cameras[number], f"{model.source.with_stem('cameras')}: camera {number}"
        known = calibration(camera.model, camera.params, where)
        cameras.append(known.resized((camera.width, camera.height), size, where))
    return cameras
