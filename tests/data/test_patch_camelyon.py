import sys
from pathlib import Path
from types import ModuleType, TracebackType

import numpy as np
import pytest

from transferbench.data.images import UnreadableImage
from transferbench.data.patch_camelyon import FILES, read_patches
from transferbench.errors import UserError

rng = np.random.default_rng(0)
COUNTS = {"train": 3, "valid": 2, "test": 4}


class ArrayFile:
    """The part of h5py's ``File`` that reading needs, over NumPy's archives."""

    def __init__(self, path: Path, mode: str) -> None:
        assert mode == "r"
        self.content = np.load(path)

    def __enter__(self) -> object:
        return self.content

    def __exit__(self, kind: type | None, error: Exception | None, trace: TracebackType | None) -> None:
        self.content.close()


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """The six files with h5py itself where it is installed, else with a stand-in for it."""
    try:
        import h5py
    except ImportError:
        h5py = ModuleType("h5py")
        h5py.File = ArrayFile  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "h5py", h5py)
    (tmp_path / "pcam").mkdir()
    made = {}
    for name in FILES:
        part, what = Path(name).stem.split("_")[-2:]
        count = COUNTS[part]
        shape = (count, 8, 8, 3) if what == "x" else (count, 1, 1, 1)
        made[f"{part}_{what}"] = rng.integers(0, 256 if what == "x" else 2, shape, dtype=np.uint8)
        if h5py.File is ArrayFile:
            with (tmp_path / name).open("wb") as file:
                np.savez(file, **{what: made[f"{part}_{what}"]})
        else:
            with h5py.File(tmp_path / name, "w") as file:
                file[what] = made[f"{part}_{what}"]
    return made


def test_parts_are_joined_and_read_one_by_one(tmp_path: Path, content: dict[str, np.ndarray]) -> None:
    splits = read_patches(tmp_path)
    pixels = np.concatenate([content["train_x"], content["valid_x"]])
    labels = np.concatenate([content["train_y"], content["valid_y"]]).reshape(-1)
    assert splits.train.labels.tolist() == labels.tolist()
    assert splits.test.labels.tolist() == content["test_y"].reshape(-1).tolist()
    for at in range(5):
        assert np.array_equal(np.asarray(splits.train.image(at)), pixels[at])
    assert splits.train.names[2:4] == (
        "camelyonpatch_level_2_split_train_x/2", "camelyonpatch_level_2_split_valid_x/0",
    )  # fmt: skip
    assert splits.train.name(-1).endswith("valid_x/1")
    before = splits.test.digest()
    assert read_patches(tmp_path).test.digest() == before != splits.train.digest()
    (tmp_path / FILES[4]).touch()
    (tmp_path / FILES[4]).rename(tmp_path / "elsewhere")
    assert splits.test.digest() != before
    with pytest.raises(UnreadableImage, match=r"split_test_x\.h5\[1\]"):
        splits.test.image(1)


def test_files_that_do_not_fit(tmp_path: Path, content: dict[str, np.ndarray]) -> None:
    (tmp_path / FILES[2]).write_bytes((tmp_path / FILES[0]).read_bytes())
    with pytest.raises(UserError, match=r"split_valid_x\.h5 has 3 images and .*split_valid_y\.h5 2 labels; fetch them"):
        read_patches(tmp_path)
    (tmp_path / FILES[1]).unlink()
    with pytest.raises(UserError, match=r"split_train_y\.h5 cannot be read"):
        read_patches(tmp_path)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match="h5py is not installed; run: pip install h5py"):
        read_patches(tmp_path)
