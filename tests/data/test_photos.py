from pathlib import Path

import pytest
from PIL import Image

from transferbench.data.photos import read_photos
from transferbench.errors import UserError


def test_a_folder_with_folders_in_it(tmp_path: Path) -> None:
    for name in ("b.jpg", "sub/a.PNG", "sub/deep/é.webp", ".hidden/x.jpg", ".y.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), "red").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "sub" / "ring").symlink_to(tmp_path)
    photos = read_photos(tmp_path)
    assert photos.names == ("b.jpg", "sub/a.PNG", "sub/deep/é.webp")
    assert photos.labels.tolist() == [0, 1, 2]
    assert photos.classes == ()
    assert photos.image(1).getpixel((0, 0)) == (255, 0, 0)


def test_a_single_file(tmp_path: Path) -> None:
    Image.new("RGB", (5, 4)).save(tmp_path / "b.jpg")
    assert read_photos(tmp_path / "b.jpg").names == ("b.jpg",)


def test_nothing_there_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no images in it; expected files ending in \.jpg .*data\.root=FOLDER"):
        read_photos(tmp_path)
    with pytest.raises(UserError, match=r"nowhere: no such file or folder"):
        read_photos(tmp_path / "nowhere")
