"""A film through a fitted scene, as pictures and as a video, and its surface as a file: nothing is trained."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import nn

from transferbench.errors import UserError
from transferbench.features.extract import evenly_spaced, frozen
from transferbench.nerf.editing import distance, query_of, relevancy, unit
from transferbench.nerf.film import write_film
from transferbench.nerf.placement import placed
from transferbench.nerf.rendering import Rendered
from transferbench.nerf.views import Views
from transferbench.storage import atomic_path, write_text
from transferbench.tasks.examination import Examined
from transferbench.tasks.scene_clicks import Click, clicked
from transferbench.tasks.scene_export import refuse_mesh, write_cloud, write_surface
from transferbench.tasks.scene_paths import cameras_of, path_of
from transferbench.tasks.scene_pictures import Likeness, picture_of, scales_of
from transferbench.tasks.scene_words import Asked, asked_of
from transferbench.tasks.viewing import Viewing
from transferbench.text.prompts import read_prompts

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
        path: orbit, spiral, between, test, or a JSON file of poses; None for a spiral where all cameras stand on one
            side of the scene, and an orbit elsewhere (``scene_paths.path_of``).
        frames: how many; None for 60, or all held-out views or poses of a file.
        fps: frames a second.
        what: colour, depth; features as colours and relevance to a query, of a field with features. Nothing where
            only a cloud or a mesh is wanted.
        query: what relevance is to: a label's name, or the ``frame``, ``row`` and ``column`` of a pixel, from 0.
        ask: what relevance is to, in words, of a field with the features of a teacher that reads them; in place of
            ``query``.
        words: makes what reads them (``checkpoint.words_of``).
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
    asked: Asked | None

    def __init__(
        self,
        backbone: Any,
        head: None = None,
        *,
        path: str | None = None,
        frames: int | None = None,
        fps: float = 30,
        what: Sequence[Literal["colour", "depth", "features", "relevance"]] = ("colour", "depth"),
        query: str | Mapping[str, int] | None = None,
        ask: str | Sequence[str] | None = None,
        words: Callable[[], Any] | None = None,
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
        texts = 0 if ask is None else 1 if isinstance(ask, str) else len(ask)
        if (query is not None) + texts != ("relevance" in what):
            raise UserError(
                "relevance is to one query or to words: type 'task.what=[colour,relevance]' and either task.query=mug "
                "or task.ask='red ball', one text, or none of the three"
            )
        self.backbone, self.head = backbone, head
        self.path, self.frames, self.fps, self.what, self.query = path, frames, fps, tuple(dict.fromkeys(what)), query
        self.ask, self.words = [ask] if isinstance(ask, str) else list(ask or ()), words
        self.width, self.height, self.cloud, self.mesh, self.fit = width, height, cloud, mesh, fit or {}
        self.look_through(self.fit)

    def check_data(self, data: Any) -> None:
        """Take over the scene, choose the cameras, and find what cannot be rendered.

        Raises:
            UserError: the data are no scene or not the one that was fitted to, the path or the query is none of it,
                the field has no features or none that compare with words, or no mesh can be made.
        """
        super().check_data(data)
        scene, known = data.scene, self.fit.get("scene")
        if known and known["name"] != data.name and known["digest"] != data.digest():
            raise UserError(
                f"the model was fitted to the scene {known['name']}, these data are {data.name}; name the run that "
                "was fitted to them, model=checkpoint model.path=outputs/nerf_fast/RUN, or type task.fit=null"
            )
        self.place = placed(scene.poses, scene.near, scene.far, scene.closed_box)
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
        self.asked = self.in_words() if self.ask else None

    def has_features(self) -> bool:
        """Tell whether the model renders features, by a look at one pixel in the middle."""
        height, width = self.views.size
        middle = (height // 2) * width + width // 2
        with frozen(nn.ModuleList([self.backbone])):
            shown = self.backbone.render(self.views.whole(0)[middle : middle + 1], self.own_background)
        return getattr(shown, "features", None) is not None

    def in_words(self) -> Asked | None:
        """Return the text as the teacher of the fitted features reads it, in the prompts of that fit."""
        prompts = read_prompts(self.fit.get("config", {}).get("task", {}).get("prompts", "photo"))
        return asked_of(self.words and self.words(), (), self.ask, prompts)

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
        like = self.sought()
        sample = evenly_spaced(len(self.cameras.poses), SAMPLE)
        scales = scales_of((self.frame(int(frame)) for frame in sample), like)
        seconds = []
        for frame in track(missing, "rendering", console=Console(stderr=True), transient=True):
            start = time.perf_counter()
            view = self.frame(frame)
            pictures = {
                what: picture_of(what, view, self.cameras.size, self.own_background, scales, like) for what in self.what
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

    def sought(self) -> Likeness | None:
        """Return what tells how like features are to what the query points at, or to the words; None without either."""
        if self.asked is not None:
            vector, negatives = next(iter(self.asked.vectors.values())), self.asked.negatives
            return lambda features: relevancy(features, vector.to(features.device), negatives.to(features.device))
        if self.click is None:
            return None
        shown = self.view(self.click.frame)
        features = unit(shown.features).reshape(*self.views.size, -1)  # type: ignore[arg-type]
        query = query_of(features, self.click.row, self.click.column, self.click.side)
        return lambda features: 1 - distance(features, query.to(features.device)) / 2

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
