"""What readers of scenes share: JSON, paths that stay inside the folder, images that are there, bounds and names."""

from __future__ import annotations

import logging
import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from transferbench.data.annotation_files import as_number, read_json
from transferbench.data.scenes.poses import pose_of
from transferbench.data.scenes.scene import Floats
from transferbench.errors import UserError

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")  # in the order in which they are tried


def read_object(source: Path, expected: str) -> dict[str, Any]:
    """Return the object in a JSON file; raises UserError, with the line, where there is none."""
    content = read_json(source, expected, "Write it again, or set data.root=FOLDER to another scene.")
    if not isinstance(content, dict):
        raise UserError(f"{source}: it holds a {type(content).__name__}; expected {expected}, an object with keys.")
    return content


def frames_of(source: Path, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of ``frames``: each has a text ``file_path`` and a ``transform_matrix``."""
    frames = content.get("frames")
    if not isinstance(frames, list):
        raise UserError(f"{source}: no list of frames in it; expected frames with file_path and transform_matrix.")
    for index, frame in enumerate(frames):
        entry = frame if isinstance(frame, dict) else {}
        if not isinstance(entry.get("file_path"), str) or "transform_matrix" not in entry:
            what = "transform_matrix" if isinstance(entry.get("file_path"), str) else "file_path"
            rolling = " (a rolling shutter is not supported)" if "transform_matrix_start" in entry else ""
            raise UserError(
                f"{source}: frames[{index}] has no {what}{rolling}; expected a text file_path and a transform_matrix."
            )
    return frames


def poses_of(source: Path, frames: Sequence[Mapping[str, Any]]) -> Floats:
    """Return the poses (N, 4, 4) of entries with a ``transform_matrix``."""
    poses = [pose_of(frame["transform_matrix"], f"{source}: {frame['file_path']}") for frame in frames]
    return np.array(poses).reshape(-1, 4, 4)


def inside(root: Path, listed: str, source: Path) -> Path:
    """Return the path that a file of the scene lists, below ``root``; raises UserError where it leads out of it."""
    path = posixpath.normpath(listed.replace("\\", "/"))
    if path.startswith(("/", "../")) or path == ".." or re.match(r"[A-Za-z]:", path) or "\0" in path:
        raise UserError(
            f"{source}: the path {listed[:120]} leads out of the scene; expected paths relative to {root} without ..; "
            "move the files into the folder, or link to them there."
        )
    return root / path


def find_image(root: Path, listed: str, source: Path) -> Path | None:
    """Return the image that a path names, with or without its suffix; None where there is none."""
    path = inside(root, listed, source)
    return next((file for suffix in ("", *SUFFIXES) if (file := Path(f"{path}{suffix}")).is_file()), None)


def present(source: Path, listed: Sequence[str], files: Sequence[Path | None]) -> list[int]:
    """Return the places of the ``files`` that are there; those that are not are counted in a warning.

    Raises UserError where none is there.
    """
    missing = [name for name, file in zip(listed, files) if file is None]
    if missing and len(missing) == len(files):
        raise UserError(
            f"{source}: none of its {len(files)} images is there, such as {missing[0]}; "
            f"put them below {source.parent}, at the paths that it lists."
        )
    if missing:
        log.warning("%s: left out, image missing: %s of %s, first %s", source, len(missing), len(files), missing[0])
    return [place for place, file in enumerate(files) if file is not None]


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder by name."""
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts the numbers in names by their value: r_2 before r_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def frame_names(root: Path, source: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """Return one name a file: without folders and suffix, or with the folders where two files share it.

    Raises:
        UserError: fewer than two files, or one that is there twice.
    """
    if len(files) < 2:
        raise UserError(f"{source}: {len(files)} image in the scene; expected at least two from different places.")
    repeated = [file for file, count in Counter(files).items() if count > 1]
    if repeated:
        raise UserError(f"{source}: {repeated[0].relative_to(root)} is a frame twice; take one of the two out.")
    names = tuple(file.stem for file in files)
    if len(set(names)) < len(names):
        names = tuple("_".join(PurePosixPath(file.relative_to(root)).with_suffix("").parts) for file in files)
    repeated_names = [name for name, count in Counter(names).items() if count > 1]
    if repeated_names:
        raise UserError(f"{source}: two frames are called {repeated_names[0]}; rename one of their files.")
    return names


def bounds_of(source: Path, content: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return ``near`` and ``far`` of a file, None without them; raises UserError for one without the other."""
    if "near" not in content and "far" not in content:
        return None
    near, far = as_number(content.get("near")), as_number(content.get("far"))
    if near is None or far is None:
        raise UserError(
            f"{source}: near is {content.get('near')} and far {content.get('far')}; expected two numbers, or neither."
        )
    return near, far


def box_of(source: Path, content: Mapping[str, Any]) -> Floats | None:
    """Return the corners (2, 3) under ``box``, None without; raises UserError where they enclose nothing."""
    if content.get("box") is None:
        return None
    try:
        box = np.asarray(content["box"], float)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.shape != (2, 3) or not np.isfinite(box).all() or not (box[0] < box[1]).all():
        raise UserError(f"{source}: box is {str(content['box'])[:80]}; expected two corners, the lower one first.")
    return box
