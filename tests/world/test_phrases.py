"""The wording: plurals, articles, measure words, and sentences that say what the sightings hold and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from transferbench.world.lexicon import EXCEPTIONS, words, write_lexicon
from transferbench.world.nouns import noun_of, plural_of, with_article
from transferbench.world.phrases import PATTERNS, captions
from transferbench.world.survey import Sighting
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy
from transferbench.world.view import View, postures

CONCEPTS = read_taxonomy()
LEAVES = [concept.lemma for concept in leaves(CONCEPTS)]
NAMES = {lemma: lemma.replace("_", " ") for lemma in LEAVES}
FUNCTION_WORDS = {
    *("a", "an", "and", "another", "behind", "above", "below", "in", "is", "it", "of", "on", "one", "other", "that"),
    *("the", "there", "this", "to", "two", "we", "with"),
}


def sighted(lemma: str, left: int, top: int, **facts: object) -> Sighting:
    mask = np.zeros((96, 96), np.bool_)
    mask[top : top + 20, left : left + 20] = True
    known = {"airborne": False, "depth": 4.0, "colour": "", "pattern": "", "size": "", "shiny": False, **facts}
    return Sighting(lemma=lemma, mask=mask, box=(left, top, 20, 20), **known)  # type: ignore[arg-type]


def many(sightings: list[Sighting], count: int = 300, unseen: tuple[str, ...] = ()) -> list[str]:
    rng = np.random.default_rng(0)
    return [c for _ in range(count // 5) for c in captions(sightings, NAMES, 5, rng, unseen)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fox", "foxes"), ("mouse", "mice"), ("sheep", "sheep"), ("butterfly", "butterflies"), ("toy", "toys"),
        ("church", "churches"), ("snowman", "snowmen"), ("traffic light", "traffic lights"), ("igloo", "igloos"),
        ("wineglass", "wineglasses"), ("bus", "buses"), ("cherry", "cherries"), ("starfish", "starfish"),
    ],
)  # fmt: skip
def test_plurals(name: str, expected: str) -> None:
    assert plural_of(name) == expected


def test_articles() -> None:
    assert [with_article(word) for word in ("owl", "mug", "orange mug", "unicycle", "umbrella")] == [
        "an owl", "a mug", "an orange mug", "a unicycle", "an umbrella",
    ]  # fmt: skip


def test_measure_words() -> None:
    scissors, corn = noun_of("scissors"), noun_of("corn")
    assert scissors.one(["small", "red"]) == "a small pair of red scissors"
    assert scissors.several("two", ["red"]) == "two pairs of red scissors"
    assert scissors.many
    assert corn.one() == "an ear of corn"
    assert not corn.many


def test_a_word_of_an_unseen_concept_is_replaced() -> None:
    assert noun_of("teddy bear", ("bear",)).name == "teddy"
    assert noun_of("teddy bear", ("fox",)).name == "teddy bear"
    said = many([sighted("teddy_bear", 5, 40), sighted("mug", 60, 40)], unseen=("bear",))
    assert not any(re.search(r"\bbears?\b", caption) for caption in said)
    assert any("teddy" in caption for caption in said)


def test_every_pattern_speaks() -> None:
    assert len(set(PATTERNS)) >= 12
    rng = np.random.default_rng(0)
    scene = [
        sighted("fox", 5, 60, depth=3.0, colour="red"),
        sighted("fox", 60, 60, colour="blue"),
        sighted("mug", 5, 30),
    ]
    view = View(tuple(scene), tuple(noun_of(NAMES[s.lemma]) for s in scene), rng)
    two = View((scene[0], scene[2]), (view.nouns[0], view.nouns[2]), rng)
    for pattern in set(PATTERNS):
        said = [pattern(v) for v in (view, two) for _ in range(30)]
        assert any(said), pattern.__name__


def test_sentences_are_grammatical_and_say_what_is_there() -> None:
    scene = [
        sighted("owl", 5, 60, colour="orange", size="small"),
        sighted("scissors", 60, 60, colour="red", shiny=True, size="large"),
        sighted("kite", 30, 5, airborne=True, pattern="striped"),
    ]
    said = many(scene)
    assert len(set(said)) > 100
    for caption in said:
        assert caption[0].isupper()
        assert caption.endswith(".")
        assert "  " not in caption
        text = caption.lower()
        assert not re.search(r"\ba [aeiou]", text), caption
        assert not re.search(r"\ban [^aeiou]", text), caption
        assert not re.search(r"\b(an?|one) (\w+ )?scissors", text), caption
        assert not re.search(r"^the scissors( (in|on) [a-z ]+)? is\b", text), caption
        if "kite" in text and "owl" not in text and "scissors" not in text:
            assert not re.search(r"\b(stands|sits|rests|lies|red|orange)\b", text), caption
        assert not re.search(r"^(an|the) ([a-z]+ )?([a-z]+ )?owl (flies|floats|hovers)", text), caption
        assert not re.search(r"\b(blue|green|checked|spotted)\b", text), caption
        assert not re.search(
            r"^an ([a-z]+ )?([a-z]+ )?owl (stands|rests|is|standing|resting) (to the )?right of", text
        ), caption


def test_colours_stay_with_their_objects() -> None:
    scene = [sighted("fox", 5, 60, colour="red"), sighted("mug", 60, 60, colour="blue")]
    for caption in many(scene):
        assert not re.search(
            r"blue fox|red mug|(^the|a) mug (that )?is red|(^the|a) fox (that )?is blue", caption.lower()
        ), caption


def test_two_of_a_kind_are_counted() -> None:
    scene = [sighted("fox", 5, 60, colour="red"), sighted("fox", 60, 60, colour="red"), sighted("mug", 35, 20)]
    said = [caption.lower() for caption in many(scene)]
    assert any("two red foxes" in caption for caption in said)
    assert any("two" in caption and "mug" in caption for caption in said)
    assert not any(re.search(r"the fox\b", caption) for caption in said)
    one = [caption.lower() for caption in many(scene[1:])]
    assert not any("two" in caption or "foxes" in caption for caption in one)


def tagged(word: str, forms: dict[str, tuple[str, ...]]) -> bool:
    endings = (("", ""), ("s", ""), ("es", ""), ("ies", "y"), ("ing", ""), ("men", "man"))
    bases = {word[: len(word) - len(old)] + new for old, new in endings if word.endswith(old)}
    bases |= {table[word] for table in EXCEPTIONS.values() if word in table}
    return any(base in known for base in bases for known in forms.values())


def test_the_lexicon_holds_every_content_word() -> None:
    forms = words(CONCEPTS)
    rng = np.random.default_rng(0)
    for lemma, other in zip(LEAVES, [*LEAVES[1:], LEAVES[0]]):
        scene = [
            sighted(lemma, 5, 60, depth=3.0, colour=str(rng.choice(["red", "grey"])), size="small", shiny=True),
            sighted(other, 20, 10, airborne=True, pattern="spotted", size="large"),
            sighted(lemma, 60, 60),
        ]
        for caption in captions(scene, NAMES, 8, rng):
            for word in re.findall(r"\w+", caption.lower()):
                assert word in FUNCTION_WORDS or tagged(word, forms), f"{word} in {caption!r}"


def test_index_files_follow_the_format(tmp_path: Path) -> None:
    write_lexicon(CONCEPTS, tmp_path)
    ids = concept_ids(CONCEPTS)
    for part, letter in (("noun", "n"), ("adj", "a"), ("verb", "v"), ("adv", "r")):
        lines = (tmp_path / f"index.{part}").read_text().splitlines()
        entries = [line.split() for line in lines if not line.startswith("  ")]
        assert entries
        assert [entry[0] for entry in entries] == sorted(entry[0] for entry in entries)
        for entry in entries:
            assert entry[1] == letter
            assert len(entry) == 7
            assert re.fullmatch(r"\d{8}", entry[-1])
    nouns = {line.split()[0]: line.split()[-1] for line in (tmp_path / "index.noun").read_text().splitlines()[1:]}
    assert all(f"n{nouns[lemma]}" == wnid for lemma, wnid in ids.items())
    assert "mice mouse" in (tmp_path / "noun.exc").read_text()


def test_every_concept_has_postures() -> None:
    known = postures()
    assert set(known) == {concept.lemma for concept in CONCEPTS}
    assert known["snake"] == ("lie", "rest")
    assert "sit" not in known["camel"] + known["oak"] + known["bus"]
