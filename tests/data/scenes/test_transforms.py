"""transforms.json of instant-ngp and nerfstudio, with the quirks of real captures."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferbench.data.scenes.poses import flip_axes
from transferbench.data.scenes.sizing import Sizing
from transferbench.data.scenes.transforms import ngp_matrix, read_transforms
from transferbench.errors import UserError
from transferbench.nerf.cameras import look_at


def test_round_trip(capture: Any) -> None:
    content = capture.transforms()
    capture.write_json("transforms.json", content | {"frames": content["frames"][::-1]})
    scene = read_transforms(capture.root)
    assert scene.names == ("view_1", "view_2", "view_3", "view_10", "view_11")
    np.testing.assert_array_equal(scene.images, capture.images)
    np.testing.assert_allclose(scene.poses, capture.poses, atol=1e-12)
    np.testing.assert_allclose(scene.intrinsics, np.tile([20.0, 20.0, 12.0, 9.0], (5, 1)))
    assert not scene.distortion.any() and not scene.fisheye and not scene.frontal
    assert scene.near is None and scene.far is None and scene.box is None and scene.background is None
    assert scene.train == (0, 1, 2, 3, 4) and scene.test == ()  # 90 % of five are all five
    assert read_transforms(capture.root, split=0.5).test == (1, 3)


def test_a_phone_with_a_lens_and_images_missing(capture: Any, caplog: pytest.LogCaptureFixture) -> None:
    """As instant-ngp's fox: sizes as floats, focal lengths that differ, frames without a file, named without order."""
    lens = {"k1": 0.0578421, "k2": -0.0805099, "p1": -0.00098, "p2": 0.000156}
    content = capture.transforms(fl_y=21.0, cx=11.5, **lens)
    for frame in content["frames"]:
        frame["sharpness"] = 30.0
    gone = [{"file_path": f"images/{n}", "transform_matrix": np.eye(4).tolist()} for n in ("0007.jpg", "0005.jpg")]
    capture.write_json("transforms.json", content | {"frames": gone[:1] + content["frames"] + gone[1:]})
    with caplog.at_level(logging.WARNING):
        scene = read_transforms(capture.root, Sizing(2))
    assert "left out, image missing: 2 of 7, first images/0005.jpg" in caplog.text
    np.testing.assert_allclose(scene.poses, capture.poses, atol=1e-12)
    np.testing.assert_allclose(scene.intrinsics, np.tile([10.0, 10.5, 5.75, 4.5], (5, 1)))
    np.testing.assert_allclose(scene.distortion, np.tile([0.0578421, -0.0805099, 0, 0, -0.00098, 0.000156], (5, 1)))


def test_a_scene_without_its_images(capture: Any) -> None:
    capture.transforms()
    (capture.root / "images").rename(capture.root / "photos")
    with pytest.raises(UserError, match=r"none of its 5 images is there, such as images/view_1.png; put them below"):
        read_transforms(capture.root)


def test_angles_in_place_of_focal_lengths(capture: Any) -> None:
    angle = 2 * np.arctan(12 / 20)
    plain = {"fl_x": None, "fl_y": None, "cx": None, "cy": None, "w": None, "h": None}
    capture.transforms(**plain, camera_angle_x=angle)
    np.testing.assert_allclose(read_transforms(capture.root).intrinsics[0], [20.0, 20.0, 12.0, 9.0])
    capture.transforms(**plain, camera_angle_x=angle, camera_angle_y=2 * np.arctan(9 / 30))
    np.testing.assert_allclose(read_transforms(capture.root).intrinsics[0], [20.0, 30.0, 12.0, 9.0])
    capture.transforms(**plain)
    with pytest.raises(UserError, match=r"images/view_1.png: no focal length in it; expected fl_x in pixels"):
        read_transforms(capture.root)


def test_cameras_measured_at_another_size(capture: Any) -> None:
    capture.transforms(w=48, h=36, fl_x=40.0, fl_y=42.0, cx=25.0, cy=17.0)
    np.testing.assert_allclose(read_transforms(capture.root).intrinsics[0], [20.0, 21.0, 12.5, 8.5])
    capture.transforms(w=18, h=24)
    with pytest.raises(UserError, match=r"measured on images of 18x24, but they are 24x18; expected the same shape"):
        read_transforms(capture.root)
    capture.transforms(w=None, h=None, cx=25.0)
    with pytest.raises(UserError, match=r"the principal point 25, 9 is outside of the images \(24x18\)"):
        read_transforms(capture.root)


