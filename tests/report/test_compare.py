import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from transferbench.errors import UserError
from transferbench.report.compare import BEST, LEVELS, compare
from transferbench.report.comparison_page import comparison_table, in_words, markdown, write_comparison
from transferbench.report.intervals import Estimate, estimate, verdict


def quantile_2() -> float:
    return (2 * 0.975 - 1) / math.sqrt(2 * 0.975 * 0.025)


def quantile_4() -> float:
    alpha = 4 * 0.975 * 0.025
    q = math.cos(math.acos(math.sqrt(alpha)) / 3) / math.sqrt(alpha)
    return 2 * math.sqrt(q - 1)


def run(folder: Path, seed: int, metrics: dict[str, float], **other: Any) -> Path:
    folder.mkdir(parents=True)
    content = {"name": "trex", "run": folder.name, "seed": seed, "commit": "abc", "versions": {}, "seconds": 1.0}
    (folder / "summary.json").write_text(json.dumps(content | {"metrics": metrics} | other))
    return folder


def scores(own: dict[str, float], **floors: dict[str, float]) -> dict[str, float]:
    metrics = {f"transfer/{name}/logreg/top1": value for name, value in own.items()}
    for floor, values in floors.items():
        metrics |= {f"floors/{floor}/{name}/logreg/top1": value for name, value in values.items()}
    return metrics


@pytest.mark.parametrize(
    ("values", "quantile"),
    [
        ([0.2, 0.5], math.tan(math.pi * 0.475)),
        ([0.2, 0.5, 0.3], quantile_2()),
        ([0.2, 0.5, 0.3, 0.9, 0.4], quantile_4()),
    ],
)
def test_the_interval_is_that_of_student(values: list[float], quantile: float) -> None:
    n = len(values)
    mean = sum(values) / n
    half = quantile * math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    one = estimate(values)
    assert (one.mean, one.low, one.high) == pytest.approx((mean, mean - half, mean + half), rel=1e-7)
    assert one.count == n


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.2, "holds"),
        (0.12, 0.2, "holds"),
        (0.05, 0.2, "undecided"),
        (0.05, 0.1, "undecided"),
        (-0.1, 0.09, "does not hold"),
        (None, None, "undecided"),
    ],
)
def test_verdicts(low: float | None, high: float | None, expected: str) -> None:
    assert verdict(Estimate(0.1, low, high, 3), 0.1) == expected


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    own = [(0.80, 0.50, 0.30), (0.70, 0.52, 0.35), (0.75, 0.54, 0.25)]
    pixels = [(0.20, 0.30, 0.28), (0.10, 0.32, 0.33), (0.15, 0.34, 0.23)]
    noise = [(0.25, 0.10, 0.10), (0.05, 0.10, 0.10), (0.10, 0.10, 0.10)]
    names = ("seen", "level_1", "level_2")
    return [
        run(
            tmp_path / f"run{seed}",
            seed,
            scores(dict(zip(names, a)), pixels=dict(zip(names, b)), noise=dict(zip(names, c)))
            | {"transfer/mean_log_odds": float(seed)},
        )
        for seed, (a, b, c) in reversed(list(enumerate(zip(own, pixels, noise))))
    ]


def test_means_and_paired_leads(folders: list[Path]) -> None:
    found = compare(folders)
    assert [one.seed for one in found.runs] == [0, 1, 2]
    assert list(found.model) == ["seen", "level_1", "level_2", LEVELS]
    assert found.model["seen"].mean == pytest.approx(0.75)
    half = quantile_2() * 0.05 / math.sqrt(3)
    assert found.model["seen"].high == pytest.approx(0.75 + half)
    assert found.model[LEVELS].mean == pytest.approx((0.40 + 0.435 + 0.395) / 3)
    leads = {(one.set_name, one.floor): one for one in found.differences}
    paired = leads["level_1", "pixels"]  # 20 points in every seed: pairing leaves no spread
    assert (paired.lead.low, paired.lead.mean, paired.lead.high) == pytest.approx((0.2, 0.2, 0.2))
    assert paired.verdict == "holds"
    assert leads["level_2", "pixels"].verdict == "does not hold"
    assert leads["seen", BEST].lead.mean == pytest.approx((0.55 + 0.60 + 0.60) / 3)
    assert leads[LEVELS, BEST].lead.mean == pytest.approx(0.11)
    assert found.log_odds is not None and found.log_odds.mean == pytest.approx(1.0)
    assert found.notes == ()


