"""Every measure against NLTK's own function, against its definition on random graphs, and at its ends."""

import math
import random
from collections import defaultdict

import numpy as np
import pytest

from transferbench.concepts import similarity as module
from transferbench.concepts.measures import ALIKE, jiang_conrath, lin, path, resnik, wu_palmer
from transferbench.concepts.similarity import Similarity
from transferbench.concepts.wordnet import WordNet, open_wordnet
from transferbench.errors import UserError

ROOT = "n00001740"


def pairs_of(wordnet: WordNet, nodes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Rows and columns with strangers, families, the root, and nodes above each other."""
    draw = random.Random(2)
    rows = draw.sample(nodes, 50)
    several = [node for node in nodes if len(wordnet.parents(node)) > 1]  # where ways and subsumers are many
    columns = draw.sample(nodes, 20) + draw.sample(several, 15) + rows[:5]
    for wnid in [*rows[:4], *columns[20:26]]:
        (rows if wnid in columns else columns).extend(sorted(wordnet.ancestors(wnid))[::2])
    return [*dict.fromkeys([*rows, *columns[20:26]])], [*dict.fromkeys(columns)]


@pytest.mark.parametrize("measure", ["lin", "resnik", "jcn", "path", "wup"])
def test_agrees_with_nltk(wordnet, nltk_reader, imagenet, imagenet21k, measure):
    ours = Similarity(wordnet, [*imagenet21k, *imagenet], measure, subsumer="informative")
    rows, columns = pairs_of(wordnet, ours.nodes)
    counts = {int(node[1:]): float(ours.count(node)) for node in ours.nodes}
    content = {"n": defaultdict(float, {**counts, 0: float(len(ours))})}
    synsets = {wnid: nltk_reader.synset_from_pos_and_offset("n", int(wnid[1:])) for wnid in {*rows, *columns}}
    name = {"resnik": "res"}.get(measure, measure)
    arguments = [] if measure in ("path", "wup") else [content]
    expected = [
        [1e9 if a == b == ROOT else getattr(synsets[a], f"{name}_similarity")(synsets[b], *arguments) for b in columns]
        for a in rows
    ]
    found = ours.matrix(rows, columns)
    if ROOT in rows and ROOT in columns:
        found[rows.index(ROOT), columns.index(ROOT)] = 1e9  # NLTK's lin_similarity divides zero by zero there
    assert found.size > 3000 and len(np.unique(found)) > 10
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def naive(wordnet: WordNet, concepts: list[str], measure: str, a: str, b: str) -> float:
    """The definitions, word by word, on the paths themselves."""
    graph = set(concepts).union(*(wordnet.ancestors(concept) for concept in concepts))

    def upward(node: str) -> dict[str, int]:
        found = {node: 0}
        for parent in wordnet.parents(node):
            for above, edges in upward(parent).items():
                found[above] = min(found.get(above, 99), edges + 1)
        return found

    def content(node: str) -> float:
        return -math.log(sum(node in upward(other) for other in graph) / len(graph))

    def shallowest(node: str) -> int:
        return min((1 + shallowest(parent) for parent in wordnet.parents(node)), default=0)

    def edges(one: str, other: str) -> float:
        return min((up + upward(other)[node] for node, up in upward(one).items() if node in upward(other)), default=99)

    common = upward(a).keys() & upward(b).keys()
    if measure == "path":
        return 1 / (1 + edges(a, b)) if common else 0.0
    if measure == "wup":
        if not common:
            return 0.0
        deepest = max(map(shallowest, common))
        best = min((node for node in common if shallowest(node) == deepest), key=wordnet.synset_name)
        best = a if a in common and shallowest(a) == deepest else best
        depth = wordnet.max_depth(best) + 1
        return 2 * depth / (edges(a, best) + edges(b, best) + 2 * depth)
    shared = max(map(content, common), default=0.0)
    if measure == "resnik":
        return shared
    if measure == "jcn":
        if a == b or (content(a) and content(b) and abs(content(a) + content(b) - 2 * shared) < 1e-12):
            return ALIKE
        return 1 / (content(a) + content(b) - 2 * shared) if content(a) and content(b) else 0.0
    return 2 * shared / (content(a) + content(b)) if content(a) + content(b) else 1.0


@pytest.mark.parametrize("measure", ["lin", "resnik", "jcn", "path", "wup"])
@pytest.mark.parametrize("seed", range(4))
def test_matches_the_definition_on_random_graphs(tmp_path, write_nouns, monkeypatch, seed, measure):
    draw = random.Random(seed)
    names = [f"w{number:02d}" for number in range(30)]
    draw.shuffle(names)
    parents = {name: draw.sample(names[:n], min(n, draw.choice([1, 1, 2, 3]))) for n, name in enumerate(names)}
    if seed % 2:
        parents[names[1]] = []  # a second root
    ids = write_nouns(tmp_path, parents)
    wordnet = open_wordnet(tmp_path)
    concepts = draw.sample(sorted(ids.values()), 14)
    ours = Similarity(wordnet, concepts, measure, subsumer="informative")
    for constant in ("_BLOCK", "_STRIP"):
        monkeypatch.setattr(module, constant, 5)
    rows, columns = draw.choices(ours.nodes, k=17), draw.sample(ours.nodes, 11)
    expected = [[naive(wordnet, concepts, measure, a, b) for b in columns] for a in rows]
    np.testing.assert_allclose(ours.matrix(rows, columns), expected, atol=1e-12)
    assert ours.pair(rows[0], columns[0]) == pytest.approx(expected[0][0])


def test_wu_palmer_prefers_the_concept_itself_among_equally_deep_ones(tmp_path, write_nouns):
    """``hub`` lies under ``low``, and also under the root: as near to it as ``axle``, whose name comes first."""
    ids = write_nouns(
        tmp_path,
        {"root": [], "low": ["root"], "hub": ["root", "low"], "axle": ["root"], "rim": ["hub", "axle"]},
    )
    ours = Similarity(open_wordnet(tmp_path), ids.values(), "wup")
    assert ours.subsumer(ids["hub"], ids["rim"]) == ids["hub"]
    assert ours.subsumer(ids["rim"], ids["rim"]) == ids["rim"]
    assert ours.pair(ids["hub"], ids["rim"]) == pytest.approx(2 * 3 / (2 * 3 + 1))


def test_the_subsumer_is_a_choice(tmp_path, write_nouns):
    """``deep`` is the deepest and says little; ``rare`` lies higher and has only these two below it."""
    chain = {
        "root": [],
        "step": ["root"],
        "deep": ["step"],
        "rare": ["root"],
        "a": ["deep", "rare"],
        "b": ["deep", "rare"],
    }
    ids = write_nouns(tmp_path, {**chain, "c": ["deep"], "d": ["deep"]})
    wordnet = open_wordnet(tmp_path)
    deepest, informative = (
        Similarity(wordnet, ids.values(), "resnik", subsumer=subsumer) for subsumer in ("deepest", "informative")
    )
    assert deepest.subsumer(ids["a"], ids["b"]) == ids["deep"]
    assert deepest.pair(ids["a"], ids["b"]) == pytest.approx(math.log(8 / 5))
    assert informative.subsumer(ids["a"], ids["b"]) == ids["rare"]
    assert informative.pair(ids["a"], ids["b"]) == pytest.approx(math.log(8 / 3))


def test_formulas_at_their_ends():
    shared, same = np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[False, False], [True, False]])
    row, column = np.array([2.0, 3.0]), np.array([3.0, 0.0])
    np.testing.assert_allclose(lin(shared, row, column, same), [[0.4, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(resnik(shared, row, column, same), shared)
    np.testing.assert_allclose(jiang_conrath(shared, row, column, same), [[1 / 3, 0.0], [ALIKE, 0.0]])
    zero = np.zeros((1, 1))
    assert lin(zero, np.zeros(1), np.zeros(1), zero == 0)[0, 0] == 1.0
    assert jiang_conrath(zero, np.zeros(1), np.zeros(1), zero > 0)[0, 0] == 0.0
    assert jiang_conrath(zero, np.zeros(1), np.zeros(1), zero == 0)[0, 0] == ALIKE  # a root and itself
    np.testing.assert_allclose(path(np.array([[0, 3, 2**15, 2**15 + 4]], dtype=np.uint16)), [[1.0, 0.25, 0.0, 0.0]])
    np.testing.assert_allclose(wu_palmer(np.array([[2.0, 0.0]]), np.ones((1, 2)), np.ones((1, 2))), [[2 / 3, 0.0]])


def test_unknown_names(world_tree):
    wordnet, leaves = world_tree
    with pytest.raises(UserError, match="found measure='cosine' and subsumer='deepest'; expected one of lin, resnik"):
        Similarity(wordnet, leaves, "cosine")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="subsumer='lowest'"):
        Similarity(wordnet, leaves, subsumer="lowest")  # type: ignore[arg-type]
