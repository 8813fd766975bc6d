"""What a foreign pickle may hold comes out as it went in; everything else is refused before it does anything."""

import collections
import os
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest

from transferbench.errors import UserError
from transferbench.unpickle import NUMPY, unpickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ARRAYS = [
    np.array([], dtype=np.float32),
    np.arange(6, dtype=np.int64).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([1, 2, 300], dtype=">i4"),
    np.array([[True], [False]]),
    np.array([1 + 2j], dtype=np.complex64),
    np.array(["n01440764/a.JPEG", "/n01440764/bb.JPEG", "é"]),
    np.array([b"ab", b"c"]),
    np.array([["a", None], [3, [4, 5]]], dtype=object),
    np.array(7.5),
]


def written(folder: Path, content: bytes) -> Path:
    path = folder / "found.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_and_arrays_come_back(tmp_path, protocol):
    value = {
        "levels": [["n01440764", "n01443537"], []],
        ("a", 1): (None, True, -5, 10**30, 2.5, "é", b"\0\xff"),
        "arrays": ARRAYS,
        "scalars": [np.float32(0.5), np.int64(-3), np.str_("n01440764"), np.bool_(True)],
    }
    value["again"] = ARRAYS[1]
    found = unpickle(written(tmp_path, pickle.dumps(value, protocol)))
    assert found["levels"] == value["levels"] and found["a", 1] == value["a", 1]
    assert found["scalars"] == [0.5, -3, "n01440764", True]
    assert [type(x) for x in found["scalars"]] == [float, int, str, bool]
    for mine, theirs in zip(found["arrays"], ARRAYS, strict=True):
        assert type(mine) is np.ndarray and mine.dtype == theirs.dtype and not mine.flags.writeable
        assert mine.flags.f_contiguous == theirs.flags.f_contiguous
        np.testing.assert_array_equal(mine, theirs)
    assert found["again"] is found["arrays"][1]


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_files_of_the_first_numpy_open_too(tmp_path, protocol):
    """NumPy 1 wrote ``numpy.core``; the bytes of ``numpy._core`` differ by a letter and the lengths of strings."""
    content = pickle.dumps({"a": np.arange(3), "b": np.array(["x", "yz"])}, protocol)
    if protocol < 4:
        older = content.replace(b"numpy._core", b"numpy.core")
    else:
        older = content
        for module in (b"numpy._core.multiarray", b"numpy._core.numeric"):
            new = module.replace(b"_core", b"core")
            older = older.replace(bytes([len(module)]) + module, bytes([len(new)]) + new)
        older = older[:2] + b"\x95" + (len(older) - 11).to_bytes(8, "little") + older[11:]
    assert b"numpy.core" in older and b"_core" not in older
    found = unpickle(written(tmp_path, older))
    assert found["a"].tolist() == [0, 1, 2] and found["b"].tolist() == ["x", "yz"]


def test_arrays_of_python_2(tmp_path):
    """There the bytes of an array are a string; opcodes ``U`` and ``c`` as Python 2.7 wrote them."""
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02i2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x04\x01\x00\xff\xfftb."
    )
    assert unpickle(written(tmp_path, content)).tolist() == [1, -1]


def test_a_structure_that_holds_itself(tmp_path):
    loop: list[object] = [np.arange(2)]
    loop.append({"loop": loop})
    found = unpickle(written(tmp_path, pickle.dumps(loop)))
    assert found[1]["loop"] is found and type(found[0]) is np.ndarray


class Hostile:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch {mark}",), r"(posix|nt)\.system"),
        (eval, ("open({mark!r}, 'w')",), r"(builtins|__builtin__)\.eval"),
        (open, ("{mark}", "w"), r"(io|_io)\.open"),
        (getattr, ("a", "join"), r"(builtins|__builtin__)\.getattr"),
        (np.load, ("{mark}",), r"numpy\.load"),
        (np.save, ("{mark}", [1]), r"numpy\.save"),
        (collections.OrderedDict, (), r"collections\.OrderedDict"),
    ],
)
def test_code_is_refused_and_does_not_run(tmp_path, protocol, function, arguments, named):
    mark = tmp_path / "mark"
    given = tuple(a.format(mark=str(mark)) if isinstance(a, str) else a for a in arguments)
    path = written(tmp_path, pickle.dumps({"levels": [Hostile(function, *given)]}, protocol))
    with pytest.raises(
        UserError, match=rf"{path}: refused, for it names {named}, which could run code; expected lists"
    ):
        unpickle(path)
    assert not mark.exists()


def test_an_attribute_of_an_allowed_name_is_no_way_around(tmp_path):
    for name in ("ndarray.tofile", "dtype.__init__", "ndarray.__class__"):
        content = b"\x80\x04\x8c\x05numpy\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
        with pytest.raises(UserError, match=f"refused, for it names numpy.{name}"):
            unpickle(written(tmp_path, content))


def array_pickle(dtype: bytes, state: bytes, data: bytes = b"C\x08" + bytes(8)) -> bytes:
    """An array of one item whose dtype and data are what a hostile file may say."""
    made = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return b"\x80\x04" + made + b"(K\x01K\x01\x85cnumpy\ndtype\n" + dtype + b"R" + state + b"\x89" + data + b"tb."


