"""What pixels show: maps of labels beside the images, and what the labels are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transferbench.data.scenes.gallery import Gallery
from transferbench.data.scenes.reading import read_object
from transferbench.errors import UserError


@dataclass(frozen=True)
class Labels:
    """The parts of a Scene that masks fill: (N, H, W) maps, names from label 1, (N,) frames that have a map."""

    labels: NDArray[np.uint8] | None = None
    label_names: tuple[str, ...] = ()
    labelled: NDArray[np.bool_] | None = None


def read_maps(gallery: Gallery, files: Sequence[Path | None]) -> Labels:
    """Read a map a frame where ``files`` has one; the labels are nameless."""
    there = np.array([file is not None for file in files])
    if not there.any():
        return Labels()
    return Labels(gallery.masks(files), (), None if there.all() else there)


def named_maps(root: Path, gallery: Gallery, files: Sequence[Path | None]) -> Labels:
    """Read a map a frame, with the names of ``objects.json``; without that file they are called by their numbers."""
    maps = read_maps(gallery, files)
    if maps.labels is None:
        return maps
    highest = int(maps.labels.max())
    source = root / "objects.json"
    if not source.is_file():
        return Labels(maps.labels, tuple(f"label {number}" for number in range(1, highest + 1)), maps.labelled)
    names = label_names(source)
    if highest > len(names):
        raise UserError(f"{root / 'masks'}: a mask holds label {highest}, which {source} does not name; add it there.")
    return Labels(maps.labels, names, maps.labelled)


def label_names(source: Path) -> tuple[str, ...]:
    """Return the names of the labels 1, 2, ... in a file ``{"labels": {"1": "mug", ...}}``.

    Raises UserError where numbers from 1 to 255 do not each have a name without a gap.
    """
    listed = read_object(source, "the names of the labels").get("labels")
    found = listed if isinstance(listed, dict) else {}
    names = {key: name for key, name in found.items() if isinstance(name, str) and name}
    wanted = [str(number) for number in range(1, len(found) + 1)]
    if not found or len(found) > 255 or set(names) != set(wanted):
        raise UserError(
            f'{source}: labels are {str(listed)[:80]}; expected a name for each number from 1, {{"1": "mug", ...}}.'
        )
    return tuple(names[key] for key in wanted)
