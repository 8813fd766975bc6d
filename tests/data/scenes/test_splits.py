"""Splits: the published numbers, and what users may ask for."""

from __future__ import annotations

import pytest

from transferbench.data.scenes.splits import Split, alternating, evenly, every, refuse, ruled, train_needed
from transferbench.errors import UserError


def test_every_eighth() -> None:
    split = every(34)
    assert split.test == (0, 8, 16, 24, 32) and len(split.train) == 29 and not split.val
    assert sorted(split.train + split.test) == list(range(34))


def test_nerfstudio() -> None:
    fifty, more = evenly(50), evenly(67)
    assert len(fifty.train) == 45 and fifty.test == (9, 19, 29, 39, 48)
    assert len(more.train) == 61 and more.test == (10, 21, 32, 43, 54, 65)


def test_epic_diff() -> None:
    split = alternating(64)
    assert split.test == (0, 16, 32, 48) and split.val == (8, 24, 40, 56)
    assert len(split.train) == 56


def test_rules() -> None:
    default = Split((1,))
    assert ruled(None, 10, default) is default
    assert ruled(5, 10, default) == every(10, 5)
    assert ruled(0.5, 10, default) == evenly(10, 0.5)
    for wrong in (0, 1, -3, 2.5, float("inf"), float("nan")):
        with pytest.raises(UserError, match=r"expected a step, such as 8 .* or a share to fit, such as 0.9"):
            ruled(wrong, 10, default)


def test_a_split_of_its_own_and_an_empty_one() -> None:
    refuse(None, "x")
    with pytest.raises(UserError, match=r"data.split is 8, but meta.json has a split of its own; set data.split=null"):
        refuse(8, "meta.json")
    with pytest.raises(UserError, match=r"x.json: no frame is left to fit"):
        train_needed(Split(()), "x.json")
