"""Films and files of a ball whose field has a formula, and of a field fitted for a few steps from the command line."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from transferbench import cli
from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.rays import Draw
from transferbench.data.scenes.scene import Scene
from transferbench.errors import UserError
from transferbench.models.fields import FieldValues, OwnField
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.marched import Marched
from transferbench.models.neuraldiff import NeuralDiff
from transferbench.models.occupancy import OccupancyGrid
from transferbench.nerf.cameras import look_at, pixel_rays
from transferbench.nerf.lens import pixel_directions
from transferbench.nerf.paths import orbit
from transferbench.nerf.ply import read
from transferbench.tasks.scene_export import density_of, surface
from transferbench.tasks.scene_rendering import SceneRendering

HEIGHT, WIDTH, FOCAL, RADIUS = 18, 24, 26.0, 0.5
DARK = 4
"""The lowest colour of magma, summed over the channels."""


class Ball(nn.Module):
    """A ball about the origin, red where x < 0 and green elsewhere, each with a feature of its own."""

    def __init__(self, featured: bool = False) -> None:
        super().__init__()
        self.featured = featured

    def forward(self, points: Tensor, directions: Tensor, noise: float = 0.0) -> FieldValues:
        world = points * 2 - 1
        left = (world[:, :1] < 0).float()
        colour = torch.cat([left, 1 - left, torch.zeros_like(left)], 1)
        features = torch.cat([left, 1 - left, torch.zeros_like(left), torch.full_like(left, 0.1)], 1)
        return FieldValues(self.density(points, directions), colour, features if self.featured else None)

    def density(self, points: Tensor, directions: Tensor) -> Tensor:
        return ((points * 2 - 1).norm(dim=-1) < RADIUS).float() * 500


def marched(featured: bool = False) -> Marched:
    return Marched(Ball(featured), OccupancyGrid(side=8), samples=128)


def made_scene(**changed: Any) -> Scene:
    """Eight views around the ball, on white, the last two of them held out; the halves of the ball are labelled."""
    poses = orbit(8, 3.0, 20.0)
    images, labels = np.zeros((8, HEIGHT, WIDTH, 4), np.uint8), np.zeros((8, HEIGHT, WIDTH), np.uint8)
    for frame, pose in enumerate(poses):
        depth = to_the_ball(pose)
        hit = np.isfinite(depth)
        origins, directions = pixel_rays(pose, FOCAL, WIDTH, HEIGHT)
        points = origins + np.where(hit, depth, 0)[..., None] * directions
        labels[frame] = np.where(hit, 1 + (points[..., 0] >= 0), 0)
        images[frame][hit] = (9, 9, 9, 255)
    given: dict[str, Any] = {"name": "ball", "names": tuple(f"f{frame}" for frame in range(8)), "images": images}
    given |= {"poses": poses, "intrinsics": np.tile([FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2], (8, 1))}
    given |= {"distortion": np.zeros((8, 6)), "near": np.full(8, 1.0), "far": np.full(8, 6.0)}
    given |= {"box": np.array([[-1.0] * 3, [1.0] * 3]), "train": tuple(range(6)), "test": (6, 7)}
    given |= {"labels": labels, "label_names": ("red half", "green half"), "background": "white"}
    return Scene(**{**given, **changed})


def to_the_ball(pose: np.ndarray, height: int = HEIGHT, width: int = WIDTH, focal: float = FOCAL) -> np.ndarray:
    """The depth (H, W) at which each pixel's ray meets the ball, infinite where it does not."""
    origins, directions = pixel_rays(pose, focal, width, height)
    square, half = (directions**2).sum(-1), (origins * directions).sum(-1)
    root = half**2 - square * ((origins**2).sum(-1) - RADIUS**2)
    return np.where(root > 0, (-half - np.sqrt(np.maximum(root, 0))) / square, np.inf)


class Made(SceneData):
    def __init__(self, scene: Scene) -> None:
        super().__init__(None, Draw(rays=8))
        self.made, self.name = scene, scene.name
        self.setup()

    def read(self) -> Scene:
        return self.made


def prepared(model: Any = None, scene: Scene | None = None, **options: Any) -> tuple[SceneRendering, Made]:
    task, data = SceneRendering(model or marched(), **options), Made(scene or made_scene())
    task.check_data(data)
    return task, data


def rendered(folder: Path, model: Any = None, scene: Scene | None = None, **options: Any) -> Any:
    task, data = prepared(model, scene, **options)
    return task.examine(data, {}, "cpu", folder)


def pixels(folder: Path, what: str, frame: int) -> np.ndarray:
    return np.asarray(Image.open(folder / "frames" / f"{what}_{frame:04d}.png")).astype(int)


