import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transferbench.data.image_set import ArrayImages, FolderImages, Splits
from transferbench.data.images import UnreadableImage
from transferbench.data.labelled import EXTENSIONS, read_folder, read_splits
from transferbench.errors import UserError


def make(folder: Path, count: int = 1, extension: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("RGB", (2, 2), (index, 0, 0)).save(folder / f"{index:03d}{extension}")


def test_train_and_held_out_folders(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2)):
        for name in ("dog", "cat", "Ant"):
            make(tmp_path / split / name, count)
    splits = read_splits(tmp_path)
    assert splits.train.classes == splits.test.classes == ("Ant", "cat", "dog")
    assert splits.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert splits.train.labels.dtype == np.int64
    assert splits.test.names == tuple(f"{c}/{i:03d}.png" for c in ("Ant", "cat", "dog") for i in (0, 1))
    assert splits.test.image(3).getpixel((0, 0)) == (1, 0, 0)
    assert splits.test.name(-1) == "dog/001.png"


@pytest.mark.parametrize("present", [("val", "test"), ("valid", "test"), ("validation", "test"), ("test",)])
def test_the_first_held_out_folder_is_taken(tmp_path: Path, present: tuple[str, ...]) -> None:
    for split in ("train", *present):
        for name in "ab":
            make(tmp_path / split / name)
    test = read_splits(str(tmp_path)).test
    assert isinstance(test, FolderImages)
    assert test.root == tmp_path / present[0]


@pytest.mark.parametrize("below", ["", "train"])
def test_a_seeded_share_of_each_class_is_held_out(tmp_path: Path, below: str) -> None:
    make(tmp_path / below / "a", 20)
    make(tmp_path / below / "b", 2)
    splits = read_splits(tmp_path, holdout=0.25, seed=1)
    assert np.bincount(splits.test.labels).tolist() == [5, 1]
    assert np.bincount(splits.train.labels).tolist() == [15, 1]
    assert sorted(splits.train.names + splits.test.names) == sorted(read_folder(tmp_path / below).names)
    assert read_splits(tmp_path, holdout=0.25, seed=1).test.names == splits.test.names
    assert read_splits(tmp_path, holdout=0.25, seed=2).test.names != splits.test.names
    make(tmp_path / below / "c", 3)
    assert read_splits(tmp_path, holdout=0.25, seed=1).test.names[:6] == splits.test.names


def test_which_files_count(tmp_path: Path) -> None:
    for index, extension in enumerate(EXTENSIONS):
        (tmp_path / "a" / "deep" / "er").mkdir(parents=True, exist_ok=True)
        name = f"x{index}{extension.upper() if index % 2 else extension}"
        (tmp_path / "a" / ("deep/er" if index % 3 else "") / name).touch()
    for ignored in ("notes.txt", ".hidden.jpg", "jpg", "b.jpg.part"):
        (tmp_path / "a" / ignored).touch()
    make(tmp_path / "a" / ".cache")
    make(tmp_path / ".git" / "c")
    make(tmp_path / "elsewhere")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(tmp_path / "a")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "README").touch()
    (tmp_path / "a" / "deep" / "ring").symlink_to(tmp_path / "a")
    found = read_folder(root)
    assert found.classes == ("a", "b")
    assert len({Path(name).name for name in found.names}) == len(EXTENSIONS) + 1
    assert not any(name.startswith(".") or "/." in name for name in found.names)
    (tmp_path / "a" / "deep" / "ring").unlink()
    assert len(read_folder(root)) == len(EXTENSIONS) + 1


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "train", "test"):
        make(tmp_path / name, 2)
    assert read_splits(tmp_path).train.classes == ("bus", "test", "train")


def test_chosen_classes(tmp_path: Path) -> None:
    for name in "abc":
        make(tmp_path / name)
    assert read_folder(tmp_path, ["c", "a"]).classes == ("a", "c")
    with pytest.raises(UserError, match="class folder d not found"):
        read_folder(tmp_path, ["a", "d"])


