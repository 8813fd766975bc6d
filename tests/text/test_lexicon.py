from pathlib import Path

import pytest

from transferbench.errors import UserError
from transferbench.text.lexicon import read_lexicon
from transferbench.text.tagger import PLACES

DEBIAN = Path(PLACES[0])


@pytest.mark.parametrize(
    ("word", "tag", "lemma"),
    [
        ("dogs", "noun", "dog"),
        ("children", "noun", "child"),
        ("men", "noun", "man"),
        ("boxes", "noun", "box"),
        ("buses", "noun", "bus"),
        ("glasses", "noun", "glass"),
        ("riding", "verb", "ride"),
        ("running", "verb", "run"),
        ("stopped", "verb", "stop"),
        ("ate", "verb", "eat"),
        ("goes", "verb", "go"),
        ("older", "adjective", "old"),
        ("biggest", "adjective", None),
        ("dogs", "verb", None),
        ("s", "noun", None),
        ("ing", "verb", None),
        ("", "noun", None),
        ("children", "other", None),
    ],
)
def test_forms_lead_to_their_lemma(wordnet: Path, word: str, tag: str, lemma: str | None) -> None:
    assert read_lexicon(wordnet).lemma(word, tag) == lemma  # type: ignore[arg-type]


def test_a_word_has_all_its_readings(wordnet: Path) -> None:
    lexicon = read_lexicon(wordnet)
    assert lexicon.readings("stops") == {"noun": "stop", "verb": "stop"}
    assert lexicon.readings("quickly") == {}
    assert lexicon.counts["ride", "verb"] == 30


def test_some_files_are_enough(tmp_path: Path) -> None:
    (tmp_path / "index.noun").write_text("dog n 1 1 @ 1 0 00000001  \n")
    lexicon = read_lexicon(tmp_path)
    assert lexicon.readings("dogs") == {"noun": "dog"}
    assert not lexicon.counts


def test_none_is_not(tmp_path: Path) -> None:
    (tmp_path / "noun.exc").write_text("men man\n")
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match=r"no index\.noun"):
            read_lexicon(folder)
    with pytest.raises(UserError):
        read_lexicon(tmp_path / "noun.exc")


@pytest.mark.skipif(not (DEBIAN / "index.noun").is_file(), reason=f"{DEBIAN}: no WordNet there (wordnet-base)")
def test_wordnet_has_its_published_lemmas() -> None:
    lexicon = read_lexicon(DEBIAN)
    counts = [len(lexicon.lemmas[tag]) for tag in ("noun", "verb", "adjective", "other")]
    assert counts == [117_798, 11_529, 21_479, 4_481]
    assert len(lexicon.counts) == 24_637
    assert [lexicon.lemma(w, "noun") for w in ("geese", "knives", "buses")] == ["goose", "knife", "bus"]
