import json
from collections.abc import Sequence

import pytest

from transferbench.errors import UserError
from transferbench.text.lexicon import Tag
from transferbench.text.vocabulary import ConceptVocabulary, VocabularyFacts, build_vocabulary
from transferbench.text.words import split_words

KNOWN: dict[str, Tag] = {
    "dog": "noun", "dogs": "noun", "cat": "noun", "ride": "verb", "rides": "verb", "red": "adjective", "bat": "noun",
}  # fmt: skip


class ByList:
    """Knows a few words; takes every second "bat" of all captions for a verb."""

    name = "a list"
    bats = 0

    def tag(self, words: Sequence[str]) -> list[Tag]:
        tags: list[Tag] = []
        for word in words:
            self.bats += word == "bat"
            tags.append("verb" if word == "bat" and self.bats % 3 == 0 else KNOWN.get(word, "other"))
        return tags

    def lemma(self, word: str, tag: Tag) -> str:
        return word.rstrip("s") if tag != "other" else word


CAPTIONS = ["a dog rides.", "two dogs ride; a red cat", "bat bat bat", "", "!!!", "of the", "a dog"]


def test_counts_forms_together_and_ranks_by_count_then_alphabet() -> None:
    vocabulary, facts = build_vocabulary(CAPTIONS, ByList(), None)
    assert vocabulary.words == ("bat", "dog", "ride", "cat", "red")
    assert vocabulary.tags == ("noun", "noun", "verb", "noun", "adjective")
    assert facts == VocabularyFacts("a list", 4, 3)
    assert str(facts) == "4 of 7 captions hold a concept"


def test_every_form_finds_its_concept() -> None:
    vocabulary, _ = build_vocabulary(CAPTIONS, ByList(), 3)
    assert vocabulary.find(split_words("Two DOGS, a dog, rides the cat")) == [-1, 1, -1, -1, 1, -1, 2, -1, -1]
    assert vocabulary.find([]) == []
    assert len(vocabulary) == 3


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (("noun",), ("bat", "dog", "cat")),
        (("noun", "adjective"), ("bat", "dog", "cat", "red")),
        (("verb",), ("ride",)),
    ],
)
def test_only_the_wanted_parts_of_speech(tags: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert build_vocabulary(CAPTIONS, ByList(), None, tags)[0].words == words


def test_agrees_with_counting_over_the_corpus() -> None:
    vocabulary, facts = build_vocabulary(CAPTIONS, ByList(), 4)
    found = [vocabulary.find(split_words(caption)) for caption in CAPTIONS]
    counts = [sum(row.count(concept) for row in found) for concept in range(4)]
    assert counts == sorted(counts, reverse=True) == [3, 3, 2, 1]
    assert facts.with_concept == sum(any(i >= 0 for i in row) for row in found)


def test_plain_values_and_back() -> None:
    vocabulary, _ = build_vocabulary(CAPTIONS, ByList(), None)
    again = ConceptVocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict())))
    assert again == vocabulary
    assert again.find(["dogs", "x"]) == [1, -1]


def test_without_forms_the_lemmas_are_found() -> None:
    assert ConceptVocabulary(("dog", "run"), ("noun", "verb")).find(["run", "runs", "dog"]) == [1, -1, 0]


def test_bad_input_is_told() -> None:
    with pytest.raises(UserError, match=r"hold 5 different words.*set data.concepts=5"):
        build_vocabulary(CAPTIONS, ByList(), 6)
    for captions in ([], ["", "..."]):
        with pytest.raises(UserError, match="hold 0 different words"):
            build_vocabulary(captions, ByList(), None)
    for tags in ((), ("nouns",), ("other",)):
        with pytest.raises(UserError, match="expected some of noun, adjective, verb"):
            build_vocabulary(CAPTIONS, ByList(), None, tags)