def poses_in(folder: Path) -> np.ndarray:
    return np.array([one["transform_matrix"] for one in json.loads((folder / "cameras.json").read_text())["frames"]])


def test_an_orbit_shows_the_ball_from_every_side(tmp_path: Path) -> None:
    found = rendered(tmp_path, frames=6)
    assert found.metrics["render/frames"] == 6 and found.metrics["field/seconds_per_view"] > 0
    poses = poses_in(tmp_path)
    np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3], axis=1), 3.0, rtol=1e-4)
    for frame, pose in enumerate(poses):
        hit = np.isfinite(to_the_ball(pose))
        colour, depth = pixels(tmp_path, "colour", frame), pixels(tmp_path, "depth", frame)
        wrong = (colour.min(2) == 255) == hit
        assert wrong.mean() < 0.02, "white is where no ray meets the ball"
        np.testing.assert_array_equal(depth.max(2) > DARK, hit ^ wrong)
        assert set(map(tuple, colour[hit & ~wrong])) <= {(255, 0, 0), (0, 255, 0)} | set(map(tuple, colour[wrong]))
    assert len(list((tmp_path / "frames").iterdir())) == 12
    assert [panel["title"] for panel in found.panels] == ["Frame 0", "Frame 2", "Frame 3", "Frame 5"]
    assert "colour." in found.panels[-1]["note"] and "frames/" in found.panels[-1]["note"]


def test_a_film_is_written_of_each_kind(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    rendered(tmp_path, frames=5, fps=12.5)
    for what in ("colour", "depth"):
        with av.open(str(tmp_path / f"{what}.mp4")) as film:
            assert sum(1 for _ in film.decode(video=0)) == 5 and float(film.streams[0].average_rate) == 12.5


def test_depth_means_the_same_in_every_frame(tmp_path: Path) -> None:
    """The camera comes nearer, and what is in the middle of its pictures with it."""
    path = [{"transform_matrix": look_at((0.1, 4.0 - 0.5 * step, 0), (0, 0, 0)).tolist()} for step in range(5)]
    (tmp_path / "path.json").write_text(json.dumps(path))
    rendered(tmp_path, path=str(tmp_path / "path.json"), what=["depth"])
    middle = [pixels(tmp_path, "depth", frame)[HEIGHT // 2, WIDTH // 2].sum() for frame in range(5)]
    assert (np.diff(middle) > 0).all()


def test_the_cameras_of_a_film_are_a_path_again(tmp_path: Path) -> None:
    rendered(tmp_path / "a", frames=3)
    rendered(tmp_path / "b", path=str(tmp_path / "a" / "cameras.json"))
    for what in ("colour", "depth"):
        for frame in range(3):
            np.testing.assert_array_equal(pixels(tmp_path / "a", what, frame), pixels(tmp_path / "b", what, frame))


def test_a_film_that_was_cut_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(tmp_path, frames=4)
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "frames").iterdir()}
    (tmp_path / "frames" / "depth_0002.png").unlink()
    task, data = prepared(frames=4)
    drawn: list[int] = []
    whole = task.frame
    monkeypatch.setattr(task, "frame", lambda number: (drawn.append(number), whole(number))[1])
    task.examine(data, {}, "cpu", tmp_path)
    assert drawn == [0, 1, 2, 3, 2], "those that tell what colours mean, and the one that is missing"
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "frames").iterdir()}
    assert {name: content for name, (content, _) in after.items()} == {name: c for name, (c, _) in before.items()}
    same = {name for name in before if after[name][1] == before[name][1]}
    assert set(before) - same == {"colour_0002.png", "depth_0002.png"}


def test_held_out_views_are_rendered_as_they_were_taken(tmp_path: Path) -> None:
    lens = np.tile([0.1, 0.02, 0, 0, 0.01, 0.0], (8, 1))
    task, _ = prepared(scene=made_scene(distortion=lens), path="test")
    for place, frame in enumerate((6, 7)):
        torch.testing.assert_close(task.cameras.whole(place).directions, task.views.whole(frame).directions)
    pinhole, _ = prepared(scene=made_scene(distortion=lens), path="orbit", frames=1)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    straight = pixel_directions(columns, rows, [FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2], np.zeros(6)).reshape(-1, 3)
    np.testing.assert_allclose(pinhole.cameras.whole(0).local, straight, atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "size", "angles"),
    [
        ({}, (18, 24), (12 / 26, 9 / 26)),
        ({"width": 48}, (36, 48), (12 / 26, 9 / 26)),
        ({"height": 9}, (9, 12), (12 / 26, 9 / 26)),
        ({"width": 64, "height": 36}, (36, 64), (16 / 26, 9 / 26)),
    ],
)
def test_pictures_have_the_size_that_is_asked_for(asked: Any, size: Any, angles: Any) -> None:
    task, _ = prepared(frames=1, **asked)
    assert task.cameras.size == size
    local = task.cameras.whole(0).local.reshape(*size, 3)
    half = [float(local[0, -1, 0]) * size[1] / (size[1] - 1), float(local[0, -1, 1]) * size[0] / (size[0] - 1)]
    assert half == pytest.approx(angles, rel=1e-5)


