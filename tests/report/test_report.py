import base64
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from transferbench.report.facts import Neighbours, Picture, RunFacts
from transferbench.report.figures import accuracy_figure, curve_figures
from transferbench.report.html import write_report
from transferbench.report.table import print_scores

SETS = ("seen", "level_1", "level_2", "level_3", "level_4", "level_5")
VOID = {"meta", "img", "br", "link", "input", "hr"}


def picture(rng: np.random.Generator, height: int = 16, width: int = 16) -> Picture:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def facts() -> RunFacts:
    rng = np.random.default_rng(0)
    metrics = {"train/loss": 0.8321, "val/top1": 0.7017, "transfer/mean_log_odds": -0.1234}
    for i, name in enumerate(SETS):
        for j, probe in enumerate(("knn", "ncm", "logreg")):
            metrics[f"transfer/{name}/{probe}/top1"] = 0.5013 + 0.05 * j - 0.031 * i
            metrics[f"floors/pixels/{name}/{probe}/top1"] = 0.2029 + 0.01 * j - 0.017 * i
            metrics[f"floors/random_backbone/{name}/{probe}/top1"] = 0.3041 + 0.01 * j - 0.023 * i
        metrics[f"transfer/{name}/logreg/cost"] = 0.007 * (1 + i)
    history: list[dict[str, float]] = [
        {"step": float(s), "epoch": s // 10, "train/loss": 3 / (1 + s), "train/lr": 0.1} for s in range(120)
    ]
    history += [
        {"step": float(s), "val/top1": s / 200, "val/knn": s / 250, "val/loss": float("nan")} for s in (60, 120)
    ]
    shown = [
        (picture(rng, 20, 30), [picture(rng, 24, 24), *(picture(rng, 12, 12) for _ in range(3))]) for _ in range(2)
    ]
    near = [(picture(rng), "red <b>mug</b>", True), (picture(rng), "vase & lid", False)]
    return RunFacts(
        name="trex <i>&",
        run="run'1\"",
        seed=3,
        commit="abc123",
        versions={"torch": "2.9"},
        config={"task": {"_target_": "a.B"}, "evil": "<script>alert(1)</script>", "path": Path("/x"), "list": [1, 2]},
        metrics=metrics,
        test_counts=dict.fromkeys(SETS, 400),
        timings={"start-up": 3.0, "rendering": 40.0, "training": 75.0, "floors": 31.0},
        history=history,
        crops=shown,
        neighbours=[Neighbours(picture(rng), "query <mug>", "level_1", near)],
        concepts={name: [f"{name} thing {i}" for i in range(20)] for name in SETS},
        trained={"seen": 20, **dict.fromkeys(SETS[1:], 0)},
        similarity={name: 0.9 - 0.1 * i for i, name in enumerate(SETS)},
        ties_at_cuts=4,
    )


class Reader(HTMLParser):
    """Checks that elements nest and gathers what the tests ask for."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found[key] or "" for key in ("src", "href", "xlink:href") if key in found]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.stack == []
    return reader


@pytest.fixture(scope="module")
def written(facts: RunFacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(facts, tmp_path_factory.mktemp("run"))


def test_the_page_is_well_formed_and_needs_nothing_else(written: Path) -> None:
    reader = read(written)
    assert written.name == "report.html"
    assert all(link.startswith(("#", "data:")) for link in reader.links)
    style = re.search(r"<style>(.*?)</style>", written.read_text(encoding="utf-8"), re.DOTALL)
    assert style is not None and "http" not in style[1] and "@import" not in style[1]
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)
    assert reader.tags.count("svg") == 3 + 3  # a chart a probe, three curves
    assert "script" not in reader.tags


def test_every_accuracy_stands_in_the_page(facts: RunFacts, written: Path) -> None:
    text = " ".join(read(written).text)
    for key, value in facts.metrics.items():
        if key.startswith("transfer/") and key.endswith("top1"):
            error = 100 * (value * (1 - value) / 400) ** 0.5
            assert f"{100 * value:.1f} ± {error:.1f}" in text
        elif key.startswith("floors/") and "/logreg/" in key:
            assert f"{100 * value:.1f}" in text
    assert "0.8321" in text and "0.7017" in text and "−0.123" in text
    lead = facts.metrics["transfer/level_2/logreg/top1"] - facts.metrics["floors/random_backbone/level_2/logreg/top1"]
    assert f"+{100 * lead:.1f}" in text
    assert "1 min 15 s" in text and "level_5 thing 19" in text and "abc123" in text and "torch 2.9" in text
    assert all(f"{0.007 * k:g}" in text for k in range(1, 7)) and "logreg/cost" not in text


def test_the_page_says_what_was_trained_on_and_how_ties_fell(facts: RunFacts, written: Path, tmp_path: Path) -> None:
    text = " ".join(read(written).text)
    assert "Levels: concepts never trained on." in text and "where the draw's seed decided: 4." in text
    everything = replace(facts, trained=dict.fromkeys(SETS, 20), ties_at_cuts=None)
    text = " ".join(read(write_report(everything, tmp_path)).text)
    assert "Levels: concepts trained on as well." in text and "never trained" not in text and "ties" not in text


def test_one_total_and_what_stands_apart(written: Path) -> None:
    text = "|".join(read(written).text)
    assert "1 min 18 s|run, rendering and floors apart" in text
    assert "run|1 min 18 s|rendering|40.0 s|floors|31.0 s|" in text


def test_text_of_the_user_is_escaped(written: Path) -> None:
    raw, text = written.read_text(encoding="utf-8"), " ".join(read(written).text)
    for evil in ("<script>alert", "<i>&", "<b>mug</b>", "query <mug>"):
        assert evil not in raw
        assert evil in text


def test_pictures_inside_are_the_pictures_given(facts: RunFacts, written: Path) -> None:
    inside = re.findall(r'src="data:image/png;base64,([^"]+)"', written.read_text(encoding="utf-8"))
    found = [np.asarray(Image.open(BytesIO(base64.b64decode(data)))) for data in inside]
    given = [part for whole, views in facts.crops for part in (whole, *views)]
    given += [facts.neighbours[0].query, *(pixels for pixels, _, _ in facts.neighbours[0].neighbours)]
    assert len(found) == len(given)
    assert all(np.array_equal(a, b) for a, b in zip(found, given))


def test_figures_are_drawn(written: Path) -> None:
    figures = {path.stem: Image.open(path) for path in (written.parent / "figures").glob("*.png")}
    assert set(figures) == {
        *(f"accuracy_{probe}" for probe in ("knn", "ncm", "logreg")),
        *(f"curve_{name}" for name in ("loss", "accuracy", "learning_rate")),
        "crops",
        "neighbours",
    }
    for figure in figures.values():
        assert min(figure.size) > 200
        assert len(np.unique(np.asarray(figure.convert("L")))) > 20


def test_the_number_of_a_valley_stands_below_the_line() -> None:
    levels = {f"transfer/level_{k}/logreg/top1": value for k, value in enumerate((0.5, 0.3, 0.6, 0.4), start=1)}
    facts = RunFacts(name="n", run="r", seed=0, commit="c", versions={}, metrics=levels)
    texts = accuracy_figure(facts, "logreg").axes[0].texts
    below = [text.get_text() for text in texts if text.get_verticalalignment() == "top"]
    assert below == ["30.0"] and {"50.0", "60.0", "40.0"} <= {text.get_text() for text in texts}


def test_scores_among_the_rows_are_no_curves() -> None:
    rows = [{"step": 1.0, "train/loss": 2.0}, {"step": 2.0, "train/loss": 1.0}]
    scores = {"step": 2.0, "transfer/seen/knn/top1": 0.5, "floors/pixels/seen/knn/top1": 0.2, "cog/level_1/top1": 0.3}
    assert list(curve_figures([*rows, scores])) == ["loss"]


@pytest.mark.parametrize(
    "piece", ["test_counts", "timings", "history", "crops", "neighbours", "concepts", "trained", "similarity"]
)
def test_a_missing_piece_is_left_out(facts: RunFacts, tmp_path: Path, piece: str) -> None:
    metrics = {key: value for key, value in facts.metrics.items() if "/knn" not in key and "/ncm" not in key}
    short = replace(facts, metrics=metrics | {"transfer/mean_log_odds_clipped": 1.0}, history=facts.history[:9])
    without = replace(short, **{piece: type(getattr(facts, piece))()})
    titles = {
        "timings": "Where the time went",
        "history": "Training",
        "crops": "The crops as the network saw them",
        "neighbours": "Nearest neighbours",
        "concepts": "Concepts",
    }
    text = read(write_report(without, tmp_path)).text
    assert titles.get(piece) not in text and "mean log-odds, 1 clipped" in text
    assert all(title in text for key, title in titles.items() if key != piece)


def test_a_run_with_nothing_but_its_name_has_a_report(tmp_path: Path) -> None:
    bare = RunFacts(name="bare", run="r", seed=0, commit="", versions={}, metrics={})
    text = " ".join(read(write_report(bare, tmp_path)).text)
    assert "No transfer accuracies were measured" in text
    console = Console(file=StringIO(), width=100)
    print_scores(bare, console)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_sets_that_are_not_levels_and_scores_without_floors(tmp_path: Path) -> None:
    metrics = {f"transfer/{name}/logreg/top1": 0.5 for name in ("seen", "flowers", "pets")}
    metrics |= {"transfer/pets/knn/top1": float("nan")}
    facts = RunFacts(name="n" * 80, run="r", seed=0, commit="c", versions={}, metrics=metrics)
    text = " ".join(read(write_report(facts, tmp_path)).text)
    assert "No floor was measured" in text and "50.0" in text and "flowers" in text


def test_the_report_takes_seconds(facts: RunFacts, tmp_path: Path) -> None:
    started = time.process_time()
    write_report(facts, tmp_path)
    assert time.process_time() - started < 5


def test_the_terminal_table_fits_80_columns_and_has_the_numbers(facts: RunFacts) -> None:
    console = Console(file=StringIO(), width=80)
    print_scores(replace(facts, name="trex [bold]"), console, Path("/runs/trex/report.html"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trex [bold], seed 3" in text
    rows = {
        name: next(line for line in text.splitlines() if line.strip().startswith(name)) for name in ("seen", "level 5")
    }
    assert rows["seen"].split() == ["seen", "60.1", "±", "2.4", "50.1", "55.1", "22.3", "32.4", "+27.7"]
    assert rows["level 5"].split()[-1] == "+23.7"
    assert (
        "run 1 min 18 s (start-up 3.0 s, training 1 min 15 s); apart" in text
        and "report: /runs/trex/report.html" in text
    )
