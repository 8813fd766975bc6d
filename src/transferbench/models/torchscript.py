"""TorchScript archives as state dicts: the tensors are read, the code in the archive is not."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

_KINDS = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def is_torchscript(path: Path) -> bool:
    """Tell whether ``path`` is an archive that ``torch.jit.save`` wrote."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.count("/") == 1 and name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return the tensors of the scripted or traced module in ``path`` by their dotted names.

    These are its parameters and buffers, and attributes that are tensors.

    Raises:
        pickle.UnpicklingError: the archive names anything but modules, tensors and plain values, or a tensor reaches
            beyond its data.
    """
    with zipfile.ZipFile(path) as archive:
        (content,) = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        with archive.open(content) as file:
            root = _ModuleReader(file, archive, content.removesuffix(".pkl")).load()
    if not isinstance(root, _Module):
        raise pickle.UnpicklingError("the archive holds no module")
    return dict(_tensors(root, ""))


class _Module:
    """The attributes of a module; its class is that of the archive's code and stays there."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("a module with a state of its own")
        self.attributes = state


def _tensors(module: _Module, path: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in module.attributes.items():
        if isinstance(value, Tensor):
            yield f"{path}{name}", value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{path}{name}.")


class _ModuleReader(pickle._Unpickler):
    """Reads ``data.pkl``: modules, plain values, and tensors that lie in files of their own.

    In Python, as in ``unpickle``: ten bytes can make the unpickler in C reserve all memory for its memo.
    """

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self._archive = archive
        self._folder = folder
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for ``module.name`` here; nothing is imported."""
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        if (module, name) in _READERS:
            return _READERS[module, name]
        raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        """Return the ``("storage", kind, file, device, length)`` as a flat tensor."""
        _, kind, key, _, length = pid
        if key not in self._storages:
            if not isinstance(kind, torch.dtype):
                raise pickle.UnpicklingError("a tensor of unknown kind")
            data = bytearray(self._archive.read(f"{self._folder}/{key}"))
            whole = torch.frombuffer(data, dtype=kind) if data else torch.empty(0, dtype=kind)
            self._storages[key] = whole[:length]
        return self._storages[key]


def _tensor(storage: Tensor, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> Tensor:
    """Return the view of ``storage``; ``as_strided`` refuses one that reaches beyond it."""
    return storage.as_strided(shape, strides, offset)


def _itself(value: object, *_: object) -> object:
    return value


_READERS: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("collections", "OrderedDict"): OrderedDict,
    **{
        ("torch.jit._pickle", name): _itself
        for name in ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
    },
}
