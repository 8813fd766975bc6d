"""A film through a fitted scene, as pictures and as a video, and its surface as a file: nothing is trained."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.features.extract import evenly_spaced, frozen
from transferbench.nerf.editing import query_of, unit
from transferbench.nerf.film import write_film
from transferbench.nerf.placement import placed
from transferbench.nerf.rendering import Rendered
from transferbench.nerf.views import Views
from transferbench.storage import atomic_path, write_text
from transferbench.tasks.examination import Examined
from transferbench.tasks.scene_export import refuse_mesh, write_cloud, write_surface
from transferbench.tasks.scene_paths import cameras_of, path_of
from transferbench.tasks.scene_pictures import picture_of, scales_of
from transferbench.tasks.scene_retrieval import PATCH, Click, clicks
from transferbench.tasks.viewing import Viewing

KINDS = ("colour", "depth", "features", "relevance")
SAMPLE = 5
"""Frames, evenly spaced, that tell what the colours of all frames mean."""
SHOWN = 4
"""Frames in the report, at most."""
CELLS = 192
"""Cubes along the longest side of the scene's box, of which a mesh is made."""


class SceneRendering(Viewing):
    """Render a fitted scene along a path of cameras.

    A run leaves ``frames/<what>_<number>.png``, a film ``<what>.mp4`` of each, the poses as ``cameras.json``, which
    ``path`` takes again, and ``cloud.ply`` and ``mesh.ply`` where they are asked for. Frames that are there are not
    rendered again.

    Args:
        backbone: the scene's fitted model.
        head: not used.
        path: orbit, spiral, between, test, or a JSON file of poses (``scene_paths.path_of``).
        frames: how many; None for 60, or all held-out views or poses of a file.
        fps: frames a second.
        what: colour, depth; features as colours and relevance to a query, of a field with features. Nothing where
            only a cloud or a mesh is wanted.
        query: what relevance is to: a label's name, or the ``frame``, ``row`` and ``column`` of a pixel, from 0.
        width: of the pictures, pixels; None for that of the images, or what fits the height. With both given the
            vertical angle of view stays.
        height: likewise.
        cloud: write the points where the rays of the fitted views end.
        mesh: write a triangle mesh of the field's density (needs scikit-image).
        fit: what the checkpoint says of the fit (``checkpoint.facts_of``): where in a pixel its rays went through,
            whether they were projected, and of which scene.
    """

    cameras: Views
    click: Click | None

    def __init__(
        self,
        backbone: Any,
        head: None = None,
        *,
        path: str = "orbit",
        frames: int | None = None,
        fps: float = 30,
        what: Sequence[Literal["colour", "depth", "features", "relevance"]] = ("colour", "depth"),
        query: str | Mapping[str, int] | None = None,
        width: int | None = None,
        height: int | None = None,
        cloud: bool = False,
        mesh: bool = False,
        fit: Mapping[str, Any] | None = None,
    ) -> None:
        if not set(what) <= set(KINDS) or not (what or cloud or mesh):
            raise UserError(
                f"task.what={list(what)}: expected some of {', '.join(KINDS)}, or none of them and task.cloud=true"
            )
        numbers = {"frames": frames, "fps": fps, "width": width, "height": height}
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise UserError(f"task.{name}={number}: expected 1 or more")
        if ("relevance" in what) != (query is not None):
            raise UserError(
                "relevance is to a query: give both, as in 'task.what=[colour,relevance]' task.query=mug, or neither"
            )
        self.backbone, self.head = backbone, head
        self.path, self.frames, self.fps, self.what, self.query = path, frames, fps, tuple(dict.fromkeys(what)), query
        self.width, self.height, self.cloud, self.mesh, self.fit = width, height, cloud, mesh, fit or {}
        task = self.fit.get("config", {}).get("task", {})
        self.pixel_centre, self.ndc = float(task.get("pixel_centre", 0.5)), bool(task.get("ndc", False))

    def check_data(self, data: Any) -> None:
        """Take over the scene, choose the cameras, and find what cannot be rendered.

        Raises:
            UserError: the data are no scene or not the one that was fitted to, the path or the query is none of it,
                the field has no features, or no mesh can be made.
        """
        super().check_data(data)
        scene, known = data.scene, self.fit.get("scene")
        if known and known["name"] != scene.name and known["digest"] != data.digest():
            raise UserError(
                f"the model was fitted to the scene {known['name']}, these data are {scene.name}; name the run that "
                "was fitted to them, model=checkpoint model.path=outputs/nerf_fast/RUN, or type task.fit=null"
            )
        self.place = placed(scene.poses, scene.near, scene.far, scene.box if scene.images.shape[-1] == 4 else None)
        path = path_of(self.path, scene, self.place, self.frames)
        as_taken = self.path == "test"
        self.cameras = cameras_of(path, scene, self.views, self.pixel_centre, as_taken, self.width, self.height)
        self.click = None if self.query is None else clicked(self.query, scene)
        if self.mesh:
            refuse_mesh(self.backbone, self.views.ndc)
        if {"features", "relevance"} & set(self.what) and not self.has_features():
            raise UserError(
                "this field has no features; leave features and relevance out of task.what, or name a run that has "
                "them, model=checkpoint model.path=outputs/n3f/RUN"
            )

    def has_features(self) -> bool:
        """Tell whether the model renders features, by a look at one pixel in the middle."""
        height, width = self.views.size
        middle = (height // 2) * width + width // 2
        with frozen(nn.ModuleList([self.backbone])):
            shown = self.backbone.render(self.views.whole(0)[middle : middle + 1], self.own_background)
        return getattr(shown, "features", None) is not None

    def examine(self, data: Any, sets: Mapping[str, Any], device: str, folder: Path) -> Examined:
        """Write all that was asked for into ``folder``; return what the report shows of it."""
        parts = nn.ModuleList([self.backbone, self.views, self.cameras])
        metrics = {"render/frames": float(len(self.cameras.poses))}
        with frozen(parts, device), torch.inference_mode():
            if self.cloud:
                metrics["render/points"] = float(write_cloud(self, data.scene, self.place, folder / "cloud.ply"))
            if self.mesh:
                faces = write_surface(self.backbone, self.place, folder / "mesh.ply", CELLS)
                metrics["render/triangles"] = float(faces)
            seconds = self.render(folder)
        if seconds:
            metrics["field/seconds_per_view"] = float(np.median(seconds))
        poses = [{"transform_matrix": pose.tolist()} for pose in self.cameras.poses.double().numpy()]
        write_text(folder / "cameras.json", json.dumps({"frames": poses}, indent=1) + "\n")
        films = [write_film(folder, what, self.kept(folder, what), self.fps).name for what in self.what]
        return Examined(metrics, panels=self.panels(folder, films) if films else [])

    def render(self, folder: Path) -> list[float]:
        """Render the frames that are not there yet, and return the seconds that each took."""
        missing = [
            frame
            for frame in range(len(self.cameras.poses))
            if not all(file_of(folder, what, frame).exists() for what in self.what)
        ]
        if not missing:
            return []
        query = self.sought()
        sample = evenly_spaced(len(self.cameras.poses), SAMPLE)
        scales = scales_of((self.frame(int(frame)) for frame in sample), query)
        seconds = []
        for frame in track(missing, "rendering", console=Console(stderr=True), transient=True):
            start = time.perf_counter()
            view = self.frame(frame)
            pictures = {
                what: picture_of(what, view, self.cameras.size, self.own_background, scales, query)
                for what in self.what
            }
            seconds.append(time.perf_counter() - start)
            for what, pixels in pictures.items():
                with atomic_path(file_of(folder, what, frame)) as part:
                    Image.fromarray(pixels).save(part, format="PNG")
        return seconds

    def frame(self, number: int) -> Rendered:
        """Return a frame of the film, (H W, ...) row after row."""
        behind = self.own_background.to(self.cameras.poses.device)
        shown: Rendered = self.backbone.render(self.cameras.whole(number), behind)
        return shown

    def sought(self) -> Tensor | None:
        """Return the unit feature (C,) of what the query points at, None without a query."""
        if self.click is None:
            return None
        shown = self.view(self.click.frame)
        features = unit(shown.features).reshape(*self.views.size, -1)  # type: ignore[arg-type]
        return query_of(features, self.click.row, self.click.column, self.click.side)

    def kept(self, folder: Path, what: str) -> Iterator[NDArray[np.uint8]]:
        """Yield the pictures of a film."""
        for frame in range(len(self.cameras.poses)):
            with Image.open(file_of(folder, what, frame)) as image:
                yield np.asarray(image)

    def panels(self, folder: Path, films: Sequence[str]) -> list[dict[str, Any]]:
        """Return some frames for the report, a row each."""
        rows = []
        for frame in evenly_spaced(len(self.cameras.poses), SHOWN):
            pictures = []
            for what in self.what:
                with Image.open(file_of(folder, what, int(frame))) as image:
                    pictures.append((what, np.asarray(image)))
            rows.append({"title": f"Frame {frame}", "pictures": pictures})
        rows[-1]["note"] = f"All frames: {', '.join(films)} and frames/ in the folder of the run."
        return rows


def file_of(folder: Path, what: str, frame: int) -> Path:
    """Return the file of a picture."""
    return folder / "frames" / f"{what}_{frame:04d}.png"


def clicked(query: str | Mapping[str, int], scene: Any) -> Click:
    """Return the patch of a fitted view that a query means: a label's name, or the frame, row and column of a pixel.

    Raises:
        UserError: no such label or pixel.
    """
    if isinstance(query, str):
        found = {} if scene.labels is None else {click.name: click for click in clicks(scene)}
        if query in found:
            return found[query]
        there = f"there are {', '.join(found)}" if found else "this scene has no masks"
        near = difflib.get_close_matches(query, list(found), n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise UserError(
            f"task.query={query}: {there}{meant}; name one of them, or a pixel: 'task.query={{frame:0,row:0,column:0}}'"
        )
    limits = {"frame": len(scene), "row": scene.height, "column": scene.width}
    if set(query) != set(limits) or not all(0 <= query[name] < limit for name, limit in limits.items()):
        ranges = ", ".join(f"{name} from 0 to {limit - 1}" for name, limit in limits.items())
        raise UserError(f"task.query={dict(query)}: expected {ranges}")
    side = min(PATCH, scene.height, scene.width)
    row, column = (int(np.clip(query[name] - side // 2, 0, limits[name] - side)) for name in ("row", "column"))
    return Click("", (), query["frame"], row, column, side)
