"""Which format a folder is in, and the options that each takes."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferbench.data.scenes.folder import formats_in, read_scene
from transferbench.errors import UserError

WRITERS: list[tuple[str, Callable[[Any], Any]]] = [
    ("blender", lambda capture: capture.blender()),
    ("llff", lambda capture: capture.llff()),
    ("transforms", lambda capture: capture.transforms()),
    ("epic_diff", lambda capture: capture.epic_diff()),
    ("colmap", lambda capture: capture.colmap()),
    ("colmap", lambda capture: capture.colmap(binary=True)),
]


@pytest.mark.parametrize(("kind", "write"), WRITERS)
def test_every_format_is_found(
    capture: Any, kind: str, write: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    write(capture)
    assert formats_in(capture.root) == [kind]
    with caplog.at_level(logging.WARNING):
        scene = read_scene(capture.root)
    assert not caplog.records
    assert scene.name == "desk" and len(scene) == 5 == len(set(scene.names))
    assert scene.images.shape[:3] == (5, 18, 24) and (scene.height, scene.width) == (18, 24)
    assert scene.intrinsics.shape == (5, 4) and scene.distortion.shape == (5, 6)
    assert set(scene.train) | set(scene.val) | set(scene.test) == set(range(5))
    small = read_scene(capture.root, size=12)
    np.testing.assert_allclose(small.intrinsics, scene.intrinsics / 2)
    np.testing.assert_array_equal(read_scene(capture.root, size=[12, 9]).images, small.images)
    np.testing.assert_array_equal(read_scene(str(capture.root), kind, 2.0).images, small.images)


@pytest.mark.parametrize(("kind", "write"), WRITERS)
def test_a_scene_of_opaque_images_has_no_background(capture: Any, kind: str, write: Callable[[Any], Any]) -> None:
    write(capture)
    files = sorted(capture.root.rglob("*.png"))
    for file in files:
        Image.open(file).convert("RGB").save(file)
    plain = read_scene(capture.root)
    for file in files:
        Image.open(file).convert("RGBA").save(file)
    opaque = read_scene(capture.root)
    np.testing.assert_array_equal(opaque.images, plain.images)
    assert opaque.images.shape[-1] == 3 and opaque.background is plain.background is None
    Image.new("RGBA", (24, 18), (9, 9, 9, 200)).save(files[-1])
    glass = read_scene(capture.root)
    assert glass.images.shape[-1] == 4 and glass.background == "white"


def test_a_folder_in_two_formats_is_told(capture: Any, caplog: pytest.LogCaptureFixture) -> None:
    capture.transforms(near=1, far=9)
    capture.colmap()
    with caplog.at_level(logging.WARNING):
        assert read_scene(capture.root).points is None
    assert "read as transforms; set data.format=colmap to read it as that" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert read_scene(capture.root, format="colmap").points is not None
    assert not caplog.records


def test_a_folder_in_none(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no scene in it; looked for transforms_train.json \(blender\), poses_bounds.npy"
    ):
        read_scene(tmp_path)
    with pytest.raises(UserError, match=r"nowhere: no such folder; set data.root=FOLDER"):
        read_scene(tmp_path / "nowhere")
    with pytest.raises(
        UserError, match=r"data.format is nerf; expected one of blender, llff, transforms, epic_diff, col"
    ):
        read_scene(tmp_path, format="nerf")
    for kind in ("blender", "transforms", "epic_diff"):
        with pytest.raises(UserError, match=r"\.json: cannot read it"):
            read_scene(tmp_path, format=kind)


def test_options_of_other_formats(capture: Any) -> None:
    capture.llff()
    assert not read_scene(capture.root, spherify=True).frontal
    with pytest.raises(UserError, match=r"data.thin is for scenes of the kind blender"):
        read_scene(capture.root, thin=8)
    with pytest.raises(UserError, match=r"data.split is 1.5; expected a step"):
        read_scene(capture.root, split=1.5)
    (capture.root / "poses_bounds.npy").unlink()
    capture.transforms()
    with pytest.raises(UserError, match=r"data.spherify is for LLFF's captures"):
        read_scene(capture.root, spherify=True)


def test_large_images_are_held_at_the_size_wanted(capture: Any) -> None:
    capture.transforms(w=1920, h=1440, fl_x=1600, fl_y=1600, cx=960, cy=720)
    large = Image.effect_noise((1920, 1440), 60).convert("RGB")
    for name in capture.names:
        large.save(capture.root / "images" / f"{name}.png", compress_level=0)
    tracemalloc.start()
    try:
        scene = read_scene(capture.root, downscale=8)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert scene.images.nbytes == 5 * 240 * 180 * 3
    assert peak < 3 * scene.images.nbytes + 1920 * 1440 * 3  # the images as wanted, not as stored (41 MB)
    np.testing.assert_allclose(scene.intrinsics[0], [200, 200, 120, 90])
