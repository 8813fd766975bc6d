"""Features in files that other programs read and write: a dict of ``X``, ``Y`` and ``name``, ``.pth`` or ``.npz``.

t-ReX's evaluation saves ``features_trainval.pth`` and ``features_test.pth``, ImageNet-CoG's
``features_{train,test}/X_Y.pth``: ``X`` (N, D) float32, ``Y`` (N,) int64 and, in the latter, the name of the set.
"""

from __future__ import annotations

import pickle
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from transferbench.errors import RunFailed, UserError
from transferbench.features.extract import Features
from transferbench.features.rows import StoredRows, tensor_over
from transferbench.features.store import StoredFeatures
from transferbench.storage import atomic_path

SUFFIXES = (".pth", ".npz")
TRAIN_FILES = ("features_trainval.pth", "features_train/X_Y.pth", "features_train.pth", "features_train.npz")
TEST_FILES = ("features_test.pth", "features_test/X_Y.pth", "features_test.npz")
_UNREADABLE = (OSError, RuntimeError, ValueError, LookupError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile)


def write_features(path: Path | str, features: Features | StoredFeatures, name: str = "") -> None:
    """Write features as float32 to ``path``, a ``.pth`` or ``.npz`` file, without holding them all in memory.

    Stored half precision takes the room of the file twice while it is written. ``positions`` are not kept.

    Raises:
        UserError: another suffix. RunFailed: the file cannot be written; none is left.
    """
    target = _known(path)
    try:
        with atomic_path(target) as part, _whole(features.x, target) as x:
            if target.suffix == ".npz":
                with part.open("wb") as file:
                    np.savez(file, X=x, Y=features.y, name=np.array(name))
            else:
                torch.save({"X": tensor_over(x), "Y": torch.from_numpy(np.array(features.y)), "name": name}, part)
    except (OSError, RuntimeError) as error:  # torch's writer says RuntimeError when the disk is full
        reason = getattr(error, "strerror", None) or str(error).split("\n", 1)[0]
        raise RunFailed(f"{target} cannot be written ({reason}); make room there, or choose another place") from None


def read_features(path: Path | str) -> Features:
    """Read a file of ``write_features`` or of those programs; a ``.pth`` is mapped into memory and not read at once.

    Raises:
        UserError: the file is missing, damaged or unsafe, or does not hold one row of finite numbers for each label.
    """
    source = _known(path)
    if not source.is_file():
        raise UserError(f"{source}: no such file; expected features as a dict of X (N, D) and Y (N,)")
    try:
        content = _read_npz(source) if source.suffix == ".npz" else _read_pth(source)
        x, y = (_array(content[key]) for key in ("X", "Y"))
    except _UNREADABLE as error:
        reason = str(error).split("\n", 1)[0][:160] or type(error).__name__
        raise UserError(
            f"{source} cannot be read as features: it is damaged, unsafe or lacks X or Y ({reason})"
        ) from None
    if x.ndim != 2 or y.ndim not in (1, 2) or len(x) != len(y) or not x.size or y.dtype.kind not in "iu":
        found = f"X {x.shape} {x.dtype} and Y {y.shape} {y.dtype}"
        raise UserError(
            f"{source} holds {found}; expected X (N, D) of floats and Y (N,) of integers, N and D at least 1"
        )
    x = x.astype(np.float32, copy=False)
    if not all(np.isfinite(x[start : start + 4096]).all() for start in range(0, len(x), 4096)):
        raise UserError(f"{source}: X holds values that are not finite; expected numbers")
    return Features(x, y.astype(np.int64, copy=False), np.arange(len(x)))


def read_feature_folder(folder: Path | str) -> tuple[Features, Features]:
    """Return the training and the test features in a folder that t-ReX's or ImageNet-CoG's evaluation has left.

    Raises:
        UserError: a file is missing or damaged, or the two differ in their width.
    """
    root = Path(folder)
    train, test = (read_features(_first(root, names)) for names in (TRAIN_FILES, TEST_FILES))
    if train.x.shape[1] != test.x.shape[1]:
        widths = f"{train.x.shape[1]} and {test.x.shape[1]}"
        raise UserError(f"{root}: training and test features have {widths} numbers a row; expected the same backbone's")
    return train, test


def _first(root: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (root / name).is_file():
            return root / name
    raise UserError(f"{root}: no features there; expected one of {', '.join(names)}")


def _known(path: Path | str) -> Path:
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise UserError(f"{target}: expected a name that ends in {' or '.join(SUFFIXES)}")
    return target


def _read_pth(path: Path) -> Mapping[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # of the format before torch 1.6, which cannot be mapped
        content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, Mapping):
        raise ValueError(f"a {type(content).__name__}, no dict")
    return content


def _read_npz(path: Path) -> Mapping[str, Any]:
    with np.load(path, allow_pickle=False) as content:
        return {key: content[key] for key in ("X", "Y")}


def _array(value: Any) -> NDArray[Any]:
    if isinstance(value, torch.Tensor):
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)


@contextmanager
def _whole(x: NDArray[np.float32] | StoredRows, beside: Path) -> Iterator[NDArray[np.float32]]:
    """Yield ``x`` as one float32 array: mapped, for stored rows, from their own file or from a passing copy of it."""
    if not isinstance(x, StoredRows) or x.storage == "float32":
        yield np.asarray(x, dtype=np.float32)
        return
    with tempfile.NamedTemporaryFile(dir=beside.parent, prefix=f".{beside.name}.", suffix=".part") as scratch:
        for _, rows in x.chunks():
            scratch.write(rows.data)
        scratch.flush()
        yield np.memmap(scratch.name, np.float32, mode="r", shape=x.shape)
