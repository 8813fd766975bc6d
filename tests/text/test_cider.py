import math
import random

import numpy as np
import pytest

from transferbench.errors import UserError
from transferbench.text.cider import cider, cider_of_each

THREE = ["a man riding a wave", "a cat on a bench", "two dogs play in snow"]


def one_each(captions: list[str]) -> list[list[str]]:
    return [[caption] for caption in captions]


@pytest.mark.parametrize(
    ("candidates", "references", "score"),
    [
        (THREE, THREE, 10),
        (["a big dog", "red bus", "two wet cats"], ["a big dog", "red bus", "two wet cats"], 6.666667),
        (THREE[:1], THREE[:1], 0),
        (["", "", ""], THREE, 0),
        ([THREE[1], THREE[1], THREE[2]], THREE, 6.794752),
        (["...", "!", "🙂"], THREE, 0),
        (["A man, riding a wave.", "A CAT on a bench!", "two dogs play (in snow)"], THREE, 10),
    ],
)
def test_known_scores(candidates: list[str], references: list[str], score: float) -> None:
    assert cider(candidates, one_each(references)) == pytest.approx(score, abs=1e-6)


def naive(candidates: list[str], references: list[list[str]]) -> list[float]:
    """The definition, with lists and without any sharing."""

    def grams(text: str, n: int) -> list[tuple[str, ...]]:
        words = text.split()
        return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

    def idf(gram: tuple[str, ...]) -> float:
        seen = sum(any(gram in grams(text, len(gram)) for text in texts) for texts in references)
        return math.log(len(references) / max(seen, 1))

    scores = []
    for candidate, texts in zip(candidates, references):
        values = []
        for text in texts:
            total = 0.0
            for n in range(1, 5):
                own, other = grams(candidate, n), grams(text, n)
                every = sorted(set(own) | set(other))
                c = np.array([own.count(g) * idf(g) for g in every])
                r = np.array([other.count(g) * idf(g) for g in every])
                if np.linalg.norm(c) and np.linalg.norm(r):
                    total += float(np.minimum(c, r) @ r / np.linalg.norm(c) / np.linalg.norm(r))
            gap = len(grams(candidate, 2)) - len(grams(text, 2))
            values.append(10 * total / 4 * math.exp(-(gap**2) / 72))
        scores.append(sum(values) / len(values))
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_definition(seed: int) -> None:
    draw = random.Random(seed)

    def caption() -> str:
        return " ".join(draw.choices(["a", "a", "a", "dog", "cat", "on", "bus", "red"], k=draw.randint(0, 9)))

    candidates = [caption() for _ in range(8)]
    references = [[caption() for _ in range(draw.randint(1, 4))] for _ in range(8)]
    np.testing.assert_allclose(cider_of_each(candidates, references), naive(candidates, references), atol=1e-9)


def test_a_repeated_word_earns_nothing_more() -> None:
    stuffed = [THREE[0] + " wave" * 20, *THREE[1:]]
    assert cider_of_each(stuffed, one_each(THREE))[0] < 1


def test_bad_input_is_told() -> None:
    with pytest.raises(UserError, match="1 captions for 3 images"):
        cider(["a"], one_each(THREE))
    with pytest.raises(UserError, match="0 captions for 0 images"):
        cider([], [])
    with pytest.raises(UserError, match=r"image 1 \(and 1 others\) has no reference"):
        cider(THREE, [["a"], [], []])
