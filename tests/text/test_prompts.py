from __future__ import annotations

from pathlib import Path

import pytest

from transferbench.errors import UserError
from transferbench.text.prompts import fill, first_name, prompt_sets, read_prompts


def test_the_sets_that_come_along() -> None:
    assert prompt_sets() == ("clip_short", "photo")
    assert read_prompts("photo") == ("a photo of a {}.",)
    short = read_prompts("clip_short")
    assert len(set(short)) == 7
    assert short[0] == "itap of a {}."
    assert short[4] == "a {} in a video game."
    for name in prompt_sets():
        assert all(template.count("{}") == 1 for template in read_prompts(name))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_bytes("\ufeffein Bild von {}.\r\n\r\n  {}, gemalt \r\n".encode())
    assert read_prompts(str(file)) == ("ein Bild von {}.", "{}, gemalt")


def test_what_is_neither_set_nor_file_names_the_sets(tmp_path: Path) -> None:
    for name in ("phot", str(tmp_path), str(tmp_path / "none.txt"), "", "../prompt_sets/photo", "a\0b"):
        with pytest.raises(UserError, match=r"clip_short or photo, or a text file"):
            read_prompts(name)


@pytest.mark.parametrize(("line", "found"), [("a photo", "0 times"), ("{} beside {}", "2 times"), ("a {name}", "0")])
def test_a_line_without_exactly_one_gap_is_named(line: str, found: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(f"a {{}}\n\n{line}\n")
    with pytest.raises(UserError, match=rf"mine.txt, line 3: .*{found}"):
        read_prompts(str(file))


def test_files_that_say_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("\n \n")
    with pytest.raises(UserError, match="no template there"):
        read_prompts(str(file))
    file.write_bytes(b"a \xff {}")
    with pytest.raises(UserError, match="no UTF-8 text"):
        read_prompts(str(file))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("fire_truck", "fire truck"),
        ("fire truck, fire engine", "fire truck"),
        (" , great_white__shark ,man-eater", "great white shark"),
        ("T-shirt", "T-shirt"),
        ("_", ""),
    ],
)
def test_the_first_name_with_blanks(name: str, first: str) -> None:
    assert first_name(name) == first
    assert fill("a photo of the large {}.", name) == f"a photo of the large {first}."


def test_other_braces_are_left_alone() -> None:
    assert fill("{x} {} {0}", "a {} b") == "{x} a {} b {0}"
