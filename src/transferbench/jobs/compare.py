"""Any finished runs beside each other: one page, one table, one CSV."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from transferbench.errors import UserError
from transferbench.outputs import read_summary
from transferbench.report.fewshot_curves import ShotCurves, shot_curves
from transferbench.report.fewshot_figure import MOST_LINES, fewshot_comparison_figure
from transferbench.report.intervals import Estimate
from transferbench.report.markup import element, escaped, section, table
from transferbench.report.outcome import Listing, Outcome
from transferbench.report.sets_figure import absolute_figure, drawable, relative_figure
from transferbench.report.style import inline_svg, save_png
from transferbench.report.sweep import TRAINING, TRANSFER, Sweep, read_sweep
from transferbench.report.sweep_page import in_words, sweep_sections
from transferbench.report.sweep_settings import short_names
from transferbench.report.sweep_table import HEADLINE, csv_text, group_cells, measure_name, shown
from transferbench.report.wording import listed, set_name
from transferbench.storage import write_text


class Compare:
    """Compare runs that were evaluated on the same sets: grouped by what tells them apart, paired by seed.

    Args:
        runs: run folders, or patterns of them (``outputs/*/*``). Those without scores of a transfer are left out.
        baseline: what the others are compared with, by its label or one of its values (``supervised``); None for the
            first.
        training: the metric on the horizontal axis; None for logistic regression on the training concepts.

    Raises:
        UserError: a pattern finds no run, no run has scores, all are broken, none has the ``training`` metric, or
            none is the ``baseline``.
    """

    def __init__(self, runs: Sequence[str], baseline: str | None = None, training: str | None = None) -> None:
        if not runs:
            raise UserError("task.runs is empty; name run folders, such as 'task.runs=[outputs/*/*]'")
        found = [path for pattern in runs for path in _folders(pattern)]
        self.runs, self.left_out = _with_scores(list(dict.fromkeys(found)))
        self.baseline, self.training = baseline, training
        sweep = self._read(Path())
        if not sweep.groups:
            why = next(f"{job.folder}: {job.reason}" for job in sweep.jobs)
            raise UserError(f"task.runs: none of the {len(self.runs)} runs can be compared; {why}")
        if training is not None and TRAINING not in sweep.measures:
            raise UserError(f"task.training={training}: no run compared has this metric; expected one such as val/top1")

    def carry_out(self, folder: Path, seed: int) -> Outcome:
        """Write ``compare.csv`` and the figures into ``folder``."""
        sweep = self._read(folder)
        write_text(folder / "compare.csv", csv_text(sweep))
        curves = shot_curves(sweep)
        pages = [*_charts(sweep), *_few_shot(sweep, curves), *sweep_sections(sweep)]
        said = " ".join(part for part in (in_words(sweep), self.left_out) if part)
        return Outcome(metrics=_metrics(sweep, curves), said=said, printed=[_listing(sweep)], sections=pages)

    def _read(self, folder: Path) -> Sweep:
        return read_sweep(folder, [path.resolve() for path in self.runs], self.training, self.baseline)


def _folders(pattern: str) -> list[Path]:
    """Return the finished runs that a folder or a pattern names."""
    paths = [Path(path) for path in sorted(glob.glob(str(Path(pattern).expanduser())))]  # noqa: PTH207  may be absolute
    runs = [path for path in paths if (path / "summary.json").exists()]
    if not runs:
        what = "nothing there" if not paths else "no finished run among them"
        raise UserError(f"task.runs: {pattern}: {what}; name folders that hold a summary.json, such as outputs/trex/*")
    return runs


def _with_scores(paths: Sequence[Path]) -> tuple[list[Path], str]:
    """Return the runs that have scores of a transfer, and a sentence about the others."""
    kept: list[Path] = []
    without: list[Path] = []
    for path in paths:
        scored = any(key.startswith("transfer/") for key in read_summary(path)["metrics"])
        (kept if scored else without).append(path)
    if not kept:
        raise UserError(f"task.runs: none of the {len(paths)} runs has scores of a transfer; evaluate one first")
    if not without:
        return kept, ""
    named = listed([str(path) for path in without[:3]]) + (f" and {len(without) - 3} more" if without[3:] else "")
    return kept, f"Left out for want of scores: {named}."


