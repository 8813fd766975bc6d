"""Few-shot accuracies of several settings: which sets count, means over them, intervals over seeds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from transferbench.jobs.compare import Compare
from transferbench.report.fewshot_curves import shot_curves
from transferbench.report.fewshot_figure import MOST_LINES, fewshot_comparison_figure
from transferbench.report.style import inline_svg
from transferbench.report.sweep import read_sweep

T2 = 4.302652729911275  # Student's t, two degrees of freedom, 97.5 %
FEW = {1: 0.2, 4: 0.4, 16: 0.5}


def run(folder: Path, name: str, seed: int, metrics: dict[str, float]) -> Path:
    """Write what a finished run leaves."""
    folder.mkdir(parents=True)
    content = {"name": name, "run": folder.name, "seed": seed, "commit": "abc", "metrics": metrics, "seconds": 1.0}
    (folder / "summary.json").write_text(json.dumps(content))
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": name, "seed": seed}))
    return folder


def scores(
    shift: float, sets: dict[str, float], few: dict[int, float] = FEW, probe: str = "logreg"
) -> dict[str, float]:
    """Accuracies that lie ``shift`` and each set's own offset above ``few`` and, of all images, above 0.6."""
    found = {f"transfer/{name}/{probe}/top1": 0.6 + shift + own for name, own in sets.items()}
    for name, own in sets.items():
        found |= {f"transfer/{name}/{probe}_{n}shot/top1": value + shift + own for n, value in few.items()}
        found |= {f"transfer/{name}/{probe}_{n}shot/top1_std": 0.01 for n in few}
    return found


SETS = {"seen": 0.3, "level_1": 0.0, "level_2": 0.1}


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    found = []
    for seed, shift in ((1, 0.0), (2, 0.02), (3, -0.02)):
        found.append(run(tmp_path / "a" / f"s{seed}", "a", seed, scores(shift, SETS)))
        found.append(run(tmp_path / "b" / f"s{seed}", "b", seed, scores(shift + 0.05, SETS | {"dtd": -0.2})))
    return found


def test_a_run_counts_by_its_mean_over_the_shared_sets_that_nothing_was_trained_on(
    runs: list[Path], tmp_path: Path
) -> None:
    found = shot_curves(read_sweep(tmp_path, runs))
    assert found is not None
    assert found.sets == ("level_1", "level_2")  # neither seen, nor dtd, which only b has
    assert found.counts == [1, 4, 16] and found.without == ()
    first, second = found.curves
    assert [first.group.label, second.group.label] == ["experiment=a", "experiment=b"]
    half = T2 * 0.02 / math.sqrt(3)
    for count, value in FEW.items():
        one = first.few[count]
        assert (one.mean, one.low, one.high, one.count) == pytest.approx(
            (value + 0.05, value + 0.05 - half, value + 0.05 + half, 3)
        )
        assert second.few[count].mean == pytest.approx(value + 0.1)
    assert first.whole is not None and first.whole.mean == pytest.approx(0.65)


def test_sets_trained_on_count_where_there_is_no_other(tmp_path: Path) -> None:
    found = shot_curves(read_sweep(tmp_path, [run(tmp_path / "a", "a", 1, scores(0.0, {"seen": 0.1}))]))
    assert found is not None and found.sets == ("seen",)
    assert found.curves[0].few[4].mean == pytest.approx(0.5) and found.curves[0].few[4].low is None


def test_a_count_that_one_set_lacks_is_no_mean_over_the_sets(tmp_path: Path) -> None:
    metrics = scores(0.0, {"level_1": 0.0}) | scores(0.0, {"level_2": 0.1}, {1: 0.2, 4: 0.4})
    del metrics["transfer/level_1/logreg/top1"]
    found = shot_curves(read_sweep(tmp_path, [run(tmp_path / "a", "a", 1, metrics)]))
    assert found is not None and found.counts == [1, 4] and found.curves[0].whole is None


