"""Pictures as a film: MP4 where PyAV is installed, else an animated WebP."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transferbench.storage import atomic_path

log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
QUALITY = 17
"""Constant rate factor of H.264: no loss is seen from about 18 downwards."""


def write_film(folder: Path, name: str, pictures: Iterable[Picture], fps: float) -> Path:
    """Write ``pictures`` (H, W, 3) uint8, all of one size, ``fps`` of them a second; return the path of the film.

    It is ``<name>.mp4`` (H.264 in 4:2:0, as every player and browser reads it; a last row or column stands twice where
    their number is odd), or ``<name>.webp`` with a warning. Raises ValueError without pictures.
    """
    frames = iter(pictures)
    first = next(frames, None)
    if first is None:
        raise ValueError(f"{name}: a film of no pictures")
    whole = itertools.chain([first], frames)
    if importlib.util.find_spec("av") is not None:
        with atomic_path(folder / f"{name}.mp4") as part:
            _write_mp4(part, whole, fps)
        return folder / f"{name}.mp4"
    log.warning("PyAV is not installed: %s.webp in place of %s.mp4; type pip install av", name, name)
    with atomic_path(folder / f"{name}.webp") as part:
        images = [Image.fromarray(picture) for picture in whole]
        shown = {"duration": round(1000 / fps), "loop": 0, "quality": 90}
        images[0].save(part, format="WEBP", save_all=True, append_images=images[1:], **shown)
    return folder / f"{name}.webp"


def _write_mp4(path: Path, pictures: Iterable[Picture], fps: float) -> None:
    av: Any = importlib.import_module("av")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": str(QUALITY)} if codec == "libx264" else {"q": "3"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = None
        for picture in pictures:
            even = np.pad(picture, [(0, side % 2) for side in picture.shape[:2]] + [(0, 0)], mode="edge")
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
                stream.height, stream.width, stream.pix_fmt = even.shape[0], even.shape[1], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")))
        if stream is not None:
            container.mux(stream.encode(None))