def test_layout_mistakes_say_what_to_type(tmp_path: Path) -> None:
    def told(root: Path, *parts: str) -> None:
        with pytest.raises(UserError) as caught:
            read_splits(root)
        message = str(caught.value)
        assert "\n" not in message
        for part in parts:
            assert part in message

    told(tmp_path / "gone", "gone: no such folder", "data.root=")
    (tmp_path / "file").touch()
    told(tmp_path / "file", "a file, not a folder", "data.root=")
    (tmp_path / "empty").mkdir()
    told(tmp_path / "empty", "is empty", "data.root=")
    make(tmp_path / "flat", 3)
    told(tmp_path / "flat", "holds images but no class folders", "data.root=")
    make(tmp_path / "one" / "cat", 3)
    told(tmp_path / "one", "one class folder only (cat)", "data.root=")
    make(tmp_path / "flats" / "train", 3)
    make(tmp_path / "flats" / "val", 3)
    told(tmp_path / "flats", "no class folders in train and val/")
    make(tmp_path / "no_train" / "val" / "a")
    make(tmp_path / "no_train" / "val" / "b")
    told(tmp_path / "no_train", "has val/ but no train/")
    make(tmp_path / "hollow" / "a", 3)
    (tmp_path / "hollow" / "b").mkdir()
    told(tmp_path / "hollow", "no images in class folder b", ".jpg")
    make(tmp_path / "single" / "a", 3)
    make(tmp_path / "single" / "b", 1)
    told(tmp_path / "single", "class b has a single image")


def test_splits_of_different_classes(tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "val/a", "val/b", "val/c"):
        make(tmp_path / name)
    with pytest.raises(UserError, match=r"train lacks class c, found in .*val"):
        read_splits(tmp_path)
    for name in ("train/c", *(f"train/d{i}" for i in range(7))):
        make(tmp_path / name)
    with pytest.raises(UserError, match=r"val lacks 7 classes \(d0, d1, d2, d3, d4 and 2 more\)"):
        read_splits(tmp_path)


@pytest.mark.parametrize("holdout", [0.0, 1.0, -1.0, float("nan")])
def test_holdout_out_of_range(tmp_path: Path, holdout: float) -> None:
    with pytest.raises(UserError, match=r"data\.holdout"):
        read_splits(tmp_path, holdout=holdout)


def test_folder_digest_follows_the_content(tmp_path: Path) -> None:
    for name in "ab":
        make(tmp_path / "x" / name, 2)
    first = read_folder(tmp_path / "x").digest()
    assert read_folder(tmp_path / "x").digest() == first
    (tmp_path / "x").rename(tmp_path / "y")
    assert read_folder(tmp_path / "y").digest() == first
    os.utime(tmp_path / "y" / "a" / "000.png", (1, 1))
    assert read_folder(tmp_path / "y").digest() != first
    images = read_folder(tmp_path / "y")
    (tmp_path / "y" / "a" / "000.png").unlink()
    assert len(images.digest()) == 16
    with pytest.raises(UnreadableImage, match="no such file"):
        images.image(0)


def test_names_that_are_not_ascii(tmp_path: Path) -> None:
    for name in ("ü", "日本"):
        make(tmp_path / name)
    assert read_folder(tmp_path).names == ("ü/000.png", "日本/000.png")
    images = FolderImages(tmp_path, [os.fsdecode(b"\xff/1.png")], [0], ["x"])
    assert os.fsencode(images.name(0)) == b"\xff/1.png"


def test_array_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    images = ArrayImages(pixels, [0, 1, 1], ("a", "b"), "set/train")
    assert len(images) == 3
    assert images.names == ("set/train/0", "set/train/1", "set/train/2")
    assert np.array_equal(np.asarray(images.image(2)), pixels[2])
    grey = ArrayImages(pixels[..., 0], [0, 1, 1], ("a", "b"))
    assert grey.image(0).mode == "RGB"
    changed = pixels.copy()
    changed[0, 0, 0, 0] ^= 1
    digests = {
        images.digest(),
        ArrayImages(changed, [0, 1, 1], ("a", "b"), "set/train").digest(),
        ArrayImages(pixels, [1, 1, 1], ("a", "b"), "set/train").digest(),
        ArrayImages(pixels, [0, 1, 1], ("a", "c"), "set/train").digest(),
    }
    assert len(digests) == 4


def test_real_photographs(test_data: Path) -> None:
    splits = read_splits(test_data / "cifar10-subset")
    assert isinstance(splits, Splits)
    assert (len(splits.train), len(splits.test)) == (5000, 2000)
    assert np.bincount(splits.train.labels).tolist() == [500] * 10
    assert splits.test.image(0).size == (32, 32)
