"""Levels of unseen concepts, ordered by their similarity to a set of seen ones (as ImageNet-CoG, ICCV 2021).

A draw splits the leaves of any taxonomy into seen concepts and levels of unseen ones, closest first. It looks at
nothing but the taxonomy and its seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from transferbench.concepts.graph import Floats
from transferbench.concepts.similarity import Similarity
from transferbench.concepts.wordnet import WordNet
from transferbench.errors import UserError

_CANDIDATES = 64  # seen sets compared in one draw
_SMALLEST_BRANCH = 3  # leaves
_LARGEST_BRANCH = 0.3  # of the number of seen concepts
_POOL = 2.0  # leaves of the chosen branches, in numbers of seen concepts: about half of a branch is seen
_VALUES = 3  # different similarities a level, on average, that a draw tries to reach
_DECIMALS = 12  # similarities that agree so far are a tie


@dataclass(frozen=True)
class Draw:
    """Seen concepts and levels of unseen ones.

    Attributes:
        seen: sorted wnids.
        levels: sorted wnids of each level, closest level first.
        similarity: of every concept in a level to the seen ones: its largest Lin similarity to one of them.
        nearest: that seen concept (the first by wnid among equals).
        ties_at_cuts: ends of levels at which concepts of equal similarity fall on both sides; the seed decided there.
        distinct_similarities: number of different values in ``similarity``.
    """

    seen: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    similarity: dict[str, float]
    nearest: dict[str, str]
    ties_at_cuts: int
    distinct_similarities: int

    def mean_similarity(self) -> tuple[float, ...]:
        """Mean similarity of each level to the seen concepts."""
        return tuple(float(np.mean([self.similarity[wnid] for wnid in level])) for level in self.levels)


@dataclass(frozen=True)
class Ranking:
    """Concepts by falling similarity to the seen ones.

    Attributes:
        concepts: wnids, the most similar first.
        similarity: ``(len(concepts),)``, rounded so that equal ones are equal.
        nearest: for each concept the seen one it is most similar to (the first by wnid among equals).
    """

    concepts: tuple[str, ...]
    similarity: Floats
    nearest: tuple[str, ...]

    def ties_at_cuts(self, slices: Sequence[slice]) -> int:
        """Ends of levels at which concepts of equal similarity fall on both sides."""
        cuts = {cut for level in slices for cut in (level.start, level.stop)}.difference({0, len(self.concepts)})
        return sum(bool(self.similarity[cut - 1] == self.similarity[cut]) for cut in cuts)


def draw_levels(
    wordnet: WordNet,
    leaves: Sequence[str],
    seen_count: int = 20,
    levels: int = 5,
    per_level: int = 20,
    seed: int = 0,
) -> Draw:
    """Draw seen concepts and levels of unseen ones from the leaves of a taxonomy.

    The seen concepts are concentrated, so that unseen ones lie close as well as far: whole branches of a few leaves are
    drawn until they hold twice ``seen_count`` leaves, of which ``seen_count`` are seen. The unseen leaves are ranked by
    similarity, ties shuffled. Of 64 such rankings the draw keeps the one that measures best: every level farther than
    the one before, then the most distinct similarities up to three a level, then the largest of the smallest steps from
    a level's mean similarity to the next one's, then the first.

    Args:
        wordnet: the taxonomy.
        leaves: wnids to draw from; none above another one.
        seen_count: number of seen concepts.
        levels: number of levels.
        per_level: number of concepts of a level.
        seed: decides everything that is random here.

    Raises:
        UserError: too few leaves, or a number that makes no sense.
    """
    concepts = sorted(set(leaves))
    if min(seen_count, levels, per_level) < 1 or seed < 0:
        raise UserError(
            f"levels: found seen_count={seen_count}, levels={levels}, per_level={per_level}, seed={seed}; "
            "expected counts of at least 1 and a seed of at least 0"
        )
    if len(concepts) < seen_count + levels * per_level:
        raise UserError(
            f"levels: found {len(concepts)} leaf concepts, expected at least {seen_count + levels * per_level} "
            f"({seen_count} seen and {levels} levels of {per_level}); ask for fewer"
        )
    similarity = Similarity(wordnet, concepts)
    branches = _branches(wordnet, concepts, seen_count)
    rng = np.random.default_rng(seed)
    slices = level_slices(len(concepts) - seen_count, levels, per_level)
    draws = (
        rank_levels(similarity, concepts, _draw_seen(concepts, branches, seen_count, rng), slices, rng)
        for _ in range(_CANDIDATES)
    )
    return max(draws, key=_quality)


def level_slices(count: int, levels: int, per_level: int) -> tuple[slice, ...]:
    """Where the levels lie in a ranking of ``count`` concepts: the first at its start, the last at its end.

    Left-over concepts lie in the gaps between levels, the later gaps one larger where they do not divide evenly
    (ImageNet-CoG: 36, 36, 37, 37). With one level, they lie behind it.
    """
    gap, larger = divmod(count - levels * per_level, max(levels - 1, 1))
    starts = [level * (per_level + gap) + max(0, level - (levels - 1 - larger)) for level in range(levels)]
    return tuple(slice(start, start + per_level) for start in starts)


def rank(similarity: Similarity, concepts: Sequence[str], seen: Sequence[str], rng: np.random.Generator) -> Ranking:
    """Rank the concepts that are not seen by their similarity to those that are, ties shuffled."""
    seen = sorted(seen)
    unseen = rng.permutation(sorted(set(concepts).difference(seen))).tolist()
    values, nearest = similarity.to_set(unseen, seen)
    values = np.round(values, _DECIMALS)
    order = np.argsort(-values, kind="stable")
    return Ranking(
        concepts=tuple(unseen[index] for index in order),
        similarity=values[order],
        nearest=tuple(seen[place] for place in nearest[order]),
    )


def rank_levels(
    similarity: Similarity,
    concepts: Sequence[str],
    seen: Sequence[str],
    slices: Sequence[slice],
    rng: np.random.Generator,
) -> Draw:
    """Rank the concepts that are not seen by similarity to those that are, ties shuffled, and cut out the levels."""
    ranking = rank(similarity, concepts, seen, rng)
    values = ranking.similarity
    drawn = [place for level in slices for place in range(len(values))[level]]
    return Draw(
        seen=tuple(sorted(seen)),
        levels=tuple(tuple(sorted(ranking.concepts[level])) for level in slices),
        similarity={ranking.concepts[place]: float(values[place]) for place in drawn},
        nearest={ranking.concepts[place]: ranking.nearest[place] for place in drawn},
        ties_at_cuts=ranking.ties_at_cuts(slices),
        distinct_similarities=len(np.unique(values[drawn])),
    )


def _branches(wordnet: WordNet, concepts: Sequence[str], seen_count: int) -> list[list[str]]:
    """The leaves below every inner node that has a few of them."""
    below: dict[str, list[str]] = {}
    for concept in concepts:
        for ancestor in wordnet.ancestors(concept):
            below.setdefault(ancestor, []).append(concept)
    largest = max(_SMALLEST_BRANCH, round(_LARGEST_BRANCH * seen_count))
    return [below[node] for node in sorted(below) if _SMALLEST_BRANCH <= len(below[node]) <= largest]


def _draw_seen(
    concepts: Sequence[str], branches: Sequence[Sequence[str]], seen_count: int, rng: np.random.Generator
) -> list[str]:
    pool: dict[str, None] = {}  # an ordered set
    for branch in rng.permutation(len(branches)):
        if len(pool) >= _POOL * seen_count:
            break
        pool.update(dict.fromkeys(branches[branch]))
    others = [concept for concept in concepts if concept not in pool]  # for a tree too flat for branches
    shuffled = [*rng.permutation(list(pool)).tolist(), *rng.permutation(others).tolist()]
    return shuffled[:seen_count]


def _quality(draw: Draw) -> tuple[bool, int, float]:
    step = min((closer - farther for closer, farther in pairwise(draw.mean_similarity())), default=1.0)
    return step > 0, min(draw.distinct_similarities, _VALUES * len(draw.levels)), round(step, _DECIMALS)
