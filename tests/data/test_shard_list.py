import json
from pathlib import Path

import pytest

from transferbench.data.shard_list import count_samples, expand_braces, find_shards
from transferbench.errors import UserError


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{08..11}.tar", ["08.tar", "09.tar", "10.tar", "11.tar"]),
        ("{8..10}", ["8", "9", "10"]),
        ("{b,a}/{0..1}.tar", ["b/0.tar", "b/1.tar", "a/0.tar", "a/1.tar"]),
        ("x{,y}", ["x", "xy"]),
        ("{000..000}", ["000"]),
    ],
)
def test_braces(pattern: str, names: list[str]) -> None:
    assert expand_braces(pattern) == names


@pytest.mark.parametrize(
    "pattern",
    ["{0..1", "0..1}", "{{0..1}}", "{}", "{a}", "{5..1}", "{0..999999999999999}", "{0..999}{0..999}{0..9}", "{a..c}"],
)
def test_braces_that_say_nothing_are_refused(pattern: str) -> None:
    with pytest.raises(UserError, match=r"data\.shards: "):
        expand_braces(pattern)


def make(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_sources_are_folders_and_patterns(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", "1.tar", "0.tar", "sizes.json"), make(tmp_path / "two", "a.tar", "b.tar")
    found = find_shards(f"{two}/{{b,a}}.tar :: {one}")
    assert found == [[two / "b.tar", two / "a.tar"], [one / "0.tar", one / "1.tar"]]
    for sources, message in (
        (f"{one}/{{0..4}}.tar", r"2\.tar: no such file \(3 of 5 shards are missing\)"),
        (f"{one}::", "names no shard"),
        ("https://x/{0..1}.tar", "only files are read"),
        ("pipe:cat x", "only files are read"),
        (str(make(tmp_path / "empty")), r"no \.tar files in it"),
    ):
        with pytest.raises(UserError, match=message):
            find_shards(sources)


def test_sizes_by_the_name_of_the_shard(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", "0.tar", "1.tar", "2.tar")
    (folder / "sizes.json").write_text(json.dumps({"0.tar": 5, "1.tar": 7}))
    assert count_samples([folder / "0.tar", folder / "1.tar"]) == 12
    with pytest.raises(UserError, match=r"no number of samples for 2\.tar\. Set data\.samples=N"):
        count_samples([folder / "2.tar"])
    (folder / "sizes.json").write_text("[")
    with pytest.raises(UserError, match=r"sizes\.json: broken JSON at line 1.*data\.samples=N"):
        count_samples([folder / "0.tar"])


def test_the_length_of_a_whole_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", "0.tar", "1.tar")
    both = [folder / "0.tar", folder / "1.tar"]
    with pytest.raises(UserError, match=r"neither sizes\.json nor __len__ .*data\.samples=N"):
        count_samples(both)
    (folder / "__len__").write_text("41\n")
    assert count_samples(both) == 41
    assert count_samples(both + both) == 82
    with pytest.raises(UserError, match=r"counts 2 shards, of which 1 are named"):
        count_samples(both[:1])
    (folder / "__len__").write_text("many")
    with pytest.raises(UserError, match=r"'many' is no number of samples"):
        count_samples(both)
