import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from transferbench.data.voc import CLASSES, read_voc
from transferbench.errors import UserError

OBJECTS = {
    "trainval": {"000005": [("chair", 0), ("chair", 1)], "000007": [("car", 0), ("dog", 1)], "000009": [("dog", 0)]},
    "test": {"000001": [("person", 0), ("dog", 0)], "000002": [("train", 1)]},
}


def make(root: Path) -> Path:
    """The official layout: an annotation an image, and the lists that follow from the annotations."""
    folder = root / "VOCdevkit" / "VOC2007"
    main = folder / "ImageSets" / "Main"
    for path in (main, folder / "Annotations", folder / "JPEGImages"):
        path.mkdir(parents=True)
    for part, images in OBJECTS.items():
        (main / f"{part}.txt").write_text("".join(f"{image}\n" for image in images))
        for image, objects in images.items():
            Image.new("RGB", (5, 4)).save(folder / "JPEGImages" / f"{image}.jpg")
            found = "".join(
                f"<object><name>{name}</name><difficult>{difficult}</difficult></object>" for name, difficult in objects
            )
            (folder / "Annotations" / f"{image}.xml").write_text(f"<annotation>{found}</annotation>")
        for name in CLASSES:
            lines = []
            for image, objects in images.items():
                hard = [difficult for shown, difficult in objects if shown == name]
                word = "-1" if not hard else " 0" if all(hard) else " 1"
                lines.append(f"{image} {word}\n")
            (main / f"{name}_{part}.txt").write_text("".join(lines))
    return folder


def from_xml(annotation: Path) -> list[int]:
    row = [0] * 20
    for element in ET.parse(annotation).getroot().iter("object"):
        column = CLASSES.index(str(element.findtext("name")))
        if element.findtext("difficult") == "0":
            row[column] = 1
        elif row[column] == 0:
            row[column] = -1
    return row


def test_the_lists_agree_with_the_annotations(tmp_path: Path) -> None:
    folder = make(tmp_path)
    splits = read_voc(folder)
    for part, images in (("trainval", splits.train), ("test", splits.test)):
        reference = torchvision.datasets.VOCDetection(str(tmp_path), "2007", part)
        assert images.multi_label
        assert images.labels.shape == (len(reference), 20)
        assert images.labels.tolist() == [from_xml(Path(path)) for path in reference.annotations]
        assert [str(folder / name) for name in images.names] == reference.images
    assert splits.train.labels[1, CLASSES.index("dog")] == -1
    assert splits.test.labels.sum(axis=1).tolist() == [2, -1]
    assert splits.test.image(0).size == (5, 4)
    assert splits.train.classes == tuple(sorted(CLASSES))


def test_an_order_of_its_own_in_a_list_changes_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path)
    before = read_voc(folder).train.labels
    path = folder / "ImageSets" / "Main" / "dog_trainval.txt"
    path.write_text("\n".join(reversed(path.read_text().splitlines())))
    assert np.array_equal(read_voc(folder).train.labels, before)


def test_broken_lists(tmp_path: Path) -> None:
    folder = make(tmp_path)
    path = folder / "ImageSets" / "Main" / "dog_trainval.txt"
    good = path.read_text()
    path.write_text(good.replace("000007", "000008"))
    with pytest.raises(UserError, match=r"dog_trainval\.txt and aeroplane_trainval\.txt name different images"):
        read_voc(folder)
    path.write_text(good + "000010  2\n")
    with pytest.raises(UserError, match=r"dog_trainval\.txt, line 4: '000010  2'; expected an image and 1, -1 or 0"):
        read_voc(folder)
    path.unlink()
    with pytest.raises(UserError, match=r"dog_trainval\.txt: cannot read it"):
        read_voc(folder)
