"""A small capture of a known pinhole, and writers of it in every format."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from transferbench.data.scenes.poses import flip_axes
from transferbench.nerf.cameras import look_at

WIDTH, HEIGHT, FOCAL = 24, 18, 20.0
MODELS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV", "FOV")
MODELS += ("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE")


@dataclass
class Capture:
    """Five views of noise; ``names`` do not sort by their letters as by their numbers."""

    root: Path
    poses: NDArray[np.float64]
    images: NDArray[np.uint8]
    points: NDArray[np.float64]
    names: list[str] = field(default_factory=lambda: [f"view_{number}" for number in (1, 2, 3, 10, 11)])
    intrinsics: tuple[float, float, float, float] = (FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)

    def save(self, folder: str = "images", suffix: str = ".png") -> list[Path]:
        """Write the images."""
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        files = [self.root / folder / f"{name}{suffix}" for name in self.names]
        for file, image in zip(files, self.images):
            Image.fromarray(image).save(file)
        return files

    def write_json(self, name: str, content: Any) -> Path:
        """Write a file of JSON."""
        file = self.root / name
        file.write_text(json.dumps(content))
        return file

    def frames(self, folder: str = "images", suffix: str = ".png") -> list[dict[str, Any]]:
        """Return entries for transforms.json."""
        return [
            {"file_path": f"{folder}/{name}{suffix}", "transform_matrix": pose.tolist()}
            for name, pose in zip(self.names, self.poses)
        ]

    def transforms(self, **changes: Any) -> dict[str, Any]:
        """Write transforms.json with the images; return its content. A change to None takes a key out."""
        self.save()
        content = {"fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2, "w": float(WIDTH)}
        content |= {"h": float(HEIGHT), "frames": self.frames()} | changes
        content = {key: value for key, value in content.items() if value is not None}
        self.write_json("transforms.json", content)
        return content

    def llff(self, folder: str = "images") -> NDArray[np.float64]:
        """Write poses_bounds.npy, in LLFF's axes down, right, back; return its rows."""
        self.names = [f"view_{number:02}" for number in (1, 2, 3, 10, 11)]
        self.save(folder)
        rows = []
        for number, pose in enumerate(self.poses):
            right, up, back, position = pose[:3].T
            matrix = np.stack([-up, right, back, position, [HEIGHT, WIDTH, FOCAL]], axis=1)
            rows.append([*matrix.ravel(), 2.0 + 0.1 * number, 9.0 + number])
        np.save(self.root / "poses_bounds.npy", np.array(rows))
        return np.array(rows)

    def colmap(
        self, binary: bool = False, model: str = "PINHOLE", params: tuple[float, ...] = (), place: str = "sparse/0"
    ) -> Path:
        """Write a sparse model, its images in no order; return its folder."""
        files = self.save()
        folder = self.root / place
        folder.mkdir(parents=True, exist_ok=True)
        inverse = np.linalg.inv(flip_axes(self.poses))
        order = [3, 0, 4, 2, 1]
        images = [(7 + i, *quaternion(inverse[i, :3, :3]), *inverse[i, :3, 3], files[i].name) for i in order]
        write = write_binary if binary else write_text
        write(folder, (model, params or self.intrinsics), images, self.points)
        return folder

    def epic_diff(self, **changes: Any) -> dict[str, Any]:
        """Write meta.json with the frames; return its content. A change to None takes a key out."""
        self.save("frames")
        ids = [1, 2, 3, 10, 11]
        content: dict[str, Any] = {
            "ids_all": ids,
            "ids_train": [1, 3, 11],
            "ids_val": [10],
            "ids_test": [2],
            "images": {str(number): f"{name}.png" for number, name in zip(ids, self.names)},
            "poses": {str(number): pose[:3].tolist() for number, pose in zip(ids, self.poses)},
            "nears": {str(number): 1.0 + number / 100 for number in ids},
            "fars": {str(number): 8.0 + number / 100 for number in ids},
            "intrinsics": [[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]],
            "image_w": WIDTH,
            "image_h": HEIGHT,
        }
        content = {key: value for key, value in (content | changes).items() if value is not None}
        self.write_json("meta.json", content)
        return content

    def blender(self, **changes: Any) -> dict[str, Any]:
        """Write transforms_train.json (3 frames), val and test (1 each) with RGBA images; return the last content."""
        angle = 2 * np.arctan(WIDTH / 2 / FOCAL)
        rng = np.random.default_rng(3)
        alpha = rng.integers(0, 256, (5, HEIGHT, WIDTH, 1), dtype=np.uint8)
        self.images = np.concatenate([self.images, alpha], axis=-1)
        for split, places in {"train": [0, 1, 2], "val": [3], "test": [4]}.items():
            (self.root / split).mkdir(exist_ok=True)
            frames = []
            for number, place in enumerate(places):
                Image.fromarray(self.images[place]).save(self.root / split / f"r_{number}.png")
                matrix = self.poses[place].tolist()
                frames.append({"file_path": f"./{split}/r_{number}", "rotation": 0.01, "transform_matrix": matrix})
            content = {"camera_angle_x": angle, "frames": frames} | changes
            self.write_json(f"transforms_{split}.json", content)
        return content


