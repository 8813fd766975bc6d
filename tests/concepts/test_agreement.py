import pytest

from transferbench.concepts.agreement import compare_levels, left_out
from transferbench.errors import UserError

SIMILARITY = {"a": 0.9, "b": 0.8, "c": 0.8, "d": 0.7, "e": 0.6, "f": 0.5, "g": 0.5, "h": 0.1}


def test_each_difference_has_its_reason():
    """Published: a, b, d of level 1, f, and x that no filter left, of level 2."""
    levels = {1: ["a", "c", "e"], 2: ["f", "g", "h"]}
    one, two = compare_levels(levels, {1: ["a", "b", "d"], 2: ["x", "e", "f"]}, SIMILARITY)
    assert (one.level, one.common, one.missing, one.extra, one.filtered) == (1, 1, ("b", "d"), ("c", "e"), 0)
    assert (one.tied, one.left_out, one.beyond) == (0, 1, 1)  # c lies within a..d, e behind d
    assert (two.common, two.missing, two.extra, two.filtered) == (1, ("e", "x"), ("g", "h"), 1)
    assert (two.tied, two.left_out, two.beyond) == (1, 0, 1)  # g is as similar as f, the last


def test_a_tie_at_either_end():
    (only,) = compare_levels({1: ["b", "f", "e"]}, {1: ["c", "d", "g"]}, SIMILARITY)
    assert (only.tied, only.left_out, only.beyond) == (2, 1, 0)


def test_equal_levels_agree():
    (only,) = compare_levels({1: ["a", "b"]}, {1: ["b", "a"]}, SIMILARITY)
    assert only.common == 2 and not only.missing and not only.extra


def test_left_out_lies_within_a_range_and_in_no_level():
    assert left_out({1: ["a", "d"], 3: ["g", "h"]}, SIMILARITY) == ["b", "c"]  # f is tied with g, e between levels
    assert left_out({1: ["a", "d"], 2: ["b", "h"]}, SIMILARITY) == ["c", "e", "f", "g"]
    assert left_out({}, SIMILARITY) == []
    assert left_out({1: ["x"]}, SIMILARITY) == []


def test_user_errors():
    with pytest.raises(UserError, match=r"level 3 is published, but there are 1 levels here; set task\.levels"):
        compare_levels({1: ["a"]}, {3: ["a"]}, SIMILARITY)
    with pytest.raises(UserError, match="published level 1: all its 2 concepts are dropped by the filters"):
        compare_levels({1: ["a"]}, {1: ["x", "y"]}, SIMILARITY)
