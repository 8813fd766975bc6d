"""A restricted unpickler: plain values and NumPy arrays come out of a foreign pickle, code never runs.

A pickle is a program that may name any importable object and call it. Here a name is looked up in a list, and the names
of NumPy lead to stand-ins of this module: NumPy's own functions would accept states that no array has (object pointers
as raw bytes), so they never see the file.
"""

from __future__ import annotations

import importlib
import math
import pickle
import re
import struct
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transferbench.errors import UserError

_CORES = ("numpy.core", "numpy._core")  # NumPy 1 and NumPy 2
NUMPY: frozenset[str] = frozenset(
    {"numpy.dtype", "numpy.ndarray", "_codecs.encode", "__builtin__.bytes"}
    | {f"{core}.multiarray.{name}" for core in _CORES for name in ("_reconstruct", "scalar")}
    | {f"{core}.numeric._frombuffer" for core in _CORES}
)
"""What the pickle of a NumPy array may name (its bytes, in protocols below 3: ``_codecs.encode``, or none at all)."""

_KIND = re.compile(r"[<>=|]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[SU][1-9]\d*|O8?)")
_DAMAGED = (
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


def unpickle(path: Path, allowed: Collection[str] = NUMPY) -> Any:
    """Read a pickle of lists, tuples, dicts, strings, bytes, numbers and, unless ``allowed`` leaves them out, arrays.

    Args:
        path: the pickle, of any protocol; also one written by Python 2.
        allowed: full names (``"numpy.dtype"``) that the file may use. Those in ``NUMPY`` are read by this module; any
            other one is imported and may be called with whatever the file says: name only what is harmless.

    Returns:
        what was pickled; arrays are read-only, of numbers, strings or plain objects.

    Raises:
        UserError: the file is missing, is no pickle, is damaged, or names anything that is not allowed.
    """
    try:
        with Path(path).open("rb") as file:
            return _Plain().of(_Restricted(file, str(path), frozenset(allowed)).load())
    except OSError as error:
        raise UserError(f"{path}: cannot read it ({error.strerror or error}); expected a pickle") from None
    except _DAMAGED as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise UserError(f"{path}: no pickle of plain values and arrays, or a damaged one ({reason})") from None


class _Restricted(pickle._Unpickler):
    """Looks up the names that a pickle uses in a list.

    The unpickler in Python, not the one in C: ten bytes can make that one reserve all memory for its memo.
    """

    def __init__(self, file: Any, source: str, allowed: frozenset[str]) -> None:
        super().__init__(file, encoding="latin1")  # the bytes of an array of Python 2 come as a string
        self._source, self._allowed = source, allowed

    def find_class(self, module: str, name: str) -> Any:
        """Return what the pickle calls ``module.name``, if it may have it."""
        full = f"{module}.{name}"
        if full not in self._allowed:
            raise UserError(
                f"{self._source}: refused, for it names {full}, which could run code; "
                "expected lists, dicts, strings, numbers and arrays; get the file from its authors' own page"
            )
        if full in _STAND_INS:
            return _STAND_INS[full]
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Refuse a reference to something outside the file."""
        raise pickle.UnpicklingError(f"it refers to {pid!r} outside the file")


class _StandIn:
    """A function under one of NumPy's names; a pickle can call it but cannot change it."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it gives a state to a function")


class _Dtype:
    """``numpy.dtype`` of a plain kind: numbers, strings of a fixed length, objects."""

    __slots__ = ("_kind", "_order")

    def __init__(self, kind: str, align: bool = False, copy: bool = False) -> None:
        if not _KIND.fullmatch(kind):
            raise ValueError(f"an array of {kind!r}")
        self._kind = kind.lstrip("<>=|")
        self._order = kind[0] if kind[0] in "<>" else "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, parts = state[1], state[2:5]  # (version, byte order, subarray, names, fields, size, alignment, flags)
        if order not in ("<", ">", "=", "|") or any(part is not None for part in parts):
            raise ValueError("an array of records")
        self._order = order

    def resolve(self) -> np.dtype[Any]:
        """Return the dtype, made from its checked name."""
        return np.dtype(self._order + self._kind)


class _Array:
    """``numpy.ndarray`` while the file is read; the array itself is made when all of it is there."""

    __slots__ = ("_state", "made")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, state: tuple[Any, ...] | None = None) -> None:
        self._state = state
        self.made: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if self._state is not None:
            raise pickle.UnpicklingError("it builds one array twice")
        self._state = state

    def content(self) -> tuple[tuple[int, ...], np.dtype[Any], Literal["C", "F"], Any]:
        """Return shape, dtype, order of the axes in memory, and the data: bytes, or a list of objects."""
        if self._state is None:
            raise ValueError("an array without content")
        _, shape, dtype, fortran, data = self._state
        kind = dtype.resolve()
        if not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"an array of shape {shape!r}")
        if isinstance(data, str):
            data = data.encode("latin1")
        expected = math.prod(shape) * (1 if kind.hasobject else kind.itemsize)
        if not isinstance(data, list if kind.hasobject else (bytes, bytearray)) or len(data) != expected:
            raise ValueError(f"an array of shape {shape!r} and {kind} with other content than that")
        return tuple(shape), kind, "F" if fortran else "C", data


