"""Moving scenes of EPIC-Diff's kind."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from transferbench.data.scenes.epic_diff import read_epic_diff
from transferbench.data.scenes.sizing import Sizing
from transferbench.errors import UserError


def annotate(root: Path, maps: NDArray[np.uint8], names: list[str], suffix: str = ".png") -> None:
    (root / "annotations").mkdir(exist_ok=True)
    for name, content in zip(names, maps):
        Image.fromarray(content).save(root / "annotations" / f"{name}{suffix}")


def test_round_trip(capture: Any) -> None:
    capture.epic_diff()
    scene = read_epic_diff(capture.root)
    assert scene.names == ("view_1", "view_2", "view_3", "view_10", "view_11")
    np.testing.assert_array_equal(scene.images, capture.images)
    np.testing.assert_allclose(scene.poses, capture.poses, atol=1e-12)
    np.testing.assert_allclose(scene.intrinsics, np.tile([20.0, 20.0, 12.0, 9.0], (5, 1)))
    assert scene.times is not None and scene.near is not None and scene.far is not None
    assert scene.times.tolist() == [1, 2, 3, 10, 11]
    np.testing.assert_allclose(scene.near, [1.01, 1.02, 1.03, 1.1, 1.11])
    np.testing.assert_allclose(scene.far, scene.near + 7)
    assert (scene.train, scene.val, scene.test) == ((0, 2, 4), (3,), (1,))
    assert scene.labels is None and scene.label_names == () and not scene.distortion.any()


def test_dynamic_and_actor_are_told_apart(capture: Any) -> None:
    capture.epic_diff()
    maps = np.random.default_rng(0).integers(0, 3, (5, 18, 24), dtype=np.uint8)
    annotate(capture.root, maps[:2], capture.names[:2])
    scene = read_epic_diff(capture.root)
    assert scene.labels is not None and scene.labelled is not None
    assert scene.label_names == ("dynamic", "actor") and scene.labelled.tolist() == [True, True, False, False, False]
    np.testing.assert_array_equal(scene.labels[:2], maps[:2])
    annotate(capture.root, maps, capture.names)
    assert read_epic_diff(capture.root).labelled is None


@pytest.mark.parametrize("value", [1, 2, 3, 255])
def test_anything_else_is_foreground(capture: Any, value: int) -> None:
    capture.epic_diff()
    maps = np.random.default_rng(0).integers(0, 2, (5, 18, 24), dtype=np.uint8)
    annotate(capture.root, maps * np.uint8(value), capture.names)
    scene = read_epic_diff(capture.root)
    assert scene.labels is not None and scene.label_names == ("foreground",)
    np.testing.assert_array_equal(scene.labels, maps)


def test_colour_masks_beside_jpeg_frames(capture: Any) -> None:
    content = capture.epic_diff()
    capture.save("frames", ".jpg")
    names = {number: name.replace(".png", ".jpg") for number, name in content["images"].items()}
    capture.write_json("meta.json", content | {"images": names})
    maps = np.random.default_rng(0).integers(0, 2, (5, 18, 24), dtype=np.uint8)
    annotate(capture.root, np.stack([maps * 0, maps, maps * 7], axis=-1).astype(np.uint8), capture.names)
    scene = read_epic_diff(capture.root)
    assert scene.labels is not None
    np.testing.assert_array_equal(scene.labels, maps)


def test_a_mask_of_another_size(capture: Any) -> None:
    capture.epic_diff()
    annotate(capture.root, np.zeros((1, 9, 12), np.uint8), capture.names)
    with pytest.raises(UserError, match=r"annotations/view_1.png: the mask is 12x9, its image 24x18"):
        read_epic_diff(capture.root)


def test_sizes_and_the_lens_of_the_converter(capture: Any) -> None:
    camera = {"model": "SIMPLE_RADIAL", "width": 48, "height": 36, "params": [40, 24, 18, 0.05]}
    capture.epic_diff(image_w=48, image_h=36, intrinsics=[[40, 0, 25], [0, 42, 18], [0, 0, 1]], camera=camera)
    scene = read_epic_diff(capture.root, Sizing(2))
    np.testing.assert_allclose(scene.intrinsics[0], [10.0, 10.5, 6.25, 4.5])
    np.testing.assert_allclose(scene.distortion[0], [0.05, 0, 0, 0, 0, 0])
    capture.epic_diff(image_w=None, image_h=None, images_w=24, images_h=18)
    np.testing.assert_allclose(read_epic_diff(capture.root).intrinsics[0], [20, 20, 12, 9])
    capture.epic_diff(image_w=None, image_h=None)
    np.testing.assert_allclose(read_epic_diff(capture.root).intrinsics[0], [20, 20, 12, 9])
    capture.epic_diff(image_w=None, image_h=None, intrinsics=[[40, 0, 24], [0, 40, 18], [0, 0, 1]])
    with pytest.raises(UserError, match=r"the principal point 24, 18 is outside of the images \(24x18\)"):
        read_epic_diff(capture.root)
    capture.epic_diff(camera=camera | {"model": "FOV"})
    with pytest.raises(UserError, match="the camera model FOV is not supported"):
        read_epic_diff(capture.root)


def test_splits_that_are_not_written(capture: Any) -> None:
    capture.epic_diff(ids_train=None, ids_val=None, ids_test=None, ids_all=None)
    scene = read_epic_diff(capture.root)
    assert (scene.train, scene.val, scene.test) == ((1, 2, 3, 4), (), (0,))
    scene = read_epic_diff(capture.root, split=2)
    assert (scene.train, scene.val, scene.test) == ((1, 3), (2,), (0, 4))
    with pytest.raises(UserError, match=r"data.split is 0.9; expected a step for EPIC-Diff, such as 8"):
        read_epic_diff(capture.root, split=0.9)
    capture.epic_diff()
    with pytest.raises(UserError, match="has a split of its own"):
        read_epic_diff(capture.root, split=2)


def test_frames_that_are_left_out(capture: Any, caplog: pytest.LogCaptureFixture) -> None:
    capture.epic_diff(ids_val=None, ids_test=[2, 3])
    (capture.root / "frames/view_11.png").unlink()
    with caplog.at_level(logging.WARNING):
        scene = read_epic_diff(capture.root)
    assert scene.names == ("view_1", "view_2", "view_3") and scene.test == (1, 2) and scene.train == (0, 2)
    assert "image missing: 1 of 5, first view_11.png" in caplog.text
    assert "left out, in no split: 1 of 4 frames" in caplog.text
    assert "1 frames are in both ids_train and ids_test" in caplog.text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": None}, "no images in it; expected an object with an entry for each id"),
        ({"poses": {}}, "poses has no entry for frame 1"),
        ({"nears": {str(n): "x" for n in (1, 2, 3, 10, 11)}}, "nears of frame 1 is x; expected a number"),
        ({"nears": {str(n): 9 for n in (1, 2, 3, 10, 11)}}, "near is 9 and far 8.01 for view_1"),
        ({"intrinsics": None}, "intrinsics are None; expected a matrix of 3x3 with positive focal lengths"),
        ({"intrinsics": [[1, 2], [3]]}, "expected a matrix of 3x3"),
        ({"ids_all": [1, 2, "3"]}, r"ids_all is \[1, 2, '3'\]; expected a list of frame numbers"),
        ({"ids_all": [1, 2, 3, 10, 11, 2]}, "frame 2 is in ids_all twice"),
        ({"ids_all": [1, 2, 3, 10, 11, 12]}, "images has no entry for frame 12"),
        ({"ids_train": [3, 3]}, "frame 3 is in ids_train twice"),
        ({"ids_train": []}, "no frame is left to fit"),
        ({"image_w": 18, "image_h": 24}, "measured on images of 18x24"),
        ({"images": {str(n): "view_1.png" for n in (1, 2, 3, 10, 11)}}, "frames/view_1.png is a frame twice"),
        ({"images": {str(n): f"../{n}.png" for n in (1, 2, 3, 10, 11)}}, "the path ../1.png leads out of the scene"),
        ({"poses": {str(n): [[3, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]] for n in (1, 2, 3, 10, 11)}}, "is scaled by 3"),
    ],
)
def test_broken_files(capture: Any, changes: dict[str, Any], told: str) -> None:
    capture.epic_diff(**changes)
    with pytest.raises(UserError, match=told) as raised:
        read_epic_diff(capture.root)
    assert "meta.json" in str(raised.value)


def test_ids_are_numbers_in_the_file_of_images(capture: Any) -> None:
    content = capture.epic_diff()
    content.pop("ids_all")
    capture.write_json("meta.json", content | {"images": content["images"] | {"one": "view_1.png"}})
    with pytest.raises(UserError, match=r"ids_all is \[1, 2, 3, 10, 11, 'one'\]"):
        read_epic_diff(capture.root)
    (capture.root / "meta.json").write_text(json.dumps(content)[:-20])
    with pytest.raises(UserError, match=r"meta.json: broken JSON at line 1"):
        read_epic_diff(capture.root)
