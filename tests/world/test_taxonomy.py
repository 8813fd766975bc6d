"""The concepts' tree, and its round trip through the format of WordNet's database files."""

from __future__ import annotations

import warnings
from pathlib import Path

import nltk
import pytest
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from transferbench.errors import UserError
from transferbench.world.shapes import SHAPES
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy, write_wordnet

SMALL = """\
# a comment

entity: that which is
  animal: it moves
    dog: it barks
    cat: it does not: it meows
  hot_dog: a dish
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tree.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_parents_and_definitions(tmp_path: Path) -> None:
    concepts = read_taxonomy(written(tmp_path, SMALL))
    assert [(c.lemma, c.parent) for c in concepts] == [
        ("entity", None),
        ("animal", "entity"),
        ("dog", "animal"),
        ("cat", "animal"),
        ("hot_dog", "entity"),
    ]
    assert concepts[3].definition == "it does not: it meows"
    assert [c.name for c in leaves(concepts)] == ["dog", "cat", "hot dog"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entity: a\n   dog: b\n", "line 2: found '   dog: b'"),
        ("entity: a\n    dog: b\n", "line 2: dog is indented by more than two spaces"),
        ("entity: a\nanimal: b\n", "line 2: animal is a second root"),
        ("entity: a\n  dog b\n", "line 2: found '  dog b', expected 'lemma: definition'"),
        ("entity: a\n  dog:\n", "line 2: found"),
        ("entity: a\n  hot dog: b\n", "line 2: found"),
        ("entity: a\n  dog: b\n  dog: c\n", "line 3: dog stands already in line 2"),
        ("# nothing\n", "no concept found"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_taxonomy(written(tmp_path, text))


def test_the_world_is_large_and_deep() -> None:
    concepts = read_taxonomy()
    parent = {concept.lemma: concept.parent for concept in concepts}

    def depth(lemma: str | None) -> int:
        return 0 if lemma is None else 1 + depth(parent[lemma])

    found = leaves(concepts)
    assert len(found) >= 120
    assert max(depth(concept.lemma) for concept in found) >= 7
    assert {concept.lemma for concept in found} == set(SHAPES)


class Reader(WordNetCorpusReader):
    """nltk's reader, which otherwise maps what it reads to the WordNet among its own downloads."""

    def map_wn(self, version: str = "wordnet") -> None:
        return None


def open_with_nltk(folder: Path) -> WordNetCorpusReader:
    """Return nltk's reader on the files; it also wants those of the other parts of speech, which are empty here."""
    (folder / "lexnames").write_text("".join(f"{i:02d}\tname{i}\t1\n" for i in range(45)))
    for part in ("adj", "adv", "noun", "verb"):
        (folder / f"{part}.exc").touch()
        for kind in ("index", "data"):
            (folder / f"{kind}.{part}").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about other languages
        return Reader(str(folder), None)


def test_nltk_reads_the_files_of_the_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])  # recent releases read from their own folders only
    concepts = read_taxonomy()
    write_wordnet(concepts, tmp_path)
    ids = concept_ids(concepts)
    reader = open_with_nltk(tmp_path)
    for concept in concepts:
        (synset,) = reader.synsets(concept.lemma)
        assert f"n{synset.offset():08d}" == ids[concept.lemma]
        assert synset.lemma_names() == [concept.lemma]
        assert synset.definition() == concept.definition
        assert [parent.lemma_names()[0] for parent in synset.hypernyms()] == (
            [concept.parent] if concept.parent else []
        )
        children = [other.lemma for other in concepts if other.parent == concept.lemma]
        assert sorted(child.lemma_names()[0] for child in synset.hyponyms()) == sorted(children)
        assert reader.synset_from_pos_and_offset("n", int(ids[concept.lemma][1:])) == synset


def test_ids_are_byte_offsets(tmp_path: Path) -> None:
    concepts = read_taxonomy(written(tmp_path, SMALL.replace("it moves", "it möves")))
    write_wordnet(concepts, tmp_path)
    data = (tmp_path / "data.noun").read_bytes()
    for lemma, wnid in concept_ids(concepts).items():
        line = data[int(wnid[1:]) :].split(b"\n")[0].decode()
        assert line.startswith(f"{wnid[1:]} 03 n 01 {lemma} 0 ")
    assert data.startswith(b"  1 ")


def test_the_index_is_sorted_as_the_format_asks(tmp_path: Path) -> None:
    write_wordnet(read_taxonomy(), tmp_path)
    lines = [line for line in (tmp_path / "index.noun").read_text().splitlines() if not line.startswith("  ")]
    assert lines == sorted(lines)
    assert next(line for line in lines if line.startswith("dog ")).split()[:6] == ["dog", "n", "1", "1", "@", "1"]
