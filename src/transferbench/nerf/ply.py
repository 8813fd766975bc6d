"""Point clouds and triangle meshes as binary little-endian PLY files, which every 3-D viewer opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from transferbench import storage
from transferbench.errors import UserError

_POSITION, _COLOUR = ("x", "y", "z"), ("red", "green", "blue")
_SCALARS = {
    **{"char": "i1", "uchar": "u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4"},
    **{"float": "<f4", "double": "<f8", "int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2"},
    **{"int32": "<i4", "uint32": "<u4", "float32": "<f4", "float64": "<f8"},
}
_WORDS = {"<f4": "float", "u1": "uchar"}
_TRIANGLE = np.dtype([("count", "u1"), ("corners", "<i4", (3,))])


@dataclass(frozen=True)
class Geometry:
    """Points, or the corners of a mesh.

    Attributes:
        positions: (N, 3).
        colours: (N, 3) uint8 red, green, blue; None without.
        properties: (N,) each, by name: whatever else the points have.
        faces: (F, 3) places of corners in ``positions``; None for a point cloud.
    """

    positions: NDArray[np.float32]
    colours: NDArray[np.uint8] | None = None
    properties: dict[str, NDArray[Any]] = field(default_factory=dict)
    faces: NDArray[np.int32] | None = None


def write_points(
    path: Path | str,
    positions: ArrayLike,
    colours: ArrayLike | None = None,
    properties: Mapping[str, ArrayLike] | None = None,
) -> None:
    """Write a point cloud, atomically: ``positions`` (N, 3), ``colours`` (N, 3) uint8, ``properties`` (N,) as floats.

    Raises ValueError for shapes that do not fit, colours that are not uint8 and names that the format cannot hold.
    """
    vertices = _vertices(positions, colours, properties or {})
    storage.write_bytes(path, _header(vertices, faces=None) + vertices.tobytes())


def write_mesh(path: Path | str, vertices: ArrayLike, faces: ArrayLike, colours: ArrayLike | None = None) -> None:
    """Write a triangle mesh, atomically.

    ``vertices`` are (N, 3), ``faces`` (F, 3) the places of their corners in them, ``colours`` (N, 3) uint8. Raises
    ValueError as ``write_points`` does, and for a face that names a vertex that is not there.
    """
    corners = _vertices(vertices, colours, {})
    places = np.asarray(faces)
    if (
        places.ndim != 2
        or places.shape[1] != 3
        or (places.size and not 0 <= places.min() <= places.max() < len(corners))
    ):
        raise ValueError(f"faces of shape {places.shape}: expected (F, 3) places among {len(corners)} vertices")
    triangles = np.empty(len(places), _TRIANGLE)
    triangles["count"], triangles["corners"] = 3, places
    storage.write_bytes(path, _header(corners, len(places)) + corners.tobytes() + triangles.tobytes())


def read(path: Path | str) -> Geometry:
    """Read a binary little-endian PLY file of points, or of points and triangles.

    Raises ``UserError`` for a file that is missing, cut short or of another kind.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; name a PLY file")
    data = file.read_bytes()
    dtype, count, faces, start = _parsed(file, data)
    middle = start + count * dtype.itemsize
    expected = middle + (faces or 0) * _TRIANGLE.itemsize
    if len(data) < expected:
        raise UserError(f"{file}: {len(data)} bytes, its header announces {expected}: the file is cut short")
    vertices = np.frombuffer(data, dtype, count, start)
    triangles = None
    if faces is not None:
        table = np.frombuffer(data, _TRIANGLE, faces, middle)
        if (table["count"] != 3).any():
            raise UserError(f"{file}: holds faces that are no triangles; split them into triangles first")
        triangles = table["corners"].astype(np.int32)
    return _geometry(file, vertices, triangles)


