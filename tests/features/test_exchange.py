from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from transferbench.data.evaluation import CentreCrop
from transferbench.errors import RunFailed, UserError
from transferbench.features import exchange
from transferbench.features.exchange import read_feature_folder, read_features, write_features
from transferbench.features.extract import Features
from transferbench.features.store import FeatureStore


@pytest.fixture
def features():
    x = np.random.default_rng(0).normal(size=(11, 6)).astype(np.float32)
    return Features(x, np.arange(11) % 4, np.arange(11))


@pytest.mark.parametrize("suffix", ["pth", "npz"])
@pytest.mark.parametrize("stored", [None, "float32", "float16", "bfloat16"])
def test_what_is_written_is_read(tmp_path, features, tallying, pictures, suffix, stored):
    if stored:
        features = FeatureStore(tmp_path / "store", stored).features(tallying, pictures(23), CentreCrop(8, 6))
    write_features(tmp_path / f"X_Y.{suffix}", features, name="flowers")
    found = read_features(tmp_path / f"X_Y.{suffix}")
    np.testing.assert_array_equal(found.x, np.asarray(features.x))
    np.testing.assert_array_equal(found.y, features.y)
    assert (found.x.dtype, found.y.dtype) == (np.float32, np.int64)
    assert found.positions.tolist() == list(range(len(found.y)))
    assert {place.name for place in tmp_path.iterdir()} <= {f"X_Y.{suffix}", "store", "tally"}


def test_the_file_is_what_other_programs_expect(tmp_path, features):
    write_features(tmp_path / "features_trainval.pth", features, name="flowers")
    content = torch.load(tmp_path / "features_trainval.pth", weights_only=True)
    assert set(content) == {"X", "Y", "name"}
    assert (content["X"].dtype, content["X"].shape) == (torch.float32, (11, 6))
    assert (content["Y"].dtype, content["Y"].shape) == (torch.int64, (11,))
    assert content["name"] == "flowers"
    write_features(tmp_path / "features.npz", features, name="flowers")
    with np.load(tmp_path / "features.npz") as content:
        assert set(content) == {"X", "Y", "name"}
        assert str(content["name"]) == "flowers"


@pytest.mark.parametrize(
    "content",
    [
        {"X": torch.ones(3, 2), "Y": torch.arange(3)},
        {"X": torch.ones(3, 2, dtype=torch.float64), "Y": torch.arange(3, dtype=torch.int32), "name": ["a"]},
        {"X": torch.ones(3, 2, dtype=torch.bfloat16), "Y": torch.arange(3), "more": 3},
        {"X": torch.ones(3, 2), "Y": -torch.ones(3, 4, dtype=torch.int64)},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_others(tmp_path, content, zipped):
    torch.save(content, tmp_path / "X_Y.pth", _use_new_zipfile_serialization=zipped)
    found = read_features(tmp_path / "X_Y.pth")
    assert (found.x.dtype, found.y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(found.x, np.ones((3, 2)))
    np.testing.assert_array_equal(found.y, content["Y"].numpy())


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"X": torch.ones(3, 2)}, "lacks X or Y"),
        ([torch.ones(3, 2), torch.arange(3)], "a list, no dict"),
        ({"X": torch.ones(3, 2), "Y": torch.arange(4)}, r"X \(3, 2\) float32 and Y \(4,\) int64; expected X \(N, D\)"),
        ({"X": torch.ones(3), "Y": torch.arange(3)}, r"expected X \(N, D\) of floats"),
        ({"X": torch.ones(0, 2), "Y": torch.arange(0)}, "N and D at least 1"),
        ({"X": torch.ones(3, 2), "Y": torch.ones(3)}, "of integers"),
        ({"X": torch.tensor([[1.0], [float("nan")]]), "Y": torch.arange(2)}, "not finite"),
        ({"X": torch.ones(3, 2), "Y": torch.arange(3), "name": Harmful()}, "unsafe"),
        ({"X": torch.ones(3, 2), "Y": "labels"}, r"expected X \(N, D\)"),
    ],
)
def test_files_that_hold_something_else(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "X_Y.pth")
    with pytest.raises(UserError, match=said):
        read_features(tmp_path / "X_Y.pth")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("suffix", ["pth", "npz"])
@pytest.mark.parametrize("kept", [0, 30, 0.5, -1])
def test_a_truncated_file_is_refused(tmp_path, features, suffix, kept):
    path = tmp_path / f"X_Y.{suffix}"
    write_features(path, features)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(UserError, match="cannot be read as features"):
        read_features(path)


def test_an_array_of_objects_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "X_Y.npz", "w") as file, file.open("X.npy", "w") as member:
        np.lib.format.write_array(member, np.array([Harmful()], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read as features"):
        read_features(tmp_path / "X_Y.npz")


def test_names_that_are_not_features(tmp_path, features):
    for act in (read_features, lambda path: write_features(path, features)):
        with pytest.raises(UserError, match=r"expected a name that ends in \.pth or \.npz"):
            act(tmp_path / "X_Y.pkl")
    with pytest.raises(UserError, match="no such file"):
        read_features(tmp_path / "X_Y.pth")


@pytest.mark.parametrize("suffix", ["pth", "npz"])
def test_a_full_disk_leaves_what_was_there(tmp_path, features, monkeypatch, suffix):
    path = tmp_path / f"X_Y.{suffix}"
    write_features(path, features)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(exchange.torch, "save", full)
    monkeypatch.setattr(exchange.np, "savez", full)
    with pytest.raises(RunFailed, match=rf"X_Y\.{suffix} cannot be written \(No space left on device\)"):
        write_features(path, Features(features.x * 2, features.y, features.positions))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("train", "test"),
    [("features_trainval.pth", "features_test.pth"), ("features_train/X_Y.pth", "features_test/X_Y.pth")],
)
def test_folders_of_others(tmp_path, features, train, test):
    few = Features(features.x[:4], features.y[:4], features.positions[:4])
    write_features(tmp_path / train, features)
    with pytest.raises(UserError, match=r"no features there; expected one of features_test\.pth"):
        read_feature_folder(tmp_path)
    write_features(tmp_path / test, few)
    found = read_feature_folder(tmp_path)
    assert [len(part.x) for part in found] == [11, 4]
    write_features(tmp_path / test, Features(few.x[:, :3], few.y, few.positions))
    with pytest.raises(UserError, match="6 and 3 numbers a row"):
        read_feature_folder(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_a_pth_is_mapped_and_not_read(tmp_path, features):
    write_features(tmp_path / "X_Y.pth", features)
    found = read_features(tmp_path / "X_Y.pth")
    assert str(tmp_path / "X_Y.pth") in Path("/proc/self/maps").read_text()
    np.testing.assert_array_equal(found.x, features.x)