def _charts(sweep: Sweep) -> list[str]:
    if not drawable(sweep):
        return []
    drawn = {"sets": absolute_figure(sweep), "relative": relative_figure(sweep)}
    captions = {
        "sets": "Logistic regression on the frozen features; bars: 95 % intervals over seeds.",
        "relative": f"The same minus {sweep.groups[0].label}, paired by seed where both have it.",
    }
    parts = []
    for name, figure in drawn.items():
        save_png(figure, sweep.folder / "figures" / f"{name}.png")
        parts.append(element("figure", inline_svg(figure, name, captions[name]), element("figcaption", captions[name])))
    return [section("Accuracy set by set", *parts)]


def _few_shot(sweep: Sweep, curves: ShotCurves | None) -> list[str]:
    """Return the section of accuracy over training images a class, where runs have few-shot scores of common sets."""
    if curves is None:
        return []
    figure = fewshot_comparison_figure(curves)
    save_png(figure, sweep.folder / "figures" / "fewshot.png")
    named = listed([set_name(name) for name in curves.sets])
    of_sets = f"on {named}" if len(curves.sets) == 1 else f"mean of {len(curves.sets)} sets ({named})"
    beyond = f" The first {MOST_LINES} of {len(curves.curves)} are drawn." if len(curves.curves) > MOST_LINES else ""
    caption = f"Linear probe on the frozen features, {of_sets}; bars: 95 % intervals over seeds.{beyond}"
    note = f"No few-shot scores: {listed(curves.without)}." if curves.without else ""
    svg = inline_svg(figure, "fewshot", "Accuracy over training images a class; the table below has the numbers.")
    drawn = element("figure", svg, element("figcaption", escaped(caption)))
    return [section("Accuracy over training images a class", drawn, _shot_table(sweep, curves), note=note)]


def _shot_table(sweep: Sweep, curves: ShotCurves) -> str:
    head = [*map(escaped, short_names(sweep.keys).values()), "seeds", *map(str, curves.counts), "all"]
    rows = []
    for curve in curves.curves:
        seeds = max(one.count for one in curve.few.values())
        found = [*(curve.few.get(count) for count in curves.counts), curve.whole]
        rows.append([*map(escaped, group_cells(curve.group)), str(seeds), *map(_cell, found)])
    return table(head, rows, class_="numbers intervals")


def _cell(one: Estimate | None) -> str:
    if one is None:
        return "–"
    mean, bounds = shown("accuracy", one)
    return f"{mean} {element('span', escaped(bounds), class_='bounds')}" if bounds else mean


def _listing(sweep: Sweep) -> Listing:
    measures = [measure for measure in HEADLINE if measure in sweep.measures]
    rows: list[list[str | int | float]] = []
    for group in sweep.groups:
        estimates = [(measure, group.estimates.get(measure)) for measure in measures]
        cells = ["–" if one is None else " ".join(shown(measure, one)).strip() for measure, one in estimates]
        rows.append([*group_cells(group), len(group.values), *cells])
    head = [*short_names(sweep.keys).values(), "seeds", *(measure_name(measure) for measure in measures)]
    return Listing("comparison", head, rows, note="Brackets: 95 % t-intervals over seeds.")


def _metrics(sweep: Sweep, curves: ShotCurves | None) -> dict[str, float]:
    """Return the means over seeds as ``compare/<label>/<measure>``, of few-shot fits as ``compare/<label>/<n>shot``."""
    few = {
        f"compare/{curve.group.label or 'all'}/{count}shot": one.mean
        for curve in (curves.curves if curves else ())
        for count, one in curve.few.items()
    }
    return few | {
        f"compare/{group.label or 'all'}/{measure}": one.mean
        for group in sweep.groups
        for measure, one in group.estimates.items()
        if measure in (TRAINING, TRANSFER)
    }
