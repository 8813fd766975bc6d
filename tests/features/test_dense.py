"""A scene's teacher maps: reduced as by hand, made once, never taken for another scene's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from transferbench.errors import RunFailed, UserError
from transferbench.features.dense import oracle_maps, read_maps, teacher_maps

VIEWS = np.random.default_rng(0).integers(0, 256, (5, 12, 16, 3), dtype=np.uint8)


class Teacher(nn.Module):
    """Six channels on a grid of 3 x 4, with dropout that must be off; counts the pictures it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.Dropout(0.5))
        self._seen: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self._seen.append(len(images))
        return self.net(images.float() / 255)


@pytest.fixture
def teacher() -> Teacher:
    torch.manual_seed(0)
    return Teacher()


def raw(teacher: Teacher) -> np.ndarray:
    with torch.no_grad():
        return teacher.net[0](torch.from_numpy(VIEWS).movedim(-1, 1).float() / 255).numpy()


@pytest.mark.parametrize("rows", [None, [0, 2, 3]])
def test_cells_are_reduced_and_of_length_one(teacher: Teacher, rows: list[int] | None, tmp_path: Path) -> None:
    found = teacher_maps(VIEWS, teacher, 3, rows=rows, batch_size=2, cache=tmp_path)
    tokens = raw(teacher).transpose(0, 2, 3, 1)
    reference = PCA(3, svd_solver="full").fit(tokens[rows or slice(None)].reshape(-1, 6))
    expected = reference.transform(tokens.reshape(-1, 6))
    expected *= np.sign((found.pca.components * reference.components_).sum(axis=1))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert found.maps.shape == (5, 3, 3, 4) and found.maps.dtype == np.float32 and found.size == (12, 16)
    np.testing.assert_allclose(found.maps.transpose(0, 2, 3, 1).reshape(-1, 3), expected, atol=1e-4)
    assert teacher._seen == [2, 2, 1] and teacher.training


def test_all_channels_without_pca(teacher: Teacher, tmp_path: Path) -> None:
    found, maps = teacher_maps(VIEWS, teacher, None, cache=tmp_path), raw(teacher)
    np.testing.assert_allclose(found.maps, maps / np.linalg.norm(maps, axis=1, keepdims=True), atol=1e-5)
    assert found.pca is None and teacher_maps(VIEWS, teacher, None, cache=tmp_path).pca is None


@pytest.mark.usefixtures("own_cache")
def test_maps_are_made_once(teacher: Teacher) -> None:
    first, again = (teacher_maps(VIEWS, teacher, 3) for _ in range(2))
    assert teacher._seen == [5]
    assert np.array_equal(first.maps, again.maps) and first.size == again.size
    assert np.array_equal(first.pca.components, again.pca.components) and first.pca.total == again.pca.total