def test_intrinsics_of_each_frame(capture: Any) -> None:
    content = capture.transforms(fl_x=None, fl_y=None)
    for number, frame in enumerate(content["frames"]):
        frame |= {"fl_x": 20.0 + number, "k1": 0.01 * number}
    capture.write_json("transforms.json", content)
    scene = read_transforms(capture.root)
    np.testing.assert_allclose(scene.intrinsics[:, 0], [20, 21, 22, 23, 24])
    np.testing.assert_allclose(scene.intrinsics[:, 1], scene.intrinsics[:, 0])
    np.testing.assert_allclose(scene.distortion[:, 0], [0, 0.01, 0.02, 0.03, 0.04])
    del content["frames"][2]["fl_x"]
    capture.write_json("transforms.json", content)
    with pytest.raises(UserError, match=r"4 of 5 frames have fl_x, frames\[2\] has not; expected fl_x in all of them"):
        read_transforms(capture.root)


def test_kinds_of_lenses(capture: Any) -> None:
    coefficients = {"k1": 0.03, "k2": -0.01, "k3": 0.002, "k4": 0.001}
    capture.transforms(camera_model="OPENCV_FISHEYE", **coefficients)
    scene = read_transforms(capture.root)
    assert scene.fisheye
    np.testing.assert_allclose(scene.distortion[0], [0.03, -0.01, 0.002, 0.001, 0, 0])
    capture.transforms(is_fisheye=True, **coefficients)
    assert read_transforms(capture.root).fisheye
    for model in ("OPENCV", "PINHOLE"):
        capture.transforms(camera_model=model)
        assert not read_transforms(capture.root).fisheye
    capture.transforms(camera_model="EQUIRECTANGULAR")
    with pytest.raises(UserError, match="camera_model EQUIRECTANGULAR is not supported; expected OPENCV"):
        read_transforms(capture.root)
    capture.transforms(ftheta_p0=1.0)
    with pytest.raises(UserError, match="the lens of ftheta_p0 is not supported"):
        read_transforms(capture.root)
    content = capture.transforms()
    content["frames"][1]["is_fisheye"] = True
    capture.write_json("transforms.json", content)
    with pytest.raises(UserError, match="some frames have a fisheye and others have not; read them as two scenes"):
        read_transforms(capture.root)
    capture.transforms(k1=-1.5)
    with pytest.raises(
        UserError, match=r"the lens cannot be inverted at .* of 25 points across the image view_1; undist"
    ):
        read_transforms(capture.root)


def test_black_in_a_mask_is_ignored(capture: Any) -> None:
    content = capture.transforms()
    masks = np.random.default_rng(0).integers(0, 2, (5, 18, 24), dtype=np.uint8) * 255
    (capture.root / "masks").mkdir()
    for number in (0, 3):
        Image.fromarray(masks[number]).save(capture.root / "masks" / f"{number}.png")
        content["frames"][number]["mask_path"] = f"masks/{number}.png"
    capture.write_json("transforms.json", content)
    ignored = read_transforms(capture.root).ignored
    assert ignored is not None
    np.testing.assert_array_equal(ignored[[0, 3]], masks[[0, 3]] == 0)
    assert not ignored[[1, 2, 4]].any()
    content["frames"][3]["mask_path"] = "../masks/3.png"
    capture.write_json("transforms.json", content)
    with pytest.raises(UserError, match=r"the path ../masks/3.png leads out of the scene"):
        read_transforms(capture.root)


def test_lists_of_the_splits(capture: Any, caplog: pytest.LogCaptureFixture) -> None:
    lists = {
        "train_filenames": ["./images/view_11.png", "images/view_1.png"],
        "val_filenames": ["images/view_3.png"],
        "test_filenames": ["images/view_3.png", "images/view_10.png", "images/view_12.png"],
    }
    capture.transforms(**lists)
    with caplog.at_level(logging.WARNING):
        scene = read_transforms(capture.root)
    assert scene.names == ("view_1", "view_3", "view_10", "view_11")
    assert (scene.train, scene.val, scene.test) == ((0, 3), (1,), (1, 2))
    assert "left out, in no list: 1 frames, first images/view_2.png" in caplog.text
    assert "listed without a frame: 1 paths, first images/view_12.png" in caplog.text
    np.testing.assert_allclose(scene.poses, capture.poses[[0, 2, 3, 4]], atol=1e-12)
    with pytest.raises(UserError, match="has a split of its own"):
        read_transforms(capture.root, split=8)
    capture.transforms(test_filenames=["images/view_1.png", "images/view_2.png"])
    with pytest.raises(UserError, match="no frame is left to fit"):
        read_transforms(capture.root)
    capture.transforms(train_filenames="all")
    with pytest.raises(UserError, match="train_filenames is all; expected a list of paths"):
        read_transforms(capture.root)


