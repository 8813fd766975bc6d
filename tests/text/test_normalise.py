import sys
import unicodedata

import pytest

from transferbench.text.normalise import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A Café\tnaïve\n  test ", "a cafe naive test"),
        ("ﬁne № ½", "fine no 1⁄2"),
        ("İstanbul ÅNGSTRÖM ß", "istanbul angstrom ß"),
        ("", ""),
        (" \u00a0\u2003 ", ""),
        ("broken \ud83d half", "broken half"),
        ("🙂 smile", "🙂 smile"),
    ],
)
def test_normalises_by_hand(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_every_character_is_done_after_one_pass_and_can_be_stored() -> None:
    for code in range(sys.maxunicode + 1):
        once = normalise(chr(code))
        assert normalise(once) == once
        assert not any(unicodedata.combining(c) for c in once)
        once.encode("utf-8")


def test_ascii_takes_the_same_steps() -> None:
    text = "".join(map(chr, range(128))) + " A  B"
    assert normalise(text + "é") == normalise(text) + "e"
