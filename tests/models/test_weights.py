"""Files of weights are read without running what is in them."""

import argparse
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from transferbench.errors import UserError
from transferbench.models.weights import read_weights


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_what_lies_beside_the_tensors_does_not_hinder(tmp_path, zipped):
    """Settings in argparse's class and NumPy's numbers, as DINO, PyContrast and many others save them."""
    kept = {
        "model": {"a.weight": torch.arange(6.0).view(2, 3)},
        "args": argparse.Namespace(lr=0.1, schedule=[1, 2]),
        "best": np.float64(76.1),
        "count": np.int64(3),
        "history": np.arange(4),
        "epoch": 3,
    }
    torch.save(kept, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    content = read_weights(tmp_path / "x.pth")
    assert torch.equal(content["model"]["a.weight"], kept["model"]["a.weight"])
    assert content["epoch"] == 3
    assert not isinstance(content["args"], argparse.Namespace)
    assert not isinstance(content["best"], np.generic)


def test_the_names_are_forgotten_afterwards(tmp_path):
    before = torch.serialization.get_safe_globals()
    torch.save({"args": argparse.Namespace(lr=1)}, tmp_path / "x.pth")
    read_weights(tmp_path / "x.pth")
    assert set(torch.serialization.get_safe_globals()) == set(before)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "x.pth", weights_only=True)


def test_safetensors_are_read(tmp_path):
    tensors = {"a.weight": torch.rand(2, 3), "b": torch.ones(2, dtype=torch.int64)}
    save_file(tensors, tmp_path / "x.safetensors")
    content = read_weights(str(tmp_path / "x.safetensors"))
    assert all(torch.equal(content[name], value) for name, value in tensors.items())


@pytest.mark.parametrize("kind", ["system", "touch", "eval"])
def test_a_hostile_file_is_refused_and_nothing_runs(tmp_path, kind):
    mark = tmp_path / "executed"
    calls = {
        "system": (os.system, (f"touch {mark}",), r"(posix|os)\.system"),
        "touch": (Path.touch, (mark,), "getattr"),
        "eval": (eval, (f"open({str(mark)!r}, 'w')",), "eval"),
    }
    function, arguments, named = calls[kind]

    class Hostile:
        def __reduce__(self):
            return function, arguments

    torch.save({"state_dict": {"a": torch.ones(2)}, "args": Hostile()}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=rf"x\.pth: refused, for it names .*{named}.*, which could run code; expected"):
        read_weights(tmp_path / "x.pth")
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps(Hostile(), protocol=2))
    with pytest.raises(UserError, match=r"bare\.pkl: (refused|cannot be read)"):
        read_weights(tmp_path / "bare.pkl")
    assert not mark.exists()


def test_a_stand_in_cannot_be_made_to_do_anything(tmp_path):
    """A file may call the stand-ins with what it likes and give them any state."""
    content = (
        b"\x80\x02}X\x01\x00\x00\x00acnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R"
        b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tbX\x03\x00\x00\x00abc\x86Rs."
    )
    torch.save({}, tmp_path / "x.pth")
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.pth") as old, zipfile.ZipFile(tmp_path / "y.pth", "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("data.pkl") else old.read(name))
    assert type(read_weights(tmp_path / "y.pth")["a"]).__module__ == "transferbench.models.weights"


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("data", [b"", b"abc", b"PK\x03\x04" + bytes(60), b"\x80\x02}."])
def test_what_is_no_file_of_weights_is_said(tmp_path, suffix, data):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"x\.{suffix}: cannot be read as weights, it is damaged or of another format"):
        read_weights(path)


def test_a_file_cut_short_is_said(tmp_path):
    torch.save({"a": torch.rand(100)}, tmp_path / "x.pth")
    whole = (tmp_path / "x.pth").read_bytes()
    for size in (10, len(whole) // 2, len(whole) - 20):
        (tmp_path / "x.pth").write_bytes(whole[:size])
        with pytest.raises(UserError, match="cannot be read as weights"):
            read_weights(tmp_path / "x.pth")


def test_no_file_is_said(tmp_path):
    for path in (tmp_path, tmp_path / "none.pth"):
        with pytest.raises(UserError, match=r"no such file; model\.path takes"):
            read_weights(path)
