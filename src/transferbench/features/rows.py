"""Rows of numbers in a file, half precision or full, that come out as float32 a part at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from transferbench.errors import RunFailed, UserError

Storage = Literal["float32", "float16", "bfloat16"]
"""How numbers lie in a file; bfloat16, which NumPy lacks, as the upper halves of float32."""

_ON_DISK = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}
_CHUNK_BYTES = 2**26


def disk_dtype(storage: str) -> np.dtype[Any]:
    """Return the NumPy type of a file's elements; raises ``UserError`` for an unknown word."""
    if storage not in _ON_DISK:
        raise UserError(f"dtype={storage}: expected one of {', '.join(get_args(Storage))}")
    return np.dtype(_ON_DISK[storage])


def encode(x: NDArray[np.float32], storage: Storage) -> NDArray[Any]:
    """Return finite ``x`` as it is stored, rounded to the nearest number.

    Raises:
        RunFailed: a number is too large for the type.
    """
    if storage == "float32":
        return x
    half = torch.from_numpy(np.ascontiguousarray(x)).to(torch.float16 if storage == "float16" else torch.bfloat16)
    if not bool(torch.isfinite(half).all()):
        largest = float(np.abs(x).max())
        wider = "bfloat16 or float32" if storage == "float16" else "float32"
        raise RunFailed(f"a feature of size {largest:.3g} does not fit {storage}; store the features as {wider}")
    return half.view(torch.int16).numpy().view(disk_dtype(storage))


def decode(stored: NDArray[Any], storage: Storage) -> NDArray[np.float32]:
    """Return stored numbers as float32; float32 itself is not copied."""
    if storage == "bfloat16":
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(stored).astype(np.float32, copy=False)


def tensor_over(x: NDArray[Any]) -> torch.Tensor:
    """Return a tensor that shares the memory of ``x``. Where that is a read-only map, it must not be written to.

    A map that is writable, be it private, would not do: the system refuses one larger than the memory.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, that it cannot know what is read-only
        return torch.from_numpy(x)


class StoredRows:
    """Rows (N, D) of a file, which is mapped into memory and never held there as a whole.

    ``rows[index]`` gives float32 for a number, a slice, an array of positions or a mask. ``numpy.asarray(rows)`` gives
    all of them, without a copy if the file holds float32; such views are not writable.

    Args:
        path: a file of ``count`` rows of ``width`` numbers each, and nothing else.
        storage: how the numbers lie there.
        count: N.
        width: D.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, path: Path, storage: Storage, count: int, width: int) -> None:
        self.path, self.storage, self.shape = path, storage, (count, width)
        self._file = np.memmap(path, disk_dtype(storage), mode="r", shape=self.shape)

    @property
    def mapped(self) -> NDArray[Any] | torch.Tensor:
        """The rows in the file's own precision: a read-only memory map, of bfloat16 a tensor over one."""
        if self.storage != "bfloat16":
            return self._file
        return tensor_over(self._file.view(np.int16)).view(torch.bfloat16)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | NDArray[Any]) -> NDArray[np.float32]:
        """Return rows as float32: (D,) for a number, else (M, D)."""
        return decode(self._file[index], self.storage)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all rows, as NumPy asks for them."""
        return np.array(self[:], dtype=dtype, copy=copy)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as a path and not as rows."""
        return StoredRows, (self.path, self.storage, *self.shape)

    def chunks(self, rows: int | None = None) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield ``(where, rows)`` from the first to the last row; by default about 64 MiB at a time."""
        step = rows or max(1, _CHUNK_BYTES // (4 * self.shape[1]))
        for start in range(0, len(self), step):
            where = slice(start, min(start + step, len(self)))
            yield where, self[where]
