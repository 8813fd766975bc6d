"""A fitted scene's surface as a file for 3-D viewers: a cloud of points, or a mesh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.features.extract import evenly_spaced
from transferbench.nerf.marching import contract, inside
from transferbench.nerf.placement import Placement
from transferbench.nerf.ply import write_mesh, write_points
from transferbench.nerf.surface import (
    EMPTY,
    Cloud,
    from_ndc,
    merged,
    mesh_of,
    refuse_without_marching_cubes,
    sure,
    without_strays,
)

VIEWS = 64
"""Fitted views whose surfaces are merged, at most, evenly spaced."""
VOXELS = 256
"""Points along the longest side of the scene's box, at most."""
REACH = 8
"""Halves of that box from its middle beyond which points are left out: sky and backdrop."""
CHUNK = 65536
"""Vertices that are coloured at a time."""


def write_cloud(task: Any, scene: Any, place: Placement, path: Path) -> int:
    """Write the points where rays of the fitted views end, with their colours, and return how many they are.

    ``task`` is a ``Viewing`` with its scene; ``seen`` in the file is the number of pixels merged in a point.
    """
    half, middle = float(np.max(place.high - place.low)) / 2, (place.low + place.high) / 2
    cloud = EMPTY
    for chosen in evenly_spaced(len(scene.train), VIEWS):
        more = surface(task, int(scene.train[chosen]))
        near = np.abs(more.positions - middle).max(1, initial=0) <= REACH * half
        cloud = merged(cloud, Cloud(*(part[near] for part in more)), 2 * half / VOXELS)
    cloud = without_strays(cloud)
    write_points(path, cloud.positions, as_bytes(cloud.colours), {"seen": cloud.seen})
    return len(cloud.positions)


def surface(task: Any, frame: int) -> Cloud:
    """Return a point for each pixel of a frame that shows one surface, in the coordinates of the scene."""
    views, (height, width) = task.views, task.views.size
    rays, view = views.whole(frame), task.view(frame)
    opacity = view.opacity.clamp(min=1e-6)
    points = rays.origins + (view.depth / opacity)[:, None] * rays.directions
    if views.ndc:
        points = from_ndc(points, height, width, *views.focal[frame].tolist())
    distance = (points - views.poses[frame, :3, 3]).norm(dim=1)
    behind = task.own_background.to(opacity.device) * (1 - opacity)[:, None]
    colour = ((view.colour - behind) / opacity[:, None]).clamp(0, 1)
    flat = [part.cpu().double().numpy() for part in (distance, opacity)]
    good = sure(*(part.reshape(height, width) for part in flat)).ravel()
    positions, colours = (part.cpu().double().numpy()[good] for part in (points, colour))
    return Cloud(positions, colours, np.ones(len(positions)))


def refuse_mesh(model: Any, ndc: bool) -> None:
    """Raise ``UserError`` where no mesh can be made of ``model``, or scikit-image is not there."""
    refuse_without_marching_cubes()
    if ndc:
        raise UserError("task.mesh: this field was fitted in normalised device coordinates; take task.cloud=true")
    if not field_of(model) or not all(hasattr(model, name) for name in ("centre", "reach")):
        raise UserError(f"task.mesh: {type(model).__name__} has no field of a scene at rest; take task.cloud=true")


def field_of(model: Any) -> Any:
    """Return the field of a scene at rest that ``model`` renders: the fine one of two; None where there is none."""
    return None if hasattr(model, "streams") else getattr(model, "field", getattr(model, "fine", None))


def write_surface(model: Any, place: Placement, path: Path, cells: int) -> int:
    """Write a mesh of what is in the scene's box, with the colours that things have from in front; return its faces.

    ``cells`` is the number of cubes along the longest side of the box. Raises ``UserError`` as ``refuse_mesh`` and
    ``surface.mesh_of``.
    """
    mesh = mesh_of(density_of(model), place.low, place.high, cells)
    field, colours = field_of(model), []
    vertices, normals = (
        torch.from_numpy(part).float().to(model.centre.device) for part in (mesh.vertices, mesh.normals)
    )
    for some, outward in zip(torch.split(vertices, CHUNK), torch.split(normals, CHUNK)):
        colours.append(field(placed_in(model, some), -outward).colour.cpu().double().numpy())
    write_mesh(path, mesh.vertices, mesh.faces, as_bytes(np.concatenate(colours)))
    return len(mesh.faces)


def density_of(model: Any) -> Callable[[Tensor], Tensor]:
    """Return the density (N,) per unit of the scene's length, as a function of its points (N, 3).

    A model that knows where it is empty is asked elsewhere only.
    """
    field = field_of(model)

    def density(points: Tensor) -> Tensor:
        local = placed_in(model, points.to(model.centre.device))
        down = torch.tensor([0.0, 0.0, -1.0], device=local.device).expand_as(local)
        there = (
            model.occupancy(local) if hasattr(model, "occupancy") else torch.ones_like(local[:, 0], dtype=torch.bool)
        )
        found = torch.zeros_like(local[:, 0])
        if bool(there.any()):
            found[there] = field(local[there], down[there]).density.to(found.dtype)
        return found / float(model.reach)

    return density


def placed_in(model: Any, points: Tensor) -> Tensor:
    """Return ``points`` (N, 3) of the scene in the coordinates of the model's field."""
    local: Tensor = (points - model.centre) / model.reach
    if not hasattr(model, "unbounded"):
        return local
    return contract(local) if bool(model.unbounded) else inside(local)


def as_bytes(colours: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return ``colours`` in [0, 1] as uint8."""
    found: np.ndarray[Any, Any] = (colours.clip(0, 1) * 255).round().astype(np.uint8)
    return found
