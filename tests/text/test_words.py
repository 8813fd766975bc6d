import random

import pytest

from transferbench.text.normalise import normalise
from transferbench.text.words import is_word, split_spaced, split_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man, riding.", ["a", "man", ",", "riding", "."]),
        ("The dog's t-shirt isn't red", ["the", "dog", "'s", "t-shirt", "isn", "'t", "red"]),
        ("'sad' o'clock", ["'", "sad", "'", "o", "'", "clock"]),
        ("a--b -c d-", ["a", "-", "-", "b", "-", "c", "d", "-"]),
        ("snake_case 3.5", ["snake", "_", "case", "3", ".", "5"]),
        ("🙂🙂!", ["🙂", "🙂", "!"]),
        ("", []),
        (" \n", []),
        ("...", [".", ".", "."]),
    ],
)
def test_splits_by_hand(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


def test_nothing_is_lost_and_blanks_stand_where_they_stood() -> None:
    draw = random.Random(0)
    letters = "abÉ'’-_.,! \t🙂日１½́\u200d\ufe0f"
    for _ in range(2000):
        text = "".join(draw.choices(letters, k=draw.randint(0, 12)))
        assert "".join(split_words(text)) == normalise(text).replace(" ", "")
        assert "".join(split_spaced(text)).removeprefix(" ") == normalise(text)
        assert [word.strip() for word in split_spaced(text)] == split_words(text)


def test_punctuation_is_no_word() -> None:
    assert [is_word(word) for word in ("dog", "'s", "3", ".", "🙂", "-")] == [True, True, True, False, False, False]
