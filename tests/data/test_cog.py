import logging
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transferbench.data import cog
from transferbench.data.cog import forget_split, read_level
from transferbench.errors import UserError

COUNTS = {"n00000003": 6, "n00000001": 4, "n00000002": 9, "n00000009": 5}
"""Images a concept; the last one is in no list."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ImageNet-21K of four concepts, with two test and at most five training images each."""
    monkeypatch.setattr(cog, "TEST", 2)
    monkeypatch.setattr(cog, "MOST", 5)
    for wnid, count in COUNTS.items():
        (tmp_path / "imagenet21k" / wnid).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (3, 2)).save(tmp_path / "imagenet21k" / wnid / f"{wnid}_{number}.JPEG")
    (tmp_path / "cog").mkdir()
    (tmp_path / "cog" / "level_4.txt").write_text("n00000003\nn00000001\n\nn00000002\n")
    forget_split()
    return tmp_path


def write_mapping(root: Path, levels: object) -> None:
    (root / "cog" / "cog_levels_mapping_file.pkl").write_bytes(pickle.dumps(levels))


def write_split(root: Path, split: object) -> None:
    (root / "cog" / "cog_concepts_split_file.pkl").write_bytes(pickle.dumps(split))


def test_without_the_official_split_one_is_drawn_and_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    splits = read_level(root, 4, seed=0)
    assert splits.train.classes == ("n00000001", "n00000002", "n00000003")
    assert np.bincount(splits.train.labels).tolist() == [2, 5, 4]  # min(n - 2, 5)
    assert np.bincount(splits.test.labels).tolist() == [2, 2, 2]
    assert not set(splits.train.names) & set(splits.test.names)
    assert all(name.startswith(f"{splits.test.classes[y]}/") for name, y in zip(splits.test.names, splits.test.labels))
    assert read_level(root, 4, seed=0).test.names == splits.test.names != read_level(root, 4, seed=1).test.names
    assert splits.test.image(0).size == (3, 2)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert "2 test images a concept are drawn from seed 0: they are not the published ones" in caplog.text


def official(slash: str) -> dict[str, dict[str, np.ndarray]]:
    def paths(wnid: str, numbers: range) -> np.ndarray:
        return np.array([f"{slash}{wnid}/{wnid}_{number}.JPEG" for number in numbers])

    return {
        wnid: {"train": paths(wnid, range(count - 1, 1, -1)), "test": paths(wnid, range(2))}
        for wnid, count in COUNTS.items()
    }


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_official_split(root: Path, caplog: pytest.LogCaptureFixture, slash: str) -> None:
    write_split(root, official(slash))
    (root / "cog" / "level_4.txt").unlink()
    write_mapping(
        root, [["n00000004"], ["n00000005"], ["n00000006"], ["n00000003", "n00000001"], ["n00000002", "n00000009"]]
    )
    splits = read_level(root, 4, seed=0)
    assert splits.train.classes == ("n00000001", "n00000003")
    assert splits.train.names == tuple(
        f"{wnid}/{wnid}_{number}.JPEG"
        for wnid, last in (("n00000001", 4), ("n00000003", 6))
        for number in range(2, last)
    )
    assert Counter(splits.test.labels.tolist()) == {0: 2, 1: 2}
    assert read_level(root, 5, seed=0).train.classes == ("n00000002", "n00000009")
    assert splits.test.image(3).size == (3, 2)
    assert not caplog.records


def test_the_official_split_is_read_once_for_all_levels(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(root, official(""))
    (root / "cog" / "level_5.txt").write_text("n00000009\n")
    read: list[Path] = []
    monkeypatch.setattr(cog, "unpickle", lambda path: read.append(path) or official(""))
    read_level(root, 4, 0)
    read_level(root, 5, 0)
    assert [path.name for path in read] == ["cog_concepts_split_file.pkl"]
    forget_split()
    read_level(root, 5, 0)
    assert len(read) == 2


def test_a_split_of_another_benchmark(root: Path) -> None:
    split = official("")
    del split["n00000002"]
    write_split(root, split)
    with pytest.raises(UserError, match=r"cog_concepts_split_file\.pkl: no train images of concept n00000002"):
        read_level(root, 4, 0)
    write_split(root, [1, 2])
    forget_split()
    with pytest.raises(UserError, match=r"split_file\.pkl: expected a dict of wnid"):
        read_level(root, 4, 0)


def test_a_level_file_of_another_benchmark(root: Path) -> None:
    level = root / "cog" / "level_4.txt"
    level.write_text("n00000001\nn07777777\nn08888888\n")
    with pytest.raises(
        UserError, match=r"level_4\.txt: 2 of 3 concepts have no folder in .*such as n07777777; .*level 4"
    ):
        read_level(root, 4, 0)
    level.write_text("abbey\nbar\n")
    with pytest.raises(UserError, match=r"level_4\.txt, line 1: found 'abbey', expected a wnid"):
        read_level(root, 4, 0)


def test_mappings_that_are_none(root: Path) -> None:
    with pytest.raises(UserError, match=r"cog_levels_mapping_file\.pkl: cannot read it"):
        read_level(root, 2, 0)
    write_mapping(root, [["n00000001"]])
    with pytest.raises(UserError, match=r"mapping_file\.pkl: 1 levels, none of them 2; expected the five"):
        read_level(root, 2, 0)


def test_a_concept_with_too_few_images(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cog, "TEST", 5)
    with pytest.raises(UserError, match=r"1 class has fewer images than the split needs: n00000001 \(4 of 6\)"):
        read_level(root, 4, 0)
