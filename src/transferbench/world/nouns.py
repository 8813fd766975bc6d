"""The grammar of the world's nouns: plurals, articles, measure words, and other words for some names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

PLURALS = {
    "mouse": "mice",
    "snowman": "snowmen",
    **{word: word for word in ("sheep", "deer", "goldfish", "starfish", "jellyfish", "corn")},
}
MEASURES = {"grapes": "bunch", "scissors": "pair", "eyeglasses": "pair", "corn": "ear"}
ALIASES = {"teddy bear": "teddy"}  # another word for a name, said where a part of the name is not to be said
VOWELS = "aeiou"


@dataclass(frozen=True)
class Noun:
    """A word for a concept: ``name`` as it stands in the singular, its ``plural``, and its ``measure`` word or "".

    ``many`` tells a name that is plural by itself: "the scissors are red", but "a pair of scissors is".
    """

    name: str
    plural: str
    measure: str = ""
    many: bool = False

    def one(self, adjectives: Sequence[str] = ()) -> str:
        """Return "a small red fox" or "a small pair of red scissors"."""
        return with_article(self._phrase(adjectives, self.measure, self.name))

    def several(self, number: str, adjectives: Sequence[str] = ()) -> str:
        """Return "two red foxes" or "two small pairs of red scissors"; with an empty ``number`` without it."""
        measure = plural_of(self.measure) if self.measure else ""
        return f"{number} {self._phrase(adjectives, measure, self.plural)}".strip()

    @staticmethod
    def _phrase(adjectives: Sequence[str], measure: str, name: str) -> str:
        if not measure:
            return " ".join([*adjectives, name])
        sizes = [word for word in adjectives if word in SIZES]
        others = [word for word in adjectives if word not in SIZES]
        return " ".join([*sizes, measure, "of", *others, name])


SIZES = ("small", "little", "large", "big")


def noun_of(name: str, unseen: Collection[str] = ()) -> Noun:
    """Return the noun for a concept's readable name; its alias where a word of it is the name of an ``unseen`` one."""
    if set(name.split()) & set(unseen) and name in ALIASES:
        name = ALIASES[name]
    measure = MEASURES.get(name, "")
    many = name in MEASURES and name.endswith("s")
    return Noun(name, name if many else plural_of(name), measure, many)


def plural_of(name: str) -> str:
    """Return the plural of a name: of its last word."""
    *before, word = name.split()
    if word in PLURALS:
        plural = PLURALS[word]
    elif word.endswith(("s", "x", "ch", "sh")):
        plural = f"{word}es"
    elif word.endswith("y") and word[-2] not in VOWELS:
        plural = f"{word[:-1]}ies"
    else:
        plural = f"{word}s"
    return " ".join([*before, plural])


def with_article(phrase: str) -> str:
    """Return the phrase behind "a" or "an", by the sound of its first word."""
    vowel = phrase[0] in VOWELS and not phrase.startswith(("uni", "use", "one", "eu"))
    return f"{'an' if vowel else 'a'} {phrase}"
