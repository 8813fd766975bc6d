import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transferbench.data.image_set import ArrayImages, FolderImages, Splits
from transferbench.data.target_check import absent_files, differences, one_class_only
from transferbench.data.target_table import TARGETS, KnownClasses, Published


def images(*labels: object, classes: str = "abc") -> ArrayImages:
    return ArrayImages(np.zeros((len(labels), 2, 2), dtype=np.uint8), np.array(labels, dtype=np.int64), classes)


WHOLE = Splits(images(0, 1, 2, 2), images(0, 1, 2))
PUBLISHED = Published(3, 4, 3, lambda: WHOLE)


def test_a_set_as_published() -> None:
    assert differences(WHOLE, PUBLISHED, {}) == []
    assert one_class_only(WHOLE) is None


def test_counts_say_by_how_much() -> None:
    assert differences(WHOLE, replace(PUBLISHED, classes=5, trainval=1204, test=2), {}) == [
        "3 classes, published 5 (2 fewer)",
        "4 trainval images, published 1,204 (1,200 fewer)",
        "3 test images, published 2 (1 more)",
    ]


def test_classes_without_images() -> None:
    lacking = Splits(images(0, 2, 2, 2), images(0, 0, 0))
    assert differences(lacking, PUBLISHED, {}) == [
        "no trainval images of class b",
        "no test images of 2 classes (b, c)",
    ]
    several = Splits(images([1, 0, -1], [0, 1, 0], [1, 1, 0], [0, 0, 0]), images([1, 1, 1], [0, 0, 0], [0, 0, 0]))
    assert differences(several, PUBLISHED, {}) == ["no trainval images of class c"]


def test_nothing_to_tell_apart() -> None:
    assert one_class_only(Splits(images(1, 1), images(1))) == "its trainval images are of one class only (b)"
    assert one_class_only(Splits(images(0, 1), images())) == "it has no test images"
    column = images([1], [0], classes="a")
    assert one_class_only(Splits(column, column)) == "its trainval images are of one class only (a)"


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    for name in ("1.jpg", "a/2.jpg", "a/deep/3.jpg"):
        (tmp_path / name).touch()
    names = ["1.jpg", "a/2.jpg", "a/deep/3.jpg", "a/4.jpg", "gone/5.jpg"]
    listed = FolderImages(tmp_path, names, [0, 0, 1, 2, 2], "abc")
    assert absent_files(listed) == ["a/4.jpg", "gone/5.jpg"]
    assert differences(Splits(listed, WHOLE.test), replace(PUBLISHED, trainval=5), {}) == [
        "2 of 5 trainval images are not on disk, such as a/4.jpg"
    ]


def test_images_of_both_parts(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.jpg").touch()
    train = FolderImages(tmp_path, [f"{number}.jpg" for number in range(4)], [0, 1, 2, 2], "abc")
    test = FolderImages(tmp_path, ["5.jpg", "3.jpg", "2.jpg"], [0, 1, 2], "abc")
    assert differences(Splits(train, test), PUBLISHED, {}) == [
        "2 images are for training and for testing, such as 2.jpg"
    ]


def test_classes_of_another_set() -> None:
    def known(classes: str) -> KnownClasses:
        return KnownClasses(classes[0], classes[-1], hashlib.sha256("\n".join(classes).encode()).hexdigest()[:16])

    own = replace(PUBLISHED, known=known("abc"))
    others = {"first": own, "second": replace(PUBLISHED, known=known("axc"))}
    assert differences(WHOLE, own, others) == []
    swapped = Splits(images(0, 1, 2, 2, classes="axc"), images(0, 1, 2, classes="axc"))
    assert differences(swapped, own, others) == ["its classes are those of second"]
    strange = Splits(images(0, 1, 2, 2, classes="ayz"), images(0, 1, 2, classes="ayz"))
    assert differences(strange, own, others) == ["its classes are not the published ones (a to z, published a to c)"]
    ends = replace(PUBLISHED, known=KnownClasses("a", "c"))
    assert differences(swapped, ends, {}) == []


@pytest.mark.parametrize("level", [1, 3, 5])
def test_published_levels_are_known(test_data: Path, level: int) -> None:
    wnids = (test_data / "cog" / f"level_{level}.txt").read_text().split()
    splits = Splits(images(0, 1, classes=wnids), images(0, 1, classes=wnids))  # type: ignore[arg-type]
    for other in range(1, 6):
        found = [phrase for phrase in differences(splits, TARGETS[f"cog_l{other}"], TARGETS) if "its classes" in phrase]
        assert found == ([] if other == level else [f"its classes are those of cog_l{level}"])
    changed = [*wnids[:500], "n99999999", *wnids[501:]]
    splits = Splits(images(0, 1, classes=changed), images(0, 1, classes=changed))  # type: ignore[arg-type]
    assert any("not the published ones" in phrase for phrase in differences(splits, TARGETS[f"cog_l{level}"], TARGETS))
