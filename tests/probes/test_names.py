from __future__ import annotations

from transferbench.probes.names import level_number


def test_levels_are_told_from_other_sets() -> None:
    names = ("level_3", "level_12", "seen", "level_", "level_1b", "my_level_1")
    assert [level_number(name) for name in names] == [3, 12, None, None, None, None]
