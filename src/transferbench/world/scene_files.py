"""The files of a scene: made in steps, each of which depends on the scene's plan alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transferbench.world.taxonomy import concept_ids, read_taxonomy


@dataclass(frozen=True)
class Step:
    """One picture's files, by their paths in the scene's folder, made by ``paint``."""

    names: tuple[str, ...]
    paint: Callable[[], dict[str, bytes]]


def instance(lemma: str) -> dict[str, str]:
    """Return the lemma, the readable name and the concept id of an object."""
    wnid = concept_ids(read_taxonomy())[lemma]
    return {"lemma": lemma, "name": lemma.replace("_", " "), "wnid": wnid}


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG file of pixels (H, W), (H, W, 3) or (H, W, 4)."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def as_json(content: Mapping[str, Any]) -> bytes:
    """Return a JSON file."""
    return (json.dumps(content, indent=1) + "\n").encode("utf-8")
