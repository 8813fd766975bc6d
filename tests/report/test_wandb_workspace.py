"""The layout of a project's page on W&B, without W&B."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from transferbench.features.floors import PICTURE_FLOORS
from transferbench.probes.names import PROBES
from transferbench.report.wandb_workspace import FLOORS, layout, main, workspace
from transferbench.transfer.result import TransferResult


def keys(kind: str) -> set[str]:
    return {
        key
        for part in layout()["sections"]
        for panel in part["panels"]
        if panel["kind"] == kind
        for key in panel["keys"]
    }


def test_it_shows_the_metrics_that_runs_have() -> None:
    sets = ["seen", *(f"level_{k}" for k in range(1, 6))]
    scores = {name: {f"{probe}/top1": 0.5 for probe in PROBES} for name in sets}
    result = TransferResult(scores=scores, test_counts=dict.fromkeys(sets, 400), chosen={}, seconds=0.0)
    known = set(result.metrics())
    for floor in FLOORS:
        known |= set(result.metrics(f"floors/{floor}"))
    assert keys("bar") <= known
    assert {key for key in layout()["columns"] if not key.startswith("val/")} <= known
    assert {f"transfer/level_{k}/logreg/top1" for k in range(1, 6)} <= keys("bar")
    assert set(FLOORS) == {*PICTURE_FLOORS, "random_backbone"}


def test_the_sections() -> None:
    names = [part["name"] for part in layout()["sections"]]
    assert names == ["training", "validation", "transfer by level", "floors", "media"]
    assert keys("line") == {"train/loss", "train/top1", "train/lr", "val/top1", "val/knn", "val/loss"}
    assert {"media/crops", "media/neighbours", "report"} <= keys("media")
    assert keys("table") == {"tables/accuracy", "tables/concepts"}
    assert len(layout(levels=2)["sections"][3]["panels"]) == 3


def test_it_is_saved_to_a_file_without_an_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "layout.json"
    assert main(["--entity", "me", "--save", str(file)]) == 0
    saved = json.loads(file.read_text())
    assert saved == {"entity": "me", "project": "transferbench", **layout()}
    assert capsys.readouterr().out == f"{file}\n"


def test_without_the_package_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    assert main(["--entity", "me"]) == 2
    assert "type: pip install wandb-workspaces, or write the layout with --save FILE" in capsys.readouterr().err


def test_the_package_takes_it() -> None:
    pytest.importorskip("wandb_workspaces")
    view: Any = workspace(layout(), "me", "transferbench")
    spec = view._to_model().model_dump(by_alias=True)["spec"]
    assert [part["name"] for part in spec["section"]["panelBankConfig"]["sections"]][:2] == ["training", "validation"]
    assert spec["section"]["runSets"][0]["grouping"] == [{"section": "run", "name": "group"}]