def test_the_threshold_decides(folders: list[Path]) -> None:
    strict = {(d.set_name, d.floor): d.verdict for d in compare(folders, threshold=0.25).differences}
    loose = {(d.set_name, d.floor): d.verdict for d in compare(folders, threshold=0.01).differences}
    assert strict["level_1", "pixels"] == "does not hold" and loose["level_2", "pixels"] == "holds"


def test_one_seed_decides_nothing(folders: list[Path]) -> None:
    found = compare(folders[:1])
    assert {one.verdict for one in found.differences} == {"undecided"}
    assert "One seed" in found.notes[0]


def test_what_differs_between_runs_is_noted(folders: list[Path], tmp_path: Path) -> None:
    other = run(tmp_path / "other", 7, scores({"seen": 0.7}, pixels={"seen": 0.2}), commit="def")
    found = compare([*folders, other])
    assert "2 commits: abc, def" in found.notes[0] and "missing in some runs" in found.notes[1]
    assert found.model["level_1"].count == 3 and found.model["seen"].count == 4
    assert found.log_odds is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[1]", "cannot be read"),
        ('{"name": "trex", "metrics": {}}', "no run"),
        ('{"name": "trex", "run": "a", "seed": "0", "metrics": {}}', "seed is '0'"),
        (
            '{"name": "trex", "run": "a", "seed": 0, "commit": "c", "metrics": {"val/top1": "high"}}',
            "val/top1 is 'high'",
        ),
        (
            '{"name": "t", "run": "a", "seed": 0, "commit": "c", "metrics": {"transfer/seen/logreg/top1": 71.3}}',
            "fractions between 0 and 1",
        ),
    ],
)
def test_a_malformed_summary_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(UserError, match=message) as raised:
        compare([tmp_path])
    assert "summary.json" in str(raised.value)


def test_runs_that_do_not_belong_together_are_refused(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seed 0 twice"):
        compare([*folders, run(tmp_path / "again", 0, scores({"seen": 0.5}))])
    with pytest.raises(UserError, match="different experiments \\(sup, trex\\)"):
        compare([*folders, run(tmp_path / "sup", 9, scores({"seen": 0.5}), name="sup")])
    with pytest.raises(UserError, match="no scores of the probe knn; it has logreg"):
        compare(folders, probe="knn")
    with pytest.raises(UserError, match="no such file"):
        compare([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="at least two folders"):
        compare([])


def test_a_comparison_is_written(folders: list[Path], tmp_path: Path) -> None:
    found = compare(folders)
    page = write_comparison(found, tmp_path / "out")
    html = page.read_text(encoding="utf-8")
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert text == markdown(found)
    for shown in (html.replace('<span class="bounds">', ""), text):
        assert "75.0 [62.6, 87.4]" in shown and "+20.0 [+20.0, +20.0]" in shown and "does not hold" in shown
    assert html.count("<svg") == 2 and "http://" not in html.replace("http://www.w3.org", "")
    for name in ("comparison_accuracy", "comparison_lead"):
        assert Image.open(tmp_path / "out" / "figures" / f"{name}.png").size[0] > 1000
    console = Console(file=StringIO(), width=100)
    console.print(comparison_table(found))
    table = console.file.getvalue()  # type: ignore[attr-defined]
    assert "+20.0" in table and "holds" in table and "[62.6, 87.4]" in table


def test_a_comparison_without_floors_or_with_one_seed_is_written(tmp_path: Path) -> None:
    found = compare([run(tmp_path / "a", 0, scores({"seen": 0.5, "pets|x": 0.4}))])
    assert found.differences == ()
    assert write_comparison(found, tmp_path / "out").exists()
    assert "50.0 on the seen concepts" in in_words(found)
    assert "pets\\|x" in markdown(found)
