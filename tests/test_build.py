"""Plain containers to objects."""

from __future__ import annotations

import functools
from collections import Counter, OrderedDict

import pytest

from transferbench.build import NETWORK_TARGETS, build, locate
from transferbench.errors import UserError


def test_targets_become_calls_and_all_else_stays() -> None:
    made = build({"a": [{"_target_": "collections.Counter", "x": 2}], "b": {"c": 1}, "d": None})
    assert made == {"a": [Counter(x=2)], "b": {"c": 1}, "d": None}
    assert isinstance(made["a"][0], Counter)


def test_a_partial_waits_for_the_rest_and_holds_built_arguments() -> None:
    made = build({"_target_": "collections.OrderedDict", "_partial_": True, "x": {"_target_": "collections.Counter"}})
    assert isinstance(made, functools.partial)
    assert made(y=1) == OrderedDict(x=Counter(), y=1)


@pytest.mark.parametrize("path", ["nowhere.at.all", "collections.Contre", "math.pi", "print", ""])
def test_a_wrong_target_is_named(path: str) -> None:
    with pytest.raises(UserError, match="_target_"):
        locate(path)


def test_a_file_may_build_networks_only() -> None:
    with pytest.raises(UserError, match=r"os\.system.*refused"):
        build({"model": {"_target_": "os.system", "command": "true"}}, NETWORK_TARGETS)
    with pytest.raises(UserError, match="refused"):
        build({"_target_": "transferbench.storage.write_text", "path": "/tmp/x", "text": ""}, NETWORK_TARGETS)
    assert build(
        {"_target_": "transferbench.heads.classification.linear_head", "width": 4, "classes": 2}, NETWORK_TARGETS
    )
