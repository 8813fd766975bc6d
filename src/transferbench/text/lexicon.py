"""Parts of speech from WordNet's index files: what a word can be, and what it mostly is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from transferbench.errors import UserError

Tag: TypeAlias = Literal["noun", "adjective", "verb", "other"]

FILES: Mapping[Tag, str] = {"noun": "noun", "verb": "verb", "adjective": "adj"}
NUMBERS = {"1": "noun", "2": "verb", "3": "adjective", "4": "other", "5": "adjective"}  # of senses, senseidx(5WN)
ENDINGS: Mapping[Tag, tuple[tuple[str, str], ...]] = {  # morphy(7WN)
    "noun": (
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
        ("s", ""),
    ),
    "verb": (("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""), ("s", "")),
    "adjective": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
}


@dataclass(frozen=True)
class Lexicon:
    """The lemmas of each part of speech, their irregular forms, and how often each was met in tagged text.

    Attributes:
        lemmas: by part of speech; "other" holds the adverbs.
        irregular: by part of speech, form to lemma ("children": "child").
        counts: occurrences of (lemma, part of speech) in SemCor, as WordNet counts them.
    """

    lemmas: Mapping[str, frozenset[str]]
    irregular: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def lemma(self, word: str, tag: Tag) -> str | None:
        """Return the lemma of ``word`` as ``tag``, None if it cannot be one."""
        known = self.lemmas.get(tag, frozenset())
        if (irregular := self.irregular.get(tag, {}).get(word)) in known:
            return irregular
        if word in known:
            return word
        for ending, instead in ENDINGS.get(tag, ()):
            base = word[: len(word) - len(ending)] + instead
            if word.endswith(ending) and len(base) > 1 and base in known:
                return base
            undoubled = base[:-1]
            if tag == "verb" and word.endswith(ending) and base[-1:] == base[-2:-1] and undoubled in known:
                return undoubled
        return None

    def readings(self, word: str) -> dict[Tag, str]:
        """Return every part of speech that ``word`` can be, with its lemma."""
        tags: tuple[Tag, ...] = ("noun", "verb", "adjective")
        return {tag: lemma for tag in tags if (lemma := self.lemma(word, tag)) is not None}


def read_lexicon(folder: Path) -> Lexicon:
    """Read the index files of ``folder`` (wndb(5WN)), and its lists of exceptions and counts where they are there.

    Raises:
        UserError: there is no index file, or one cannot be read.
    """
    lemmas: dict[str, frozenset[str]] = {}
    irregular: dict[str, dict[str, str]] = {}
    for tag, name in (*FILES.items(), ("other", "adv")):
        lemmas[tag] = frozenset(line.split(" ", 1)[0] for line in _lines(folder / f"index.{name}"))
        pairs = (line.split() for line in _lines(folder / f"{name}.exc"))
        irregular[tag] = {pair[0]: pair[1] for pair in pairs if len(pair) > 1}
    if not any(lemmas.values()):
        raise UserError(f"{folder}: no index.noun, index.verb or index.adj there; set data.wordnet=FOLDER")
    counts: dict[tuple[str, str], int] = {}
    for line in _lines(folder / "cntlist.rev"):
        sense, _, rest = line.partition(" ")
        lemma, _, lexical = sense.partition("%")
        key = lemma, NUMBERS.get(lexical[:1], "other")
        times = rest.rpartition(" ")[2]
        counts[key] = counts.get(key, 0) + (int(times) if times.isdecimal() else 0)
    return Lexicon(lemmas, irregular, counts)


def _lines(file: Path) -> Iterator[str]:
    """Yield the lines of a file without its header; nothing when there is no such file."""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            yield from (line.rstrip("\n") for line in stream if line.strip() and not line.startswith("  "))
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; set data.wordnet=FOLDER") from error
