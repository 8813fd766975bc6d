from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from transferbench.concepts.levels import draw_levels, level_slices, rank_levels
from transferbench.concepts.similarity import Similarity
from transferbench.concepts.wordnet import open_wordnet
from transferbench.errors import UserError


@pytest.mark.parametrize("seed", range(5))
def test_the_world_gives_graded_levels(world_tree, seed):
    wordnet, leaves = world_tree
    draw = draw_levels(wordnet, leaves, seed=seed)
    drawn = [wnid for level in draw.levels for wnid in level]
    assert len(draw.seen) == 20 and [len(level) for level in draw.levels] == [20] * 5
    assert len({*draw.seen, *drawn}) == 120 and {*draw.seen, *drawn} <= set(leaves)
    assert all(list(level) == sorted(level) for level in (draw.seen, *draw.levels))
    means = draw.mean_similarity()
    assert all(closer - farther > 0.04 for closer, farther in pairwise(means))
    assert means[0] > 0.6 and means[4] < 0.2
    assert draw.distinct_similarities >= 15


def test_levels_follow_the_similarity(world_tree):
    wordnet, leaves = world_tree
    draw = draw_levels(wordnet, leaves, seed=3)
    lin = Similarity(wordnet, leaves)
    assert list(draw.similarity) != [] and set(draw.similarity) == set(draw.nearest) == {
        w for x in draw.levels for w in x
    }
    for wnid, similarity in draw.similarity.items():
        to_seen = {seen: lin.pair(wnid, seen) for seen in draw.seen}
        assert similarity == pytest.approx(max(to_seen.values()), abs=1e-11)
        assert draw.nearest[wnid] == max(sorted(to_seen), key=to_seen.__getitem__)
    for closer, farther in pairwise(draw.levels):
        assert min(draw.similarity[wnid] for wnid in closer) >= max(draw.similarity[wnid] for wnid in farther)
    assert draw.distinct_similarities == len(set(draw.similarity.values()))


def test_the_seed_decides_alone(world_tree):
    wordnet, leaves = world_tree
    first = draw_levels(wordnet, leaves, seed=1)
    assert draw_levels(wordnet, leaves[::-1], seed=1) == first
    assert draw_levels(wordnet, leaves, seed=2).seen != first.seen


def ladder(write_nouns, folder):
    """One seen concept; three as close as can be, four farther, two farthest."""
    parents = {"root": [], "near": ["root"], "hill": ["near"], "far": ["root"], "seen": ["hill"]}
    parents |= (
        {f"a{n}": ["hill"] for n in range(3)}
        | {f"b{n}": ["near"] for n in range(4)}
        | {f"c{n}": ["far"] for n in range(2)}
    )
    ids = write_nouns(folder, parents)
    concepts = [wnid for name, wnid in ids.items() if name[1:].isdigit() or name == "seen"]
    return Similarity(open_wordnet(folder), concepts), concepts, ids


def test_ties_at_cuts_are_counted_and_shuffled(tmp_path, write_nouns):
    lin, concepts, ids = ladder(write_nouns, tmp_path)
    seen = [ids["seen"]]
    rank = lambda slices, seed=0: rank_levels(lin, concepts, seen, slices, np.random.default_rng(seed))  # noqa: E731
    assert rank(level_slices(9, 3, 3)).ties_at_cuts == 1  # aaa bbb | bcc
    assert rank([slice(0, 3), slice(3, 7), slice(7, 9)]).ties_at_cuts == 0
    assert rank([slice(0, 4), slice(5, 8)]).ties_at_cuts == 3  # aaab | b | bbc | c
    assert rank(level_slices(9, 3, 3)).distinct_similarities == 3
    among = Counter(wnid for seed in range(200) for wnid in rank(level_slices(9, 3, 3), seed).levels[1])
    assert set(among) == {ids[f"b{n}"] for n in range(4)}
    assert all(110 < count < 190 for count in among.values())  # each of four in three of four draws


def test_gaps_between_the_levels():
    assert [(level.start, level.stop) for level in level_slices(10, 5, 2)] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    cog = level_slices(5146, 5, 1000)
    assert [later.start - level.stop for level, later in pairwise(cog)] == [36, 36, 37, 37]
    assert (cog[0].start, cog[4].stop) == (0, 5146)
    assert level_slices(9, 1, 4) == (slice(0, 4),)


def test_a_tree_without_branches_still_gives_a_draw(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, {"root": [], **{f"leaf{n}": ["root"] for n in range(40)}})
    leaves = [wnid for name, wnid in ids.items() if name != "root"]
    draw = draw_levels(open_wordnet(tmp_path), leaves, seen_count=10, levels=3, per_level=10)
    assert len(draw.seen) == 10 and draw.mean_similarity() == (0.0, 0.0, 0.0)
    assert draw.distinct_similarities == 1 and draw.ties_at_cuts == 2


def test_one_level(world_tree):
    wordnet, leaves = world_tree
    draw = draw_levels(wordnet, leaves, seen_count=1, levels=1, per_level=1)
    assert len(draw.levels) == 1 and draw.ties_at_cuts <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per_level": 40}, r"found 132 leaf concepts, expected at least 220 \(20 seen and 5 levels of 40\)"),
        ({"seen_count": 0}, "found seen_count=0"),
        ({"seed": -1}, "seed=-1; expected"),
    ],
)
def test_user_errors(world_tree, arguments, message):
    wordnet, leaves = world_tree
    with pytest.raises(UserError, match=message):
        draw_levels(wordnet, leaves, **arguments)
