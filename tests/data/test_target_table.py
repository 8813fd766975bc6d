import inspect

import pytest
import torchvision

from transferbench.data.target_table import GROUPS, TARGETS
from transferbench.data.torchvision_reader import PARTS, WHOLE

SIXTEEN = """
in1k 1000 1281167 50000 sgd
cog_l1 1000 1118804 50000 sgd
cog_l2 1000 1115788 50000 sgd
cog_l3 1000 1095203 50000 sgd
cog_l4 1000 1107128 50000 sgd
cog_l5 1000 1091654 50000 sgd
aircraft 100 6667 3333 lbfgs
cars196 196 8144 8041 lbfgs
dtd 47 3760 1880 lbfgs
eurosat 10 18900 8100 lbfgs
flowers 102 2040 6149 lbfgs
pets 37 3680 3669 lbfgs
food101 101 75750 25250 lbfgs
sun397 397 19850 19850 lbfgs
inat2018 8142 437513 24426 sgd
inat2019 1010 265213 3030 sgd
"""
"""t-ReX's evaluation: classes, trainval, test, solver."""


def test_the_sixteen_sets_as_published() -> None:
    rows = [line.split() for line in SIXTEEN.split("\n") if line]
    for name, classes, trainval, test, solver in rows:
        found = TARGETS[name]
        assert (found.classes, found.trainval, found.test, found.solver) == (
            int(classes), int(trainval), int(test), solver,
        )  # fmt: skip
        assert found.metric == "top1"
    assert GROUPS["trex16"] == tuple(row[0] for row in rows)
    assert sum(TARGETS[name].trainval for name in GROUPS["cog"]) == 5_528_577
    assert {name for name in GROUPS["trex16"] if TARGETS[name].drawn} == {*GROUPS["cog"], "eurosat"}


def test_groups() -> None:
    assert len(GROUPS["trex13"]) == 13
    assert set(GROUPS["trex15"]) - set(GROUPS["trex13"]) == {"inat2018", "inat2019"}
    assert set(GROUPS["trex16"]) - set(GROUPS["trex15"]) == {"in1k"}
    assert len(GROUPS["vtab_natural"]) == 7
    assert not set(GROUPS) & set(TARGETS)
    assert {name for names in GROUPS.values() for name in names} <= set(TARGETS)


def test_sizes_that_follow_from_the_split() -> None:
    eurosat, caltech, sun = TARGETS["eurosat"], TARGETS["caltech101"], TARGETS["sun397"]
    assert (eurosat.test, eurosat.trainval + eurosat.test) == (10 * 810, 27_000)
    assert (caltech.trainval, caltech.trainval + caltech.test) == (101 * 30, 8_677)
    assert sun.trainval == sun.test == 397 * 50


@pytest.mark.parametrize("name", TARGETS)
def test_every_set_says_what_it_needs_and_where_to_get_it(name: str) -> None:
    published = TARGETS[name]
    if published.folder is None:
        return
    assert published.needs
    assert published.fetch.count("{folder}") >= 1
    assert "{" not in published.fetch.replace("{folder}", "")
    inspect.signature(published.read).bind("/data", **({"seed": 0} if published.drawn else {}))
    assert published.metric == ("map" if name == "voc2007" else "top1")


def test_every_set_that_torchvision_can_read_is_there() -> None:
    read = {published.read.args[0] for published in TARGETS.values() if getattr(published.read, "args", ())}  # type: ignore[attr-defined]
    assert read == {*PARTS, *WHOLE}
    assert all(hasattr(torchvision.datasets, dataset) for dataset in read)
