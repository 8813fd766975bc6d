"""Sweeps read from folders made here: what varies, the groups, paired differences, the page."""

from __future__ import annotations

import csv
import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from rich.console import Console

from transferbench.report.compare import LEVELS
from transferbench.report.sweep import BALANCE, TRAINING, TRANSFER, Sweep, read_sweep
from transferbench.report.sweep_page import conclude, in_words, write_sweep
from transferbench.report.sweep_records import JobRecord, begin_launch, read_records, write_record
from transferbench.report.sweep_table import csv_text

T2 = (2 * 0.975 - 1) / math.sqrt(2 * 0.975 * 0.025)
"""Student's 97.5 % quantile with two degrees of freedom, in closed form."""


def job(
    sweep: Path,
    seed: int,
    training: float | None = 0.6,
    transfer: float | None = 0.0,
    levels: tuple[float, ...] = (),
    layers: int = 3,
    epochs: int = 9,
    record: dict[str, Any] | None = None,
    **root: Any,
) -> Path:
    folder = sweep / f"trex_{len(list(sweep.glob('*_*'))):02d}"
    folder.mkdir(parents=True)
    config = {
        "name": "trex",
        "run": None,
        "seed": seed,
        "logger": {"name": folder.name},
        "scale": {"epochs": epochs, "lr": 0.4},
        "task": {"lr": 0.4},
        "trainer": {"max_epochs": epochs, "devices": 1 + seed},
        "data": {"seed": seed},
        "head": {"hidden_layers": layers},
    } | root
    metrics = {"val/top1": 0.5} | {f"transfer/level_{k}/logreg/top1": v for k, v in enumerate(levels, start=1)}
    metrics |= {} if training is None else {"transfer/seen/logreg/top1": training}
    metrics |= {} if transfer is None else {"transfer/mean_log_odds": transfer}
    content = {"name": config["name"], "run": folder.name, "seed": seed, "commit": "abc", "seconds": 91.0}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "summary.json").write_text(json.dumps(content | {"metrics": metrics}))
    if record is not None:
        write_record(sweep, JobRecord(folder=folder.name, **record))
    return folder


@pytest.fixture
def depths(tmp_path: Path) -> Path:
    """Three depths and three seeds; each seed shifts every depth alike."""
    for layers, training, transfer in ((3, 0.50, 0.5), (0, 0.60, 0.1), (1, 0.55, 0.3)):
        for seed, shift in ((1, 0.0), (2, 0.1), (3, -0.1)):
            job(tmp_path, seed, training + shift, transfer + shift, (0.4 + shift, 0.6 + shift), layers)
    return tmp_path