@pytest.mark.parametrize("change", ["images", "weights", "settings", "dimensions", "rows", "key"])
def test_what_maps_depend_on(teacher: Teacher, tmp_path: Path, change: str) -> None:
    teacher_maps(VIEWS, teacher, 3, cache=tmp_path)
    images, other = VIEWS, {"dimensions": 3, "rows": None, "key": ""}
    if change == "images":
        images = VIEWS.copy()
        images[4, 11, 15, 2] ^= 1
    elif change == "weights":
        with torch.no_grad():
            teacher.net[0].bias += 0.5
    elif change == "settings":
        teacher.net[0].stride = (3, 3)
    else:
        other[change] = {"dimensions": 2, "rows": [0, 1], "key": "other"}[change]
    teacher_maps(images, teacher, cache=tmp_path, **other)
    assert teacher._seen == [5, 5] and len(list(tmp_path.glob("*.npz"))) == 2


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def altered(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [shortened, emptied, altered])
def test_a_broken_file_is_made_again(
    teacher: Teacher, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    first = teacher_maps(VIEWS, teacher, 3, cache=tmp_path)
    (path,) = tmp_path.glob("*.npz")
    damage(path)
    with caplog.at_level(logging.WARNING):
        again = teacher_maps(VIEWS, teacher, 3, cache=tmp_path)
    assert f"{path} is broken" in caplog.text and "the features are made again" in caplog.text
    assert np.array_equal(first.maps, again.maps) and teacher._seen == [5, 5]
    assert np.array_equal(read_maps(path).maps, first.maps)


def test_another_scene_s_file_is_refused(teacher: Teacher, tmp_path: Path) -> None:
    teacher_maps(VIEWS, teacher, 3, cache=tmp_path / "a")
    teacher_maps(VIEWS[:3], teacher, 3, cache=tmp_path / "b")
    (own,), (other,) = (tmp_path / "a").glob("*.npz"), (tmp_path / "b").glob("*.npz")
    own.write_bytes(other.read_bytes())
    with pytest.raises(UserError, match=r"of another scene or teacher: its views, images, fitted to differ; delete it"):
        teacher_maps(VIEWS, teacher, 3, cache=tmp_path / "a")


def test_a_function_is_known_by_its_key(teacher: Teacher, tmp_path: Path) -> None:
    def called(images: Tensor) -> Tensor:
        return teacher.eval()(images)

    for key in ("", "", "mine", "mine"):
        teacher_maps(VIEWS, called, 3, cache=tmp_path, key=key)
    assert teacher._seen == [5, 5, 5]


def test_a_pixel_has_the_feature_of_its_cell() -> None:
    found = oracle_maps(np.zeros((1, 47, 1), np.uint8), 1)
    found.maps[0, 0, :, 0] = np.arange(47)
    tall = type(found)(found.maps, (378, 4))
    rows = np.array([0, 8, 9, 16, 377])
    zeros = np.zeros_like(rows)
    assert tall.at(zeros, rows, zeros + 3)[:, 0].tolist() == [0, 0, 1, 1, 46]


def test_the_oracle_has_a_direction_for_every_label() -> None:
    labels = np.random.default_rng(1).integers(0, 4, (2, 6, 5), dtype=np.uint8)
    maps = oracle_maps(labels, 8, seed=3).maps
    assert maps.shape == (2, 8, 6, 5) and maps.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(maps, axis=1), 1, atol=1e-6)
    directions = [np.unique(maps.transpose(0, 2, 3, 1)[labels == label], axis=0) for label in range(4)]
    assert [len(found) for found in directions] == [1, 1, 1, 1]
    cosines = np.concatenate(directions) @ np.concatenate(directions).T
    assert (cosines - np.eye(4) < 0.95).all()
    assert np.array_equal(oracle_maps(labels[:, :2], 8, seed=3).maps, maps[:, :, :2])
    assert not np.array_equal(oracle_maps(labels, 8, seed=4).maps, maps)
    with pytest.raises(UserError, match=r"labels of shape \(2, 6\)"):
        oracle_maps(labels[:, :, 0], 8)


def test_what_cannot_be_done_is_refused(teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"views of shape \(5, 12, 16, 4\).*on a background first"):
        teacher_maps(np.zeros((5, 12, 16, 4), np.uint8), teacher, 3, cache=tmp_path)
    with pytest.raises(UserError, match=r"rows=\[0, 5\]: the scene has 5 views; expected some of 0 to 4"):
        teacher_maps(VIEWS, teacher, 3, rows=[0, 5], cache=tmp_path)
    with pytest.raises(UserError, match="dimensions=7: the features have 6 channels"):
        teacher_maps(VIEWS, teacher, 7, cache=tmp_path)
    with pytest.raises(RunFailed, match="not finite"):
        teacher_maps(VIEWS, lambda images: images.float() / 0, 3)
    monkeypatch.setattr("os.sysconf", lambda name: 50)
    with pytest.raises(
        UserError, match=r"features of 5 views, 6 channels on 3 x 4 cells, take .*choose a smaller grid"
    ):
        teacher_maps(VIEWS, teacher, 3, cache=tmp_path)
    assert not list(tmp_path.glob("*.npz"))
