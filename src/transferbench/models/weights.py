"""Files of weights from anywhere, read so that nothing in them runs."""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import torch

from transferbench.errors import UserError
from transferbench.models.torchscript import is_torchscript, read_torchscript

_UNREADABLE = (
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)


class _Aside:
    """Stands for what a file keeps beside its tensors and nobody looks at: settings, the best accuracy so far."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _aside(*_: object) -> _Aside:
    return _Aside()


_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")  # NumPy 1 and NumPy 2
_SET_ASIDE: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Aside, "argparse.Namespace"),
    (_Aside, "numpy.dtype"),
    (_Aside, "numpy.ndarray"),
    *[(_aside, f"{core}.{name}") for core in _CORES for name in ("scalar", "_reconstruct")],
]
"""What checkpoints often hold besides; the names lead to stand-ins, neither argparse nor NumPy sees the file."""


def read_weights(path: Path | str) -> Any:
    """Return what a file holds: nested mappings with tensors, on the CPU.

    Reads torch's formats, safetensors, and TorchScript archives, whose code is left alone.

    Raises:
        UserError: there is no such file, it is damaged or of another format, or it names something that could run code.
    """
    target = Path(path)
    if not target.is_file():
        raise UserError(f"{target}: no such file; model.path takes a run folder or a file of weights")
    try:
        if target.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(target)
        if is_torchscript(target):
            return read_torchscript(target)
        with _harmless():
            return torch.load(target, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise UserError(_why(target, error)) from None
    except Exception as error:
        if type(error).__name__ != "SafetensorError":  # derives from Exception alone
            raise
        raise UserError(_why(target, error)) from None


def _harmless() -> AbstractContextManager[None]:
    return cast(AbstractContextManager[None], torch.serialization.safe_globals(_SET_ASIDE))


def _why(path: Path, error: Exception) -> str:
    text = str(error)
    named = re.search(r"nsupported (?:global: )?GLOBAL ((?:\w+\.)*\w+)(?:\s|$)", text)
    if named:
        return (
            f"{path}: refused, for it names {named[1]}, which could run code; expected tensors and plain values; "
            "save its state_dict alone, or get it from its authors' own page"
        )
    told = re.search(r"WeightsUnpickler error: (.*)", text)
    reason = " ".join((told[1] if told else text.split("\n", 1)[0]).split())[:160] or type(error).__name__
    return f"{path}: cannot be read as weights, it is damaged or of another format ({reason})"
