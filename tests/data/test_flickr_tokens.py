from pathlib import Path

import pytest
from PIL import Image

from transferbench.data.flickr_tokens import read_flickr_tokens
from transferbench.errors import UserError

TOKENS = """\ufeff10_b.jpg#0\tA child in a dress .
10_b.jpg#1\tA girl # 1 .
2_a.jpg#0\tA black dog
2_a.jpg.1#0\tThe image of this one is missing
10_b.jpg#1\tagain
no tab
3_c.jpg#0\t
"""


def make(root: Path) -> tuple[Path, Path]:
    (root / "images").mkdir()
    for name in ("10_b", "2_a", "3_c"):
        Image.new("RGB", (4, 4)).save(root / "images" / f"{name}.jpg")
    (root / "Flickr8k.token.txt").write_text(TOKENS, encoding="utf-8", newline="\r\n")
    return root / "Flickr8k.token.txt", root / "images"


def test_captions_and_flaws(tmp_path: Path) -> None:
    records = read_flickr_tokens(*make(tmp_path))
    assert records.ids == records.images.names == ("10_b.jpg", "2_a.jpg")
    assert records.captions == (("A child in a dress .", "A girl # 1 ."), ("A black dog",))
    assert records.skipped == {
        "image missing": 1,
        "duplicated caption id": 1,
        "line broken": 1,
        "empty caption": 1,
        "image without caption": 1,
    }


@pytest.mark.parametrize("listed", ["2_a.jpg\r\nnone.jpg\r\n", "2_a\nnone"])
def test_split_lists(tmp_path: Path, listed: str) -> None:
    tokens, images = make(tmp_path)
    (tmp_path / "list.txt").write_text(listed)
    records = read_flickr_tokens(tokens, images, tmp_path / "list.txt")
    assert records.ids == ("2_a.jpg",)
    assert records.skipped == {"line broken": 1, "image of the split without caption": 1}


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    tokens, images = make(tmp_path)
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(UserError, match=r"list\.txt: no names in it"):
        read_flickr_tokens(tokens, images, tmp_path / "list.txt")
    with pytest.raises(UserError, match=r"none\.token: cannot read it .*results_20130124\.token"):
        read_flickr_tokens(tmp_path / "none.token", images)
    tokens.write_text("../Flickr8k.token.txt#0\tx\n")
    with pytest.raises(UserError, match=r"line 1: the image path .* leads out of"):
        read_flickr_tokens(tokens, images)
