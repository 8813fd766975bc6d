import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from transferbench.concepts.lists import (
    MAPPING,
    check_known,
    imagenet1k,
    read_counts,
    read_drops,
    read_levels,
    read_seen,
    read_wnids,
)
from transferbench.errors import UserError

A, B, C = "n01322508", "n01440764", "n02084071"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_counts(tmp_path):
    file = written(tmp_path / "counts.csv", f"\ufeffname,images,wnid\nx,12, {A}\n\ny,0,{B}\n")
    assert read_counts(file) == {A: 12, B: 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: found '', expected a header with the columns wnid,images"),
        ("wnid,urls\n", "line 1: found 'wnid,urls', expected a header"),
        ("wnid,images\n", "no line below the header"),
        (f"wnid,images\n{A},5\n{B},-3\n", f"line 3: found '-3' images of {B}, expected a whole number"),
        (f"wnid,images\n{A},5.5\n", "line 2: found '5.5'"),
        (f"wnid,images\n{A}\n", r"line 2: found 1 columns, expected 2 \(wnid,images\)"),
        ("wnid,images\ntench,5\n", "line 2: found 'tench', expected a wnid such as n01322508"),
        (f"wnid,images\n{A},5\n\n{A},6\n", f"line 4: {A} stands there a second time"),
    ],
)
def test_broken_counts_name_the_line(tmp_path, text, message):
    file = written(tmp_path / "counts.csv", text)
    with pytest.raises(UserError, match=f"{file}.*{message}"):
        read_counts(file)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv: cannot read it \(No such file or directory\); expected a CSV"):
        read_counts(tmp_path / "nowhere.csv")
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UserError, match=r"cannot read it \(not a text file\); expected a wnid a line"):
        read_wnids(tmp_path / "picture.jpg")


def test_wnids(tmp_path):
    file = written(tmp_path / "list.txt", f"# by hand\n{B}  tench, a fish\n\n {A}\n")
    assert read_wnids(file) == (B, A)
    with pytest.raises(UserError, match=r"line 2: found 'n144', expected a wnid"):
        read_wnids(written(file, f"{A}\nn144\n"))
    with pytest.raises(UserError, match="no wnid in it"):
        read_wnids(written(file, "# nothing\n"))


def test_seen(tmp_path):
    assert read_seen([A, B]) == (A, B)
    assert read_seen(str(written(tmp_path / "seen.txt", f"{B}\n{A}\n"))) == (B, A)
    (tmp_path / "train" / B).mkdir(parents=True)
    (tmp_path / "train" / "tars").mkdir()
    assert read_seen(str(tmp_path / "train")) == (B,)
    with pytest.raises(UserError, match="no folder with a wnid as its name"):
        read_seen(str(tmp_path))
    assert read_seen("imagenet1k") == imagenet1k() and len(imagenet1k()) == 1000 and imagenet1k()[0] == "n01440764"


def test_drops(tmp_path, wordnet):
    """The known ones are what they say, and a file is read as any list."""
    known = read_drops("cog")
    assert len(known) == len(set(known)) == 49
    names = {name for wnid in known for name in wordnet.names(wnid)}
    assert {"backspace key", "first base", "used-car", "Neandertal man", "benthos", "piaffe", "core"} <= names
    assert read_drops(str(written(tmp_path / "mine.txt", f"{A}\n"))) == (A,)


def test_levels_of_a_folder(tmp_path):
    written(tmp_path / "level_1.txt", f"{B}\n{A}\n")
    written(tmp_path / "level_3.txt", f"{C}\n")
    written(tmp_path / "level_1_train.txt", "no list of wnids")
    assert read_levels(tmp_path) == {1: (A, B), 3: (C,)}
    written(tmp_path / "level_3.txt", f"{C}\n{B}\n")
    with pytest.raises(UserError, match=f"{B} of level 3 stand in level 1 too"):
        read_levels(tmp_path)


@pytest.mark.parametrize("protocol", [2, 4])
def test_levels_of_the_official_mapping(tmp_path, protocol):
    """A list of lists of wnids, perhaps as arrays; found by its name in a folder."""
    file = tmp_path / MAPPING
    file.write_bytes(pickle.dumps([[B, A], np.array([C])], protocol))
    assert read_levels(file) == read_levels(tmp_path) == {1: (A, B), 2: (C,)}


class Hostile:
    def __reduce__(self):
        return (open, ("level_1.txt", "w"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([[A], Hostile()], r"refused, for it names (io|_io)\.open, which could run code"),
        ({"level": [A]}, "found a dict, expected a list of lists of wnids"),
        ([], "found a list, expected a list of lists"),
        ([[A], []], "list 2: no wnid in it"),
        ([5], "list 1: no wnid in it"),
        ([A, B], "list 1: found 'n', expected a wnid"),
        ([[A, A]], f"list 1: {A} stands there a second time"),
        ([[A], [B, A]], f"{A} of level 2 stand in level 1 too"),
    ],
)
def test_other_pickles_are_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "levels.pkl"
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=f"{file}.*{message}"):
        read_levels(file)
    assert list(tmp_path.iterdir()) == [file]


def test_no_levels(tmp_path):
    with pytest.raises(UserError, match=rf"no level_<k>\.txt and no {MAPPING} in it"):
        read_levels(tmp_path)
    with pytest.raises(UserError, match=r"nowhere: cannot read it"):
        read_levels(tmp_path / "nowhere")


def test_unknown_wnids_are_counted_and_named(world_tree):
    wordnet, leaves = world_tree
    check_known(leaves, wordnet, "mine")
    strange = [f"n9000000{n}" for n in range(7)]
    with pytest.raises(
        UserError, match=r"mine: 7 of 9 wnids are no noun synsets of .* \(n90000000, .*, n90000004 and 2 more\)"
    ):
        check_known([*leaves[:2], *strange], wordnet, "mine")


def test_published_lists_are_read_whole(cog_levels, test_data):
    levels = read_levels(test_data / "cog")
    assert {level: list(wnids) for level, wnids in levels.items()} == cog_levels
    assert hashlib.sha256("\n".join(levels[3]).encode()).hexdigest()[:16] == "74945b88f4385980"