PLAIN = b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        # Objects out of raw bytes: NumPy would take the eight bytes for a pointer.
        (array_pickle(b"X\x02\x00\x00\x00O8\x89\x88\x87", PLAIN.replace(b"\x3f", b"\x00")), "other content than that"),
        # A record with an object in it, declared free of objects.
        (
            array_pickle(
                b"X\x02\x00\x00\x00V8\x89\x88\x87",
                b"(K\x03X\x01\x00\x00\x00|NX\x01\x00\x00\x00a\x85}K\x08K\x01K\x00tb",
            ),
            "an array of 'V8'",
        ),
        (
            array_pickle(
                b"X\x02\x00\x00\x00i8\x89\x88\x87",
                b"(K\x03X\x01\x00\x00\x00<NX\x01\x00\x00\x00a\x85}K\x08K\x01K\x00tb",
            ),
            "an array of records",
        ),
        (array_pickle(b"X\x02\x00\x00\x00i8\x89\x88\x87", PLAIN, b"C\x04" + bytes(4)), "other content than that"),
        (array_pickle(b"X\x05\x00\x00\x00i8,O8\x89\x88\x87", PLAIN), "an array of 'i8,O8'"),
        # A state for a function, which would change this process for good.
        (b"\x80\x04cnumpy\ndtype\nN}X\x0c\x00\x00\x00__defaults__)s\x86b.", "a state to a function"),
        (b"\x80\x04cnumpy\nndarray\nK\x05\x85R.", "without NumPy's functions"),
        (b"\x80\x04cnumpy\ndtype\n.", "a function or a type"),
        (b"\x80\x04]cnumpy\nndarray\na.", "a function or a type"),
        (b"\x80\x04cnumpy._core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85C\x01b\x87R.", "what is no array"),
        (b"Psomewhere\n.", "refers to 'somewhere' outside"),
        (b"\x80\x04\x82\x01.", "unregistered extension code"),
        (b"\x80\x04K\x01\x81.", "IndexError"),
        (b"\x80\x04\x8c\x03abc)\x81.", "TypeError"),
        (b"\x80\x04X\x03\x00", "error: unpack requires"),
        (b"", "EOFError"),
        (b"<html>404</html>", "KeyError"),
        (pickle.dumps([["n01440764"] * 5])[:-9], "(EOF|Unpickling)Error"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "(Memory|EOF|Overflow|Unpickling)Error"),
        (b"\x80\x04" + b"]" * 30_000 + b"a" * 29_999 + b".", "RecursionError"),
        (pickle.dumps(np.zeros(2, dtype=[("a", "i4")])), "an array of 'V4'"),
        (pickle.dumps(np.array(["2026-01-01"], dtype="datetime64[D]")), "an array of 'M8'"),
    ],
)
def test_what_is_no_sound_pickle_is_refused_in_one_sentence(tmp_path, content, reason):
    path = written(tmp_path, content)
    with pytest.raises(
        UserError, match=rf"{path}: no pickle of plain values and arrays, or a damaged one \(.*{reason}"
    ):
        unpickle(path)


def test_an_array_is_built_once(tmp_path):
    content = pickle.dumps(np.arange(3), protocol=2)
    assert content[-4:-3] == pickle.BINPUT and content.endswith(pickle.BUILD + pickle.STOP)
    again = pickle.BINGET + content[-3:-2] + pickle.BUILD + pickle.STOP  # the same state for a second time
    with pytest.raises(UserError, match="it builds one array twice"):
        unpickle(written(tmp_path, content[:-1] + again))


def test_stand_ins_stay_as_they_are(tmp_path):
    """No file may change how the next one is read."""
    for attribute in ("_call", "__call__", "__class__"):
        key = b"X" + len(attribute).to_bytes(4, "little") + attribute.encode()
        content = b"\x80\x04cnumpy\ndtype\nN}" + key + b"cnumpy\nndarray\ns\x86b."
        with pytest.raises(UserError, match="a state to a function"):
            unpickle(written(tmp_path, content))
    assert unpickle(written(tmp_path, pickle.dumps(np.arange(2)))).tolist() == [0, 1]


def test_the_caller_decides_what_is_allowed(tmp_path):
    path = written(tmp_path, pickle.dumps(collections.OrderedDict(a=[1])))
    assert unpickle(path, {"collections.OrderedDict"}) == {"a": [1]}
    array = written(tmp_path, pickle.dumps(np.arange(2)))
    with pytest.raises(UserError, match=r"names numpy\._core\.multiarray\._reconstruct"):
        unpickle(array, ())


def test_every_name_of_numpy_has_a_stand_in(tmp_path):
    """None of them is ever imported: each alone is found, and refused only as a value."""
    for full in sorted(NUMPY):
        module, _, name = full.rpartition(".")
        with pytest.raises(UserError, match="holds a function or a type"):
            unpickle(written(tmp_path, f"c{module}\n{name}\n.".encode()))


def test_missing_file(tmp_path):
    with pytest.raises(
        UserError, match=r"nowhere\.pkl: cannot read it \(No such file or directory\); expected a pickle"
    ):
        unpickle(tmp_path / "nowhere.pkl")
    with pytest.raises(UserError, match="cannot read it"):
        unpickle(tmp_path)


def test_a_number_in_the_memo_reserves_no_memory(tmp_path):
    """``LONG_BINPUT`` 2^30: the unpickler in C reserves 16 GB for these eight bytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert unpickle(written(tmp_path, b"\x80\x04]r\xff\xff\xff\x3f.")) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes


def test_random_damage_never_escapes(tmp_path):
    """Whatever a flipped byte does, it is an array, a plain value or a sentence."""
    content = pickle.dumps({"n01440764": {"train": np.array(["a", "b"]), "test": np.arange(3)}}, 4)
    rng = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            unpickle(written(tmp_path, bytes(damaged)))
        except UserError:
            continue
    assert set(unpickle(written(tmp_path, content))) == {"n01440764"}