def quaternion(rotation: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return w, x, y, z, by scipy, which puts w last."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    return float(w), float(x), float(y), float(z)


def write_text(folder: Path, camera: tuple[str, tuple[float, ...]], images: list[Any], points: Any) -> None:
    numbers = " ".join(repr(float(value)) for value in camera[1])
    (folder / "cameras.txt").write_text(f"# Camera list\n3 {camera[0]} {WIDTH} {HEIGHT} {numbers}\n")
    lines = ["# Image list with two lines of data per image:"]
    for number, *pose, name in images:
        seen = "" if number == 8 else "4.5 3.5 -1 10.0 2.0 1"
        lines += [" ".join([str(number), *(repr(float(value)) for value in pose), "3", name]), seen]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    rows = [
        f"{number} {x!r} {y!r} {z!r} 10 20 30 0.5 1 0 2 0" for number, (x, y, z) in enumerate(points.tolist(), start=1)
    ]
    (folder / "points3D.txt").write_text("# 3D point list\n" + "\n".join(rows) + "\n")


def write_binary(folder: Path, camera: tuple[str, tuple[float, ...]], images: list[Any], points: Any) -> None:
    kind = MODELS.index(camera[0])
    head = struct.pack("<QiiQQ", 1, 3, kind, WIDTH, HEIGHT)
    (folder / "cameras.bin").write_bytes(head + np.array(camera[1], "<f8").tobytes())
    data = struct.pack("<Q", len(images))
    for number, *pose, name in images:
        data += struct.pack("<i7di", number, *pose, 3) + name.encode() + b"\0"
        seen = 0 if number == 8 else 2
        data += struct.pack("<Q", seen) + struct.pack("<ddq", 4.5, 3.5, -1) * seen
    (folder / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(points))
    for number, point in enumerate(points.tolist(), start=1):
        data += struct.pack("<Q3d3Bd", number, *point, 10, 20, 30, 0.5) + struct.pack("<Qiiii", 2, 1, 0, 2, 0)
    (folder / "points3D.bin").write_bytes(data)


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """Five cameras about the origin, at distances of 4 to 5, and 400 points around it."""
    rng = np.random.default_rng(0)
    eyes = [(4.0, 0.3 * i, 1.0 + 0.2 * i) for i in range(5)]
    poses = np.stack([look_at(eye, (0.1, 0.0, 0.2), roll=0.1 * i) for i, eye in enumerate(eyes)])
    images = rng.integers(0, 256, (5, HEIGHT, WIDTH, 3), dtype=np.uint8)
    root = tmp_path / "desk"
    root.mkdir()
    return Capture(root, poses, images, rng.normal(0, 0.5, (400, 3)))


@pytest.fixture
def model_numbers() -> Callable[[str], int]:
    """Return the number of a camera model in COLMAP's binary files."""
    return MODELS.index
