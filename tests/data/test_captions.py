import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transferbench.data.annotation_files import Skipped
from transferbench.data.captions import Box, CaptionRecords, ImageFacts, clean_caption, clipped, records_of
from transferbench.data.image_lookup import ImageLookup
from transferbench.data.image_set import ArrayImages
from transferbench.errors import UserError

IMAGES = ArrayImages(np.zeros((2, 4, 4, 3), dtype=np.uint8), [0, 1], ())


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  A  dog\r\n\truns. ", "A dog runs."),
        ("caf\u00e9 \u2615 \U0001f469\u200d\U0001f680", "caf\u00e9 \u2615 \U0001f469\u200d\U0001f680"),
        ("\ufeffA\x00 cat\x07", "A cat"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("\ud83d\ude00 whole", "\U0001f600 whole"),
        ("\u200b\u200d", ""),
        ("\n \u00a0", ""),
    ],
)
def test_captions_are_cleaned(text: str, cleaned: str) -> None:
    assert clean_caption(text) == cleaned
    clean_caption(text).encode("utf-8")


def test_boxes_are_clipped_to_an_image_of_known_size() -> None:
    assert clipped(Box(1, -3, 2, 50, 8), (10, 6)) == Box(1, 0, 2, 10, 6)
    assert clipped(Box(1, 10, 0, 12, 3), (10, 6)) is None
    assert clipped(Box(1, 5, 5, 5, 6), (10, 6)) is None
    assert clipped(Box(1, -3, 2, 50, 8), (0, 0)) == Box(1, 0, 2, 50, 8)


def test_records_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 images, but \[1, 2, None, None, None\] rows"):
        CaptionRecords(IMAGES, (("one",),), (1, 2))


def test_the_digest_follows_every_part_and_the_records_survive_a_worker() -> None:
    records = CaptionRecords(IMAGES, (("a",), ("b",)), (1, "two"), ("dog",), (frozenset({0}), frozenset()))
    others = [
        CaptionRecords(IMAGES, (("a",), ("c",)), (1, "two"), ("dog",), (frozenset({0}), frozenset())),
        CaptionRecords(IMAGES, (("a",), ("b",)), (2, "two"), ("dog",), (frozenset({0}), frozenset())),
        CaptionRecords(IMAGES, (("a",), ("b",)), (1, "two"), ("cat",), (frozenset({0}), frozenset())),
        CaptionRecords(IMAGES, (("a",), ("b",)), (1, "two"), ("dog",), (frozenset(), frozenset())),
        CaptionRecords(IMAGES, (("a",), ("b",)), (1, "two")),
    ]
    assert len({found.digest() for found in [records, *others]}) == 6
    again = pickle.loads(pickle.dumps(records))
    assert again.captions == records.captions and again.digest() == records.digest() and len(again) == 2


def test_records_keep_the_order_and_leave_out_images_without_caption(tmp_path: Path) -> None:
    facts: dict[int | str, ImageFacts] = {
        7: ImageFacts("b.jpg", ["x"]),
        3: ImageFacts("c.jpg"),
        "q": ImageFacts("a.jpg", ["y"]),
    }
    records = records_of(ImageLookup(tmp_path, "Set it."), facts, Skipped("file"))
    assert records.ids == (7, "q")
    assert records.images.names == ("b.jpg", "a.jpg")
    assert records.skipped == {"image without caption": 1}


def test_lookup_finds_the_first_name_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "in" / "x.jpg").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(tmp_path / "in" / "y.jpg")
    lookup = ImageLookup(tmp_path, "Set it.")
    assert lookup.find(["in/x.jpg", "no/y.jpg", "", ".", "\x00", "in/\udfff", "./in//y.jpg"], "here") == "in/y.jpg"
    assert lookup.find([str(tmp_path / "in" / "y.jpg")], "here") == "in/y.jpg"
    assert lookup.find(["Y.JPG"], "here") is None
    for path in ("..", "in/../../y.jpg", "/y.jpg", f"{tmp_path}-2/y.jpg", f"{tmp_path}/../y.jpg"):
        with pytest.raises(UserError, match=r"here: the image path .* leads out of .*Set it\."):
            lookup.find([path], "here")
