"""Runs from anywhere beside each other."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from transferbench.errors import UserError
from transferbench.jobs.compare import Compare


def finished(folder: Path, name: str, seed: int, seen: float, level: float, **settings: object) -> Path:
    """Write what a finished run leaves, its accuracies on two levels lying 10 points apart."""
    folder.mkdir(parents=True)
    metrics = {
        "transfer/seen/logreg/top1": seen,
        "transfer/level_1/logreg/top1": level,
        "transfer/level_2/logreg/top1": level - 0.1,
        "transfer/mean_log_odds": level - 0.5,
    }
    run = {"name": name, "run": folder.name, "seed": seed, "commit": "abc", "metrics": metrics, "seconds": 1.0}
    (folder / "summary.json").write_text(json.dumps(run))
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": name, "seed": seed, **settings}))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed in (1, 2, 3):
        finished(tmp_path / "trex" / f"s{seed}", "trex", seed, 0.6 + 0.01 * seed, 0.5 + 0.02 * seed)
        finished(tmp_path / "plain" / f"s{seed}", "plain", seed, 0.7 + 0.01 * seed, 0.4 + 0.02 * seed)
    return tmp_path


def test_runs_are_grouped_by_what_tells_them_apart_and_paired_by_seed(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    outcome = Compare([f"{runs}/*/s*"], baseline="plain").carry_out(folder, 1)
    assert outcome.metrics["compare/experiment=trex/training"] == pytest.approx(0.62)
    assert outcome.metrics["compare/experiment=plain/transfer"] == pytest.approx(-0.06)
    (listing,) = outcome.printed
    assert [row[0] for row in listing.rows] == ["plain", "trex"]  # the baseline leads
    assert "transfer is higher with experiment=trex (+0.100" in outcome.said
    rows = list(csv.DictReader((folder / "compare.csv").open()))
    assert len(rows) == 6
    assert {row["experiment"] for row in rows} == {"trex", "plain"}
    assert all((folder / "figures" / f"{name}.png").stat().st_size > 5000 for name in ("tradeoff", "sets", "relative"))
    page = "".join(outcome.sections)
    assert page.count("<svg") == 3
    assert "../trex/s1" in page  # each job is named by where it lies


def test_runs_without_scores_are_left_out_and_named(runs: Path, tmp_path: Path) -> None:
    other = finished(tmp_path / "levels" / "a", "cog_levels", 1, 0.5, 0.5)
    (other / "summary.json").write_text(json.dumps({"name": "cog_levels", "metrics": {"levels/ties": 3.0}}))
    outcome = Compare([f"{runs}/*/*"]).carry_out(tmp_path / "out", 1)
    assert f"Left out for want of scores: {other}." in outcome.said
    with pytest.raises(UserError, match="none of the 1 runs has scores"):
        Compare([str(other)])


def test_broken_runs_beside_others_are_named_and_alone_are_an_error(runs: Path, tmp_path: Path) -> None:
    broken = finished(tmp_path / "broken", "trex", 4, 0.5, 0.5)
    metrics = {"transfer/seen/logreg/top1": "high"}
    summary = {"name": "trex", "run": "x", "seed": 4, "commit": "abc", "metrics": metrics}
    (broken / "summary.json").write_text(json.dumps(summary))
    assert "1 of 7 jobs have no result: 1 broken." in Compare([f"{runs}/*/s*", str(broken)]).carry_out(tmp_path, 1).said
    with pytest.raises(
        UserError, match=r"^task\.runs: none of the 1 runs can be compared; .*broken: .*is 'high'; every"
    ):
        Compare([str(broken)])


def test_wrong_arguments_are_said_before_anything_is_done(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing there; name folders"):
        Compare([f"{tmp_path}/nowhere/*"])
    with pytest.raises(UserError, match=r"^task\.baseline=oracle: none of the runs .*expected one of: experiment="):
        Compare([f"{runs}/*/s*"], baseline="oracle")
    with pytest.raises(UserError, match=r"^task\.baseline=oracle: .*one of: no other, for all have the same settings$"):
        Compare([f"{runs}/trex/s*"], baseline="oracle")
    with pytest.raises(UserError, match=r"^task\.training=val/top2: no run compared has this metric"):
        Compare([f"{runs}/*/s*"], training="val/top2")
    with pytest.raises(UserError, match=r"task\.runs is empty"):
        Compare([])


def test_the_command_makes_a_page_and_shows_it_again(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transferbench import cli

    words = ["+experiment=compare", f"task.runs=[{runs}/*/s*]", f"outputs={tmp_path}/outputs", "run=a"]
    assert cli.command(["transferbench", *words]) == 0
    first = capsys.readouterr().out
    folder = tmp_path / "outputs" / "compare" / "a"
    assert "Accuracy set by set" in (folder / "report.html").read_text()
    assert json.loads((folder / "summary.json").read_text())["metrics"]
    before = (folder / "summary.json").stat().st_mtime_ns
    assert cli.command(["transferbench", *words]) == 0
    assert (folder / "summary.json").stat().st_mtime_ns == before
    assert capsys.readouterr().out == first
    assert cli.command(["transferbench", *words[:1], "task.runs=[nowhere]", *words[2:3]]) == 2
    assert "nowhere: nothing there" in capsys.readouterr().err
