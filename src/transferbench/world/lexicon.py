"""The parts of speech of the captions' words, as WordNet index files (wndb(5WN)): what a tagger reads.

``index.noun``, ``index.adj``, ``index.verb`` and ``index.adv`` list base forms; ``noun.exc`` and ``verb.exc`` list the
inflected forms that no rule finds. There are no data files: offsets of words that are no concept of the world are 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from transferbench.storage import write_text
from transferbench.world.colour_words import COLOURS
from transferbench.world.nouns import MEASURES, PLURALS, SIZES
from transferbench.world.survey import PATTERN_WORDS
from transferbench.world.taxonomy import OFFSET_DIGITS, Concept, concept_ids

HEADER = "  1 The words of the captions of the embedded world of transferbench, in the format of wndb(5WN).\n"
LETTERS = {"noun": "n", "adj": "a", "verb": "v", "adv": "r"}
NAMES_ADJECTIVES = ("electric", "hot", "musical", "optical")  # in names of concepts; all other words of names are nouns
NOUNS = ("front", "ground", "image", "left", "photo", "picture", "right", "side", *MEASURES.values())
ADJECTIVES = (*COLOURS, *PATTERN_WORDS.values(), *SIZES, "shiny", *NAMES_ADJECTIVES)
VERBS = ("be", "float", "fly", "grow", "hover", "lie", "rest", "see", "show", "sit", "stand")
ADVERBS = ("there",)
EXCEPTIONS = {
    "noun": {plural: word for word, plural in PLURALS.items() if plural != word},
    "verb": {"are": "be", "is": "be", "lying": "lie", "sitting": "sit"},
}


def words(concepts: Sequence[Concept]) -> dict[str, tuple[str, ...]]:
    """Return the base forms of each part of speech, sorted, names of several words whole and in pieces."""
    pieces = {word for concept in concepts for word in (concept.lemma, *concept.lemma.split("_"))}
    nouns = (pieces | set(NOUNS)) - set(NAMES_ADJECTIVES)
    found = {"noun": nouns, "adj": set(ADJECTIVES), "verb": set(VERBS), "adv": set(ADVERBS)}
    return {part: tuple(sorted(forms)) for part, forms in found.items()}


def write_lexicon(concepts: Sequence[Concept], folder: Path) -> None:
    """Write the index files and the lists of exceptions into ``folder``."""
    offsets = {lemma: int(wnid[1:]) for lemma, wnid in concept_ids(concepts).items()}
    for part, forms in words(concepts).items():
        known = offsets if part == "noun" else {}
        write_text(folder / f"index.{part}", HEADER + "".join(_line(form, LETTERS[part], known) for form in forms))
    for part, exceptions in EXCEPTIONS.items():
        write_text(folder / f"{part}.exc", "".join(f"{form} {base}\n" for form, base in sorted(exceptions.items())))


def _line(form: str, letter: str, offsets: Mapping[str, int]) -> str:
    """Return an index line: word, type, synsets, kinds of pointers, senses, tagged senses, offset."""
    return f"{form} {letter} 1 0 1 0 {offsets.get(form, 0):0{OFFSET_DIGITS}d}  \n"
