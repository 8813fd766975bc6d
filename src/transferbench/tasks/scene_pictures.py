"""Pictures of rendered views in which a colour means the same from the first frame of a film to the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transferbench.nerf.editing import unit
from transferbench.tasks.field_examination import picture, shaded

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
Likeness = Callable[[Tensor], Tensor]
"""From features (R, C) of length 1 to how like each is to what is sought (R,)."""

MOST = 20_000
"""Pixels of a view, about, that scales are found from."""
HIT = 0.5
"""Share of a ray that ends on something where a picture shows it."""


class Basis(NamedTuple):
    """Three directions of most spread of features: the ``mean`` (C,), ``directions`` (C, 3), their range (3,)."""

    mean: Floats
    directions: Floats
    low: Floats
    high: Floats


class Scales(NamedTuple):
    """What colours mean: the range of depths, the directions of features, the range of likeness to what is sought."""

    depth: tuple[float, float]
    basis: Basis | None = None
    likeness: tuple[float, float] | None = None


def scales_of(views: Iterable[Any], like: Likeness | None = None) -> Scales:
    """Return the scales that suit rendered ``views`` of a film; ``like`` tells what is sought."""
    depths, features = [], []
    for view in views:
        hits = (view.opacity > HIT).nonzero()[:, 0]
        some = hits[:: max(len(hits) // MOST, 1)]
        depths.append(depth_of(view)[some.cpu().numpy()])
        if getattr(view, "features", None) is not None:
            features.append(unit(view.features[some]).float().cpu())
    depth = _range(np.concatenate(depths), 0.02, 0.98)
    if not features:
        return Scales(depth)
    found = torch.cat(features)
    likeness = None if like is None else _range(like(found).numpy(), 0.02, 0.995)
    return Scales(depth, _basis(found.numpy().astype(np.float64)), likeness)


def _range(values: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    found = np.quantile(values, [low, high])
    return float(found[0]), float(max(found[1], found[0] + 1e-6))


def _basis(features: Floats) -> Basis:
    width = features.shape[1]
    if not len(features):
        return Basis(np.zeros(width), np.zeros((width, 3)), np.zeros(3), np.ones(3))
    mean = features.mean(0)
    _, vectors = np.linalg.eigh((features - mean).T @ (features - mean))
    directions = np.pad(vectors[:, ::-1][:, :3], [(0, 0), (0, max(3 - width, 0))])
    directions = directions * np.where(directions.sum(0) < 0, -1.0, 1.0)  # a film that goes on has the same colours
    low, high = np.quantile((features - mean) @ directions, [0.02, 0.98], axis=0)
    return Basis(mean, directions, low, np.maximum(high, low + 1e-9))


def depth_of(view: Any) -> NDArray[np.float32]:
    """Return the mean depth (R,) of what the rays of a view hit."""
    depth: NDArray[np.float32] = (view.depth / view.opacity.clamp(min=1e-6)).float().cpu().numpy()
    return depth


def picture_of(
    what: str, view: Any, size: tuple[int, int], background: Tensor, scales: Scales, like: Likeness | None
) -> Picture:
    """Return one picture (H, W, 3) of a rendered ``view`` of H W rays.

    ``what`` is its colour, its depth (near things bright), its features as colours, or its relevance: how ``like``
    what is sought things are (like ones bright). Where nothing is, the colour and the features have the ``background``
    (3,), the others are black.
    """
    if what == "colour":
        return picture(view.colour.clamp(0, 1).reshape(*size, 3))
    hit = (view.opacity > HIT).cpu().numpy()
    if what == "depth":
        near = 1 - _scaled(depth_of(view), scales.depth)
        return shaded(np.where(hit, 0.1 + 0.9 * near, 0.0).reshape(size))
    if what == "relevance" and like is not None and scales.likeness is not None:
        relevant = _scaled(like(unit(view.features)).float().cpu().numpy(), scales.likeness)
        return shaded(np.where(hit, 0.1 + 0.9 * relevant, 0.0).reshape(size))
    if what == "features" and scales.basis is not None:
        mean, directions, low, high = scales.basis
        features = unit(view.features).float().cpu().numpy().astype(np.float64)
        shown = np.clip(((features - mean) @ directions - low) / (high - low), 0, 1)
        opacity = view.opacity.float().cpu().numpy()[:, None].clip(0, 1)
        mixed = torch.from_numpy(shown * opacity + background.cpu().numpy() * (1 - opacity))
        return picture(mixed.reshape(*size, 3))
    raise ValueError(f"what={what!r}: expected colour or depth, or features and relevance of a view that has them")


def _scaled(values: NDArray[Any], limits: tuple[float, float]) -> NDArray[Any]:
    found: NDArray[Any] = np.clip((values - limits[0]) / (limits[1] - limits[0]), 0, 1)
    return found
