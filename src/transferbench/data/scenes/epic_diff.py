"""Moving scenes of EPIC-Diff (NeuralDiff, Tschernezki et al., 3DV 2021): ``meta.json``, ``frames``, ``annotations``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.data.annotation_files import as_number
from transferbench.data.scenes.assembling import Draft
from transferbench.data.scenes.calibration import Calibration, check_centre
from transferbench.data.scenes.colmap_cameras import calibration
from transferbench.data.scenes.gallery import Gallery
from transferbench.data.scenes.labels import Labels, read_maps
from transferbench.data.scenes.poses import pose_of
from transferbench.data.scenes.reading import inside, present, read_object
from transferbench.data.scenes.scene import Floats, Scene
from transferbench.data.scenes.sizing import FULL, Sizing
from transferbench.data.scenes.splits import Split, alternating, refuse
from transferbench.errors import UserError

log = logging.getLogger(__name__)

SPLITS = ("ids_train", "ids_val", "ids_test")
TABLES = ("images", "poses", "nears", "fars")
MOVING = ("dynamic", "actor")  # labels 1 and 2 where the annotations tell them apart


def read_epic_diff(root: Path, sizing: Sizing = FULL, split: float | None = None) -> Scene:
    """Read a moving scene; frames are in the order of their ids, which are the times.

    The annotation of a frame has the name of its image. Non-zero is what moves: labels 1 dynamic and 2 actor where both
    are told apart, else 1 foreground. Frames without one are not ``labelled``; those in no split are left out.

    Args:
        root: holds ``meta.json``, ``frames`` and, where there are any, ``annotations``.
        sizing: of the images.
        split: a step where the file has no split: every 16th frame of 8 is for the test, those between for validation.

    Raises:
        UserError: a file or key is missing or broken, or the cameras are.
    """
    source = root / "meta.json"
    content = read_object(source, "ids, images, poses and intrinsics of the frames")
    tables = {key: _table(source, content, key) for key in TABLES}
    ids = _there(root, source, tables["images"], _ids(source, content))
    ids, chosen = _chosen(source, content, ids, split)
    files = [root / "frames" / tables["images"][str(number)] for number in ids]
    poses = np.array(
        [pose_of(_entry(source, tables["poses"], number, "poses"), f"{source}: {number}") for number in ids]
    )
    draft = Draft(root, source, files, poses, chosen, sizing)
    bounds = np.stack([_numbers(source, tables[key], ids, key) for key in ("nears", "fars")], axis=1)
    scene = draft.finished([_camera(source, content, draft.gallery.original)] * len(ids), bounds)
    return replace(scene, times=np.array(ids, np.int64), **vars(_labels(root, draft.gallery)))


def _table(source: Path, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = content.get(key)
    if not isinstance(table, dict):
        raise UserError(f"{source}: no {key} in it; expected an object with an entry for each id.")
    return table


def _entry(source: Path, table: Mapping[str, Any], number: int, key: str) -> Any:
    if str(number) not in table:
        raise UserError(f"{source}: {key} has no entry for frame {number}; expected one for each id.")
    return table[str(number)]


def _numbers(source: Path, table: Mapping[str, Any], ids: Sequence[int], key: str) -> Floats:
    numbers = [as_number(_entry(source, table, number, key)) for number in ids]
    for number, value in zip(ids, numbers):
        if value is None:
            raise UserError(f"{source}: {key} of frame {number} is {table[str(number)]}; expected a number.")
    return np.array(numbers, float)


def _ids(source: Path, content: Mapping[str, Any], key: str = "ids_all") -> list[int]:
    """Return a list of frame numbers in order; of ``images`` where there is no list of all."""
    listed = content.get(key)
    if listed is None and key == "ids_all":
        listed = [int(number) if number.isdecimal() else number for number in content["images"]]
    if not isinstance(listed, list) or not all(type(number) is int and number >= 0 for number in listed):
        raise UserError(f"{source}: {key} is {str(listed)[:60]}; expected a list of frame numbers.")
    if len(set(listed)) < len(listed):
        repeated = next(number for number in listed if listed.count(number) > 1)
        raise UserError(f"{source}: frame {repeated} is in {key} twice; take one of the two out.")
    return sorted(listed)


def _there(root: Path, source: Path, images: Mapping[str, Any], ids: list[int]) -> list[int]:
    """Return the ids whose image is there."""
    listed = [str(_entry(source, images, number, "images")) for number in ids]
    files = [file if (file := inside(root / "frames", name, source)).is_file() else None for name in listed]
    return [ids[place] for place in present(source, listed, files)]


def _chosen(source: Path, content: Mapping[str, Any], ids: list[int], split: float | None) -> tuple[list[int], Split]:
    """Return the ids that are in a split, and the split."""
    if all(content.get(key) is None for key in SPLITS):
        step = 8 if split is None else split
        if not (step >= 2 and step % 1 == 0):
            raise UserError(f"data.split is {split}; expected a step for EPIC-Diff, such as 8.")
        return ids, alternating(len(ids), int(step))
    refuse(split, source)
    members = [set(_ids(source, content, key)) if content.get(key) is not None else set() for key in SPLITS]
    if leaking := members[0] & members[2]:
        log.warning("%s: %s frames are in both ids_train and ids_test", source, len(leaking))
    kept = [number for number in ids if any(number in part for part in members)]
    if len(kept) < len(ids):
        log.warning("%s: left out, in no split: %s of %s frames", source, len(ids) - len(kept), len(ids))
    places = [tuple(place for place, number in enumerate(kept) if number in part) for part in members]
    return kept, Split(*places)


def _camera(source: Path, content: Mapping[str, Any], size: tuple[int, int]) -> Calibration:
    """Return the one camera of all frames, for images of ``size``; its lens is that of ``camera`` where it is there."""
    try:
        matrix = np.asarray(content.get("intrinsics"), float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
        found = str(content.get("intrinsics"))[:60]
        raise UserError(f"{source}: intrinsics are {found}; expected a matrix of 3x3 with positive focal lengths.")
    known = content.get("camera")
    fx, fy, cx, cy = matrix[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
    camera = Calibration((fx, fy, cx, cy))
    if isinstance(known, dict):
        camera = replace(_lens(source, known), intrinsics=camera.intrinsics)
    width, height = (as_number(content.get(f"image_{side}", content.get(f"images_{side}"))) for side in "wh")
    if width is None or height is None:
        check_centre(cx, cy, size, str(source))
        return camera
    return camera.resized((width, height), size, str(source))


def _lens(source: Path, camera: Mapping[str, Any]) -> Calibration:
    params = camera.get("params")
    numbers = [as_number(value) for value in params] if isinstance(params, list) else [None]
    if any(number is None for number in numbers):
        raise UserError(f"{source}: the params of the camera are {str(params)[:60]}; expected a list of numbers.")
    return calibration(str(camera.get("model")), [number for number in numbers if number is not None], str(source))


def _labels(root: Path, gallery: Gallery) -> Labels:
    """Return what moves in each frame that has an annotation."""
    files = []
    for file in gallery.files:
        same = root / "annotations" / file.relative_to(root / "frames")
        files.append(next((path for path in (same, same.with_suffix(".png")) if path.is_file()), None))
    maps = read_maps(gallery, files)
    if maps.labels is None:
        return maps
    told_apart = set(np.unique(maps.labels).tolist()) >= {1, 2} and int(maps.labels.max()) == 2
    labels = maps.labels if told_apart else (maps.labels > 0).astype(np.uint8)
    return Labels(labels, MOVING if told_apart else ("foreground",), maps.labelled)
