"""The concepts of a corpus: its most frequent nouns, adjectives and verbs (ICMLM, arXiv:2008.01392, supplement A)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from transferbench.errors import UserError
from transferbench.text.lexicon import Tag
from transferbench.text.tagger import Tagger
from transferbench.text.words import is_word, split_words

KINDS: tuple[Tag, ...] = ("noun", "adjective", "verb")


@dataclass(frozen=True)
class ConceptVocabulary:
    """K concepts.

    Attributes:
        words: their lemmas, most frequent first.
        tags: the part of speech of each.
        forms: every word of the corpus that is a form of a concept, with the concept's index.
    """

    words: tuple[str, ...]
    tags: tuple[Tag, ...]
    forms: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)} | dict(self.forms)

    def find(self, words: Sequence[str]) -> list[int]:
        """Return the index of each word's concept, -1 for words that are none."""
        return [self._index.get(word, -1) for word in words]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"words": list(self.words), "tags": list(self.tags), "forms": dict(self.forms)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ConceptVocabulary:
        """Return the vocabulary that ``to_dict`` was called of."""
        return ConceptVocabulary(tuple(values["words"]), tuple(values["tags"]), dict(values["forms"]))


@dataclass(frozen=True)
class VocabularyFacts:
    """How a vocabulary came about: the ``tagger``'s name, and how many captions have a concept and have none."""

    tagger: str
    with_concept: int
    without_concept: int

    def __str__(self) -> str:
        total = self.with_concept + self.without_concept
        return f"{self.with_concept:,} of {total:,} captions hold a concept"


def build_vocabulary(
    captions: Iterable[str], tagger: Tagger, size: int | None, tags: Sequence[str] = KINDS
) -> tuple[ConceptVocabulary, VocabularyFacts]:
    """Return the ``size`` most frequent words of the parts of speech ``tags``, as lemmas; None for all of them.

    A word is given the part of speech that it has most often in the corpus, which mends most of a tagger's errors, and
    counts with all its forms. Equal counts are ordered by the alphabet.

    Raises:
        UserError: the captions hold no such word or fewer than ``size``, or a part of speech is not known.
    """
    unknown = [tag for tag in tags if tag not in KINDS]
    if unknown or not tags:
        raise UserError(f"data.concept_tags={list(tags)}: expected some of {', '.join(KINDS)}")
    sentences = [split_words(caption) for caption in captions]
    votes: dict[str, Counter[Tag]] = {}
    for words in sentences:
        for word, tag in zip(words, tagger.tag(words)):
            if is_word(word):
                votes.setdefault(word, Counter())[tag] += 1
    majority = {word: max(sorted(count), key=lambda tag: count[tag]) for word, count in votes.items()}
    lemma_of = {word: tagger.lemma(word, tag) for word, tag in majority.items() if tag in tags}
    counts: Counter[str] = Counter()
    kinds: dict[str, Counter[Tag]] = {}
    for word, lemma in lemma_of.items():
        times = sum(votes[word].values())
        counts[lemma] += times
        kinds.setdefault(lemma, Counter())[majority[word]] += times
    ranked = sorted(counts, key=lambda lemma: (-counts[lemma], lemma))
    if not ranked or (size is not None and len(ranked) < size):
        raise UserError(
            f"data.concepts={size}: the {len(sentences)} captions hold {len(ranked)} different words that are a "
            f"{' or '.join(tags)}; set data.concepts={len(ranked)} or lower, or give more captions"
        )
    chosen = ranked[:size]
    index = {lemma: i for i, lemma in enumerate(chosen)}
    forms = {word: index[lemma] for word, lemma in sorted(lemma_of.items()) if lemma in index}
    vocabulary = ConceptVocabulary(
        tuple(chosen), tuple(max(sorted(kinds[one]), key=kinds[one].__getitem__) for one in chosen), forms
    )
    having = sum(any(i >= 0 for i in vocabulary.find(words)) for words in sentences)
    return vocabulary, VocabularyFacts(tagger.name, having, len(sentences) - having)
