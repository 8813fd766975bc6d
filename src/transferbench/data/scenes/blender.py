"""The synthetic scenes of NeRF (Mildenhall et al., ECCV 2020), rendered by Blender: ``transforms_<split>.json``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transferbench.data.scenes.assembling import Draft
from transferbench.data.scenes.calibration import calibration_of
from transferbench.data.scenes.labels import named_maps
from transferbench.data.scenes.reading import bounds_of, box_of, find_image, frames_of, inside, poses_of, read_object
from transferbench.data.scenes.scene import Scene
from transferbench.data.scenes.sizing import FULL, Sizing
from transferbench.data.scenes.splits import Split, refuse, ruled
from transferbench.errors import UserError

SPLITS = ("train", "val", "test")
NEAR, FAR, BOX = 2.0, 6.0, 1.5  # of all eight scenes, which do not say so themselves


class Part(NamedTuple):
    """One split as its file describes it, before images are opened."""

    source: Path
    content: dict[str, Any]
    frames: list[dict[str, Any]]
    files: list[Path]


def read_blender(root: Path, sizing: Sizing = FULL, split: float | None = None, thin: int = 1) -> Scene:
    """Read a scene of NeRF's synthetic kind; frames are in the order of training, validation, test.

    ``file_path`` may lack its suffix. Transparent images are put on white. The files may say ``near``, ``far`` and
    ``box``; without that 2, 6 and +-1.5 hold, where images have an alpha channel. ``masks/<file_path>.png`` are maps
    of labels that ``objects.json`` names.

    Args:
        root: holds ``transforms_train.json`` and, where there are any, those of val and test.
        sizing: of the images.
        split: a rule where there are training frames alone.
        thin: keep every so many of the frames for validation and test (8 is usual where time is short).

    Raises:
        UserError: a file or image is missing or broken, or the cameras are.
    """
    parts = _parts(root, thin)
    source = parts["train"].source
    files = [file for part in parts.values() for file in part.files]
    poses = np.concatenate([poses_of(part.source, part.frames) for part in parts.values()])
    draft = Draft(root, source, files, poses, _split(parts, split), sizing)
    cameras = [
        calibration_of({**part.content, **frame}, draft.gallery.original, str(part.source))
        for part in parts.values()
        for frame in part.frames
    ]
    said = [bounds_of(part.source, part.content) for part in parts.values() for _ in part.files]
    box = box_of(source, parts["train"].content)
    masks = [file for part in parts.values() for file in _masks(root, part)]
    scene = draft.finished(cameras, [one or (NEAR, FAR) for one in said])
    if scene.images.shape[-1] == 3 and not any(said):  # a capture filed like one of the eight, with things behind it
        scene = replace(scene, near=None, far=None)
    return replace(
        scene,
        box=np.array([[-BOX] * 3, [BOX] * 3]) if box is None else box,
        **vars(named_maps(root, draft.gallery, masks)),
    )


def _parts(root: Path, thin: int) -> dict[str, Part]:
    if thin < 1:
        raise UserError(f"data.thin is {thin}; expected 1 for all frames, or every so many, such as 8.")
    parts = {}
    for name in SPLITS:
        source = root / f"transforms_{name}.json"
        if name != "train" and not source.is_file():
            continue
        content = read_object(source, "a camera and its frames")
        frames = frames_of(source, content)[:: 1 if name == "train" else thin]
        parts[name] = Part(source, content, frames, [_image(root, source, frame) for frame in frames])
    return parts


def _image(root: Path, source: Path, frame: dict[str, Any]) -> Path:
    file = find_image(root, frame["file_path"], source)
    if file is None:
        raise UserError(
            f"{source}: the image {frame['file_path']} is not there, with or without .png; "
            "fetch the scene again, or take the frame out."
        )
    return file


def _split(parts: dict[str, Part], split: float | None) -> Split:
    count = len(parts["train"].files)
    if len(parts) == 1:
        return ruled(split, count, Split(tuple(range(count))))
    refuse(split, next(part.source for name, part in parts.items() if name != "train"))
    places, start = {}, 0
    for name, part in parts.items():
        places[name] = tuple(range(start, start + len(part.files)))
        start += len(part.files)
    return Split(**places)


def _masks(root: Path, part: Part) -> list[Path | None]:
    """Return the map of labels of each frame, ``masks/train/r_0.png`` of ``./train/r_0``."""
    listed = [inside(root, frame["file_path"], part.source).relative_to(root) for frame in part.frames]
    plain = [path.with_suffix("") if path.suffix.lower() in (".png", ".jpg", ".jpeg") else path for path in listed]
    files = [root / "masks" / f"{path}.png" for path in plain]
    return [file if file.is_file() else None for file in files]