def test_positions_in_the_cube_of_instant_ngp() -> None:
    pose = look_at((1.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    cube = ngp_matrix() @ pose
    np.testing.assert_allclose(cube[:3, 3], [0.33 * 2 + 0.5, 0.33 * 3 + 0.5, 0.33 * 1 + 0.5])
    axes = (ngp_matrix(1.0, 0.0) @ flip_axes(pose))[:3, :3]
    np.testing.assert_allclose(axes, np.stack([pose[1, :3], pose[2, :3], pose[0, :3]]) * [1, -1, -1])


def test_the_box_of_instant_ngp(capture: Any) -> None:
    capture.transforms(aabb_scale=4, scale=0.5, offset=[0.5, 0.25, 0.0])
    box = read_transforms(capture.root).box
    assert box is not None
    np.testing.assert_allclose(box, [[-4, -3.5, -3], [4, 4.5, 5]])  # -1.5 to 2.5 in the cube's units
    capture.transforms(aabb_scale=1)
    box = read_transforms(capture.root).box
    assert box is not None
    np.testing.assert_allclose(box, [[-0.5 / 0.33] * 3, [0.5 / 0.33] * 3])
    capture.transforms(aabb_scale=0)
    with pytest.raises(UserError, match=r"aabb_scale is 0, scale 0.33, offset 0.5; expected positive numbers"):
        read_transforms(capture.root)


def test_bounds_where_they_are_given(capture: Any) -> None:
    capture.transforms(near=0.5, far=7, box=[[-1, -1, -1], [1, 1, 1]], aabb_scale=16)
    scene = read_transforms(capture.root)
    assert scene.near is not None and scene.far is not None and scene.box is not None
    assert scene.near.tolist() == [0.5] * 5 and scene.far.tolist() == [7.0] * 5 and scene.box[1].tolist() == [1, 1, 1]
    capture.transforms(near=7, far=0.5)
    with pytest.raises(UserError, match=r"near is 7 and far 0.5 for view_1"):
        read_transforms(capture.root)


def test_broken_frames(capture: Any) -> None:
    content = capture.transforms()
    frames = content["frames"]

    def told(match: str, **changes: Any) -> None:
        capture.write_json("transforms.json", content | {"frames": [*frames[:4], frames[4] | changes]})
        with pytest.raises(UserError, match=match):
            read_transforms(capture.root)

    told(r"the pose of view_11 is scaled by 2", transform_matrix=(np.diag([2, 2, 2, 1.0])).tolist())
    told(r"the pose of view_11 holds a number that is not finite", transform_matrix=(np.eye(4) * np.nan).tolist())
    told(r"images/view_1.png is a frame twice", file_path="./images/view_1.png")
    told(r"the path /etc/passwd leads out of the scene", file_path="/etc/passwd")
    told(r"images/view_11.png: fl_x is \[\]; expected a number", fl_x=[])
    told(r"images/view_11.png: the focal length is -3, 20; expected positive", fl_x=-3)
    capture.write_json("transforms.json", content | {"frames": frames[:1]})
    with pytest.raises(UserError, match="1 image in the scene; expected at least two"):
        read_transforms(capture.root)
    capture.write_json("transforms.json", content | {"frames": []})
    with pytest.raises(UserError, match=r"no frame is left to fit|0 image"):
        read_transforms(capture.root)
    rolling = {"file_path": "a.png", "transform_matrix_start": [], "transform_matrix_end": []}
    capture.write_json("transforms.json", content | {"frames": [rolling]})
    with pytest.raises(UserError, match=r"frames\[0\] has no transform_matrix \(a rolling shutter is not supported\)"):
        read_transforms(capture.root)
