from collections import Counter

import numpy as np
import pytest

from transferbench.data.class_split import REST, split_per_class
from transferbench.errors import UserError

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [20, 8, 30]))
CLASSES = ("ant", "bee", "cat")


def per_class(positions: np.ndarray) -> list[int]:
    counts = Counter(LABELS[positions].tolist())
    return [counts[label] for label in range(3)]


def test_every_class_gives_what_the_parts_ask_for() -> None:
    parts = split_per_class(LABELS, CLASSES, {"test": 3, "val": 2}, 0, "here")
    assert {part: per_class(positions) for part, positions in parts.items()} == {
        "test": [3, 3, 3], "val": [2, 2, 2], REST: [15, 3, 25],
    }  # fmt: skip
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(LABELS)))
    assert all((np.diff(positions) > 0).all() for positions in parts.values())


def test_shares_are_rounded_and_at_least_one_image() -> None:
    assert per_class(split_per_class(LABELS, CLASSES, {"test": 0.2}, 0, "here")["test"]) == [4, 2, 6]
    assert per_class(split_per_class(LABELS, CLASSES, {"test": 0.01}, 0, "here")["test"]) == [1, 1, 1]


def test_the_rest_can_be_limited() -> None:
    parts = split_per_class(LABELS, CLASSES, {"test": 5}, 0, "here", most=10)
    assert per_class(parts["test"]) == [5, 5, 5]
    assert per_class(parts[REST]) == [10, 3, 10]
    assert not set(parts["test"]) & set(parts[REST])


def test_a_class_is_drawn_by_the_seed_and_its_own_images_alone() -> None:
    def drawn(classes: tuple[str, ...], label: int, seed: int) -> list[int]:
        chosen = np.isin(LABELS, [CLASSES.index(name) for name in classes])
        labels = np.searchsorted([CLASSES.index(name) for name in classes], LABELS[chosen])
        test = split_per_class(labels, classes, {"test": 4}, seed, "here")["test"]
        (members,) = np.nonzero(labels == label)
        return np.searchsorted(members, test[labels[test] == label]).tolist()

    assert drawn(CLASSES, 2, 1) == drawn(CLASSES, 2, 1) == drawn(("ant", "cat"), 1, 1)
    assert drawn(CLASSES, 2, 1) != drawn(CLASSES, 2, 2)


def test_the_draw_takes_every_image_equally_often() -> None:
    taken = np.zeros(len(LABELS))
    for seed in range(400):
        taken[split_per_class(LABELS, CLASSES, {"test": 4}, seed, "here")["test"]] += 1
    for label, count in enumerate((20, 8, 30)):
        share = 4 / count
        spread = np.sqrt(400 * share * (1 - share))
        assert np.abs(taken[label == LABELS] - 400 * share).max() < 4.5 * spread


def test_a_class_that_is_too_small_is_named_with_its_counts() -> None:
    with pytest.raises(UserError) as caught:
        split_per_class(LABELS, CLASSES, {"test": 5, "val": 3}, 0, "/data/set")
    assert str(caught.value) == (
        "/data/set: 1 class has fewer images than the split needs: bee (8 of 9); it takes 5 test, 3 val and at least "
        "one more of every class. Add images or remove the folders of these classes."
    )
    labels = np.repeat(np.arange(8), [1] * 7 + [9])
    with pytest.raises(UserError, match=r"7 classes have .*: a \(1 of 2\), .* and 2 more; it takes 20% test and"):
        split_per_class(labels, tuple("abcdefgh"), {"test": 0.2}, 0, "x")


def test_a_class_without_images_is_too_small() -> None:
    with pytest.raises(UserError, match=r"dog \(0 of 2\)"):
        split_per_class(LABELS, (*CLASSES, "dog"), {"test": 1}, 0, "x")
