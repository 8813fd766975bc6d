import json
import logging
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from transferbench.data.captions import Box
from transferbench.data.coco import read_coco
from transferbench.errors import UserError

IMAGES = [
    {"id": 9, "file_name": "000000000009.jpg", "width": 40, "height": 30},
    {"id": 25, "file_name": "000000000025.jpg", "width": 20, "height": 10},
    {"id": 30, "file_name": "000000000030.jpg", "width": 20, "height": 10},
]
CAPTIONS = [
    {"id": 1, "image_id": 25, "caption": "A giraffe\nstands "},
    {"id": 2, "image_id": 9, "caption": "A bowl of \u00e9clairs"},
    {"id": 3, "image_id": 25, "caption": "Two giraffes"},
    {"id": 4, "image_id": 30, "caption": "A field"},
]
CATEGORIES = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 25, "name": "giraffe"}]
OBJECTS = [
    {"id": 7, "image_id": 25, "category_id": 25, "bbox": [-2, 1, 10, 20]},
    {"id": 8, "image_id": 25, "category_id": 1, "bbox": [1.5, 1, 2, 2]},
    {"id": 9, "image_id": 9, "category_id": 90, "bbox": [1, 1, 0, 2]},
]


def make(
    root: Path,
    name: str = "train2017",
    images: list[Any] = IMAGES,
    captions: list[Any] = CAPTIONS,
    objects: list[Any] | None = OBJECTS,
    files: str = "{:012d}.jpg",
    folder: str = "",
) -> Path:
    """A split of COCO in its official layout."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / folder / name).mkdir(parents=True)
    for number in (9, 25, 30):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(root / folder / name / files.format(number))
    (root / "annotations" / f"captions_{name}.json").write_text(json.dumps({"images": images, "annotations": captions}))
    if objects is not None:
        content = {"images": images, "annotations": objects, "categories": CATEGORIES}
        (root / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))
    return root


def test_captions_tags_and_boxes_of_the_official_layout(tmp_path: Path) -> None:
    records = read_coco(make(tmp_path), "train")
    assert records.ids == (25, 9, 30)
    assert records.captions == (("A giraffe stands", "Two giraffes"), ("A bowl of éclairs",), ("A field",))
    assert records.images.names == ("000000000025.jpg", "000000000009.jpg", "000000000030.jpg")
    assert records.images.labels.tolist() == [0, 1, 2]
    assert records.images.image(1).getpixel((2, 2))[0] in range(5, 14)  # type: ignore[index]
    assert records.tag_names == ("person", "giraffe", "toothbrush")
    assert records.tags == (frozenset({0, 1}), frozenset({2}), frozenset())
    assert records.sizes == ((20, 10), (40, 30), (20, 10))
    assert records.boxes == ((Box(1, 0.0, 1.0, 8.0, 10.0), Box(0, 1.5, 1.0, 3.5, 3.0)), (), ())
    assert records.skipped == {"box empty or broken": 1}


@pytest.mark.parametrize(
    ("name", "files", "folder"),
    [
        ("train2014", "COCO_train2014_{:012d}.jpg", ""),
        ("train", "{:012d}.jpg", ""),
        ("train2017", "{:012d}.jpg", "images"),
    ],
)
def test_other_years_and_folders(tmp_path: Path, name: str, files: str, folder: str) -> None:
    nameless = [{"id": image["id"]} for image in IMAGES]
    records = read_coco(make(tmp_path, name, images=nameless, files=files, folder=folder, objects=None), "train")
    assert records.images.names == tuple(files.format(number) for number in (25, 9, 30))
    assert records.tags is records.boxes is records.sizes is None


def test_two_years_are_ambiguous_until_one_is_named(tmp_path: Path) -> None:
    make(make(tmp_path), "train2014", captions=CAPTIONS[:1], objects=None)
    with pytest.raises(UserError, match=r"train2014 or train2017"):
        read_coco(tmp_path, "train")
    assert read_coco(tmp_path, "train2014").ids == (25,)
    assert read_coco(tmp_path, "train", captions=tmp_path / "annotations" / "captions_train2014.json").ids == (25,)


def test_instances_are_left_unread_where_nobody_wants_them(tmp_path: Path) -> None:
    make(tmp_path, objects=None)
    (tmp_path / "annotations" / "instances_train2017.json").write_text("broken")
    assert read_coco(tmp_path, "train", tags=False).tags is None
    with pytest.raises(
        UserError, match=r"instances_train2017\.json: broken JSON at line 1, column 1 .*data\.tags=false"
    ):
        read_coco(tmp_path, "train")


def test_flaws_are_counted_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [*IMAGES, IMAGES[0], {"id": 31, "file_name": "31.jpg"}, {"file_name": "no id"}, "text"]
    captions = [
        *CAPTIONS[:3],
        {"id": 3, "image_id": 9, "caption": "again the id 3"},
        {"id": 5, "image_id": 30, "caption": " \n"},
        {"id": 6, "image_id": 30, "caption": "\u200b"},
        {"id": 7, "image_id": 9, "caption": 7},
        {"id": 8, "image_id": 77, "caption": "nobody's"},
        {"id": 9, "caption": "nobody's"},
        {"id": 10, "image_id": 31, "caption": "its image is missing"},
    ]
    objects = [*OBJECTS[:2], OBJECTS[1], {"id": 99, "image_id": 9, "category_id": 4, "bbox": [0, 0, 1, 1]}]
    with caplog.at_level(logging.WARNING):
        records = read_coco(make(tmp_path, images=images, captions=captions, objects=objects), "train")
    assert records.ids == (25, 9)
    assert records.captions == (("A giraffe stands", "Two giraffes"), ("A bowl of éclairs",))
    assert records.skipped == {
        "duplicated image id": 1,
        "image missing": 1,
        "image without id": 2,
        "duplicated annotation id": 2,
        "empty caption": 2,
        "caption is no text": 1,
        "caption of an image not listed": 1,
        "annotation without image id": 1,
        "object of an unknown category": 1,
        "image without caption": 1,
    }
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == len(records.skipped)
    assert any("empty caption: 2, first at annotations[4]" in line for line in told)
    assert any("image missing: 1, first at images[4] (31.jpg)" in line for line in told)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    file = make(tmp_path, objects=None) / "annotations" / "captions_train2017.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b", ", b",\r\n"))
    assert read_coco(tmp_path, "train").ids == (25, 9, 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [],\n "annotations": [', r"captions_train2017\.json: broken JSON at line 2.*data\.root=FOLDER"),
        ("[1]", r"no list of images and of annotations"),
        ('{"images": [], "annotations": []}', r"no image with a caption in .*data\.root=FOLDER"),
        ("[" * 100_000, r"captions_train2017\.json: cannot read it"),
    ],
)
def test_broken_files_end_in_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    make(tmp_path, objects=None)
    (tmp_path / "annotations" / "captions_train2017.json").write_text(text)
    with pytest.raises(UserError, match=f"(?s){message}"):
        read_coco(tmp_path, "train")


def test_a_missing_folder_and_a_missing_split_end_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"annotations: no such folder.*data\.root"):
        read_coco(tmp_path / "nowhere", "train")
    make(tmp_path)
    with pytest.raises(UserError, match=r"no captions_val\*\.json there \(captions found: captions_train2017\.json\)"):
        read_coco(tmp_path, "val")
    for image in (tmp_path / "train2017").iterdir():
        image.unlink()
    with pytest.raises(UserError, match=r"no image with a caption in .*train2017 \(image missing: 3.*data\.root"):
        read_coco(tmp_path, "train")
    (tmp_path / "train2017").rmdir()
    with pytest.raises(UserError, match=r"train2017: no such folder; expected the folder of the images"):
        read_coco(tmp_path, "train")


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg", ".."])
def test_paths_that_climb_out_are_refused(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.jpg")
    images = [{"id": 9, "file_name": name}, *IMAGES[1:]]
    with pytest.raises(UserError, match=r"images\[0\]: the image path .* leads out of"):
        read_coco(make(tmp_path, images=images), "train")


def test_broken_categories_end_in_a_sentence(tmp_path: Path) -> None:
    file = make(tmp_path) / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "categories": [*CATEGORIES, CATEGORIES[0]]}))
    with pytest.raises(UserError, match=r"categories\[3\] is .*expected an id of its own and a name"):
        read_coco(tmp_path, "train")


def test_the_digest_follows_the_captions(tmp_path: Path) -> None:
    first = read_coco(make(tmp_path), "train")
    assert first.digest() == read_coco(tmp_path, "train").digest()
    assert first.digest() != read_coco(tmp_path, "train", tags=False).digest()
