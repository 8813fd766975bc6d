"""Which words of a caption are nouns, adjectives and verbs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from transferbench.errors import UserError
from transferbench.text.lexicon import Lexicon, Tag, read_lexicon
from transferbench.text.words import is_word

PLACES = (
    "/usr/share/wordnet",
    "/usr/local/share/wordnet",
    "/usr/share/nltk_data/corpora/wordnet",
    "~/nltk_data/corpora/wordnet",
)
WORDS = Path(__file__).with_name("function_words.txt")
"""Words that are none of the three, a group a line: determiners, particles, and those that stand before verbs."""


def _groups() -> list[frozenset[str]]:
    return [frozenset(line.split()) for line in WORDS.read_text(encoding="utf-8").splitlines()]


DETERMINERS, PARTICLES, BEFORE_VERB = _groups()
FUNCTION = DETERMINERS | PARTICLES


class Tagger(Protocol):
    """Gives every word of a caption its part of speech."""

    @property
    def name(self) -> str:
        """What it is, for a report."""

    def tag(self, words: Sequence[str]) -> list[Tag]:
        """Return a tag for each of ``words``, lower-case and in the order of the caption."""

    def lemma(self, word: str, tag: Tag) -> str:
        """Return the lemma of a word that was given ``tag``."""


class LexiconTagger:
    """Tag by WordNet's index files: what a word can be, what it mostly is, and its neighbours.

    Among the parts of speech that a word can be, the one it was most often met as in SemCor wins, unless the words
    beside it say otherwise: behind a determiner stands a noun, or an adjective before another noun; a form in -ing or
    -ed behind a form of "to be" is a verb.
    """

    def __init__(self, lexicon: Lexicon, folder: Path | str = "") -> None:
        self.lexicon = lexicon
        self.name = f"WordNet's index files in {folder}" if folder else "WordNet's index files"

    def tag(self, words: Sequence[str]) -> list[Tag]:
        """Return a tag for each of ``words``."""
        readings = [{} if w in FUNCTION or not is_word(w) else self.lexicon.readings(w) for w in words]
        return [self._one(words, readings, i) for i in range(len(words))]

    def _one(self, words: Sequence[str], readings: Sequence[dict[Tag, str]], i: int) -> Tag:
        can = readings[i]
        if not can:
            return "other"
        noun_follows = i + 1 < len(words) and "noun" in readings[i + 1] and not _is_plain_verb(readings[i + 1])
        before = words[i - 1] if i else ""
        if before in BEFORE_VERB and "verb" in can and words[i].endswith(("ing", "ed")) and not noun_follows:
            return "verb"
        if noun_follows and "adjective" in can:
            return "adjective"
        if (before in DETERMINERS or (i and readings[i - 1] and "adjective" in readings[i - 1])) and "noun" in can:
            return "noun"
        return max(can, key=lambda tag: (self.lexicon.counts.get((can[tag], tag), 0), tag == "noun"))

    def lemma(self, word: str, tag: Tag) -> str:
        """Return the lemma of a word that was given ``tag``."""
        return self.lexicon.lemma(word, tag) or word


def _is_plain_verb(readings: dict[Tag, str]) -> bool:
    return set(readings) == {"verb"}


class NltkTagger:
    """Tag with nltk's averaged perceptron, trained on newspapers; lemmas by the lexicon where there is one."""

    name = "nltk's averaged perceptron tagger"
    TAGS: ClassVar[dict[str, Tag]] = {"NN": "noun", "JJ": "adjective", "VB": "verb"}

    def __init__(self, lexicon: Lexicon | None) -> None:
        from nltk.tag import PerceptronTagger

        self.perceptron = PerceptronTagger()
        self.lexicon = lexicon

    def tag(self, words: Sequence[str]) -> list[Tag]:
        """Return a tag for each of ``words``."""
        return [self.TAGS.get(found[:2], "other") for _, found in self.perceptron.tag(list(words))]

    def lemma(self, word: str, tag: Tag) -> str:
        """Return the lemma of a word, the word itself where no lexicon knows better."""
        return (self.lexicon.lemma(word, tag) if self.lexicon else None) or word


def find_tagger(folder: Path | str | None = None) -> Tagger:
    """Return the tagger that this machine has: of a named folder of index files, else nltk's, else WordNet's.

    Raises:
        UserError: there is neither.
    """
    if folder is not None:
        return LexiconTagger(read_lexicon(Path(folder).expanduser()), folder)
    places = [os.environ.get("WORDNET_DIR", ""), os.environ.get("WNSEARCHDIR", ""), *PLACES]
    found = next((Path(p).expanduser() for p in places if p and (Path(p).expanduser() / "index.noun").is_file()), None)
    lexicon = read_lexicon(found) if found else None
    try:
        return NltkTagger(lexicon)
    except LookupError:
        if lexicon is None or found is None:
            raise UserError(
                "no tagger of parts of speech is here: install WordNet (apt-get install wordnet-base), or nltk's data "
                "(python -m nltk.downloader averaged_perceptron_tagger_eng), or set data.wordnet=FOLDER"
            ) from None
        return LexiconTagger(lexicon, found)
