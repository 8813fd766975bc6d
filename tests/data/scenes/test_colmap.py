"""COLMAP's models, binary and as text, and what goes wrong with them."""

from __future__ import annotations

import dataclasses
import logging
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferbench.data.scenes.colmap import read_colmap
from transferbench.data.scenes.colmap_cameras import MODELS, calibration
from transferbench.data.scenes.colmap_files import read_model, rotations
from transferbench.data.scenes.poses import flip_axes
from transferbench.data.scenes.sizing import Sizing
from transferbench.errors import UserError
from transferbench.nerf.cameras import project


def test_the_identity_of_colmap(capture: Any) -> None:
    folder = capture.colmap()
    (folder / "images.txt").write_text("1 1 0 0 0 1 2 3 3 view_1.png\n\n2 1 0 0 0 0 0 0 3 view_2.png\n\n")
    pose = flip_axes(read_model(folder).poses())[0]
    np.testing.assert_array_equal(pose, [[1, 0, 0, -1], [0, -1, 0, -2], [0, 0, -1, -3], [0, 0, 0, 1]])


def test_quaternions_are_those_of_scipy() -> None:
    from scipy.spatial.transform import Rotation

    turns = Rotation.random(6, random_state=0)
    w_first = turns.as_quat()[:, [3, 0, 1, 2]]
    np.testing.assert_allclose(rotations(w_first), turns.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("binary", [True, False])
def test_round_trip(capture: Any, binary: bool) -> None:
    capture.colmap(binary)
    scene = read_colmap(capture.root)
    assert scene.names == ("view_1", "view_2", "view_3", "view_10", "view_11")
    np.testing.assert_array_equal(scene.images, capture.images)
    np.testing.assert_allclose(scene.poses, capture.poses, atol=1e-9)
    np.testing.assert_allclose(scene.intrinsics, np.tile([20.0, 20.0, 12.0, 9.0], (5, 1)))
    assert scene.points is not None and scene.near is not None and scene.far is not None
    np.testing.assert_allclose(scene.points, capture.points)
    for place, pose in enumerate(capture.poses):
        depth = project(capture.points, pose, 20.0, (12.0, 9.0))[1]
        expected = np.quantile(depth[depth > 0], [0.001, 0.999])
        np.testing.assert_allclose([scene.near[place], scene.far[place]], expected, atol=1e-9)
    assert scene.test == (0,) and scene.train == (1, 2, 3, 4) and not scene.frontal
    assert read_colmap(capture.root, split=3).test == (0, 3)


def test_text_and_binary_are_one_scene(capture: Any) -> None:
    capture.colmap(binary=False, model="OPENCV", params=(20.0, 21.0, 11.9, 9.2, 0.01, -0.02, 0.003, 0.0004))
    text = read_colmap(capture.root)
    capture.colmap(binary=True, model="OPENCV", params=(20.0, 21.0, 11.9, 9.2, 0.01, -0.02, 0.003, 0.0004))
    binary = read_colmap(capture.root)  # goes before the text beside it
    (capture.root / "sparse/0/images.txt").write_text("not read\n")
    for part in dataclasses.fields(text):
        np.testing.assert_array_equal(getattr(text, part.name), getattr(binary, part.name), err_msg=part.name)
    np.testing.assert_array_equal(binary.distortion[0], [0.01, -0.02, 0, 0, 0.003, 0.0004])


@pytest.mark.parametrize(
    ("model", "params", "intrinsics", "distortion"),
    [
        ("SIMPLE_PINHOLE", (20, 12, 9), (20, 20, 12, 9), (0, 0, 0, 0, 0, 0)),
        ("PINHOLE", (20, 21, 12, 9), (20, 21, 12, 9), (0, 0, 0, 0, 0, 0)),
        ("SIMPLE_RADIAL", (20, 12, 9, 0.1), (20, 20, 12, 9), (0.1, 0, 0, 0, 0, 0)),
        ("RADIAL", (20, 12, 9, 0.1, 0.2), (20, 20, 12, 9), (0.1, 0.2, 0, 0, 0, 0)),
        ("OPENCV", (20, 21, 12, 9, 0.1, 0.2, 0.3, 0.4), (20, 21, 12, 9), (0.1, 0.2, 0, 0, 0.3, 0.4)),
        ("OPENCV_FISHEYE", (20, 21, 12, 9, 0.1, 0.2, 0.3, 0.4), (20, 21, 12, 9), (0.1, 0.2, 0.3, 0.4, 0, 0)),
        ("SIMPLE_RADIAL_FISHEYE", (20, 12, 9, 0.1), (20, 20, 12, 9), (0.1, 0, 0, 0, 0, 0)),
        ("RADIAL_FISHEYE", (20, 12, 9, 0.1, 0.2), (20, 20, 12, 9), (0.1, 0.2, 0, 0, 0, 0)),
    ],
)
def test_camera_models(model: str, params: Any, intrinsics: Any, distortion: Any) -> None:
    known = calibration(model, params, "cameras.txt")
    assert known.intrinsics == intrinsics and known.distortion == distortion
    assert known.fisheye == ("FISHEYE" in model)
    with pytest.raises(UserError, match=f"parameters of a {model}; expected {len(params)}"):
        calibration(model, (*params, 0.0), "cameras.txt")


@pytest.mark.parametrize("model", ["FULL_OPENCV", "FOV", "THIN_PRISM_FISHEYE"])
@pytest.mark.parametrize("binary", [True, False])
def test_models_that_are_not_read(capture: Any, model: str, binary: bool) -> None:
    count = dict(MODELS.values())[model]
    capture.colmap(binary, model, (20.0, 20.0, 12.0, 9.0, *[0.0] * (count - 4)))
    with pytest.raises(
        UserError,
        match=f"camera 3: the camera model {model} is not supported; undistort the images with `colmap image_und",
    ):
        read_colmap(capture.root)


def test_numbers_of_models(capture: Any, model_numbers: Callable[[str], int]) -> None:
    assert all(model_numbers(name) == number for number, (name, _) in MODELS.items())
    folder = capture.colmap(binary=True)
    (folder / "cameras.bin").write_bytes(struct.pack("<QiiQQ", 1, 3, 44, 24, 18))
    with pytest.raises(UserError, match="camera 3 has the unknown model 44; expected one of 0 to 10"):
        read_colmap(capture.root)


def test_smaller_images_and_cameras_of_another_size(capture: Any) -> None:
    capture.colmap()
    averaged = read_colmap(capture.root, Sizing(2))
    (capture.root / "images_2").mkdir()
    for name in capture.names:
        Image.new("RGB", (12, 9), (1, 2, 3)).save(capture.root / "images_2" / f"{name}.png")
    ready = read_colmap(capture.root, Sizing(2))
    assert ready.images[0, 0, 0].tolist() == [1, 2, 3]
    np.testing.assert_allclose(ready.intrinsics, averaged.intrinsics)
    np.testing.assert_allclose(ready.intrinsics[0], [10.0, 10.0, 6.0, 4.5])
    (capture.root / "images_2/view_1.png").unlink()
    np.testing.assert_array_equal(read_colmap(capture.root, Sizing(2)).images, averaged.images)
    (capture.root / "sparse/0/cameras.txt").write_text("3 PINHOLE 18 24 20 20 9 12\n")
    with pytest.raises(UserError, match=r"cameras.txt: camera 3: the camera was measured on images of 18x24"):
        read_colmap(capture.root)


@pytest.mark.parametrize("place", ["sparse", "colmap/sparse/0", "."])
def test_other_places(capture: Any, place: str) -> None:
    capture.colmap(place=place)
    assert len(read_colmap(capture.root)) == 5


def test_what_is_missing(capture: Any, caplog: pytest.LogCaptureFixture) -> None:
    folder = capture.colmap()
    (folder / "points3D.txt").unlink()
    (folder.parent / "1").mkdir()
    for name in ("cameras.txt", "images.txt"):
        (folder.parent / "1" / name).write_text("")
    (capture.root / "images/view_10.png").unlink()
    with caplog.at_level(logging.WARNING):
        scene = read_colmap(capture.root)
    assert scene.points is None and scene.near is None and scene.names == ("view_1", "view_2", "view_3", "view_11")
    np.testing.assert_allclose(scene.poses, capture.poses[[0, 1, 2, 4]], atol=1e-9)
    assert "no points in the model" in caplog.text and "image missing: 1 of 5, first view_10.png" in caplog.text
    assert "read, of 2 models" in caplog.text
    (capture.root / "images").rename(capture.root / "photos")
    with pytest.raises(UserError, match=r"images: no such folder; expected the images of .*images.txt in it"):
        read_colmap(capture.root)
    (folder / "cameras.txt").unlink()
    (folder.parent / "1/cameras.txt").unlink()
    with pytest.raises(UserError, match=r"no model of COLMAP in sparse/0, sparse, "):
        read_colmap(capture.root)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_binary_files_that_are_cut_off(capture: Any, name: str) -> None:
    folder = capture.colmap(binary=True)
    whole = (folder / name).read_bytes()
    for end in range(0, len(whole), max(1, len(whole) // 23)):
        (folder / name).write_bytes(whole[:end])
        with pytest.raises(UserError, match=rf"{name}: it is cut off at byte {end}, in the middle of an entry"):
            read_colmap(capture.root)


def test_broken_lines(capture: Any) -> None:
    folder = capture.colmap()
    images = (folder / "images.txt").read_text()

    def told(match: str, **files: str) -> None:
        capture.colmap()
        for name, content in files.items():
            (folder / f"{name}.txt").write_text(content)
        with pytest.raises(UserError, match=match):
            read_colmap(capture.root)

    told(r"cameras.txt: line 2 is '3 PINHOLE x 18'; expected id, model", cameras="# x\n3 PINHOLE x 18\n")
    told(r"images.txt: line 2 is '1 0 0 0'; expected id, quaternion", images="#\n1 0 0 0\n\n")
    told(
        r"images.txt: line 3 is '7 .*; expected the points that the image sees",
        images="\n".join(line for line in images.splitlines() if line.endswith(".png") or line.startswith("#")),
    )  # no lines of points
    told(r"points3D.txt: line 1 is '1 0.5'; expected id and x", points3D="1 0.5\n")
    told(r"view_10.png has camera 3, which .*cameras.txt does not list", cameras="4 PINHOLE 24 18 20 20 12 9\n")
    told(r"the rotation of a.png is not a quaternion", images="1 0 0 0 0 1 2 3 3 a.png\n\n")
    told(r"the pose of a.png holds a number that is not finite", images="1 nan 0 0 0 1 2 3 3 a.png\n\n")
    told(r"the path ../a.png leads out of the scene", images="1 1 0 0 0 1 2 3 3 ../a.png\n\n")
    told(r"images.txt: images/view_1.png is a frame twice", images=images + "20 1 0 0 0 1 2 3 3 view_1.png\n\n")
    told(r"the focal length is 0, 20; expected positive", cameras="3 PINHOLE 24 18 0 20 12 9\n")
    told(r"points3D.txt: a point holds a number that is not finite", points3D="1 nan 0 0 1 2 3 0.1\n")
    told(r"no point lies before view_1;", points3D="1 40 0 0 1 2 3 0.1\n")
    told(r"near is .* and far .* for view_1; expected 0 <= near < far", points3D="1 0 0 0 1 2 3 0.1\n")


def test_cameras_of_several_kinds(capture: Any) -> None:
    folder = capture.colmap()
    (folder / "cameras.txt").write_text("3 PINHOLE 24 18 20 20 12 9\n4 RADIAL_FISHEYE 24 18 20 12 9 0 0\n")
    text = (folder / "images.txt").read_text().replace("3 view_2.png", "4 view_2.png")
    (folder / "images.txt").write_text(text)
    with pytest.raises(UserError, match="some frames have a fisheye and others have not; read them as two scenes"):
        read_colmap(capture.root)
    (folder / "cameras.txt").write_text("3 PINHOLE 24 18 20 20 12 9\n4 SIMPLE_RADIAL 24 18 22 12 9 0.05\n")
    scene = read_colmap(capture.root)
    np.testing.assert_allclose(scene.intrinsics[:, 0], [20, 22, 20, 20, 20])
    np.testing.assert_allclose(scene.distortion[:, 0], [0, 0.05, 0, 0, 0])