def _vertices(positions: ArrayLike, colours: ArrayLike | None, properties: Mapping[str, ArrayLike]) -> NDArray[Any]:
    """Return one record a point."""
    places = np.asarray(positions, np.float32)
    if places.ndim != 2 or places.shape[1] != 3:
        raise ValueError(f"positions of shape {places.shape}: expected (N, 3)")
    paint = None if colours is None else np.asarray(colours)
    if paint is not None and (paint.shape != places.shape or paint.dtype != np.uint8):
        raise ValueError(f"colours of shape {paint.shape} and type {paint.dtype}: expected {places.shape} uint8")
    columns = [(name, "<f4", places[:, axis]) for axis, name in enumerate(_POSITION)]
    if paint is not None:
        columns += [(name, "u1", paint[:, axis]) for axis, name in enumerate(_COLOUR)]
    for name, values in properties.items():
        column = np.asarray(values, np.float32)
        if (
            column.shape != (len(places),)
            or name in (*_POSITION, *_COLOUR)
            or not (name.isascii() and name.isidentifier())
        ):
            raise ValueError(f"property {name!r} of shape {column.shape}: expected a free name and ({len(places)},)")
        columns.append((name, "<f4", column))
    records = np.empty(len(places), np.dtype([(name, kind) for name, kind, _ in columns]))
    for name, _, column in columns:
        records[name] = column
    return records


def _header(vertices: NDArray[Any], faces: int | None) -> bytes:
    kinds = np.dtype(vertices.dtype)
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property {_WORDS[kinds[name].str.lstrip('|')]} {name}" for name in kinds.names or ()]
    if faces is not None:
        lines += [f"element face {faces}", "property list uchar int vertex_indices"]
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii")


def _parsed(file: Path, data: bytes) -> tuple[np.dtype[Any], int, int | None, int]:
    """Return the record of a point, the number of points, that of faces (None without) and where the data begin."""
    end = data.find(b"end_header\n")
    if not data.startswith(b"ply") or end < 0:
        raise UserError(f"{file}: not a PLY file, which begins with 'ply' and has a line 'end_header'")
    kinds: list[tuple[str, str]] = []
    counts: dict[str, int] = {}
    for line in data[:end].decode("ascii", errors="replace").splitlines()[1:]:
        match line.split():
            case ["comment" | "obj_info", *_] | ["format", "binary_little_endian", "1.0"]:
                continue
            case ["element", "vertex" | "face" as name, number] if number.isdigit() and name not in counts:
                counts[name] = int(number)
            case ["property", kind, name] if list(counts) == ["vertex"] and kind in _SCALARS:
                kinds.append((name, _SCALARS[kind]))
            case ["property", "list", "uchar" | "uint8", "int" | "int32", _] if list(counts) == ["vertex", "face"]:
                continue
            case _:
                raise UserError(
                    f"{file}: cannot read the header line {line!r}: expected binary_little_endian 1.0 with points and, "
                    "after them, triangles"
                )
    if "vertex" not in counts or not set(_POSITION) <= {name for name, _ in kinds}:
        raise UserError(f"{file}: holds no points with x, y and z")
    return np.dtype(kinds), counts["vertex"], counts.get("face"), end + len(b"end_header\n")


def _geometry(file: Path, vertices: NDArray[Any], faces: NDArray[np.int32] | None) -> Geometry:
    names = vertices.dtype.names or ()
    painted = set(_COLOUR) <= set(names) and all(vertices.dtype[name] == np.uint8 for name in _COLOUR)
    if faces is not None and faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise UserError(f"{file}: a triangle names a point beyond the {len(vertices)} that there are; write it again")
    taken = (*_POSITION, *_COLOUR) if painted else _POSITION
    return Geometry(
        positions=np.stack([vertices[name].astype(np.float32) for name in _POSITION], axis=1),
        colours=np.stack([vertices[name] for name in _COLOUR], axis=1) if painted else None,
        properties={name: vertices[name].copy() for name in names if name not in taken},
        faces=faces,
    )
