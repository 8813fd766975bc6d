"""Captures in ``transforms.json``, as instant-ngp (Mueller et al., SIGGRAPH 2022) and nerfstudio write them."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferbench.data.annotation_files import as_number
from transferbench.data.scenes.assembling import Draft
from transferbench.data.scenes.calibration import calibration_of, check_all_or_none
from transferbench.data.scenes.gallery import Gallery
from transferbench.data.scenes.reading import (
    bounds_of,
    box_of,
    find_image,
    frames_of,
    inside,
    natural,
    poses_of,
    present,
    read_object,
)
from transferbench.data.scenes.scene import Floats, Scene
from transferbench.data.scenes.sizing import FULL, Sizing
from transferbench.data.scenes.splits import Split, evenly, refuse, ruled
from transferbench.errors import UserError

log = logging.getLogger(__name__)

SCALE, OFFSET = 0.33, 0.5  # by which instant-ngp brings positions into its unit cube, unless the file says otherwise
LISTS = ("train_filenames", "val_filenames", "test_filenames")


def read_transforms(root: Path, sizing: Sizing = FULL, split: float | None = None) -> Scene:
    """Read a capture; frames are sorted by name, numbers in it by their value.

    Frames whose image is missing are left out with a warning. A black pixel in a frame's ``mask_path`` is ignored.
    Poses stay as they are written, neither centred nor scaled; ``aabb_scale`` becomes the box, in their
    units, which counts where images have an alpha channel.

    Args:
        root: holds ``transforms.json``.
        sizing: of the images.
        split: a rule in place of nerfstudio's, which fits 90 % of the frames, evenly spaced; the lists
            ``train_filenames``, ``val_filenames`` and ``test_filenames`` count before it.

    Raises:
        UserError: a file is missing or broken, or the cameras are, or a kind of lens is not supported.
    """
    source = root / "transforms.json"
    content = read_object(source, "cameras and frames")
    frames, chosen = _chosen(source, content, _there(root, source, content), split)
    files = [file for frame in frames if (file := find_image(root, frame["file_path"], source)) is not None]
    draft = Draft(root, source, files, poses_of(source, frames), chosen, sizing)
    size, box = draft.gallery.original, _box(source, content)
    check_all_or_none(source, content, frames)
    cameras = [calibration_of({**content, **frame}, size, f"{source}: {frame['file_path']}") for frame in frames]
    scene = draft.finished(cameras, bounds_of(source, content))
    return replace(scene, box=box, ignored=_ignored(root, source, frames, draft.gallery))


def ngp_matrix(scale: float = SCALE, offset: Sequence[float] | float = OFFSET) -> Floats:
    """Return the matrix (4, 4) that takes positions in a file to instant-ngp's cube, [0, 1] on a side.

    There p becomes scale p + offset, and its rows are those of old 1, 2, 0.
    """
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = offset
    return matrix[[1, 2, 0, 3]]


def _there(root: Path, source: Path, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the frames whose image is there, in the order of their names."""
    frames = sorted(frames_of(source, content), key=lambda frame: natural(frame["file_path"]))
    listed = [frame["file_path"] for frame in frames]
    return [frames[place] for place in present(source, listed, [find_image(root, path, source) for path in listed])]


def _chosen(
    source: Path, content: Mapping[str, Any], frames: list[dict[str, Any]], split: float | None
) -> tuple[list[dict[str, Any]], Split]:
    """Return the frames that are in a split, and the split."""
    lists = {key: content[key] for key in LISTS if content.get(key) is not None}
    if not lists:
        return frames, ruled(split, len(frames), evenly(len(frames)))
    refuse(split, source)
    for key, paths in lists.items():
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise UserError(f"{source}: {key} is {str(paths)[:60]}; expected a list of paths.")
    members = {key: {posixpath.normpath(path) for path in lists.get(key, [])} for key in LISTS}
    wanted = set().union(*members.values())
    paths = [posixpath.normpath(frame["file_path"]) for frame in frames]
    if leaking := members["train_filenames"] & members["test_filenames"]:
        log.warning("%s: %s frames are in both train_filenames and test_filenames", source, len(leaking))
    if unlisted := [path for path in paths if path not in wanted]:
        log.warning("%s: left out, in no list: %s frames, first %s", source, len(unlisted), unlisted[0])
    if unknown := sorted(wanted - set(paths), key=natural):
        log.warning("%s: listed without a frame: %s paths, first %s", source, len(unknown), unknown[0])
    kept = [path for path in paths if path in wanted]
    places = [tuple(place for place, path in enumerate(kept) if path in members[key]) for key in LISTS]
    return [frame for frame, path in zip(frames, paths) if path in wanted], Split(*places)


def _box(source: Path, content: Mapping[str, Any]) -> Floats | None:
    """Return the corners of ``box``, or of instant-ngp's cube made ``aabb_scale`` times as large about its centre."""
    if "aabb_scale" not in content or content.get("box") is not None:
        return box_of(source, content)
    side, scale = as_number(content["aabb_scale"]), as_number(content.get("scale", SCALE))
    offset = content.get("offset", OFFSET)
    if side is None or scale is None or side <= 0 or scale <= 0 or np.shape(offset) not in ((), (3,)):
        raise UserError(
            f"{source}: aabb_scale is {content['aabb_scale']}, scale {content.get('scale', SCALE)}, offset {offset}; "
            "expected positive numbers, and one or three for the offset."
        )
    cube = np.array([[0.5 - side / 2] * 3 + [1.0], [0.5 + side / 2] * 3 + [1.0]])
    corners: Floats = (cube @ np.linalg.inv(ngp_matrix(scale, offset)).T)[:, :3]
    return corners


def _ignored(
    root: Path, source: Path, frames: Sequence[Mapping[str, Any]], gallery: Gallery
) -> NDArray[np.bool_] | None:
    listed = [frame.get("mask_path") for frame in frames]
    if not any(listed):
        return None
    files = [None if path is None else inside(root, str(path), source) for path in listed]
    masks = gallery.masks(files, indices=False)
    return np.stack([np.zeros(mask.shape, np.bool_) if file is None else mask == 0 for file, mask in zip(files, masks)])
