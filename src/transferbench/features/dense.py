"""Teacher features of a scene: a map of every view, reduced to few dimensions, made once and kept."""

from __future__ import annotations

import json
import logging
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import transferbench
from transferbench.errors import RunFailed, UserError
from transferbench.features import pca as reduction
from transferbench.features.extract import frozen, refuse_non_finite
from transferbench.features.keys import network_digest, weights_digest
from transferbench.features.pca import Pca, fit_pca
from transferbench.storage import atomic_path, cache_dir, digest_of, locked

log = logging.getLogger(__name__)

Maps = NDArray[np.float32]
Extract = Callable[[Tensor], Tensor]
"""From pictures (B, 3, H, W) uint8 to maps (B, C, h, w), such as ``models.dense.DenseFeatures``."""
_BROKEN = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class TeacherMaps:
    """What a teacher says of every view.

    Attributes:
        maps: (N, d, h, w) of length 1 at every cell, or 0 where a feature was 0.
        size: rows and columns of the pictures.
        pca: how the features were reduced, before they were brought to length 1; None where they were not.
    """

    maps: Maps
    size: tuple[int, int]
    pca: Pca | None = None

    def at(self, views: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Maps:
        """Return the features (R, d) of the cells in which R pixels of these views lie."""
        height, width = self.maps.shape[2:]
        found: Maps = self.maps[views, :, rows * height // self.size[0], columns * width // self.size[1]]
        return found


def teacher_maps(
    images: NDArray[np.uint8],
    extract: Extract,
    dimensions: int | None = 64,
    *,
    rows: Sequence[int] | None = None,
    batch_size: int = 8,
    device: str | torch.device = "cpu",
    cache: Path | str | None = None,
    key: str = "",
) -> TeacherMaps:
    """Return the features of every view, from the cache where they are there.

    Args:
        images: (N, H, W, 3) uint8, the views of a scene.
        extract: the teacher; a module is run in evaluation mode on ``device``.
        dimensions: of the features after PCA; None for all channels as they are.
        rows: the views to which the PCA is fitted, such as those for training; None for all, as N3F does.
        batch_size: views at a time.
        device: where ``extract`` runs.
        cache: the folder to keep maps in; None for ``dense`` in the cache folder.
        key: what else the features depend on. A module is known by its weights, settings and code; the maps of another
            callable are kept under ``key`` alone, and not at all without one.

    Raises:
        UserError: images of another kind, rows that are not there, more dimensions than channels, more than memory
            holds, or a file in the cache that belongs to another scene.
        RunFailed: features that are not finite, or a disk that is full.
    """
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not images.size:
        raise UserError(
            f"views of shape {images.shape} and type {images.dtype}: expected (N, H, W, 3) uint8; put pictures with an "
            "alpha channel on a background first"
        )
    fitted = range(len(images)) if rows is None else sorted({int(row) for row in rows})
    if not fitted or fitted[0] < 0 or fitted[-1] >= len(images):
        raise UserError(f"rows={rows}: the scene has {len(images)} views; expected some of 0 to {len(images) - 1}")

    def made() -> TeacherMaps:
        raw = _extracted(images, extract, batch_size, device)
        return _reduced(raw, images.shape[1:3], dimensions, fitted)

    if not isinstance(extract, nn.Module) and not key:
        return made()
    parts = {
        "views": list(images.shape[:3]),
        "images": digest_of(images.tobytes()),
        "network": [key, weights_digest(extract), network_digest(extract)] if isinstance(extract, nn.Module) else [key],
        "dimensions": dimensions,
        "fitted to": list(fitted),
        "code": digest_of(transferbench.__version__, *(Path(f).read_bytes() for f in (__file__, reduction.__file__))),
    }
    return _kept(Path(cache) if cache else cache_dir() / "dense", parts, made)


def oracle_maps(labels: NDArray[np.uint8], dimensions: int, seed: int = 0) -> TeacherMaps:
    """Return a perfect teacher: every label, 0 too, has a random direction of its own, at every pixel.

    Args:
        labels: (N, H, W) what each pixel shows.
        dimensions: of the features.
        seed: of the directions, which do not depend on what labels there are.

    Raises:
        UserError: labels of another kind.
    """
    if labels.ndim != 3 or labels.dtype != np.uint8 or dimensions < 1:
        raise UserError(
            f"labels of shape {labels.shape} and type {labels.dtype} in {dimensions} dimensions: expected (N, H, W) "
            "uint8 and at least 1 dimension"
        )
    directions = np.random.default_rng(seed).normal(size=(256, dimensions))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    maps = np.moveaxis(directions.astype(np.float32)[labels], -1, 1)
    return TeacherMaps(np.ascontiguousarray(maps), (labels.shape[1], labels.shape[2]))


def read_maps(path: Path | str, parts: Mapping[str, object] | None = None) -> TeacherMaps:
    """Read a file of ``teacher_maps``.

    Args:
        path: the file.
        parts: what the maps have to depend on; None for whatever they do.

    Raises:
        UserError: they depend on something else. ``OSError``, ``ValueError`` and the like for a damaged file.
    """
    with np.load(path, allow_pickle=False) as file:
        stored = json.loads(str(file["parts"]))
        different = [name for name in parts or () if stored.get(name) != parts[name]] if parts else []
        if different:
            raise UserError(
                f"{path} holds the features of another scene or teacher: its {', '.join(different)} differ; delete it, "
                "or name another cache folder"
            )
        maps = file["maps"]
        known = Pca(file["mean"], file["components"], file["variance"], float(file["total"]))
    views, height, width = (int(number) for number in stored["views"])
    if maps.ndim != 4 or maps.dtype != np.float32 or len(maps) != views:
        raise ValueError(f"it holds {maps.shape} {maps.dtype} for {views} views")
    return TeacherMaps(maps, (height, width), known if known.components.size else None)


def _kept(folder: Path, parts: Mapping[str, object], made: Callable[[], TeacherMaps]) -> TeacherMaps:
    """Return the maps in the cache; make them first where they are missing or broken."""
    path = folder / f"{digest_of(parts)}.npz"
    with locked(path.with_suffix(".lock")):
        if path.exists():
            try:
                return read_maps(path, parts)
            except _BROKEN as error:
                reason = str(error).split("\n", 1)[0] or type(error).__name__
                log.warning("%s is broken (%s); the features are made again", path, reason)
        found = made()
        _write(path, parts, found)
        return found


def _write(path: Path, parts: Mapping[str, object], maps: TeacherMaps) -> None:
    pca = maps.pca or Pca(np.zeros(0), np.zeros((0, 0)), np.zeros(0), 0.0)
    arrays: dict[str, Any] = {"mean": pca.mean, "components": pca.components, "variance": pca.variance}
    try:
        with atomic_path(path) as part, part.open("wb") as file:
            np.savez(file, maps=maps.maps, parts=np.array(json.dumps(parts)), total=np.array(pca.total), **arrays)
    except OSError as error:
        raise RunFailed(f"{path} cannot be written ({error.strerror}); make room there") from None


@torch.no_grad()
def _extracted(images: NDArray[np.uint8], extract: Extract, batch_size: int, device: str | torch.device) -> Maps:
    """Return the teacher's maps (N, C, h, w) as they are."""
    maps = np.empty(0, np.float32)
    with frozen(extract, device) if isinstance(extract, nn.Module) else nullcontext():
        for start in range(0, len(images), batch_size):
            pictures = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size].transpose(0, 3, 1, 2)))
            found = extract(pictures.to(device)).float().cpu().numpy()
            if start == 0:
                _refuse_too_large(len(images), found.shape[1:])
                maps = np.empty((len(images), *found.shape[1:]), np.float32)
            maps[start : start + batch_size] = found
            log.info("dense features of %d of %d views", min(start + batch_size, len(images)), len(images))
    refuse_non_finite(maps)
    return maps


def _refuse_too_large(count: int, shape: tuple[int, ...]) -> None:
    """Raise ``UserError`` where the maps of all views would take more than half of the machine's memory."""
    needed, memory = 4 * count * int(np.prod(shape)), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if 2 * needed > memory:
        raise UserError(
            f"the features of {count} views, {shape[0]} channels on {shape[1]} x {shape[2]} cells, take "
            f"{needed / 2**30:.1f} GiB of this machine's {memory / 2**30:.1f}; choose a smaller grid, a larger stride "
            "or smaller pictures"
        )


def _reduced(raw: Maps, size: tuple[int, ...], dimensions: int | None, fitted: Sequence[int]) -> TeacherMaps:
    """Reduce maps by the principal components of the ``fitted`` views, and bring every cell to length 1."""
    pca: Pca | None = None
    if dimensions is not None:
        count, _, height, width = raw.shape
        tokens = [view.reshape(len(view), -1).T for view in raw]
        pca = fit_pca([tokens[view] for view in fitted], dimensions)
        cells = np.stack([pca.reduced(view).T for view in tokens])
        raw = cells.reshape(count, dimensions, height, width)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    return TeacherMaps(raw / np.maximum(lengths, 1e-12), (size[0], size[1]), pca)