def test_groups_by_the_setting_that_varies(depths: Path) -> None:
    found = read_sweep(depths)
    assert found.keys == ("head.hidden_layers",)
    assert [group.settings["head.hidden_layers"] for group in found.groups] == [0, 1, 3]
    assert [list(group.values) for group in found.groups] == [[1, 2, 3]] * 3
    training = found.groups[0].estimates[TRAINING]
    half = T2 * 0.1 / math.sqrt(3)
    assert (training.mean, training.low, training.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    assert found.groups[2].estimates[LEVELS].mean == pytest.approx(0.5)
    assert found.measures == (TRAINING, TRANSFER, BALANCE, LEVELS, "level_1", "level_2")
    assert found.notes == () and found.unfinished() == []


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    base, other = {1: 0.0, 2: 1.0, 3: 5.0}, {1: 0.1, 2: 1.3, 3: 5.2, 4: 99.0}
    for seed, value in base.items():
        job(tmp_path, seed, 0.6, value, layers=0)
    for seed, value in other.items():
        job(tmp_path, seed, 0.5, value, layers=1)
    found = read_sweep(tmp_path)
    moved = found.difference(1, 0, TRANSFER)
    half = T2 * 0.1 / math.sqrt(3)  # the differences are 0.1, 0.3 and 0.2
    assert moved is not None and moved.change.count == 3
    assert (moved.change.mean, moved.change.low, moved.change.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert moved.verdict == "undecided"
    lower = found.difference(1, 0, TRAINING)
    assert lower is not None and lower.change.mean == pytest.approx(-0.1) and lower.verdict == "does not hold"
    assert "Not every setting has every seed" in found.notes[0]


def test_no_change_at_all_is_no_rise(tmp_path: Path) -> None:
    for layers in (0, 1):
        for seed in (1, 2):
            job(tmp_path, seed, 0.6, 0.3, layers=layers)
    assert {one.verdict for one in read_sweep(tmp_path).differences} == {"does not hold"}


def test_the_trend_is_the_slope_of_each_seed(depths: Path) -> None:
    trends = {trend.measure: trend for trend in read_sweep(depths).trends}
    assert trends[TRANSFER].slope.mean == pytest.approx(0.2)
    assert (trends[TRANSFER].slope.low, trends[TRANSFER].verdict) == (pytest.approx(0.2), "holds")
    assert (trends[TRAINING].slope.mean, trends[TRAINING].verdict) == (pytest.approx(-0.05), "does not hold")


def test_few_settings_without_an_order_are_compared_pair_by_pair(tmp_path: Path) -> None:
    for size in ("small", "large", "huge"):
        for seed in (1, 2):
            job(tmp_path, seed, model={"size": size}, head={"hidden_layers": 1})
    assert read_sweep(tmp_path).pairs() == [(1, 0), (2, 0), (2, 1)]


def test_copies_stand_under_one_name_and_placement_is_no_setting(tmp_path: Path) -> None:
    for epochs in (9, 27):
        for seed in (1, 2):
            job(tmp_path, seed, epochs=epochs)
    assert read_sweep(tmp_path).keys == ("scale.epochs",)
    words = {"hydra": {"overrides": {"task": ["trainer.max_epochs=9,27", "seed=1,2"]}}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump(words))
    assert read_sweep(tmp_path).keys == ("trainer.max_epochs",)


def test_a_group_is_named_by_its_option_where_the_job_recorded_it(tmp_path: Path) -> None:
    for number, (crops, count) in enumerate((("single", 1), ("trex", 9))):
        views = {"global": {"count": count, "size": 48 + count}}
        record = {"overrides": (f"crops={crops}", "seed=1"), "choices": {"crops": crops, "data": "world"}}
        job(tmp_path, 1, crops={"views": views}, record=record | {"number": number})
    found = read_sweep(tmp_path)
    assert [group.label for group in found.groups] == ["crops=single", "crops=trex"]
    assert [one.number for one in found.jobs] == [0, 1]


def test_a_need_of_another_seed_makes_no_group_of_its_own(tmp_path: Path) -> None:
    for seed in (1, 2):
        path = f"outputs/trex/need-{seed}"
        job(tmp_path, seed, needs={"teacher": path}, model={"path": path})
    assert len(read_sweep(tmp_path).groups) == 1


def test_of_a_setting_run_twice_the_later_counts(tmp_path: Path) -> None:
    job(tmp_path, 1, 0.2)
    job(tmp_path, 1, 0.4, record={"overrides": ("seed=1",), "number": 0})
    found = read_sweep(tmp_path)
    assert found.groups[0].estimates[TRAINING].mean == 0.4
    assert "ran twice" in " ".join(found.notes)


def test_without_transfer_the_validation_accuracy_counts(tmp_path: Path) -> None:
    for layers in (0, 1):
        job(tmp_path, 1, None, None, layers=layers)
    found = read_sweep(tmp_path)
    assert (found.training_key, found.measures) == ("val/top1", (TRAINING,))
    assert write_sweep(found).exists()
    assert not (tmp_path / "figures").exists()
    assert "One seed a setting" in in_words(found)


def test_what_is_broken_unfinished_or_failed_is_named_and_never_fatal(depths: Path) -> None:
    (depths / "trex_00" / "summary.json").write_text("{")
    (depths / "trex_01" / "summary.json").unlink()
    (depths / "trex_02" / "config.yaml").write_text("a: [")
    (depths / "multirun.yaml").write_text(": :")
    write_record(depths, JobRecord(("head.hidden_layers=many", "seed=4"), number=9, error="no such number"))
    (depths / "jobs" / "junk.json").write_text("[]")
    found = read_sweep(depths)
    told = {(one.folder, one.state, one.seed, str(one.settings["head.hidden_layers"])) for one in found.unfinished()}
    assert told == {
        ("trex_00", "broken", 1, "3"),
        ("trex_01", "unfinished", 2, "3"),
        ("trex_02", "broken", None, "–"),
        ("", "failed", 4, "many"),
    }
    assert len(found.jobs) == 10 and len(found.groups) == 2
    assert "4 of 10 jobs have no result: 2 broken, 1 unfinished and 1 failed." in in_words(found)


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_jobs_is_an_empty_sweep(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    assert read_sweep(tmp_path / folder).jobs == ()
    conclude(tmp_path / folder, Console(file=StringIO()))
    assert not list(tmp_path.rglob("sweep.*"))


def test_a_new_launch_forgets_failures_and_numbers(tmp_path: Path) -> None:
    write_record(tmp_path, JobRecord(("seed=1",), number=0, folder="trex_a"))
    write_record(tmp_path, JobRecord(("seed=x",), number=1, error="bad"))
    begin_launch(tmp_path)
    assert read_records(tmp_path) == [JobRecord(("seed=1",), folder="trex_a")]


def printed(sweep: Path) -> str:
    console = Console(file=StringIO(), width=110)
    conclude(sweep, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_page_the_table_and_the_rows(depths: Path) -> None:
    (depths / "trex_00" / "report.html").write_text("")
    out = printed(depths)
    assert "9 of 9 jobs" in out and "+0.400 [+0.400, +0.400]" in out and "does not hold" in out
    assert "A step of head.hidden_layers changes" in out
    html = (depths / "sweep.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 1 and "http://" not in html.replace("http://www.w3.org", "")
    assert 'href="trex_00/report.html"' in html and html.count("<h2>") == 5
    assert Image.open(depths / "figures" / "tradeoff.png").size[0] > 1000
    rows = list(csv.DictReader((depths / "sweep.csv").read_text().splitlines()))
    assert len(rows) == 9
    first = rows[0]
    assert (first["head.hidden_layers"], first["seed"], first["state"], first["seconds"]) == (
        "0",
        "1",
        "finished",
        "91.0",
    )
    assert float(first["transfer/mean_log_odds"]) == 0.1


def test_a_page_with_several_series_many_points_and_hostile_names(tmp_path: Path) -> None:
    for size in ("<b>", "a,b"):
        for layers in (0, 1, 2):
            for seed in (1, 2):
                job(tmp_path, seed, 0.6 + layers / 100, seed / 10, layers=layers, model={"size": size})
    out = printed(tmp_path)
    assert "<b>" in out
    assert "&lt;b&gt;" in (tmp_path / "sweep.html").read_text() and "<b>" not in (tmp_path / "sweep.html").read_text()
    found: Sweep = read_sweep(tmp_path)
    assert {row["model.size"] for row in csv.DictReader(StringIO(csv_text(found)))} == {"<b>", "a,b"}
