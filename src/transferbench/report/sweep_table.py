"""A sweep as tables: for the terminal, and as CSV with a row a job."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from transferbench.report.compare import LEVELS
from transferbench.report.intervals import Estimate
from transferbench.report.sweep import BALANCE, TRAINING, TRANSFER, Group, Sweep
from transferbench.report.sweep_settings import said, short_names
from transferbench.report.wording import percent, points, set_name

if TYPE_CHECKING:
    from rich.table import Table

HEADLINE = (TRAINING, TRANSFER, LEVELS)
"""The measures that stand first, in this order."""
COLOURS = {"holds": "green", "does not hold": "red", "undecided": "yellow"}


def measure_name(measure: str) -> str:
    """Return a measure's readable name with its unit."""
    names = {TRAINING: "training task, %", TRANSFER: "transfer, log-odds", BALANCE: "transfer − training, log-odds"}
    return names.get(measure, f"{set_name(measure)}, %")


def in_log_odds(measure: str) -> bool:
    """Tell whether a measure is in log-odds; the others are accuracies."""
    return measure in (TRANSFER, BALANCE)


def shown(measure: str, one: Estimate, change: bool = False) -> tuple[str, str]:
    """Return a mean and its bounds, ``71.3`` and ``[69.0, 73.6]``; a ``change`` is signed, in points or log-odds."""

    def say(value: float) -> str:
        if in_log_odds(measure):
            return f"{value:{'+' if change else ''}.3f}".replace("-", "−")
        return points(value) if change else percent(value, unit=False).replace("-", "−")

    bounds = "" if one.low is None or one.high is None else f"[{say(one.low)}, {say(one.high)}]"
    return say(one.mean), bounds


def group_cells(group: Group) -> list[str]:
    """Return the values of a group's settings as they are typed."""
    return [said(value) for value in group.settings.values()]


def sweep_table(sweep: Sweep) -> Table:
    """Return a table for the terminal: a row a setting, its measures, and the changes against the first row."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    first = sweep.groups[0].label if sweep.groups else ""
    against = f" Below each: the change against {first}, paired by seed, and whether it is above zero."
    table = Table(
        title=f"{escape(sweep.folder.name)}: {len(sweep.jobs) - len(sweep.unfinished())} of {len(sweep.jobs)} jobs",
        caption=escape("Brackets: 95 % t-intervals over seeds." + against * bool(sweep.differences)),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in short_names(sweep.keys).values():
        table.add_column(escape(name), no_wrap=True)
    table.add_column("seeds", justify="right")
    measures = [measure for measure in HEADLINE if measure in sweep.measures]
    for measure in measures:
        table.add_column(measure_name(measure), justify="right", no_wrap=True)
    for number, group in enumerate(sweep.groups):
        cells = [_cell(sweep, number, measure) for measure in measures]
        table.add_row(*map(escape, group_cells(group)), str(len(group.values)), *cells)
    return table


def _cell(sweep: Sweep, number: int, measure: str) -> str:
    one = sweep.groups[number].estimates.get(measure)
    if one is None:
        return "–"
    mean, bounds = shown(measure, one)
    lines = [f"[bold]{mean}[/] {bounds}".replace(" [", " \\[") if bounds else f"[bold]{mean}[/]"]
    if found := sweep.difference(number, 0, measure):
        mean, bounds = shown(measure, found.change, change=True)
        lines += [f"{mean} \\{bounds}" if bounds else mean, f"[{COLOURS[found.verdict]}]{found.verdict}[/]"]
    return "\n".join(lines)


def unfinished_table(sweep: Sweep) -> Table:
    """Return a table for the terminal of the jobs without a result, and why."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="jobs without a result", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("job", *short_names(sweep.keys).values(), "seed", "state", "why"):
        table.add_column(escape(name), no_wrap=name in ("job", "seed", "state"), overflow="fold")
    for job in sweep.unfinished():
        number, seed = ("–" if value is None else str(value) for value in (job.number, job.seed))
        settings = [escape(said(value)) for value in job.settings.values()]
        table.add_row(number, *settings, seed, f"[red]{job.state}[/]", escape(job.reason or job.folder))
    return table


def csv_text(sweep: Sweep) -> str:
    """Return the sweep as CSV: a row a job with its number, state, settings, seconds and every metric."""
    metrics = sorted({key for job in sweep.jobs for key in job.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", "folder", "state", "seed", *sweep.keys, "seconds", "reason", *metrics])
    for job in sweep.jobs:
        settings = [said(job.settings[key]) for key in sweep.keys]
        seconds = None if job.run is None else job.run.seconds
        values = [job.metrics.get(key) for key in metrics]
        writer.writerow([job.number, job.folder, job.state, job.seed, *settings, seconds, job.reason, *values])
    return out.getvalue()
