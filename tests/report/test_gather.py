from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferbench.report.facts import RunFacts, Shown
from transferbench.report.gather import THUMBNAIL, facts_of_summary, final_metrics, gather


def images(*classes: str) -> Any:
    picture = np.zeros((300, 600, 3), dtype=np.uint8)
    return SimpleNamespace(classes=classes, image=lambda position: Image.fromarray(picture + np.uint8(position)))


def splits(*classes: str) -> Any:
    return SimpleNamespace(train=images(*classes), test=images(*classes))


@pytest.fixture
def sets() -> dict[str, Any]:
    return {"seen": splits("n1", "n2"), "level_1": splits("n3", "n4"), "pets": splits("cat", "n4")}


@pytest.fixture
def result() -> Any:
    query, near = (SimpleNamespace(position=p, label=label) for p, label in ((3, "n3"), (7, "n4")))
    one = SimpleNamespace(dataset="level_1", query=query, nearest=(near, query))
    return SimpleNamespace(neighbours=(one,), test_counts={"seen": 5, "level_1": 6, "pets": 7})


def world(*classes: str) -> Any:
    draw = SimpleNamespace(mean_similarity=lambda: (0.75,), ties_at_cuts=2)
    names = {"n1": "dog", "n2": "fox", "n3": "owl", "n4": "hen"}
    return SimpleNamespace(
        draw=draw, world=SimpleNamespace(names=names), classes=classes, sample_crops=lambda count: [count]
    )


def test_what_a_run_can_tell(sets: dict[str, Any], result: Any) -> None:
    found = gather(world("n1", "n2"), sets, result, trained=("n1", "n2"))
    assert found.test_counts == {"seen": 5, "level_1": 6, "pets": 7}
    assert found.concepts == {"seen": ["dog", "fox"], "level_1": ["owl", "hen"], "pets": ["cat", "hen"]}
    assert found.trained == {"seen": 2, "level_1": 0, "pets": 0}
    assert found.similarity == {"level_1": 0.75} and found.ties_at_cuts == 2
    assert gather(world("n1", "n2", "n3", "n4"), sets, result, trained=("n1", "n2", "n3", "n4")).trained == {
        "seen": 2,
        "level_1": 2,
        "pets": 1,
    }


def test_neighbours_are_thumbnails(sets: dict[str, Any], result: Any) -> None:
    (one,) = gather(world("n1", "n2"), sets, result, trained=("n1", "n2")).neighbours
    assert (one.label, one.set_name) == ("owl", "level_1")
    assert [(label, same) for _, label, same in one.neighbours] == [("hen", False), ("owl", True)]
    assert all(p.shape == (THUMBNAIL // 2, THUMBNAIL, 3) for p in (one.query, one.neighbours[0][0]))
    assert (one.query.mean(), one.neighbours[0][0].mean()) == (3, 7)


def test_data_without_a_draw_and_a_run_without_evaluation(sets: dict[str, Any]) -> None:
    data = SimpleNamespace(classes=("n1", "n2"), class_names=("dog", "fox"), sample_crops=lambda count: [])
    assert gather(data, {}, None) == Shown()
    found = gather(data, {"seen": sets["seen"]}, None)
    assert found.concepts == {"seen": ["dog", "fox"]} and found.ties_at_cuts is None


def test_the_last_value_of_every_curve(tmp_path: Path) -> None:
    rows = ["step,epoch,train/lr,train/loss,val/map", "1,0,0.1,3.5,", "2,0,0.2,2.5,0.25", "3,1,0.3,1.5,"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\n")
    assert final_metrics(tmp_path) == {"train/loss": 1.5, "val/map": 0.25}
    assert final_metrics(tmp_path / "nowhere") == {}


def test_a_summary_gives_the_facts_of_the_table() -> None:
    origin: dict[str, Any] = {"name": "n", "run": "r", "seed": 0, "commit": "c", "versions": {}, "metrics": {"a": 1.0}}
    summary = origin | {"seconds": 2.0, "timings": {"training": 2.0}, "digest": "d"}
    assert facts_of_summary(summary) == RunFacts(**origin, timings={"training": 2.0})
