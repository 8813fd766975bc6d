"""The scores of one run as a table for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transferbench.report import scene
from transferbench.report.facts import RunFacts
from transferbench.report.scores import Scores, read_scores
from transferbench.report.wording import (
    accuracy_with_error,
    floor_name,
    percent,
    points,
    probe_name,
    set_name,
    time_spent,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_scores(facts: RunFacts, console: Console, report: Path | None = None) -> None:
    """Print the accuracies beside the floors, the timings and where the report lies; what is missing is left out."""
    if read_scores(facts.metrics).sets:
        console.print(score_table(facts))
    if said := scene.said(facts.metrics):
        console.print(f"{facts.name}, seed {facts.seed}: {said}", markup=False, highlight=False)
    if facts.timings:
        console.print(time_spent(facts.timings), style="dim", markup=False, highlight=False)
    if report is not None:
        console.print(f"report: {report}", markup=False, highlight=False, soft_wrap=True)


def score_table(facts: RunFacts) -> Table:
    """Return a table with a row a set: the model with each probe, the floors and the lead with the main probe.

    It fits 80 columns with three probes and three floors; only the main probe carries its standard error.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    scores = read_scores(facts.metrics)
    error = "± one standard error of the test images; " if facts.test_counts else ""
    table = Table(
        title=f"{escape(facts.name)}, seed {facts.seed}: top-1 accuracy in %",
        caption=f"{error}floors and lead (points over the best floor) with {probe_name(scores.main_probe)}",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("set", no_wrap=True)
    for probe in scores.probes:
        name = probe_name(probe, short=True).replace(" ", "\n")
        table.add_column(name, justify="right", style="bold" if probe == scores.main_probe else "", no_wrap=True)
    for floor in scores.floor_names:
        table.add_column(escape(floor_name(floor)).replace(" ", "\n"), justify="right", style="dim")
    if scores.floor_names:
        table.add_column("lead", justify="right", no_wrap=True)
    for name in scores.sets:
        table.add_row(*_cells(facts, scores, name))
    return table


def _cells(facts: RunFacts, scores: Scores, name: str) -> list[str]:
    from rich.markup import escape

    main, cells = scores.main_probe, [escape(set_name(name))]
    for probe in scores.probes:
        value, count = scores.model.get((name, probe)), facts.test_counts.get(name)
        cells.append("–" if value is None else accuracy_with_error(value, count if probe == main else None))
    floors = [scores.floors.get((floor, name, main)) for floor in scores.floor_names]
    cells += ["–" if value is None else percent(value, unit=False) for value in floors]
    if floors:
        lead = scores.lead(name, main)
        colour = "green" if (lead or 0.0) > 0 else "red" if lead else "none"
        cells.append("–" if lead is None else f"[{colour}]{points(lead)}[/]")
    return cells
