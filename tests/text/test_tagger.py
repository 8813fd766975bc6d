from pathlib import Path

import pytest

from transferbench.errors import UserError
from transferbench.text import tagger as module
from transferbench.text.lexicon import read_lexicon
from transferbench.text.tagger import LexiconTagger, find_tagger
from transferbench.text.words import split_words

SHORT = {"n": "noun", "v": "verb", "a": "adjective", "-": "other"}


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("a man riding a wave.", "-nv-n-"),
        ("the old red bus", "-aan"),
        ("children ride; they stopped", "nv--v"),
        ("a stop sign", "-nn"),
        ("a big zebra was eating quickly", "-a--v-"),
        ("dogs sign a photo", "nn-n"),
        ("3 cats !!! 🙂", "-n----"),
        ("", ""),
    ],
)
def test_tags_by_hand(wordnet: Path, caption: str, tags: str) -> None:
    words = split_words(caption)
    assert LexiconTagger(read_lexicon(wordnet)).tag(words) == [SHORT[tag] for tag in tags]


def test_the_more_frequent_reading_wins_where_neighbours_say_nothing(wordnet: Path) -> None:
    tagger = find_tagger(wordnet)
    assert tagger.tag(["ride"]) == ["verb"]
    assert tagger.tag(["sign"]) == ["noun"]
    assert tagger.tag(["bat"]) == ["noun"]  # a tie: nouns are more frequent in captions
    assert tagger.tag(["a", "ride"]) == ["other", "noun"]


def test_a_long_caption_is_tagged_word_by_word(wordnet: Path) -> None:
    assert find_tagger(wordnet).tag(["red", "dog"] * 5000) == ["adjective", "noun"] * 5000


def test_the_lemma_of_an_unknown_word_is_the_word(wordnet: Path) -> None:
    tagger = find_tagger(wordnet)
    assert [tagger.lemma("dogs", "noun"), tagger.lemma("zebras", "noun"), tagger.lemma("of", "other")] == [
        "dog",
        "zebras",
        "of",
    ]


def test_the_name_says_where_the_words_come_from(wordnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(wordnet) in find_tagger(wordnet).name
    monkeypatch.setattr(module, "NltkTagger", no_nltk)
    with monkeypatch.context() as patch:
        patch.setenv("WORDNET_DIR", str(wordnet))
        assert str(wordnet) in find_tagger().name
        patch.undo()


def no_nltk(lexicon: object) -> None:
    raise LookupError


def test_without_any_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "NltkTagger", no_nltk)
    monkeypatch.setattr(module, "PLACES", (str(tmp_path),))
    for name in ("WORDNET_DIR", "WNSEARCHDIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="apt-get install wordnet-base"):
        find_tagger()
    monkeypatch.undo()


def test_nltk_tags_are_read_by_their_first_letters(wordnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Perceptron:
        def tag(self, words: list[str]) -> list[tuple[str, str]]:
            return list(zip(words, ("DT", "JJR", "NNS", "VBG", "IN", "NNP", ".")))

    monkeypatch.setattr("nltk.tag.PerceptronTagger", Perceptron)
    tagger = module.NltkTagger(read_lexicon(wordnet))
    words = split_words("the older dogs riding in rome .")
    tags = tagger.tag(words)
    assert tags == ["other", "adjective", "noun", "verb", "other", "noun", "other"]
    assert [tagger.lemma(w, t) for w, t in zip(words, tags)] == ["the", "old", "dog", "ride", "in", "rome", "."]
    assert module.NltkTagger(None).lemma("dogs", "noun") == "dogs"


def test_function_words_are_none_of_the_three(wordnet: Path) -> None:
    words = sorted(module.FUNCTION)
    assert {"the", "of", "is", "two", "'s"} <= set(words)
    assert set(find_tagger(wordnet).tag(words)) == {"other"}
