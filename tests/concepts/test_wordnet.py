import random
import sys
import zipfile
from pathlib import Path

import pytest

from transferbench.concepts import wordnet as module
from transferbench.concepts.wordnet import open_wordnet
from transferbench.errors import UserError

PARENTS = {
    "entity": [],
    "animal": ["entity"],
    "pet": ["entity"],
    "cat Felis_catus": ["animal", "pet"],
    "tiger_cat": ["cat Felis_catus"],
    "Garfield cat": ["@i cat Felis_catus"],
}
GLOSSES = {"tiger_cat": 'a cat; striped; "we saw a tiger cat"; "another"', "pet": 'the word "pet"'}


@pytest.fixture
def folder(tmp_path: Path, write_nouns) -> Path:
    write_nouns(tmp_path / "dict", PARENTS, GLOSSES)
    return tmp_path / "dict"


def test_reads_what_was_written(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, PARENTS, GLOSSES)
    nouns = open_wordnet(tmp_path)
    cat = ids["cat Felis_catus"]
    assert nouns.wnids == tuple(sorted(ids.values())) and len(nouns) == 6
    assert cat in nouns and "n00000000" not in nouns
    assert nouns.names(cat) == ("cat", "Felis catus")
    assert nouns.parents(cat) == (ids["animal"], ids["pet"])
    assert nouns.parents(ids["Garfield cat"]) == (cat,)
    assert nouns.ancestors(ids["tiger_cat"]) == {cat, ids["animal"], ids["pet"], ids["entity"]}
    assert [nouns.max_depth(ids[key]) for key in ("entity", "pet", "tiger_cat")] == [0, 1, 3]
    assert nouns.definition(ids["tiger_cat"]) == "a cat; striped"
    assert nouns.definition(ids["pet"]) == 'the word "pet"'
    assert nouns.synset_name(cat) == "cat.n.01" and nouns.synset_name(ids["Garfield cat"]) == "garfield.n.01"


def test_max_depth_is_the_longest_path(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, {"root": [], "a": ["root"], "b": ["a"], "c": ["root", "b"]})
    assert open_wordnet(tmp_path).max_depth(ids["c"]) == 3


def test_sense_numbers_follow_the_index(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, {"root": [], "quince": ["root"], "quince#2": ["root"]})
    nouns = open_wordnet(tmp_path)
    assert [nouns.synset_name(ids[key]) for key in ("quince", "quince#2")] == ["quince.n.01", "quince.n.02"]


def test_index_without_the_lemma(folder):
    (folder / "index.noun").write_text("")
    nouns = open_wordnet(folder)
    with pytest.raises(UserError, match=r"index\.noun: no sense \d{8} under 'entity'"):
        nouns.synset_name(nouns.wnids[0])


def test_unknown_wnid(folder):
    nouns = open_wordnet(folder)
    for ask in (nouns.parents, nouns.ancestors, nouns.max_depth, nouns.names, nouns.definition, nouns.synset_name):
        with pytest.raises(UserError, match=r"n12345678: no such noun synset in .*dict"):
            ask("n12345678")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "line 1: no synset in the file"),
        (lambda data: data[:-5], "line 7: the file breaks off within this line"),
        (lambda data: data[: data.rindex(b"|") - 9], "line 7: this is no noun synset"),
        (
            lambda data: b"\n".join(data.split(b"\n")[:5]) + b"\n",
            r"line 5: names synset n\d{8}, which the file does not",
        ),
        (lambda data: data.replace(b"\n", b"\r\n"), "line 2: this synset calls itself .*line ends converted"),
        (lambda data: data.replace(b" 01 pet 0 ", b" zz pet 0 "), "line 4: this is no noun synset"),
        (lambda data: data.replace(b" n 01 pet 0 ", b" v 01 pet 0 "), "line 4: this is no noun synset"),
        (lambda data: data.replace(b" 01 pet 0 ", b" 02 pet 0 "), "line 4: this is no noun synset"),
        (lambda data: data.replace(b"@i ", b"@i 9"), "line 7: names synset"),
        (lambda data: b"<html>\n<body>not found</body>\n</html>\n", "line 1: this is no noun synset"),
        (lambda data: data[:200] + bytes(range(256)) + data[200:], "line 3: this"),
    ],
)
def test_damaged_data_names_the_line(folder, damage, message):
    path = folder / "data.noun"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=rf"{path}, {message}.*apt-get install wordnet-base"):
        open_wordnet(folder)