def test_logistic_regression_counts_before_sgd(tmp_path: Path) -> None:
    metrics = scores(0.1, {"dtd": 0.0}, probe="sgd") | scores(0.0, {"dtd": 0.0})
    found = shot_curves(read_sweep(tmp_path, [run(tmp_path / "a", "a", 1, metrics)]))
    assert found is not None and found.curves[0].few[1].mean == pytest.approx(0.2)


def test_nothing_is_shown_without_shots_or_without_a_common_set(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain", "plain", 1, {"transfer/level_1/logreg/top1": 0.5})
    one, other = (run(tmp_path / name, name, 1, scores(0.0, {name: 0.0})) for name in ("dtd", "pets"))
    assert shot_curves(read_sweep(tmp_path, [plain])) is None
    assert shot_curves(read_sweep(tmp_path, [one, other])) is None
    found = shot_curves(read_sweep(tmp_path, [plain, one]))
    assert found is not None and found.without == ("experiment=plain",) and len(found.curves) == 1


def test_the_page_has_the_curves_their_numbers_and_who_has_none(runs: list[Path], tmp_path: Path) -> None:
    plain = run(tmp_path / "plain", "plain", 1, {"transfer/level_1/logreg/top1": 0.5})
    outcome = Compare([str(path) for path in (*runs, plain)]).carry_out(tmp_path / "out", 1)
    assert outcome.metrics["compare/experiment=b/4shot"] == pytest.approx(0.5)
    assert (tmp_path / "out" / "figures" / "fewshot.png").stat().st_size > 5000
    (part,) = [part for part in outcome.sections if "training images a class" in part]
    assert "mean of 2 sets (level 1 and level 2)" in part
    assert "No few-shot scores: experiment=plain." in part
    table = ElementTree.fromstring(part[part.index("<table") : part.index("</table>") + len("</table>")])
    rows = [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in table.iter("tr")]
    assert rows[0] == ["experiment", "seeds", "1", "4", "16", "all"]
    assert [row[:2] for row in rows[1:]] == [["a", "3"], ["b", "3"]]
    half = 100 * T2 * 0.02 / math.sqrt(3)
    assert rows[1][2] == f"25.0 [{25 - half:.1f}, {25 + half:.1f}]" and rows[2][5].startswith("70.0 [")


def test_more_settings_than_can_be_told_apart_are_not_all_drawn(tmp_path: Path) -> None:
    paths = [run(tmp_path / f"r{k:02d}", f"r{k:02d}", 1, scores(k / 100, {"dtd": 0.0})) for k in range(MOST_LINES + 1)]
    found = shot_curves(read_sweep(tmp_path, paths))
    assert found is not None and len(found.curves) == MOST_LINES + 1
    axes = fewshot_comparison_figure(found).axes[0]
    names = [text.get_text() for text in axes.texts]
    assert len(names) == MOST_LINES and f"experiment=r{MOST_LINES}" not in names
    outcome = Compare([str(path) for path in paths]).carry_out(tmp_path / "out", 1)
    assert f"The first {MOST_LINES} of {MOST_LINES + 1} are drawn." in "".join(outcome.sections)


def test_the_dot_for_all_images_stands_at_its_tick_whatever_the_draws(tmp_path: Path) -> None:
    paths = [
        run(tmp_path / "long", "long", 1, scores(0.0, {"dtd": 0.0})),
        run(tmp_path / "short", "short", 1, scores(0.0, {"dtd": 0.1}, {1: 0.2})),
    ]
    found = shot_curves(read_sweep(tmp_path, paths))
    assert found is not None
    figure = fewshot_comparison_figure(found)
    whole = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in whole] == [[5.0], [5.0]]  # 2 ** 4 images at most, and one doubling
    dashed = [list(line.get_xdata()) for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert dashed == [[4.0, 5.0], [0.0, 5.0]]
    assert "<svg" in inline_svg(figure, "fewshot", "curves")
