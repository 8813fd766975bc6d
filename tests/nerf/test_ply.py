"""PLY files: bytes as the format prescribes them, read back as they were written, refused with a reason."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from transferbench.errors import UserError
from transferbench.nerf.ply import read, write_mesh, write_points

POSITIONS = np.array([[0.5, -1.0, 2.0], [3.0, 4.0, 5.5]], np.float32)
COLOURS = np.array([[255, 0, 7], [1, 2, 3]], np.uint8)


def test_the_bytes_are_those_of_the_format(tmp_path: Path) -> None:
    write_points(tmp_path / "points.ply", POSITIONS, COLOURS, {"opacity": [0.25, 0.75]})
    lines = ["ply", "format binary_little_endian 1.0", "element vertex 2"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    header = "\n".join([*lines, "property float opacity", "end_header", ""]).encode()
    body = struct.pack("<3f3Bf", 0.5, -1, 2, 255, 0, 7, 0.25) + struct.pack("<3f3Bf", 3, 4, 5.5, 1, 2, 3, 0.75)
    assert (tmp_path / "points.ply").read_bytes() == header + body
    assert [file.name for file in tmp_path.iterdir()] == ["points.ply"]  # nothing is left beside it


def test_a_mesh_holds_its_triangles(tmp_path: Path) -> None:
    write_mesh(tmp_path / "mesh.ply", [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 2], [0, 2, 3]])
    data = (tmp_path / "mesh.ply").read_bytes()
    assert b"element face 2\nproperty list uchar int vertex_indices\nend_header\n" in data
    assert data.endswith(struct.pack("<B3iB3i", 3, 0, 1, 2, 3, 0, 2, 3))


def test_points_come_back(tmp_path: Path) -> None:
    extra = {"density": np.array([1.5, 2.5], np.float32), "label": np.array([3, 4])}
    write_points(tmp_path / "a.ply", POSITIONS, COLOURS, extra)
    found = read(tmp_path / "a.ply")
    np.testing.assert_array_equal(found.positions, POSITIONS)
    np.testing.assert_array_equal(found.colours, COLOURS)
    assert found.faces is None and list(found.properties) == ["density", "label"]
    np.testing.assert_array_equal(found.properties["label"], [3, 4])


def test_bare_points_and_no_points_come_back(tmp_path: Path) -> None:
    write_points(tmp_path / "bare.ply", POSITIONS.astype(np.float64).tolist())
    found = read(tmp_path / "bare.ply")
    np.testing.assert_array_equal(found.positions, POSITIONS)
    assert found.colours is None and not found.properties
    write_points(tmp_path / "none.ply", np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    assert read(tmp_path / "none.ply").positions.shape == (0, 3)


def test_meshes_come_back(tmp_path: Path) -> None:
    vertices, faces = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), [[0, 1, 2], [4, 3, 1]]
    write_mesh(tmp_path / "m.ply", vertices, faces, np.full((5, 3), 9, np.uint8))
    found = read(tmp_path / "m.ply")
    np.testing.assert_array_equal(found.positions, vertices)
    np.testing.assert_array_equal(found.faces, faces)
    np.testing.assert_array_equal(found.colours, np.full((5, 3), 9))
    write_mesh(tmp_path / "empty.ply", np.zeros((0, 3)), np.zeros((0, 3), int))
    assert read(tmp_path / "empty.ply").faces.shape == (0, 3)  # type: ignore[union-attr]


def test_other_programs_types_are_read(tmp_path: Path) -> None:
    header = (
        b"ply\nformat binary_little_endian 1.0\ncomment by hand\nelement vertex 1\nproperty double x\n"
        b"property float64 y\nproperty float z\nproperty ushort red\nend_header\n"
    )
    (tmp_path / "b.ply").write_bytes(header + struct.pack("<ddfH", 1, 2, 3, 700))
    found = read(tmp_path / "b.ply")
    np.testing.assert_array_equal(found.positions, [[1, 2, 3]])
    assert found.colours is None and found.properties["red"].tolist() == [700]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ply"
    with pytest.raises(ValueError, match=r"expected \(N, 3\)"):
        write_points(path, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="uint8"):
        write_points(path, POSITIONS, COLOURS / 255)
    with pytest.raises(ValueError, match="uint8"):
        write_points(path, POSITIONS, COLOURS[:1])
    for name in ("x", "red", "two words", ""):
        with pytest.raises(ValueError, match="free name"):
            write_points(path, POSITIONS, None, {name: [1, 2]})
    with pytest.raises(ValueError, match="free name"):
        write_points(path, POSITIONS, None, {"density": [1, 2, 3]})
    for faces in ([[0, 1, 2]], [[0, 1, -1]], [[0, 1]]):
        with pytest.raises(ValueError, match="among 2 vertices"):
            write_mesh(path, POSITIONS, faces)
    assert not list(tmp_path.iterdir())


def test_files_of_another_kind_are_refused_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "c.ply"
    with pytest.raises(UserError, match="no such file"):
        read(path)
    write_mesh(path, POSITIONS, [[0, 1, 1]])
    data = path.read_bytes()
    wrong = {
        "cut short": data[:-1],
        "not a PLY file": b"OFF" + data[3:],
        "cannot read the header line 'format ascii 1.0'": data.replace(b"binary_little_endian", b"ascii"),
        "cannot read the header line 'element edge 2'": data.replace(b"element vertex 2", b"element edge 2"),
        "no points with x, y and z": data.replace(b"float z", b"float w"),
        "no triangles": data[:-13] + struct.pack("<B3i", 4, 0, 1, 1),
        "beyond the 2": data[:-4] + struct.pack("<i", 2),
    }
    for reason, content in wrong.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=reason):
            read(path)
