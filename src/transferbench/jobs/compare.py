"""Any finished runs beside each other: one page, one table, one CSV."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from transferbench.errors import UserError
from transferbench.outputs import read_summary
from transferbench.report.markup import element, section
from transferbench.report.outcome import Listing, Outcome
from transferbench.report.sets_figure import absolute_figure, drawable, relative_figure
from transferbench.report.style import inline_svg, save_png
from transferbench.report.sweep import TRAINING, TRANSFER, Sweep, read_sweep
from transferbench.report.sweep_page import in_words, sweep_sections
from transferbench.report.sweep_settings import short_names
from transferbench.report.sweep_table import HEADLINE, csv_text, group_cells, measure_name, shown
from transferbench.report.wording import listed
from transferbench.storage import write_text


class Compare:
    """Compare runs that were evaluated on the same sets: grouped by what tells them apart, paired by seed.

    Args:
        runs: run folders, or patterns of them (``outputs/*/*``). Those without scores of a transfer are left out.
        baseline: what the others are compared with, by its label or one of its values (``supervised``); None for the
            first.
        training: the metric on the horizontal axis; None for logistic regression on the training concepts.

    Raises:
        UserError: a pattern finds no run, or no run has scores.
    """

    def __init__(self, runs: Sequence[str], baseline: str | None = None, training: str | None = None) -> None:
        if not runs:
            raise UserError("task.runs is empty; name run folders, such as 'task.runs=[outputs/*/*]'")
        found = [path for pattern in runs for path in _folders(pattern)]
        self.runs, self.left_out = _with_scores(list(dict.fromkeys(found)))
        self.baseline, self.training = baseline, training
        self._read(Path())

    def carry_out(self, folder: Path, seed: int) -> Outcome:
        """Write ``compare.csv`` and the figures into ``folder``."""
        sweep = self._read(folder)
        write_text(folder / "compare.csv", csv_text(sweep))
        pages = sweep_sections(sweep)
        charts = _charts(sweep)
        said = " ".join(part for part in (in_words(sweep), self.left_out) if part)
        return Outcome(metrics=_metrics(sweep), said=said, printed=[_listing(sweep)], sections=[*charts, *pages])

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


def _listing(sweep: Sweep) -> Listing:
    measures = [measure for measure in HEADLINE if measure in sweep.measures]
    rows: list[list[str | int | float]] = []
    for group in sweep.groups:
        estimates = [(measure, group.estimates.get(measure)) for measure in measures]
        cells = ["–" if one is None else " ".join(shown(measure, one)).strip() for measure, one in estimates]
        rows.append([*group_cells(group), len(group.values), *cells])
    head = [*short_names(sweep.keys).values(), "seeds", *(measure_name(measure) for measure in measures)]
    return Listing("comparison", head, rows, note="Brackets: 95 % t-intervals over seeds.")


def _metrics(sweep: Sweep) -> dict[str, float]:
    """Return the means over seeds as ``compare/<label>/<measure>``."""
    return {
        f"compare/{group.label or 'all'}/{measure}": one.mean
        for group in sweep.groups
        for measure, one in group.estimates.items()
        if measure in (TRAINING, TRANSFER)
    }
