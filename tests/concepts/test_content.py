import math
import random

import nltk
import numpy as np
import pytest
from nltk.corpus.reader.wordnet import WordNetICCorpusReader, information_content

from transferbench.concepts.content import UNHEARD_OF, from_corpus, from_images
from transferbench.concepts.similarity import Similarity
from transferbench.concepts.wordnet import open_wordnet
from transferbench.errors import UserError

TREE = {"root": [], "a": ["root"], "b": ["root"], "x": ["a", "b"], "y": ["a"], "z": ["b"]}


def test_images_are_counted_once_below_every_node(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, TREE)
    images = {ids["x"]: 5, ids["y"]: 3, ids["b"]: 2, "n99999999": 7}
    ours = Similarity(open_wordnet(tmp_path), [ids[key] for key in "xyz"], content=from_images(images))
    shares = {"root": 1.0, "a": 0.8, "b": 0.7, "x": 0.5, "y": 0.3}
    for key, share in shares.items():
        assert ours.ic(ids[key]) == pytest.approx(-math.log(share)), key
    assert ours.ic(ids["z"]) == UNHEARD_OF and ours.ic(ids["root"]) == 0.0
    assert ours.pair(ids["x"], ids["y"]) == pytest.approx(2 * -math.log(0.8) / (-math.log(0.5) - math.log(0.3)))
    assert ours.pair(ids["x"], ids["z"]) == pytest.approx(0.0) and ours.pair(ids["z"], ids["z"]) == 1.0
    with pytest.raises(UserError, match="none of the concepts has an image"):
        Similarity(open_wordnet(tmp_path), [ids["x"]], content=from_images({}))


def test_corpus_counts_give_what_nltk_gives(wordnet, nltk_reader, imagenet, tmp_path, monkeypatch):
    """The format of NLTK's ``wordnet_ic``, some synsets without a count, verbs between."""
    draw = random.Random(0)
    graph = set(imagenet).union(*(wordnet.ancestors(wnid) for wnid in imagenet))
    counts = {wnid: draw.choice([0, 1, 40, 2.5]) for wnid in draw.sample(sorted(graph), 800)}
    lines = [f"{int(wnid[1:])}n {count}" for wnid, count in counts.items() if wnid != "n00001740"]
    lines += ["1740n 9000 ROOT", "5n 12", "1740v 30 ROOT", "2325v 3"]
    file = tmp_path / "ic-made.dat"
    file.write_text("wnver::eOS9lXC6GvMWznF1wkZofDdtbBU\n" + "\n".join(lines) + "\n")
    monkeypatch.setattr(nltk.data, "path", [*nltk.data.path, str(tmp_path)])
    theirs = WordNetICCorpusReader(str(tmp_path), [file.name]).ic(file.name)
    ours = Similarity(wordnet, imagenet, "lin", from_corpus(file), "informative")
    synset = {node: nltk_reader.synset_from_pos_and_offset("n", int(node[1:])) for node in ours.nodes}
    for node in ours.nodes:
        assert ours.ic(node) == pytest.approx(information_content(synset[node], theirs), rel=1e-12)
    rows, columns = draw.sample(ours.nodes, 40), draw.sample(ours.nodes, 30)
    expected = [[synset[a].lin_similarity(synset[b], theirs) for b in columns] for a in rows]
    np.testing.assert_allclose(ours.matrix(rows, columns), expected, rtol=1e-12, atol=1e-300)
    assert len({ours.ic(node) for node in ours.nodes}) > 3 and max(map(ours.ic, ours.nodes)) == UNHEARD_OF


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("head\n1740n 5 ROOT\n12n many\n", r"line 3: found '12n many', expected '<offset>n <count>'"),
        ("head\n1740n 5 TOP\n", "line 2: found '1740n 5 TOP'"),
        ("head\n1740x 5\n", "line 2: found"),
        ("head\n\n", "line 2: found ''"),
        ("head\n1740n nan ROOT\n", "line 2"),
        ("head\n1740n 5\n", "no root with a count among its nouns"),
        ("", "no root with a count"),
    ],
)
def test_broken_files_of_counts(tmp_path, text, message):
    file = tmp_path / "ic.dat"
    file.write_text(text)
    with pytest.raises(UserError, match=f"{file}.*{message}"):
        from_corpus(file)


def test_counts_of_another_wordnet(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, TREE)
    file = tmp_path / "ic.dat"
    file.write_text("head\n1740n 5 ROOT\n")
    with pytest.raises(
        UserError, match=f"no count for {ids['root']}, the root of the concepts; expected a file of the"
    ):
        Similarity(open_wordnet(tmp_path), ids.values(), content=from_corpus(file))
    with pytest.raises(UserError, match="nowhere: cannot read it"):
        from_corpus(tmp_path / "nowhere")