class _Plain:
    """Puts arrays in the place of their stand-ins; every object is visited once."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Any, Any]] = {}  # by id: what was read (kept, so that its id stays) and its like

    def of(self, value: Any) -> Any:
        """Return ``value`` with the arrays in it; lists and dicts are changed in place."""
        if isinstance(value, (_StandIn, _Dtype)):
            raise pickle.UnpicklingError("it holds a function or a type of NumPy")
        if not isinstance(value, (list, tuple, dict, _Array)):
            return value
        if id(value) in self._seen:
            return self._seen[id(value)][1]
        if isinstance(value, _Array):
            made: Any = self._array(value)
        elif isinstance(value, tuple):
            made = tuple([self.of(item) for item in value])
        else:
            made = value
            self._seen[id(value)] = (value, value)  # it may contain itself
            for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
                value[key] = self.of(item)
        self._seen[id(value)] = (value, made)
        return made

    def _array(self, stand_in: _Array) -> np.ndarray[Any, Any]:
        shape, kind, order, data = stand_in.content()
        if kind.hasobject or not data:
            made: np.ndarray[Any, Any] = np.empty(math.prod(shape), dtype=kind)
            for place, item in enumerate(data):
                made[place] = self.of(item)
        else:
            made = np.frombuffer(data, dtype=kind)
        made = made.reshape(shape, order=order)
        made.flags.writeable = False
        return made


def _reconstruct(kind: object, shape: object, code: object) -> _Array:
    """An array to come: ``numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b"b")``."""
    if kind is not _STAND_INS["numpy.ndarray"]:
        raise pickle.UnpicklingError("it rebuilds what is no array")
    return _Array()


def _from_buffer(data: object, dtype: _Dtype, shape: object, order: str, axes: object = None) -> _Array:
    """A whole array: ``numpy.core.numeric._frombuffer``, protocol 5."""
    if order not in ("C", "F") or axes is not None:
        raise ValueError("an array whose axes lie in another order than C or F")
    return _Array((1, shape, dtype, order == "F", data))


def _scalar(dtype: _Dtype, data: object) -> Any:
    """One number or string of NumPy, as Python's own."""
    shape, kind, _, content = _Array((1, (), dtype, False, data)).content()
    if kind.hasobject:
        raise ValueError("a scalar that is an object")
    return np.frombuffer(content, dtype=kind).reshape(shape).item()


def _encode(text: str, codec: str) -> bytes:
    """Bytes in the protocols that have none: ``_codecs.encode(text, "latin1")``."""
    if codec != "latin1":
        raise ValueError(f"bytes in the codec {codec!r}")
    return text.encode("latin1")


def _call_nothing(*_: object) -> Any:
    raise pickle.UnpicklingError("it makes an array without NumPy's functions for that")


_STAND_INS: dict[str, Any] = {
    "numpy.ndarray": _StandIn(_call_nothing),
    "numpy.dtype": _StandIn(_Dtype),
    "_codecs.encode": _StandIn(_encode),
    "__builtin__.bytes": _StandIn(lambda: b""),
    **{f"{core}.multiarray._reconstruct": _StandIn(_reconstruct) for core in _CORES},
    **{f"{core}.multiarray.scalar": _StandIn(_scalar) for core in _CORES},
    **{f"{core}.numeric._frombuffer": _StandIn(_from_buffer) for core in _CORES},
}
