"""Photos that nobody labelled: a folder, or a single file, as an image set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from transferbench.data.image_set import FolderImages
from transferbench.data.labelled import EXTENSIONS
from transferbench.errors import UserError


def read_photos(root: Path | str) -> FolderImages:
    """List the images in a folder and in the folders in it, sorted by name; hidden ones are passed over.

    There are no classes: the label of an image is its index.

    Args:
        root: a folder, or the file of one image.

    Raises:
        UserError: nothing there, or no images in it.
    """
    chosen = Path(root).expanduser()
    if chosen.is_dir():
        folder, names = chosen, sorted(_image_files(chosen))
    elif chosen.is_file():
        folder, names = chosen.parent, [chosen.name]
    else:
        raise UserError(f"{chosen}: no such file or folder; set data.root=FOLDER to a folder of images.")
    if not names:
        raise UserError(
            f"{chosen}: no images in it; expected files ending in {' '.join(EXTENSIONS)}. Set data.root=FOLDER."
        )
    return FolderImages(folder, names, np.arange(len(names)), ())


def _image_files(root: Path) -> Iterator[str]:
    """Yield the paths of the images below ``root`` relative to it; links to folders are followed, but in no ring."""
    met: set[tuple[int, int]] = set()
    for folder, nested, files in os.walk(root, onerror=_refuse, followlinks=True):
        here = os.stat(folder)  # noqa: PTH116 - the folder is a plain string here
        if (here.st_dev, here.st_ino) in met:
            nested.clear()
            continue
        met.add((here.st_dev, here.st_ino))
        nested[:] = sorted(name for name in nested if not name.startswith("."))
        below = os.path.relpath(folder, root)
        prefix = "" if below == "." else f"{below}/"
        for name in files:
            if not name.startswith(".") and name.lower().endswith(EXTENSIONS):
                yield prefix + name


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: {error.strerror}; make it readable or set data.root=FOLDER.") from None