def test_features_and_relevance_tell_the_halves_apart(tmp_path: Path) -> None:
    options: dict[str, Any] = {"what": ["colour", "features", "relevance"], "query": "red half", "frames": 6}
    rendered(tmp_path, marched(featured=True), **options)
    colours: dict[str, set[tuple[int, ...]]] = {"red": set(), "green": set()}
    for frame in range(6):
        colour = pixels(tmp_path, "colour", frame)
        red, green = ((colour == paint).all(2) for paint in ((255, 0, 0), (0, 255, 0)))
        relevance, features = pixels(tmp_path, "relevance", frame).sum(2), pixels(tmp_path, "features", frame)
        if red.any() and green.any():
            assert relevance[red].min() > relevance[green].max()
        colours["red"] |= set(map(tuple, features[red]))
        colours["green"] |= set(map(tuple, features[green]))
        assert relevance[colour.min(2) == 255].max() <= DARK
    assert len(colours["red"]) == len(colours["green"]) == 1, "one colour a half, in all frames"
    assert colours["red"] != colours["green"]


class Words:
    """Reads the halves of the ball by their features, and all else as what neither has."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        axes = [next((axis for axis, word in enumerate(("red", "green")) if word in text), 2) for text in texts]
        return torch.eye(4)[axes]

    def knows(self, text: str) -> bool:
        return True


def test_words_are_a_query_too(tmp_path: Path) -> None:
    rendered(tmp_path, marched(True), what=["colour", "relevance"], ask="green thing", words=Words, frames=4)
    for frame in range(4):
        colour, relevance = pixels(tmp_path, "colour", frame), pixels(tmp_path, "relevance", frame).sum(2)
        red, green = ((colour == paint).all(2) for paint in ((255, 0, 0), (0, 255, 0)))
        if red.any() and green.any():
            assert relevance[green].min() > relevance[red].max()
        assert relevance[colour.min(2) == 255].max() <= DARK


def test_a_pixel_is_a_query_too(tmp_path: Path) -> None:
    scene = made_scene()
    row, column = np.argwhere(scene.labels[2] == 2)[0]  # type: ignore[index]
    task, _ = prepared(marched(True), query={"frame": 2, "row": int(row), "column": int(column)}, what=["relevance"])
    click = task.click
    assert click is not None and (click.frame, click.side) == (2, 5)
    assert click.row <= row < click.row + 5 and click.column <= column < click.column + 5
    corner, _ = prepared(marched(True), query={"frame": 0, "row": 17, "column": 0}, what=["relevance"])
    assert corner.click is not None and (corner.click.row, corner.click.column) == (13, 0)


def test_the_cloud_lies_on_the_ball(tmp_path: Path) -> None:
    found = rendered(tmp_path, frames=1, cloud=True)
    cloud = read(tmp_path / "cloud.ply")
    assert found.metrics["render/points"] == len(cloud.positions) > 200
    np.testing.assert_allclose(np.linalg.norm(cloud.positions, axis=1), RADIUS, atol=2.5 / 128)
    colours = {(255, 0, 0), (0, 255, 0)}
    clear = np.abs(cloud.positions[:, 0]) > 0.02
    assert cloud.colours is not None and set(map(tuple, cloud.colours[clear].tolist())) == colours
    assert ((cloud.colours[:, 0] == 255) == (cloud.positions[:, 0] < 0))[clear].all()
    assert cloud.properties["seen"].min() >= 1


@pytest.mark.parametrize("ndc", [False, True])
def test_points_are_where_the_rays_end_in_both_kinds_of_coordinates(ndc: bool) -> None:
    """A wall at z = -3, behind cameras that look along -z, as seen by NeRF's two fields."""

    def wall(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        z = 2 / (points[..., 2] - 1) if ndc else points[..., 2]
        return (z < -3).float() * 1e4, torch.full_like(points, 0.5)

    poses = np.stack([look_at((x, 0.1, 0.0), (x, 0.1, -1.0), (0.0, 1.0, 0.0)) for x in np.linspace(-0.2, 0.2, 8)])
    images = np.full((8, HEIGHT, WIDTH, 3), 128, np.uint8)
    scene = made_scene(poses=poses, images=images, frontal=True, box=None, background=None, labels=None)
    model = Hierarchical(OwnField(wall), OwnField(wall), samples=64, more=64)
    settings = {"config": {"task": {"ndc": ndc, "pixel_centre": 0.5}}}
    task, _ = prepared(model, scene, path="spiral", frames=2, fit=settings)
    assert task.views.ndc == task.cameras.ndc == ndc
    model.centre.zero_(), model.reach.fill_(1.0)  # type: ignore[func-returns-value]
    found = surface(task, 0)
    assert len(found.positions) == HEIGHT * WIDTH
    np.testing.assert_allclose(found.positions[:, 2], -3, rtol=0.04)
    rays = (found.positions - poses[0, :3, 3]) / -found.positions[:, 2:]
    expected = pixel_rays(poses[0], FOCAL, WIDTH, HEIGHT)[1].reshape(-1, 3)
    np.testing.assert_allclose(rays, expected, atol=2e-3)
    np.testing.assert_allclose(found.colours, 0.5, atol=1e-3)


def test_only_a_cloud_may_be_wanted(tmp_path: Path) -> None:
    found = rendered(tmp_path, what=[], cloud=True)
    assert {file.name for file in tmp_path.iterdir()} == {"cloud.ply", "cameras.json"} and found.panels == []
    assert "or none of them and task.cloud=true" in wrong(what=[])


def test_a_moving_scene_is_played(tmp_path: Path) -> None:
    times = np.arange(8) + 3
    scene = made_scene(times=times, images=np.full((8, HEIGHT, WIDTH, 3), 99, np.uint8), box=None, background=None)
    model = NeuralDiff(depth=2, width=8, skip=9, stream_depth=1, stream_width=8, vocabulary=20, samples=4, more=4)
    model.know(torch.from_numpy(times), torch.from_numpy(times[:6]))
    task, data = prepared(model, scene, frames=3)
    assert task.cameras.times.tolist() == [3, 5, 8]
    found = task.examine(data, {}, "cpu", tmp_path)
    assert found.metrics["render/frames"] == 3 and pixels(tmp_path, "colour", 2).std() > 0


def test_the_density_is_that_of_the_scene_in_its_own_units() -> None:
    model = marched()
    model.place(torch.tensor([-4.0, -4, -4]), torch.tensor([4.0, 4, 4]), False)
    points = torch.tensor([[0.0, 0, 0], [1.9, 0, 0], [2.1, 0, 0], [3.0, 3, 3]])
    assert density_of(model)(points).tolist() == [125, 125, 0, 0]
    model.occupancy.occupied.zero_()
    assert not density_of(model)(points).any(), "nobody looks where there is nothing"


def test_the_mesh_lies_on_the_ball(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    found = rendered(tmp_path, frames=1, mesh=True)
    mesh = read(tmp_path / "mesh.ply")
    assert mesh.faces is not None and found.metrics["render/triangles"] == len(mesh.faces)
    np.testing.assert_allclose(np.linalg.norm(mesh.positions, axis=1), RADIUS, atol=2 / 128)
    clear = np.abs(mesh.positions[:, 0]) > 0.02
    assert mesh.colours is not None
    assert ((mesh.colours[:, 0] == 255) == (mesh.positions[:, 0] < 0))[clear].all()


def wrong(model: Callable[[], Any] = marched, scene: dict[str, Any] | None = None, **options: Any) -> str:
    with pytest.raises(UserError) as told:
        prepared(model(), made_scene(**(scene or {})), **options)
    return str(told.value)


def test_what_cannot_be_rendered_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    featured = lambda: marched(True)  # noqa: E731
    seek: dict[str, Any] = {"what": ["relevance"]}
    assert "task.what=['color']: expected some of colour" in wrong(what=["color"])
    assert "task.frames=0: expected 1 or more" in wrong(frames=0)
    for given in ({"query": "red half"}, {"ask": "fox"}, seek, {"query": "red half", "ask": "fox", **seek}):
        assert "type 'task.what=[colour,relevance]' and either task.query=mug or task.ask=" in wrong(**given)
    assert "task.ask=['fox']: this teacher knows no words" in wrong(featured, ask="fox", **seek)
    assert "this field has no features" in wrong(ask="fox", words=Words, **seek)
    assert "' ' is no word" in wrong(featured, ask=" ", words=Words, **seek)
    assert "did you mean orbit?" in wrong(path="orbits")
    assert "this field has no features" in wrong(what=["features"]) and "n3f" in wrong(query="red half", **seek)
    assert "there are red half, green half; did you mean red half?" in wrong(featured, query="red hall", **seek)
    assert "this scene has no masks" in wrong(featured, {"labels": None}, query="mug", **seek)
    for pixel in ({"frame": 0, "row": 18, "column": 0}, {"frame": 8, "row": 0, "column": 0}, {"row": 0}):
        assert "expected frame from 0 to 7, row from 0 to 17, column from 0 to 23" in wrong(
            featured, query=pixel, **seek
        )
    fit = {"scene": {"name": "fox", "digest": "0"}, "config": {"task": {}}}
    assert "was fitted to the scene fox, these data are ball" in wrong(fit=fit)
    ndc, in_a_row = {"config": {"task": {"ndc": True}}}, np.repeat(np.eye(4)[None], 8, 0)
    in_a_row[:, 0, 3] = np.linspace(-0.5, 0.5, 8)
    assert "looks away from them; type task.path=spiral" in wrong(
        scene={"frontal": True, "poses": in_a_row}, fit=ndc, path="orbit"
    )
    front = np.stack([look_at((x, 0.0, 0.0), (x, 0.0, -1.0), (0.0, 1.0, 0.0)) for x in np.linspace(-1, 1, 8)])
    facing = {"frontal": True, "poses": front}
    assert "the shape of the images" in wrong(scene=facing, fit=ndc, path="spiral", width=64, height=64)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install scikit-image" in wrong(mesh=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert "normalised device coordinates; take task.cloud" in wrong(scene=facing, fit=ndc, path="spiral", mesh=True)


def test_a_scene_that_was_only_made_smaller_is_the_same(tmp_path: Path) -> None:
    fit = {"scene": {"name": "ball", "digest": "another size"}, "config": {"task": {"pixel_centre": 0.0}}}
    task, data = prepared(fit=fit)
    assert task.pixel_centre == 0.0
    renamed = {**fit, "scene": {"name": "renamed", "digest": data.digest()}}
    prepared(fit=renamed)


def write_scene(root: Path) -> Path:
    """Write the ball as one of NeRF's Blender scenes."""
    scene = made_scene()
    for split, frames in {"train": scene.train, "test": scene.test, "val": scene.test}.items():
        (root / split).mkdir(parents=True)
        entries = []
        for place, frame in enumerate(frames):
            Image.fromarray(scene.images[frame]).save(root / split / f"r_{place}.png")
            entries.append({"file_path": f"./{split}/r_{place}", "transform_matrix": scene.poses[frame].tolist()})
        content = {"camera_angle_x": 2 * math.atan(WIDTH / 2 / FOCAL), "frames": entries}
        (root / f"transforms_{split}.json").write_text(json.dumps(content))
    return root


@pytest.mark.usefixtures("own_cache")
def test_a_fitted_run_is_rendered_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["data=scene", f"data.root={write_scene(tmp_path / 'ball')}", f"outputs={tmp_path}", "run=a"]
    small = ["scale.epochs=1", "scale.epoch_steps=4", "scale.grid_levels=2", "scale.grid_table=8"]
    small += ["scale.grid_samples=16", "scale.occupancy=8", "scale.sample_budget=512"]
    assert cli.command(["transferbench", "+experiment=nerf_fast", *data, *small]) == 0
    model = ["model=checkpoint", f"model.path={tmp_path / 'nerf_fast' / 'a'}", "task.frames=2"]
    render = ["transferbench", "+experiment=render", *model]
    for words, said in (
        (["task.path=orbits"], "did you mean orbit?"),
        (["task.what=[colour,normals]"], "task.what"),
        (["task.query=mug", "task.what=[relevance]"], "has no masks"),
    ):
        assert cli.command([*render, *data, *words]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "render").exists()
    assert cli.command([*render, *data, "task.cloud=true"]) == 0
    folder = tmp_path / "render" / "a"
    assert {"frames", "cameras.json", "cloud.ply", "summary.json", "report.html"} <= {f.name for f in folder.iterdir()}
    assert len(list((folder / "frames").glob("*.png"))) == 4
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["metrics"]["render/frames"] == 2 and "render/points" in summary["metrics"]
    assert "frames/ in the folder of the run" in (folder / "report.html").read_text()
    written = (folder / "colour_0000.png", (folder / "summary.json").stat().st_mtime_ns)
    assert cli.command([*render, *data, "task.cloud=true"]) == 0  # finished: shown again
    assert (folder / "summary.json").stat().st_mtime_ns == written[1]
