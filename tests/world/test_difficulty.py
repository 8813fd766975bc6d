"""The world is frozen at a difficulty that means something: measured once, remembered beside its digest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from transferbench import cli
from transferbench.world.cache import world_digest

RECORD = Path(__file__).with_name("difficulty.json")


def test_the_world_is_the_one_that_was_measured() -> None:
    record = json.loads(RECORD.read_text())
    assert record["digest"] == world_digest(), "the world has changed: run the slow test and write its numbers down"
    assert record["oracle"] >= 0.8
    assert max(record["pixels"], record["colour_histogram"]) < record["oracle"] / 2


@pytest.mark.slow
def test_the_oracle_learns_what_pixels_and_colours_do_not_tell(tmp_path: Path) -> None:
    """About a quarter of an hour on two cores, and the world's rendering."""
    from transferbench.data.world import WorldData
    from transferbench.features.floors import describe
    from transferbench.probes.aggregate import top1
    from transferbench.probes.logreg import fit_logreg

    assert cli.command(["transferbench", "+experiment=oracle", f"outputs={tmp_path}", "run=a", "~transfer"]) == 0
    summary = json.loads((tmp_path / "oracle" / "a" / "summary.json").read_text())
    found = {"oracle": summary["metrics"]["val/top1"]}
    data = WorldData(crops=lambda image: [], batch_size=1, eval_resize=64, eval_size=64, concepts="all")
    data.setup()
    train, test = describe(data.splits.train), describe(data.splits.test)
    for floor in ("pixels", "colour_histogram"):
        probe = fit_logreg(train[floor].x, train[floor].y, costs=(1e-3, 1e-2), seed=0)
        found[floor] = top1(probe.predict(test[floor].x), test[floor].y)
    assert found["oracle"] >= 0.8, found
    assert summary["timings"]["training"] < 900
    assert max(found["pixels"], found["colour_histogram"]) < found["oracle"] / 2, found
