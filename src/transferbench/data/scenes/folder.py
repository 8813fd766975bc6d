"""A folder of posed images, whatever format it is in."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from transferbench.data.scenes.blender import read_blender
from transferbench.data.scenes.colmap import find_model, read_colmap
from transferbench.data.scenes.epic_diff import read_epic_diff
from transferbench.data.scenes.llff import read_llff
from transferbench.data.scenes.scene import Scene
from transferbench.data.scenes.sizing import Sizing
from transferbench.data.scenes.transforms import read_transforms
from transferbench.errors import UserError

log = logging.getLogger(__name__)

FORMATS = {  # what a folder holds, the first that fits is taken
    "blender": "transforms_train.json",
    "llff": "poses_bounds.npy",
    "transforms": "transforms.json",
    "epic_diff": "meta.json and frames",
    "colmap": "sparse/0 with cameras.bin or cameras.txt",
}


def read_scene(
    root: Path | str,
    format: str | None = None,
    downscale: float = 1,
    size: int | Sequence[int] | None = None,
    split: float | None = None,
    spherify: bool = False,
    thin: int = 1,
) -> Scene:
    """Read the posed images in a folder.

    Args:
        root: the folder.
        format: ``blender`` (NeRF's synthetic scenes), ``llff``, ``transforms`` (instant-ngp, nerfstudio), ``colmap`` or
            ``epic_diff``; found by what the folder holds when None, with a warning where it holds two.
        downscale: a factor of 1 or more by which images shrink.
        size: in place of it, the longer side in pixels, or width and height.
        split: a step (every 8th frame is a test view) or a share to fit (0.9), where the format has no split itself.
        spherify: centre a capture of LLFF's kind that goes round something.
        thin: keep every so many of the validation and test frames of a ``blender`` scene.

    Raises:
        UserError: no format fits, or what the folder holds is broken.
    """
    folder = Path(root).expanduser().resolve()
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; set data.root=FOLDER to one that holds a scene.")
    sizing = Sizing(downscale, size if size is None or isinstance(size, int) else tuple(size))  # type: ignore[arg-type]
    kind = format or _found(folder)
    if kind not in FORMATS:
        raise UserError(f"data.format is {kind}; expected one of {', '.join(FORMATS)}, or null.")
    if spherify and kind != "llff":
        raise UserError(f"data.spherify is for LLFF's captures, but {folder} is read as {kind}; set it to false.")
    if thin != 1 and kind != "blender":
        raise UserError(f"data.thin is for scenes of the kind blender, but {folder} is read as {kind}; set it to 1.")
    match kind:
        case "blender":
            return read_blender(folder, sizing, split, thin)
        case "llff":
            return read_llff(folder, sizing, split, spherify)
        case "transforms":
            return read_transforms(folder, sizing, split)
        case "epic_diff":
            return read_epic_diff(folder, sizing, split)
        case _:
            return read_colmap(folder, sizing, split)


def formats_in(folder: Path) -> list[str]:
    """Return the formats that a folder is in, the one to take first."""
    there = {
        "blender": (folder / "transforms_train.json").is_file(),
        "llff": (folder / "poses_bounds.npy").is_file(),
        "transforms": (folder / "transforms.json").is_file(),
        "epic_diff": (folder / "meta.json").is_file() and (folder / "frames").is_dir(),
        "colmap": find_model(folder) is not None,
    }
    return [name for name in FORMATS if there[name]]


def _found(folder: Path) -> str:
    names = formats_in(folder)
    if not names:
        looked = ", ".join(f"{marker} ({name})" for name, marker in FORMATS.items())
        raise UserError(
            f"{folder}: no scene in it; looked for {looked}. Set data.root=FOLDER to one that holds a scene."
        )
    if len(names) > 1:
        others = " or ".join(f"data.format={name}" for name in names[1:])
        log.warning("%s: read as %s; set %s to read it as that", folder, names[0], others)
    return names[0]
