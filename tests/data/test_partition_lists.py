from pathlib import Path

import pytest
from PIL import Image

from transferbench.data.partition_lists import read_partition
from transferbench.errors import UserError

CLASSES = ("/a/abbey", "/a/apartment_building/outdoor", "/b/bar")
TRAIN = ("/a/abbey/sun_aaa.jpg", "/a/apartment_building/outdoor/sun_bbb.jpg", "/b/bar/sun_ccc.jpg")
TEST = ("/b/bar/sun_ddd.jpg", "/a/abbey/sun_eee.jpg")


def make(root: Path, lists: Path) -> None:
    lists.mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    (root / "ClassName.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (lists / "Training_01.txt").write_text("".join(f"{name}\r\n" for name in TRAIN))
    (lists / "Testing_01.txt").write_text("\n".join(TEST))
    for name in (*TRAIN, *TEST):
        path = root / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2), (len(name), 0, 0)).save(path, quality=100)


@pytest.mark.parametrize("beside", ["", "Partitions"])
def test_the_official_lists_decide(tmp_path: Path, beside: str) -> None:
    make(tmp_path, tmp_path / beside)
    splits = read_partition(tmp_path)
    assert splits.train.names == tuple(name[1:] for name in TRAIN)
    assert splits.train.labels.tolist() == [0, 1, 2]
    assert splits.test.labels.tolist() == [2, 0]
    assert splits.train.classes == splits.test.classes == ("abbey", "apartment_building/outdoor", "bar")
    assert splits.test.image(1).size == (3, 2)


def test_broken_lists(tmp_path: Path) -> None:
    make(tmp_path, tmp_path)
    (tmp_path / "Training_01.txt").write_text("/a/abbey/sun_aaa.jpg\n\n/a/attic/sun_bbb.jpg\n")
    with pytest.raises(UserError, match=r"Training_01\.txt, line 3: /a/attic/sun_bbb\.jpg is in none of the 3 classes"):
        read_partition(tmp_path)
    (tmp_path / "Training_01.txt").unlink()
    with pytest.raises(UserError, match=r"Training_01\.txt: cannot read it"):
        read_partition(tmp_path)
    (tmp_path / "ClassName.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match=r"ClassName\.txt: cannot read it"):
        read_partition(tmp_path)