def test_missing_files(folder, tmp_path):
    (folder / "index.noun").unlink()
    for place in (folder, tmp_path / "nowhere"):
        with pytest.raises(
            UserError, match=rf"{place}: cannot read data\.noun and index\.noun there .*apt-get install"
        ):
            open_wordnet(place)


def test_cycles_end(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, {"root": [], "a": ["root", "c"], "b": ["a"], "c": ["b"], "self": ["self"], "d": ["c"]})
    nouns = open_wordnet(tmp_path)
    assert nouns.ancestors(ids["d"]) == {ids[key] for key in ("root", "a", "b", "c")}
    for key in ("a", "b", "c", "d", "self"):
        with pytest.raises(UserError, match=r"data\.noun: synset n\d{8} is its own ancestor"):
            nouns.max_depth(ids[key])
    assert nouns.max_depth(ids["root"]) == 0


class TestSearch:
    """Explicit folder, WORDNET_DIR, /usr/share/wordnet, NLTK's data folders."""

    @pytest.fixture(autouse=True)
    def nothing_installed(self, monkeypatch, tmp_path):
        monkeypatch.delenv("WORDNET_DIR", raising=False)
        monkeypatch.setenv("NLTK_DATA", str(tmp_path / "nltk"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
        monkeypatch.setattr(module, "_SYSTEM", tmp_path / "usr" / "wordnet")
        monkeypatch.setattr(module, "_NLTK_SYSTEM", ())

    def test_nothing_found(self, tmp_path):
        with pytest.raises(UserError, match=r"WordNet not found in .*apt-get install wordnet-base.*nltk\.downloader"):
            open_wordnet()

    def test_order(self, tmp_path, write_nouns, monkeypatch):
        places = [
            tmp_path / "prefix" / "nltk_data" / "corpora" / "wordnet",
            tmp_path / "home" / "nltk_data" / "corpora" / "wordnet",
            tmp_path / "nltk" / "corpora" / "wordnet",
            tmp_path / "usr" / "wordnet",
        ]
        for place in places:
            write_nouns(place, PARENTS)
            assert open_wordnet().source == str(place)
        write_nouns(tmp_path / "mine", PARENTS)
        monkeypatch.setenv("WORDNET_DIR", str(tmp_path / "mine"))
        assert open_wordnet().source == str(tmp_path / "mine")
        assert open_wordnet(places[0]).source == str(places[0])

    def test_named_folder_is_never_passed_over(self, tmp_path, write_nouns, monkeypatch):
        write_nouns(tmp_path / "usr" / "wordnet", PARENTS)
        monkeypatch.setenv("WORDNET_DIR", str(tmp_path / "misspelt"))
        with pytest.raises(UserError, match="misspelt: cannot read"):
            open_wordnet()

    def test_zip_as_nltk_leaves_it(self, folder, tmp_path):
        place = tmp_path / "nltk" / "corpora" / "wordnet.zip"
        place.parent.mkdir(parents=True)
        with zipfile.ZipFile(place, "w") as archive:
            for name in ("data.noun", "index.noun"):
                archive.write(folder / name, f"wordnet/{name}")
        assert open_wordnet().wnids == open_wordnet(folder).wnids
        place.write_bytes(b"PK broken")
        with pytest.raises(UserError, match=r"wordnet\.zip: cannot read"):
            open_wordnet()


def test_agrees_with_nltk(wordnet, nltk_reader):
    for wnid in random.Random(0).sample(wordnet.wnids, 1000):
        synset = nltk_reader.synset_from_pos_and_offset("n", int(wnid[1:]))
        assert wordnet.synset_name(wnid) == synset.name()
        assert wordnet.names(wnid) == tuple(lemma.replace("_", " ") for lemma in synset.lemma_names())
        above = [*synset.hypernyms(), *synset.instance_hypernyms()]
        assert set(wordnet.parents(wnid)) == {f"n{parent.offset():08d}" for parent in above}
        assert wordnet.max_depth(wnid) == synset.max_depth()
        if '"' not in synset.definition() and not synset.examples():
            assert wordnet.definition(wnid) == synset.definition()


def test_subsumer_agrees_with_nltk(wordnet, nltk_reader, lin):
    draw = random.Random(1)
    for _ in range(500):
        pair = draw.sample(lin.nodes, 2)
        a, b = (nltk_reader.synset_from_pos_and_offset("n", int(wnid[1:])) for wnid in pair)
        assert lin.subsumer(*pair) == f"n{a.lowest_common_hypernyms(b)[0].offset():08d}"
