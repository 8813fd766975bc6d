"""What a finished run shows on its W&B page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transferbench.report import wandb_facts as shown
from transferbench.report.facts import Neighbours, RunFacts
from transferbench.report.scores import read_scores

METRICS = {
    "transfer/seen/logreg/top1": 0.8,
    "transfer/seen/knn/top1": 0.7,
    "transfer/level_1/logreg/top1": 0.6,
    "floors/pixels/seen/logreg/top1": 0.3,
    "floors/pixels/level_1/logreg/top1": 0.2,
}


def picture(side: int = 16, value: int = 0) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


@pytest.fixture
def facts() -> RunFacts:
    near = [(picture(), "mug", True), (picture(32), "vase", False)]
    return RunFacts(
        name="trex",
        run="a",
        seed=1,
        commit="c",
        versions={},
        metrics=METRICS,
        timings={"training": 3.0},
        test_counts={"seen": 400, "level_1": 400},
        crops=[(picture(32), [picture(24), picture(12)])],
        neighbours=[Neighbours(picture(), "mug", "level_1", near)],
        concepts={"seen": ["mug", "vase"]},
        trained={"seen": 2},
        similarity={"level_1": 0.5},
    )


def test_every_piece_has_its_place(facts: RunFacts, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>x</p>")
    found = shown.wandb_facts(facts, report)
    keys = {"media/crops", "media/neighbours", "tables/accuracy", "tables/concepts", "charts/levels", "report"}
    assert set(found) == {*keys, "seconds/training"}
    assert set(shown.wandb_facts(RunFacts(name="x", run="a", seed=1, commit="", versions={}, metrics={}))) == set()


def test_a_large_report_is_left_out(
    facts: RunFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shown, "LARGEST_PAGE", 3)
    report = tmp_path / "report.html"
    report.write_text("<p>x</p>")
    assert "report" not in shown.wandb_facts(facts, report)
    assert "not sent to W&B" in caplog.text


def test_the_table_has_a_row_a_set_and_probe_beside_the_floors(facts: RunFacts) -> None:
    columns, rows = shown.accuracy_rows(facts, read_scores(METRICS))
    assert columns == ["set", "probe", "test images", "accuracy", "raw pixels", "lead over best floor"]
    assert rows[0] == ["seen", "logistic regression", 400, 0.8, 0.3, pytest.approx(0.5)]
    assert rows[1] == ["seen", "k nearest neighbours", 400, 0.7, None, None]
    assert [row[0] for row in rows] == ["seen", "seen", "level 1"]


def test_the_chart_has_the_levels_with_the_main_probe() -> None:
    assert shown.level_bars(read_scores(METRICS)) == [["seen", 0.8], ["level 1", 0.6]]
    assert shown.level_bars(read_scores({"transfer/seen/knn/top1": 0.7})) == []


def test_pictures_stand_side_by_side_at_one_scale() -> None:
    strip = shown.side_by_side([picture(24), picture(12)])
    assert strip.shape == (96, 96 + shown.GAP + 48, 3)
    assert not strip[:48, 100:].any()
    assert (strip[48:, 100:] == 255).all()


def test_neighbours_say_which_are_of_the_same_concept(facts: RunFacts) -> None:
    assert shown.neighbour_caption(facts.neighbours[0]) == "level 1, mug: mug = | vase"
    strip = shown.neighbour_strip(facts.neighbours[0])
    assert strip.shape == (96, 3 * 96 + 2 * shown.GAP, 3)
    assert tuple(strip[0, 96 + shown.GAP]) == shown.GREEN
    assert tuple(strip[0, 2 * (96 + shown.GAP)]) == shown.RED


def test_pictures_of_one_key_have_one_size() -> None:
    wide, tall = shown.of_one_size([picture(8)[:4], picture(6)])
    assert wide.shape == tall.shape == (6, 8, 3)
    assert (wide[4:] == 255).all()
    assert shown.of_one_size([]) == []
