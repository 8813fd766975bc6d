import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from transferbench.data.inaturalist import read_inaturalist
from transferbench.errors import UserError

CATEGORIES = [{"id": 7, "name": "Vulpes vulpes", "supercategory": "Mammalia"}, {"id": 2, "name": "Bufo bufo"}]


def annotations(part: str, categories_of_images: dict[int, int]) -> dict[str, Any]:
    """Images in one order, their annotations in the opposite one, so that a position says nothing."""
    images = [
        {"id": number, "file_name": f"train_val2018/Animalia/{category}/{part}{number}.jpg", "width": 4, "height": 3}
        for number, category in categories_of_images.items()
    ]
    labels = [
        {"id": number + 100, "image_id": number, "category_id": category}
        for number, category in reversed(categories_of_images.items())
    ]
    return {"info": {}, "images": images, "annotations": labels, "categories": CATEGORIES, "licenses": []}


def write(root: Path, train: Any, val: Any) -> None:
    (root / "train2018.json").write_text(json.dumps(train))
    (root / "val2018.json").write_text(json.dumps(val))


def test_annotations_are_found_by_the_id_of_their_image(tmp_path: Path) -> None:
    write(tmp_path, annotations("t", {11: 7, 5: 2, 9: 7}), annotations("v", {3: 2, 4: 7}))
    splits = read_inaturalist(tmp_path, 2018)
    assert splits.train.classes == ("Bufo bufo", "Vulpes vulpes")
    assert splits.train.names == tuple(f"train_val2018/Animalia/{name}.jpg" for name in ("7/t11", "2/t5", "7/t9"))
    assert splits.train.labels.tolist() == [1, 0, 1]
    assert splits.test.labels.tolist() == [0, 1]
    path = tmp_path / splits.test.name(0)
    path.parent.mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(path)
    assert splits.test.image(0).size == (4, 3)


def refused(root: Path, train: Any, val: Any, match: str) -> None:
    write(root, train, val)
    with pytest.raises(UserError, match=match):
        read_inaturalist(root, 2018)


def test_files_that_contradict_themselves(tmp_path: Path) -> None:
    good = annotations("v", {3: 2, 4: 7})
    bare = annotations("t", {1: 2, 2: 7, 3: 7})
    bare["annotations"] = bare["annotations"][:1]
    refused(tmp_path, bare, good, r"2 of 3 images have no annotation, such as train_val2018/Animalia/2/t1\.jpg")
    stray = annotations("t", {1: 2})
    stray["annotations"].append({"id": 1, "image_id": 99, "category_id": 2})
    refused(tmp_path, stray, good, r"train2018\.json: an annotation of image 99")
    unknown = annotations("t", {1: 2})
    unknown["annotations"][0]["category_id"] = 5
    refused(tmp_path, unknown, good, r"image 1 is of category 5, which is not")
    twice = annotations("t", {1: 2})
    twice["annotations"].append({"id": 1, "image_id": 1, "category_id": 7})
    refused(tmp_path, twice, good, r"image 1 has annotations of different categories")
    other = annotations("t", {1: 2})
    other["categories"] = [{"id": 2, "name": "a"}, {"id": 3, "name": "b"}]
    refused(tmp_path, other, good, r"train2018\.json and val2018\.json differ in 2 categories")


def test_files_that_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train2018\.json: cannot read it"):
        read_inaturalist(tmp_path, 2018)
    refused(tmp_path, ["a"], {}, r"train2018\.json: no list of images and of annotations and of categories")
    refused(tmp_path, {"images": [], "categories": []}, {}, "no list of annotations")
    keyless = annotations("t", {1: 2})
    del keyless["images"][0]["file_name"]
    refused(tmp_path, keyless, annotations("v", {3: 2}), r"an entry without id and file_name \(\{'id': 1, 'width'")
    keyless["images"] = [["id", 1]]
    refused(tmp_path, keyless, annotations("v", {3: 2}), r"an entry without id and file_name \(\['id', 1\]\)")
    keyless["categories"] = [{"id": [2], "name": "a"}]
    refused(tmp_path, keyless, annotations("v", {3: 2}), r"an entry without id and name")
    (tmp_path / "train2018.json").write_text('{"images": [')
    with pytest.raises(UserError, match=r"cannot read it \(Expecting"):
        read_inaturalist(tmp_path, 2018)
