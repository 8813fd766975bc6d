import hashlib
import math
import random

import numpy as np
import pytest

from transferbench.concepts import similarity as module
from transferbench.concepts.similarity import Similarity
from transferbench.concepts.wordnet import WordNet, open_wordnet
from transferbench.errors import UserError


def naive_lin(wordnet: WordNet, concepts: list[str], a: str, b: str) -> float:
    """The definition, word by word."""
    graph = set(concepts)
    for concept in concepts:
        graph |= wordnet.ancestors(concept)

    def content(node: str) -> float:
        at_or_below = [other for other in graph if other == node or node in wordnet.ancestors(other)]
        return -math.log(len(at_or_below) / len(graph))

    common = (wordnet.ancestors(a) | {a}) & (wordnet.ancestors(b) | {b})
    if not common:
        return 0.0
    subsumer = min(common, key=lambda node: (-wordnet.max_depth(node), wordnet.synset_name(node)))
    total = content(a) + content(b)
    return 2 * content(subsumer) / total if total else 1.0


@pytest.mark.parametrize("roots", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_matches_the_definition_on_random_graphs(tmp_path, write_nouns, monkeypatch, seed, roots):
    draw = random.Random(seed)
    names = [f"w{number:02d}" for number in range(45)]
    draw.shuffle(names)  # the order of names is not that of the file
    parents = {name: draw.sample(names[:n], min(n, draw.choice([1, 1, 2, 3]))) for n, name in enumerate(names)}
    if roots == 2:
        parents[names[1]] = []
    ids = write_nouns(tmp_path, parents)
    wordnet = open_wordnet(tmp_path)
    concepts = draw.sample(sorted(ids.values()), 18)
    lin = Similarity(wordnet, concepts)
    for constant in ("_BLOCK", "_STRIP"):
        monkeypatch.setattr(module, constant, 5)
    rows, columns = draw.choices(lin.nodes, k=23), draw.sample(lin.nodes, 12)
    expected = [[naive_lin(wordnet, concepts, a, b) for b in columns] for a in rows]
    np.testing.assert_allclose(lin.matrix(rows, columns), expected, atol=1e-12)


def test_counts_and_content_of_a_small_tree(tmp_path, write_nouns):
    ids = write_nouns(
        tmp_path, {"root": [], "a": ["root"], "a1": ["a"], "a2": ["a"], "b": ["root"], "unused": ["root"]}
    )
    lin = Similarity(open_wordnet(tmp_path), [ids["a1"], ids["a2"], ids["b"], ids["b"]])
    assert len(lin) == 5 and ids["a"] in lin and ids["unused"] not in lin
    assert [lin.count(ids[key]) for key in ("root", "a", "a1", "b")] == [5, 3, 1, 1]
    assert lin.ic(ids["root"]) == 0.0
    assert lin.ic(ids["a"]) == pytest.approx(math.log(5 / 3))
    assert lin.pair(ids["a1"], ids["a2"]) == pytest.approx(math.log(5 / 3) / math.log(5))
    assert lin.subsumer(ids["a1"], ids["a2"]) == ids["a"]
    assert lin.pair(ids["a1"], ids["b"]) == 0.0


def test_every_node_is_wholly_like_itself(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, {"root": [], "a": ["root"], "b": ["a"]})
    lin = Similarity(open_wordnet(tmp_path), [ids["b"]])
    assert [lin.pair(node, node) for node in lin.nodes] == [1.0, 1.0, 1.0]


def test_separate_trees_share_nothing(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, {"root": [], "other": [], "a": ["root"]})
    lin = Similarity(open_wordnet(tmp_path), ids.values())
    assert lin.subsumer(ids["a"], ids["other"]) is None
    assert lin.pair(ids["a"], ids["other"]) == 0.0


def test_equally_deep_subsumers_are_taken_by_name(tmp_path, write_nouns):
    parents = {"root": [], "zebra": ["root"], "apple": ["root"], "x": ["zebra", "apple"], "y": ["zebra", "apple"]}
    ids = write_nouns(tmp_path, {**parents, "more": ["apple"]})
    lin = Similarity(open_wordnet(tmp_path), ids.values())
    assert lin.subsumer(ids["x"], ids["y"]) == ids["apple"]
    assert lin.pair(ids["x"], ids["y"]) == pytest.approx(math.log(6 / 4) / math.log(6))


def test_to_set(world_tree, monkeypatch):
    wordnet, leaves = world_tree
    lin = Similarity(wordnet, leaves)
    matrix = lin.matrix(leaves[20:], leaves[:20])
    monkeypatch.setattr(module, "_ROWS", 7)
    similarity, nearest = lin.to_set(leaves[20:], leaves[:20])
    np.testing.assert_array_equal(similarity, matrix.max(axis=1))
    np.testing.assert_array_equal(nearest, matrix.argmax(axis=1))
    assert lin.to_set([], leaves)[0].shape == (0,) and lin.matrix([], leaves).shape == (0, len(leaves))


def test_user_errors(world_tree):
    wordnet, leaves = world_tree
    with pytest.raises(UserError, match="found no concepts"):
        Similarity(wordnet, [])
    with pytest.raises(UserError, match="n99999999: no such noun synset"):
        Similarity(wordnet, [*leaves, "n99999999"])
    lin = Similarity(wordnet, leaves[:3])
    with pytest.raises(UserError, match=f"{leaves[-1]}: not in the graph"):
        lin.pair(leaves[0], leaves[-1])
    with pytest.raises(UserError, match="similarity to a set: the set is empty"):
        lin.to_set(leaves[:3], [])


class TestImageNet:
    """Published and independently recovered numbers of ImageNet-CoG."""

    def test_graph(self, lin):
        assert len(lin) == 23_547
        counts = {"n00001740": 23_547, "n00015388": 3_848, "n02083346": 224, "n02084071": 190, "n02120997": 58}
        assert {node: lin.count(node) for node in counts} == counts
        assert lin.count("n02121620") == 38
        assert lin.ic("n02121620") == pytest.approx(6.4292, abs=5e-5)
        assert lin.ic("n02120997") == pytest.approx(6.0063, abs=5e-5)
        assert lin.ic("n02123159") == pytest.approx(10.066754, abs=5e-7)

    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            ("tiger_cat.n.02", "tabby.n.01", 0.707509),
            ("tiger_cat.n.02", "lion.n.01", 0.640768),
            ("tiger_cat.n.02", "cougar.n.01", 0.638654),
            ("tiger_cat.n.02", "dog.n.01", 0.560556),
            ("tiger_cat.n.02", "chair.n.01", 0.016236),
            ("gamecock.n.01", "cock.n.05", 0.964345),
            ("hop.n.01", "red_wine.n.01", 0.338239),
        ],
    )
    def test_pairs(self, wordnet, lin, a, b, expected):
        wnids = {wordnet.synset_name(node): node for node in lin.nodes}
        assert lin.pair(wnids[a], wnids[b]) == pytest.approx(expected, abs=5e-7)
        assert lin.pair(wnids[a], wnids[b]) == lin.pair(wnids[b], wnids[a])
        assert lin.pair(wnids[a], wnids[a]) == 1.0

    @pytest.mark.parametrize(
        ("wnid", "expected", "nearest"),
        [
            ("n01514752", 0.9643, "cock.n.05"),  # gamecock
            ("n01531811", 0.6418, "junco.n.01"),  # redpoll
            ("n07769584", 0.5283, "orange.n.01"),  # quince: the subsumer of largest IC would give 0.6497
        ],
    )
    def test_similarity_to_imagenet(self, wordnet, lin, imagenet, wnid, expected, nearest):
        similarity, position = lin.to_set([wnid], imagenet)
        assert similarity[0] == pytest.approx(expected, abs=5e-5)
        assert wordnet.synset_name(imagenet[position[0]]) == nearest

    @pytest.mark.parametrize(
        ("level", "largest", "smallest", "mean"),
        [(1, 0.964345, 0.745206, 0.8449), (3, 0.641303, 0.513240, 0.5745), (5, 0.338239, 0.003559, 0.1981)],
    )
    def test_levels(self, lin, imagenet, cog_levels, level, largest, smallest, mean):
        similarity, _ = lin.to_set(cog_levels[level], imagenet)
        assert similarity.max() == pytest.approx(largest, abs=5e-7)
        assert similarity.min() == pytest.approx(smallest, abs=5e-7)
        assert similarity.mean() == pytest.approx(mean, abs=5e-5)

    def test_counts_are_those_of_the_miil_classes(self, imagenet21k, miil_synsets):
        assert {wnid for wnid, images in imagenet21k.items() if images > 500} == set(miil_synsets)

    def test_published_lists(self, imagenet, imagenet21k, cog_levels):
        """The hashes of the official lists, and level 1's training images: all but 50 of a class, 1300 at most."""
        hashes = {1: "4807aaff7abf6707", 3: "74945b88f4385980", 5: "3c2a5f490813724d"}
        for level, wnids in cog_levels.items():
            assert wnids == sorted(set(wnids)) and len(wnids) == 1000 and not set(wnids) & set(imagenet)
            assert hashlib.sha256("\n".join(wnids).encode()).hexdigest()[:16] == hashes[level]
        assert sum(min(imagenet21k[wnid] - 50, 1300) for wnid in cog_levels[1]) == 1_118_804
