import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transferbench.data import targets
from transferbench.data.class_split import REST
from transferbench.data.target_table import GROUPS, TARGETS
from transferbench.data.targets import Target, expand_names, missing_targets, read_targets
from transferbench.data.torchvision_reader import read_drawn
from transferbench.errors import UserError

VARIANTS = ("707-320", "Boeing 717", "F/A-18")


def aircraft(root: Path, train: tuple[int, ...] = (0, 1, 2, 2), test: tuple[int, ...] = (2, 0, 1)) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    (data / "images").mkdir(parents=True, exist_ok=True)
    (data / "variants.txt").write_text("".join(f"{name}\n" for name in VARIANTS))
    number = 0
    for part, labels in (("trainval", train), ("test", test)):
        lines = []
        for label in labels:
            number += 1
            lines.append(f"{number:07d} {VARIANTS[label]}\n")
            Image.new("RGB", (4, 3)).save(data / "images" / f"{number:07d}.jpg")
        (data / f"images_variant_{part}.txt").write_text("".join(lines))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish Aircraft with 3 classes, 4 trainval and 3 test images."""
    published = replace(TARGETS["aircraft"], classes=3, trainval=4, test=3)
    monkeypatch.setitem(TARGETS, "aircraft", published)


@pytest.mark.usefixtures("small")
def test_a_set_as_published(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    aircraft(tmp_path)
    read = read_targets(["aircraft", "digits", "aircraft"], tmp_path)
    assert list(read) == ["aircraft", "digits"]
    target = read["aircraft"]
    assert isinstance(target, Target)
    assert (target.solver, target.metric) == ("lbfgs", "top1")
    assert target.splits.test.labels.tolist() == [2, 0, 1]
    assert target.splits.test.classes == VARIANTS
    assert target.splits.train.image(3).size == (4, 3)
    assert not caplog.records


def test_digits_need_no_folder() -> None:
    first, second = (read_targets(["digits"], None, seed=seed)["digits"].splits.test.digest() for seed in (0, 1))
    assert first != second
    assert read_targets([], None) == {}


@pytest.mark.usefixtures("small")
def test_differences_are_an_error_or_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    aircraft(tmp_path, train=(0, 1, 2), test=(2, 0, 1, 1))
    (tmp_path / "fgvc-aircraft-2013b" / "data" / "images" / "0000004.jpg").unlink()
    told = (
        "aircraft is not as published: 3 trainval images, published 4 (1 fewer); 4 test images, published 3 (1 more); "
        "1 of 4 test images are not on disk, such as fgvc-aircraft-2013b/data/images/0000004.jpg"
    )
    with pytest.raises(UserError) as caught:
        read_targets(["aircraft", "digits"], tmp_path)
    assert str(caught.value) == f"{told}. Complete it, or set transfer.strict=false to go on with it as it is."
    assert not caplog.records
    assert len(read_targets(["aircraft"], tmp_path, strict=False)["aircraft"].splits.test) == 4
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, told)]


def test_missing_sets_are_all_listed_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "stanford_cars" / "devkit").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        read_targets(["dtd", "digits", "cars196", "cog_l2", "sun397", "svhn"], str(tmp_path))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"5 data sets are not below transfer.root={tmp_path}:"
    assert lines[1] == (
        f'  dtd: {tmp_path}/dtd/dtd/labels, {tmp_path}/dtd/dtd/images not found; run: python -c "import '
        f"torchvision.datasets as d; d.DTD('{tmp_path}', split='train', download=True)\""
    )
    assert lines[2].startswith(f"  cars196: {tmp_path}/stanford_cars/cars_train, ")
    assert f"{tmp_path}/stanford_cars/devkit/cars_meta.mat and 2 more not found; its own address" in lines[2]
    assert f"into {tmp_path}/stanford_cars" in lines[2]
    assert f"{tmp_path}/cog/level_2.txt or cog/cog_levels_mapping_file.pkl not found; put the folders" in lines[3]
    assert f"unpack http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz to {tmp_path}/SUN397" in lines[4]
    assert (
        f"d.SVHN('{tmp_path}/svhn', split='train', download=True); d.SVHN('{tmp_path}/svhn', split='test'" in lines[5]
    )
    assert lines[6] == ("Fetch what you want, leave the others out of transfer.datasets, or set transfer.missing=skip.")
    assert len(lines) == 7


def test_without_a_root(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UserError) as caught:
        read_targets(["digits", "svhn"], None)
    message = str(caught.value)
    assert message.startswith("1 data set is not there, for transfer.root is not set:\n  svhn: run: python")
    assert "d.SVHN('ROOT/svhn'" in message
    assert "Set transfer.root=ROOT to the folder that holds them." in message
    assert list(read_targets(["svhn", "digits", "cog"], None, missing="skip")) == ["digits"]
    assert [record.getMessage() for record in caplog.records] == [
        "data sets that are not there are left out of the evaluation: svhn, cog_l1, cog_l2, cog_l3, cog_l4, cog_l5"
    ]


def test_every_set_can_be_missing(tmp_path: Path) -> None:
    absent = missing_targets(list(TARGETS), tmp_path)
    assert set(absent) == set(TARGETS) - {"digits"}
    assert all(str(tmp_path) in told.partition("not found; ")[2] for told in absent.values())
    assert not any(tmp_path.iterdir())


def test_unknown_names() -> None:
    with pytest.raises(
        UserError, match=r"transfer\.datasets has 'Aircrafts', .*did you mean aircraft\?\n.*'qqqq'.*in1k"
    ):
        read_targets(["Aircrafts", "dtd", "qqqq"], None)
    with pytest.raises(UserError, match="'trex14', which is no data set; did you mean trex1"):
        expand_names(["trex14"])
    with pytest.raises(UserError, match=r"transfer\.datasets=dtd: expected a list, such as transfer\.datasets=\[dtd\]"):
        expand_names("dtd")
    with pytest.raises(UserError, match=r"transfer\.missing=ignore: expected one of error, skip"):
        read_targets([], None, missing="ignore")  # type: ignore[arg-type]


def test_groups_are_their_sets() -> None:
    assert expand_names(["dtd", "trex13", "cog"]) == ("dtd", *(name for name in GROUPS["trex13"] if name != "dtd"))


@pytest.mark.usefixtures("small")
def test_all_problems_come_at_once_and_name_the_right_setting(tmp_path: Path) -> None:
    aircraft(tmp_path, train=(1, 1, 1, 1))
    (tmp_path / "imagenet" / "train" / "n01440764").mkdir(parents=True)
    (tmp_path / "imagenet" / "val").mkdir()
    (tmp_path / "dtd" / "dtd" / "images").mkdir(parents=True)
    (tmp_path / "dtd" / "dtd" / "labels").mkdir()
    with pytest.raises(UserError) as caught:
        read_targets(["aircraft", "in1k", "dtd", "digits"], tmp_path, strict=False)
    first, second, third = str(caught.value).splitlines()
    assert first == (
        "aircraft: its trainval images are of one class only (Boeing 717); expected at least two classes with images."
    )
    assert second.startswith(f"in1k: {tmp_path}/imagenet/train holds one class folder only (n01440764)")
    assert "transfer.root=FOLDER" in second
    assert third.startswith(f"dtd: {tmp_path}: DTD is not there ")
    assert "data.root" not in str(caught.value)


def test_the_split_file_of_cog_is_let_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called: list[bool] = []
    monkeypatch.setattr(targets.cog, "forget_split", lambda: called.append(True))
    read_targets(["digits"], None)
    assert called == [True]


def test_a_level_file_of_another_level(tmp_path: Path, test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transferbench.data.cog.TEST", 1)
    wnids = (test_data / "cog" / "level_3.txt").read_text()
    (tmp_path / "cog").mkdir()
    (tmp_path / "cog" / "level_1.txt").write_text(wnids)
    for wnid in wnids.split():
        (tmp_path / "imagenet21k" / wnid).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "imagenet21k" / wnid / f"{number}.JPEG").touch()
    with pytest.raises(UserError) as caught:
        read_targets(["cog_l1"], tmp_path)
    assert str(caught.value) == (
        "cog_l1 is not as published: 1,000 trainval images, published 1,118,804 (1,117,804 fewer); 1,000 test images, "
        "published 50,000 (49,000 fewer); its classes are those of cog_l3. Complete it, or set transfer.strict=false "
        "to go on with it as it is."
    )


def test_real_photographs_in_the_layout_of_imagenet(tmp_path: Path, test_data: Path) -> None:
    (tmp_path / "imagenet").mkdir()
    (tmp_path / "imagenet" / "train").symlink_to(test_data / "cifar10-subset" / "train")
    (tmp_path / "imagenet" / "val").symlink_to(test_data / "cifar10-subset" / "test")
    with pytest.raises(UserError, match=r"in1k is .*: 10 classes, published 1,000 \(990 fewer\); 5,000 trainval"):
        read_targets(["in1k"], tmp_path)
    target = read_targets(["in1k"], tmp_path, strict=False)["in1k"]
    assert (len(target.splits.train), len(target.splits.test), target.solver) == (5000, 2000, "sgd")
    assert target.splits.test.image(0).size == (32, 32)


def test_real_handwriting_by_a_drawn_split(tmp_path: Path, test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eurosat" / "2750").mkdir(parents=True)
    characters = sorted((test_data / "omniglot-small").glob("*/*"))[:10]
    for character in characters:
        (tmp_path / "eurosat" / "2750" / f"{character.parent.name}-{character.name}").symlink_to(character)
    with pytest.raises(UserError, match=r"10 classes have fewer images .*\(20 of 1,351\).* 810 test, 540 val and at"):
        read_targets(["eurosat"], tmp_path, strict=False)
    scaled = replace(
        TARGETS["eurosat"], trainval=140, test=60,
        read=partial(read_drawn, "EuroSAT", sizes={"test": 6, "val": 4}, test="test"),
    )  # fmt: skip
    monkeypatch.setitem(TARGETS, "eurosat", scaled)
    splits = read_targets(["eurosat"], tmp_path, seed=5)["eurosat"].splits
    assert np.bincount(splits.test.labels).tolist() == [6] * 10
    assert np.bincount(splits.train.labels).tolist() == [14] * 10
    assert len({*splits.train.names, *splits.test.names}) == 200
    assert REST not in splits.train.classes
    assert read_targets(["eurosat"], tmp_path, seed=6)["eurosat"].splits.test.names != splits.test.names
