import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from transferbench.data.captions import Box
from transferbench.data.visual_genome import read_visual_genome
from transferbench.errors import UserError

DATA = [
    {"image_id": 1, "url": "https://x.edu/VG_100K_2/1.jpg", "width": 20, "height": 10, "coco_id": None},
    {"image_id": 2, "url": "https://x.edu/VG_100K/2.jpg", "width": 20, "height": 10, "coco_id": 139},
    {"image_id": 5, "width": 20, "height": 10, "coco_id": 7},
]


def region(number: int, image: int, phrase: Any, *box: Any) -> dict[str, Any]:
    x, y, width, height = box or (1, 1, 4, 4)
    return {"region_id": number, "image_id": image, "x": x, "y": y, "width": width, "height": height, "phrase": phrase}


REGIONS = [
    {"id": 2, "regions": [region(11, 2, "the clock\nis green"), region(12, 2, "a tree", -3, 4, 50, 50)]},
    {"id": 1, "regions": [region(13, 1, "a red car")]},
    {"id": 5, "regions": [region(14, 5, "a dog")]},
]


def make(root: Path, data: list[Any] = DATA, regions: list[Any] = REGIONS) -> Path:
    for folder, number in (("VG_100K_2", 1), ("VG_100K", 2), ("VG_100K_2", 5)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(root / folder / f"{number}.jpg")
    (root / "image_data.json").write_text(json.dumps(data))
    (root / "region_descriptions.json").write_text(json.dumps(regions))
    return root


def test_phrases_are_captions_with_boxes(tmp_path: Path) -> None:
    records = read_visual_genome(make(tmp_path))
    assert records.ids == (2, 1, 5)
    assert records.images.names == ("VG_100K/2.jpg", "VG_100K_2/1.jpg", "VG_100K_2/5.jpg")
    assert records.captions == (("the clock is green", "a tree"), ("a red car",), ("a dog",))
    assert records.boxes is not None
    assert records.boxes[0] == (Box(0, 1, 1, 5, 5), Box(1, 0, 4, 20, 10))
    assert records.tags is None
    assert records.sizes == ((20, 10),) * 3
    assert records.skipped == {}


def test_the_older_dump_reads_the_same(tmp_path: Path) -> None:
    new = read_visual_genome(make(tmp_path / "new"))
    old_regions = []
    for entry in REGIONS:
        inner = []
        for found in entry["regions"]:  # type: ignore[attr-defined]
            kept = {key: value for key, value in found.items() if key not in ("image_id", "region_id")}
            inner.append({**kept, "id": found["region_id"], "synsets": []})
        old_regions.append({"image_id": entry["id"], "regions": inner})
    old_data = [{"id" if key == "image_id" else key: value for key, value in entry.items()} for entry in DATA]
    old = read_visual_genome(make(tmp_path / "old", old_data, old_regions))
    assert (old.ids, old.captions, old.boxes) == (new.ids, new.captions, new.boxes)


def test_coco_images_can_be_left_out(tmp_path: Path) -> None:
    records = read_visual_genome(make(tmp_path), exclude_coco=[139, 999])
    assert records.ids == (1, 5)
    assert records.skipped == {"image excluded by its COCO id": 1}
    bare = [{key: value for key, value in entry.items() if key != "coco_id"} for entry in DATA]
    with pytest.raises(UserError, match=r"image_data\.json: no coco_id in any entry"):
        read_visual_genome(make(tmp_path, bare), exclude_coco=[139])


def test_flaws_are_counted(tmp_path: Path) -> None:
    more = [
        {"id": 1, "regions": [region(13, 1, "13 again"), region(20, 1, ""), region(21, 1, None), "text"]},
        {"id": 1, "regions": [region(22, 1, "no box", None, 1, 1, 1), region(23, 1, "far away", 90, 1, 5, 5)]},
        {"id": 77, "regions": [region(24, 77, "unknown")]},
        {"id": 8, "regions": [region(25, 8, "missing")]},
        {"id": 1, "regions": None},
    ]
    data = [*DATA, DATA[0], {"image_id": 8}, {"width": 3}]
    records = read_visual_genome(make(tmp_path, data, [*REGIONS, *more]))
    assert records.captions[1] == ("a red car", "no box", "far away")
    assert records.boxes is not None and [box.tag for box in records.boxes[1]] == [0]
    assert records.skipped == {
        "duplicated image id": 1,
        "image missing": 1,
        "image without id": 1,
        "duplicated region id": 1,
        "empty caption": 1,
        "caption is no text": 1,
        "region without image": 1,
        "box empty, broken or outside the image": 2,
        "region of an image not listed": 1,
        "entry without regions": 1,
    }


def test_broken_files_end_in_a_sentence(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "region_descriptions.json").write_text('{"id": 1}')
    with pytest.raises(UserError, match=r"region_descriptions\.json: no list; .*data\.root=FOLDER"):
        read_visual_genome(tmp_path)
    (tmp_path / "image_data.json").unlink()
    with pytest.raises(UserError, match=r"image_data\.json: cannot read it \(No such file or directory\)"):
        read_visual_genome(tmp_path)
