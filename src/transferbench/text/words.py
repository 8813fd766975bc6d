"""The words and the punctuation of a caption: the units that are tagged, masked and counted."""

from __future__ import annotations

import re

from transferbench.text.normalise import normalise

_LETTERS = r"[^\W_]+"
_CLITIC = r"['’](?:s|re|ve|ll|d|m|t)(?!\w)"
_WORD = re.compile(rf"{_LETTERS}(?:-{_LETTERS})*|{_CLITIC}|[^\s]")


def split_words(text: str) -> list[str]:
    """Return the words and punctuation marks of ``text``, which is normalised first.

    Inner hyphens stay (``"t-shirt"``), endings behind an apostrophe stand alone (``"man's"`` -> ``"man", "'s"``), every
    other character that is neither letter, digit nor white space is a word of its own. Nothing is lost: the words
    joined are the normalised text without its blanks.
    """
    return _WORD.findall(normalise(text))


def split_spaced(text: str) -> list[str]:
    """Return the words of :func:`split_words`, each with one blank before it where white space or the start is."""
    clean = normalise(text)
    return [
        f" {m.group()}" if m.start() == 0 or clean[m.start() - 1] == " " else m.group() for m in _WORD.finditer(clean)
    ]


def is_word(word: str) -> bool:
    """Whether ``word`` holds a letter or a digit, so is no punctuation mark."""
    return any(c.isalnum() for c in word)
