"""Scenes on disk: the formats, the labels, and a cache that continues, repairs and tells apart."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferbench.errors import UserError
from transferbench.world import studio
from transferbench.world.cache import PACKAGE
from transferbench.world.kitchen import lens
from transferbench.world.kitchen_painter import KitchenPainter, KitchenPlan
from transferbench.world.stage_painter import StagePainter, StagePlan
from transferbench.world.studio import SCENE_SOURCES, RenderedScene, open_scene
from transferbench.world.taxonomy import concept_ids, read_taxonomy

LEMMAS = ("barrel", "cactus", "ice_cream", "mug", "owl")
SIZE = 24
pytestmark = pytest.mark.usefixtures("own_cache")


def stage(**options: Any) -> RenderedScene:
    given = {"lemmas": LEMMAS, "objects": 4, "train": 2, "val": 1, "test": 2, "size": SIZE, "progress": False}
    return open_scene("stage", **{**given, **options})


def kitchen(**options: Any) -> RenderedScene:
    return open_scene("kitchen", **{"size": 38, "frames": 33, "progress": False, **options})


def contents(made: RenderedScene) -> dict[str, bytes]:
    return {str(p.relative_to(made.folder)): p.read_bytes() for p in sorted(made.folder.rglob("*")) if p.is_file()}


def read(made: RenderedScene, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.folder / name).read_text())
    return found


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_stage_is_in_blender_form() -> None:
    made = stage()
    assert made.seconds > 0
    for split, count in (("train", 2), ("val", 1), ("test", 2)):
        transforms = read(made, f"transforms_{split}.json")
        assert set(transforms) == {"camera_angle_x", "near", "far", "box", "frames"}
        assert transforms["camera_angle_x"] == pytest.approx(0.6911112)
        assert 2 < transforms["near"] < 3 < 5 < transforms["far"] < 6
        assert [frame["file_path"] for frame in transforms["frames"]] == [f"./{split}/r_{i}" for i in range(count)]
        for frame in transforms["frames"]:
            picture, mask = (pixels(made.folder / f"{top}{frame['file_path']}.png") for top in ("", "masks/"))
            assert (picture.shape, mask.shape) == ((SIZE, SIZE, 4), (SIZE, SIZE))
            assert (picture.dtype, mask.dtype) == (np.uint8, np.uint8)
            assert set(np.unique(mask)) <= set(range(5))
            assert (picture[..., 3][mask > 0] > 0).all()
            assert np.array(frame["transform_matrix"]).shape == (4, 4)
    assert {p.parent.parent.name for p in made.folder.glob("without_*/test/r_1.png")} == {
        f"without_{k}" for k in (1, 2, 3, 4)
    }


def test_objects_are_named_and_the_pair_alike() -> None:
    made = stage()
    objects, ids = read(made, "objects.json"), concept_ids(read_taxonomy())
    assert list(objects["labels"]) == list(objects["instances"]) == ["1", "2", "3", "4"]
    names = [objects["labels"][label] for label in objects["labels"]]
    assert len(set(names)) == 3
    for label, one in objects["instances"].items():
        assert one["wnid"] == ids[one["lemma"]]
        assert one["name"] == objects["labels"][label] == one["lemma"].replace("_", " ")
        assert objects["concepts"][one["wnid"]] == one["name"]
    assert len(objects["concepts"]) == 3
    assert objects["floor"]["shape"] in ("disc", "square")


def test_poses_on_disk_project_objects_onto_their_masks() -> None:
    made = stage(size=64)
    plan = StagePlan(LEMMAS, 0, 64, 4, 2, 1, 2)
    props = StagePainter(plan).stage.props
    transforms = read(made, "transforms_train.json")
    focal = 0.5 * 64 / np.tan(transforms["camera_angle_x"] / 2)
    low, high = np.array(transforms["box"])
    found = []
    for frame in transforms["frames"]:
        inverse = np.linalg.inv(frame["transform_matrix"])
        mask = pixels(made.folder / "masks" / f"{frame['file_path']}.png")
        for label, prop in enumerate(props, start=1):
            middles = prop.solids.centre.astype(float)
            assert ((middles > low) & (middles < high)).all()
            x, y, z = (np.c_[middles, np.ones(len(middles))] @ inverse.T)[:, :3].T
            assert ((-z > transforms["near"]) & (-z < transforms["far"])).all()
            column, row = 32 + focal * x / -z, 32 - focal * y / -z
            found.append((mask[row.astype(int), column.astype(int)] == label).mean())
    assert np.median(found) > 0.8  # other objects and ends of thin parts may cover or miss some


def test_a_kitchen_is_in_epic_diff_form() -> None:
    made = kitchen()
    meta = read(made, "meta.json")
    assert meta["ids_all"] == list(range(33))
    assert (meta["ids_test"], meta["ids_val"]) == ([0, 16, 32], [8, 24])
    assert meta["ids_train"] == [i for i in range(33) if i % 8]
    assert (meta["image_w"], meta["image_h"]) == (38, 21)
    assert np.allclose(meta["intrinsics"], [[33.06, 0, 19], [0, 33.06, 10.5], [0, 0, 1]])
    labels: set[int] = set()
    for key in map(str, meta["ids_all"]):
        pose = np.array(meta["poses"][key])
        assert pose.shape == (3, 4)
        assert np.allclose(pose[:, :3].T @ pose[:, :3], np.eye(3))
        assert np.linalg.det(pose[:, :3]) > 0
        assert 0.1 < meta["nears"][key] < meta["fars"][key] < 9
        frame, mask = (pixels(made.folder / top / meta["images"][key]) for top in ("frames", "annotations"))
        assert frame.shape == (21, 38, 3)
        assert mask.shape == (21, 38)
        labels |= set(np.unique(mask).tolist())
    assert labels == {0, 1, 2}
    objects = read(made, "objects.json")
    assert len(objects["still"]) == 5
    assert len(objects["carried"]) == 2
    assert all(one["start"] < one["stop"] for one in objects["carried"])


def test_depths_hold_everything() -> None:
    made = kitchen()
    meta = read(made, "meta.json")
    painter = KitchenPainter(KitchenPlan(studio.UTENSILS, 0, 38, 21, 33, 5, 2))
    for time in (0, 9, 20):
        pose = painter.kitchen.head.pose(time)
        assert np.allclose(pose[:3], meta["poses"][str(time)])
        depth = lens(pose, 114, 63).see(painter.kitchen.solids(time, pose))[0].depth
        assert meta["nears"][str(time)] < np.quantile(depth, 0.001)
        assert np.quantile(depth, 0.999) < meta["fars"][str(time)]


def test_a_scene_is_found_again_and_the_same_however_it_was_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = stage()
    assert stage().seconds == 0.0
    others = [stage(seed=1), stage(test=1), stage(size=SIZE + 2), stage(lemmas=LEMMAS[1:])]
    assert len({first.digest, *(other.digest for other in others)}) == 5
    assert contents(others[0])["test/r_0.png"] != contents(first)["test/r_0.png"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    write, written = studio.write_bytes, []

    def interrupted(path: Path, data: bytes) -> None:
        if len(written) == 5:
            raise KeyboardInterrupt
        write(path, data)
        written.append(path)

    monkeypatch.setattr(studio, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stage()
    assert not (written[0].parents[1] / "done.json").exists()
    (written[0].parent / ".r_9.png.abc.part").write_bytes(b"half")
    kept = written[0].stat().st_mtime_ns
    monkeypatch.setattr(studio, "write_bytes", write)
    continued = stage()
    assert contents(continued) == contents(first)
    assert written[0].stat().st_mtime_ns == kept


def test_a_kitchen_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = kitchen(frames=20)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert contents(kitchen(frames=20)) == contents(first)


def test_a_damaged_scene_is_rendered_again(caplog: pytest.LogCaptureFixture) -> None:
    made = stage()
    before = contents(made)
    for damage in ("masks/test/r_0.png", "transforms_val.json"):
        (made.folder / damage).unlink()
        (made.folder / "train" / "r_1.png").write_bytes(b"broken")
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert stage().seconds > 0
        assert "missing or broken; rendering it again" in caplog.text
        assert contents(made) == before
    (made.folder / "done.json").write_text("[1]")
    assert stage().seconds > 0
    assert contents(made) == before


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(UserError, match="no scene 'cellar'; expected stage or kitchen"):
        open_scene("cellar")
    with pytest.raises(UserError, match="found the concept unicorn"):
        stage(lemmas=["mug", "unicorn"])
    with pytest.raises(UserError, match="found the concept none"):
        kitchen(lemmas=[])
    with pytest.raises(UserError, match="objects=4 out of 2 concepts"):
        stage(lemmas=["mug", "owl"])
    with pytest.raises(UserError, match="train, val, test=0, 1, 2"):
        stage(train=0)
    with pytest.raises(UserError, match="frames=3"):
        kitchen(frames=3)


def test_every_source_of_the_digest_exists_and_none_is_forgotten() -> None:
    for pattern in SCENE_SOURCES:
        assert list(PACKAGE.glob(pattern)), pattern
    covered = {path for pattern in SCENE_SOURCES for path in PACKAGE.glob(pattern)}
    left = set((PACKAGE / "world").glob("*.py")) - covered
    for path in covered:
        if path.suffix == ".py":
            for other in left:
                assert f"world.{other.stem} import" not in path.read_text(), f"{path.name} depends on {other.name}"
