import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from transferbench.data.karpathy import read_karpathy
from transferbench.errors import UserError


def row(number: int, split: str, *captions: Any, coco: bool = True, **more: Any) -> dict[str, Any]:
    sentences = [
        {"raw": text, "tokens": str(text).lower().split(), "imgid": number, "sentid": number * 10 + k}
        for k, text in enumerate(captions)
    ]
    found: dict[str, Any] = {"imgid": number, "split": split, "filename": f"{number}.jpg", "sentences": sentences}
    return {**found, **({"filepath": "val2014", "cocoid": 1000 + number} if coco else {}), **more}


def make(root: Path, rows: list[Any], folder: str = "val2014") -> Path:
    (root / "images" / folder).mkdir(parents=True, exist_ok=True)
    for number in range(5):
        Image.new("RGB", (4, 4)).save(root / "images" / folder / f"{number}.jpg")
    (root / "dataset.json").write_text(json.dumps({"images": rows, "dataset": "coco"}))
    return root / "dataset.json"


ROWS = [row(2, "train", "A Cat.", "Two cats"), row(0, "val", "v"), row(1, "restval", "r"), row(3, "test", "t")]


@pytest.mark.parametrize(
    ("split", "ids"), [("train", (1002, 1001)), ("restval", (1001,)), ("val", (1000,)), ("test", (1003,))]
)
def test_splits_of_coco(tmp_path: Path, split: str, ids: tuple[int, ...]) -> None:
    records = read_karpathy(make(tmp_path, ROWS), tmp_path / "images", split)
    assert records.ids == ids
    assert records.images.name(0) == f"val2014/{ids[0] - 1000}.jpg"


def test_captions_are_as_typed(tmp_path: Path) -> None:
    assert read_karpathy(make(tmp_path, ROWS), tmp_path / "images", "train").captions == (
        ("A Cat.", "Two cats"),
        ("r",),
    )


def test_flickr_rows_have_neither_folder_nor_coco_id(tmp_path: Path) -> None:
    file = make(tmp_path, [row(4, "train", "x", coco=False), row(1, "train", "y", coco=False)], folder="")
    records = read_karpathy(file, tmp_path / "images", "train")
    assert records.ids == (4, 1)
    assert records.images.names == ("4.jpg", "1.jpg")


def test_flaws_are_counted(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        row(2, "train", "again"),
        row(9, "train", "missing"),
        row(4, "train", " ", 7),
        row(0, "train", "x", coco=False, filename=None),
        "text",
        {"imgid": 3},
        row(3, "train", coco=True, sentences=[{"raw": "id 20 was there", "sentid": 20}, "text", {"raw": "good"}]),
    ]
    records = read_karpathy(make(tmp_path, rows), tmp_path / "images", "train")
    assert records.ids == (1002, 1001, 1003)
    assert records.captions[2] == ("good",)
    assert records.skipped == {
        "row without split": 2,
        "duplicated image id": 1,
        "image missing": 1,
        "empty caption": 1,
        "caption is no text": 2,
        "row without id or file name": 1,
        "duplicated caption id": 1,
        "image without caption": 1,
    }


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    file, images = make(tmp_path, ROWS[:2]), tmp_path / "images"
    with pytest.raises(UserError, match=r"no split 'training'; set data\.split to one of train, restval, val, test"):
        read_karpathy(file, images, "training")
    with pytest.raises(UserError, match=r"no rows of the split test \(found train: 1, val: 1\)"):
        read_karpathy(file, images, "test")
    with pytest.raises(UserError, match=r"elsewhere: no such folder.*data\.images=FOLDER"):
        read_karpathy(file, tmp_path / "elsewhere", "train")
    (images / "val2014" / "0.jpg").unlink()
    with pytest.raises(UserError, match=r"no image with a caption in .*image missing: 1.*data\.images=FOLDER"):
        read_karpathy(file, images, "val")
    file.write_text('{"images":\n\n[}')
    with pytest.raises(UserError, match=r"dataset\.json: broken JSON at line 3, column 2 .*data\.captions=FILE"):
        read_karpathy(file, images, "train")
    make(tmp_path, [row(2, "train", "x", filepath="../..")])
    with pytest.raises(UserError, match=r"images\[0\]: the image path '\.\./\.\./2\.jpg' leads out of"):
        read_karpathy(file, images, "train")
