"""Scenes of NeRF's synthetic kind, written and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferbench.data.scenes.blender import read_blender
from transferbench.data.scenes.sizing import Sizing
from transferbench.errors import UserError


def rewrite(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_round_trip(capture: Any) -> None:
    capture.blender()
    scene = read_blender(capture.root)
    np.testing.assert_array_equal(scene.images, capture.images)
    np.testing.assert_allclose(scene.poses, capture.poses, atol=1e-12)
    np.testing.assert_allclose(scene.intrinsics, np.tile([20.0, 20.0, 12.0, 9.0], (5, 1)))
    assert scene.name == "desk" and scene.background == "white" and not scene.frontal and not scene.fisheye
    assert scene.names == ("train_r_0", "train_r_1", "train_r_2", "val_r_0", "test_r_0")
    assert (scene.train, scene.val, scene.test) == ((0, 1, 2), (3,), (4,))
    assert scene.near is not None and scene.far is not None and scene.box is not None
    assert scene.near.tolist() == [2.0] * 5 and scene.far.tolist() == [6.0] * 5
    assert scene.box.tolist() == [[-1.5] * 3, [1.5] * 3]
    assert not scene.distortion.any() and scene.labels is None and scene.times is None


@pytest.mark.parametrize(("size", "focal"), [(800, 1111.111031), (400, 555.555516), (100, 138.888879), (50, 69.444440)])
def test_the_focal_length_of_lego(capture: Any, size: int, focal: float) -> None:
    capture.blender(camera_angle_x=0.6911112070083618)
    for file in capture.root.rglob("*.png"):
        Image.new("RGB", (800, 800)).save(file)
    scene = read_blender(capture.root, Sizing(size=size))
    np.testing.assert_allclose(scene.intrinsics[0], [focal, focal, size / 2, size / 2], rtol=1e-8)
    assert scene.background is None and scene.near is None and scene.far is None, "there is something behind"


def test_a_real_pose_is_taken_as_it_is(capture: Any) -> None:
    capture.blender()
    lego = [
        [-0.9999021888, 0.0041922452, -0.0133457193, -0.0537983216],
        [-0.0139886811, -0.2996590734, 0.9539436698, 3.8454704285],
        [0.0, 0.9540371895, 0.2996883094, 1.2080823183],
        [0.0, 0.0, 0.0, 1.0],
    ]
    frames = json.loads((capture.root / "transforms_train.json").read_text())["frames"]
    frames[0]["transform_matrix"] = lego
    rewrite(capture.root / "transforms_train.json", frames=frames)
    pose = read_blender(capture.root).poses[0]
    assert np.linalg.norm(pose[:3, 3]) == pytest.approx(4.031129)
    np.testing.assert_allclose(pose[:3, 3] - 4.031129 * pose[:3, 2], 0, atol=1e-5)  # it looks at the origin


def test_downscaled(capture: Any) -> None:
    capture.blender()
    scene = read_blender(capture.root, Sizing(2))
    assert (scene.width, scene.height) == (12, 9)
    np.testing.assert_allclose(scene.intrinsics[0], [10.0, 10.0, 6.0, 4.5])
    alpha = capture.images[..., 3].reshape(5, 9, 2, 12, 2).mean(axis=(2, 4))
    assert np.abs(scene.images[..., 3] - alpha).max() <= 0.5


def test_what_the_embedded_world_adds(capture: Any) -> None:
    capture.blender(near=2.5, far=5.0, box=[[-1, -1, 0], [1, 1, 2]])
    maps = np.random.default_rng(0).integers(0, 3, (5, 18, 24), dtype=np.uint8)
    places = ["train/r_0", "train/r_1", "train/r_2", "val/r_0", "test/r_0"]
    for place, content in zip(places, maps):
        file = capture.root / "masks" / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(content).save(file)
    capture.write_json("objects.json", {"labels": {"2": "mug", "1": "chair"}, "instances": {}})
    scene = read_blender(capture.root)
    assert scene.labels is not None and scene.near is not None and scene.far is not None and scene.box is not None
    np.testing.assert_array_equal(scene.labels, maps)
    assert scene.label_names == ("chair", "mug") and scene.labelled is None
    assert scene.near[4] == 2.5 and scene.far[4] == 5.0 and scene.box.tolist() == [[-1, -1, 0], [1, 1, 2]]

    (capture.root / "masks/val/r_0.png").unlink()
    (capture.root / "objects.json").unlink()
    scene = read_blender(capture.root)
    assert scene.labelled is not None and scene.labelled.tolist() == [True, True, True, False, True]
    assert scene.label_names == ("label 1", "label 2")
    assert scene.labels is not None and not scene.labels[3].any()


@pytest.mark.parametrize(
    "labels",
    [None, {}, [], {"1": "chair"}, {"1": "chair", "3": "mug"}, {"0": "a", "1": "b", "2": "c"}, {"1": 2, "2": "b"}],
)
def test_names_that_leave_labels_out(capture: Any, labels: Any) -> None:
    capture.blender()
    (capture.root / "masks/train").mkdir(parents=True)
    Image.new("L", (24, 18), 2).save(capture.root / "masks/train/r_0.png")
    capture.write_json("objects.json", {"labels": labels})
    with pytest.raises(UserError, match=r"does not name; add it there|expected a name for each number from 1"):
        read_blender(capture.root)


def test_thinned_views_and_training_frames_alone(capture: Any) -> None:
    capture.blender()
    frames = json.loads((capture.root / "transforms_train.json").read_text())["frames"]
    rewrite(capture.root / "transforms_val.json", frames=frames)
    (capture.root / "transforms_train.json").write_text((capture.root / "transforms_test.json").read_text())
    (capture.root / "transforms_test.json").unlink()
    scene = read_blender(capture.root, thin=2)
    assert scene.names == ("test_r_0", "train_r_0", "train_r_2") and scene.val == (1, 2) and scene.test == ()
    with pytest.raises(UserError, match=r"data.split is 0.5, but .*transforms_val.json has a split of its own"):
        read_blender(capture.root, split=0.5)
    (capture.root / "transforms_train.json").write_text((capture.root / "transforms_val.json").read_text())
    (capture.root / "transforms_val.json").unlink()
    assert read_blender(capture.root).train == (0, 1, 2)
    assert read_blender(capture.root, split=2).test == (0, 2)
    with pytest.raises(UserError, match=r"data.thin is 0"):
        read_blender(capture.root, thin=0)


def test_jpeg_and_names_with_a_suffix(capture: Any) -> None:
    capture.blender()
    Image.open(capture.root / "train/r_1.png").convert("RGB").save(capture.root / "train/r_1.jpg")
    (capture.root / "train/r_1.png").unlink()
    frames = json.loads((capture.root / "transforms_train.json").read_text())["frames"]
    frames[0]["file_path"] = "train\\r_0.png"
    rewrite(capture.root / "transforms_train.json", frames=frames)
    assert read_blender(capture.root).names[:2] == ("train_r_0", "train_r_1")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"frames": None}, "no list of frames in it"),
        ({"frames": []}, r"no frame is left to fit|image in the scene"),
        ({"frames": [5]}, r"frames\[0\] has no file_path"),
        ({"frames": [{"file_path": "a"}]}, r"frames\[0\] has no transform_matrix"),
        (
            {"frames": [{"file_path": "./train/r_9", "transform_matrix": []}]},
            r"the image ./train/r_9 is not there, with",
        ),
        ({"frames": [{"file_path": "../r_0", "transform_matrix": []}]}, r"the path ../r_0 leads out of the scene"),
        ({"frames": [{"file_path": "/r_0", "transform_matrix": []}]}, r"the path /r_0 leads out of the scene"),
        ({"frames": [{"file_path": "C:\\r_0", "transform_matrix": []}]}, r"leads out of the scene"),
        ({"frames": [{"file_path": "train/../../r_0", "transform_matrix": []}]}, r"leads out of the scene"),
        (
            {"frames": [{"file_path": "train/r_0", "transform_matrix": 3}]},
            r"train/r_0: the pose is 3; expected 3 or 4 rows",
        ),
        ({"camera_angle_x": None}, r"transforms_train.json: no focal length in it; expected fl_x .* or camera_angle_x"),
        ({"camera_angle_x": 4.0}, r"the camera's angle is 4; expected radians"),
        ({"camera_angle_x": "wide"}, r"camera_angle_x is wide; expected a number"),
        ({"near": 6, "far": 6}, r"near is 6 and far 6 for train_r_0; expected 0 <= near < far"),
        ({"near": 6}, r"near is 6 and far None; expected two numbers, or neither"),
        ({"box": [[1, 1, 1], [0, 2, 2]]}, r"box is .*; expected two corners, the lower one first"),
        ({"box": "large"}, r"box is large"),
    ],
)
def test_broken_files(capture: Any, changes: dict[str, Any], told: str) -> None:
    capture.blender()
    rewrite(capture.root / "transforms_train.json", **changes)
    with pytest.raises(UserError, match=told) as raised:
        read_blender(capture.root)
    assert str(capture.root) in str(raised.value)


def test_broken_json_tells_the_line(capture: Any) -> None:
    capture.blender()
    (capture.root / "transforms_val.json").write_text('{"camera_angle_x": 1,\n "frames": [}\n')
    with pytest.raises(UserError, match=r"transforms_val.json: broken JSON at line 2, column 13"):
        read_blender(capture.root)
    (capture.root / "transforms_val.json").write_text("[]")
    with pytest.raises(UserError, match=r"transforms_val.json: it holds a list; expected a camera and its frames"):
        read_blender(capture.root)


def test_a_frame_that_is_there_twice(capture: Any) -> None:
    capture.blender()
    frames = json.loads((capture.root / "transforms_train.json").read_text())["frames"]
    rewrite(capture.root / "transforms_test.json", frames=frames[1:])
    with pytest.raises(UserError, match=r"train/r_1.png is a frame twice; take one of the two out"):
        read_blender(capture.root)


@pytest.mark.parametrize("part", ["train", "test"])
def test_lenses_of_two_kinds(capture: Any, part: str) -> None:
    capture.blender(camera_model="OPENCV_FISHEYE", k1=0.01)
    assert read_blender(capture.root).fisheye
    file = capture.root / f"transforms_{part}.json"
    frames = json.loads(file.read_text())["frames"]
    rewrite(file, frames=[*frames[:-1], frames[-1] | {"camera_model": "OPENCV"}])
    with pytest.raises(UserError, match="some frames have a fisheye and others have not; read them as two scenes"):
        read_blender(capture.root)
