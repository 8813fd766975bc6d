"""What a sweep ends with: its table, ``sweep.csv``, ``sweep.html`` and the chart of training against transfer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from transferbench.report.intervals import Estimate
from transferbench.report.markup import element, escaped, page, section, table
from transferbench.report.style import inline_svg, save_png
from transferbench.report.sweep import BALANCE, MOST_PAIRED, TRAINING, TRANSFER, Sweep, read_sweep
from transferbench.report.sweep_figure import has_tradeoff, tradeoff_figure
from transferbench.report.sweep_settings import short_names
from transferbench.report.sweep_table import (
    HEADLINE,
    csv_text,
    group_cells,
    in_log_odds,
    measure_name,
    shown,
    sweep_table,
    unfinished_table,
)
from transferbench.report.wording import duration, listed
from transferbench.storage import write_text

if TYPE_CHECKING:
    from rich.console import Console

    from transferbench.report.sweep_jobs import SweepJob

_RULE = (
    "Changes are paired: a setting minus {first} with the same seed, accuracies in points. That a change is above zero "
    "holds when its 95 % interval lies above zero, does not hold when it lies at or below, and is undecided otherwise. "
    "The intervals are not corrected for looking at several settings."
)
_BALANCE = (
    " Transfer − training: the mean transfer log-odds minus the log-odds of the accuracy on the training task; a rise "
    "moves the trade-off toward transfer."
)
_SETS = (
    "Accuracies of logistic regression on the frozen features; below, where there are several settings, the changes."
)
_SPOKEN = {TRAINING: "training accuracy", TRANSFER: "transfer", BALANCE: "transfer − training"}
_SAYS = {"holds": "holds", "does not hold": "does not hold", "undecided": "is undecided"}
_WORDS = {"holds": "higher", "does not hold": "not higher", "undecided": "undecided"}
_NUMBERS = "numbers intervals"


def conclude(folder: Path, console: Console) -> None:
    """Write a sweep's files into its folder and print its table; a sweep without a job leaves nothing."""
    sweep = read_sweep(folder)
    if not sweep.jobs:
        return
    report = write_sweep(sweep)
    if sweep.groups:
        console.print(sweep_table(sweep))
    if sweep.unfinished():
        console.print(unfinished_table(sweep))
    for text in (in_words(sweep), f"sweep: {report}"):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def write_sweep(sweep: Sweep) -> Path:
    """Write ``sweep.csv``, ``sweep.html`` and, where both axes were measured, ``figures/tradeoff.png``."""
    write_text(sweep.folder / "sweep.csv", csv_text(sweep))
    lead = [element("p", escaped(in_words(sweep)), class_="lead")]
    count = len(sweep.jobs)
    kicker = f"transferbench · sweep of {count} job{'s' * (count != 1)}"
    write_text(sweep.folder / "sweep.html", page(sweep.folder.name, kicker, lead, sweep_sections(sweep), ""))
    return sweep.folder / "sweep.html"


def sweep_sections(sweep: Sweep) -> list[str]:
    """Return the page's sections as HTML, and write the chart as ``figures/tradeoff.png`` where it can be drawn."""
    parts = []
    if has_tradeoff(sweep):
        figure = tradeoff_figure(sweep)
        save_png(figure, sweep.folder / "figures" / "tradeoff.png")
        svg = inline_svg(figure, "tradeoff", "Transfer over training accuracy; the table below has the numbers.")
        caption = "Means over seeds with 95 % intervals both ways; faint: the single seeds."
        parts.append(section("Training against transfer", element("figure", svg, element("figcaption", caption))))
    first, sets = _ordered(sweep), _sets(sweep)
    if sweep.groups:
        parts.append(section("Over the seeds", _groups(sweep, first), note="Brackets: 95 % t-intervals over seeds."))
    if sweep.differences:
        rule = _RULE.format(first=_first(sweep)) + _BALANCE * (BALANCE in sweep.measures)
        parts.append(section("Changes", _changes(sweep, first), note=rule))
    if sets:
        below = _changes(sweep, sets) if sweep.differences else ""
        parts.append(section("Set by set", _groups(sweep, sets), below, note=_SETS))
    return [*parts, section("The jobs", _jobs(sweep))]


def in_words(sweep: Sweep) -> str:
    """Say what is missing, and how training and transfer move with the settings."""
    missing, sentences = sweep.unfinished(), []
    if missing:
        states = dict.fromkeys(job.state for job in missing)
        counted = listed([f"{sum(job.state == state for job in missing)} {state}" for state in states])
        sentences.append(f"{len(missing)} of {len(sweep.jobs)} jobs have no result: {counted}.")
    moves = {trend.measure: trend for trend in sweep.trends}
    if moves:
        told = [
            f"{subject} by {_spelt(measure, moves[measure].slope)} (a rise {_SAYS[moves[measure].verdict]})"
            for measure, subject in _SPOKEN.items()
            if measure in moves
        ]
        sentences.append(f"A step of {sweep.keys[0]} changes {listed(told)}.")
    for against in () if moves else sorted({against for _, against in sweep.pairs()}):
        told = [f"{subject} {said}" for key, subject in _SPOKEN.items() if (said := _compared(sweep, against, key))]
        sentences.append(f"Against {sweep.groups[against].label}, paired by seed: {'; '.join(told)}.")
    return " ".join([*sentences, *sweep.notes])


def _spelt(measure: str, one: Estimate) -> str:
    mean, bounds = shown(measure, one, change=True)
    return f"{mean}{'' if in_log_odds(measure) else ' points'} {bounds}".rstrip()


def _compared(sweep: Sweep, against: int, measure: str) -> str:
    """Return ``is higher with b (+1.2 points [...]), undecided with c``; with many settings, only how many."""
    few, parts = len(sweep.groups) <= MOST_PAIRED, []
    taken = [one for one in sweep.differences if (one.against, one.measure) == (against, measure)]
    for verdict, word in _WORDS.items():
        found = [one for one in taken if one.verdict == verdict]
        named = listed([f"{sweep.groups[one.group].label} ({_spelt(measure, one.change)})" for one in found])
        if found:
            parts.append(f"{word} with {named if few else f'{len(found)} of {len(taken)}'}")
    return f"is {', '.join(parts)}" if parts else ""


def _ordered(sweep: Sweep) -> list[str]:
    """Return the measures for the first table: the levels stand in one of their own."""
    return [measure for measure in (*HEADLINE, BALANCE) if measure in sweep.measures]


def _sets(sweep: Sweep) -> list[str]:
    return [measure for measure in sweep.measures if measure not in (*HEADLINE, BALANCE)]


def _bounded(mean: str, bounds: str) -> str:
    return escaped(mean) + (" " + element("span", escaped(bounds), class_="bounds") if bounds else "")


def _groups(sweep: Sweep, measures: list[str]) -> str:
    rows = []
    for group in sweep.groups:
        found = [(measure, group.estimates.get(measure)) for measure in measures]
        cells = ["–" if one is None else _bounded(*shown(measure, one)) for measure, one in found]
        rows.append([*map(escaped, group_cells(group)), str(len(group.values)), *cells])
    return table(_head(sweep, ["seeds", *(measure_name(measure) for measure in measures)]), rows, class_=_NUMBERS)


def _changes(sweep: Sweep, measures: list[str]) -> str:
    rows, several = [], any(against for _, against in sweep.pairs())
    for group, against in sweep.pairs():
        found = [(measure, sweep.difference(group, against, measure)) for measure in measures]
        cells = ["–" if one is None else _judged(measure, one.change, one.verdict) for measure, one in found]
        beside = [escaped(sweep.groups[against].label)] if several else []
        rows.append([*map(escaped, group_cells(sweep.groups[group])), *beside, *cells])
    if sweep.trends:
        moves = {trend.measure: trend for trend in sweep.trends}
        slopes = [(measure, moves.get(measure)) for measure in measures]
        rows.append(["a step", *("–" if t is None else _judged(measure, t.slope, t.verdict) for measure, t in slopes)])
    names = [measure_name(measure).replace(", %", ", points") for measure in measures]
    return table(_head(sweep, ["against"] * several + names), rows, class_=_NUMBERS)


def _first(sweep: Sweep) -> str:
    return "another one" if any(against for _, against in sweep.pairs()) else sweep.groups[0].label


def _head(sweep: Sweep, names: list[str]) -> list[str]:
    whole = [name.replace("log-odds", "log\u2011odds") for name in names]
    return [element("span", escaped(name)) for name in (*short_names(sweep.keys).values(), *whole)]


def _judged(measure: str, change: Estimate, verdict: str) -> str:
    mark = element("span", escaped(verdict), class_=f"verdict {verdict.replace(' ', '-')}")
    return f"{_bounded(*shown(measure, change, change=True))}<br>{mark}"


def _jobs(sweep: Sweep) -> str:
    head = ["job", *map(escaped, short_names(sweep.keys).values()), "seed", "state", "time", "result"]
    return table(head, [_job(job, sweep.folder) for job in sweep.jobs])


def _job(job: SweepJob, folder: Path) -> list[str]:
    number, seed = ("–" if value is None else str(value) for value in (job.number, job.seed))
    result = escaped(job.reason)
    if job.run is not None:
        name = escaped(job.folder)
        there = (folder / job.folder / "report.html").exists()
        result = element("a", name, href=f"{quote(job.folder)}/report.html") if there else name
    state = job.state if job.run is not None else element("span", job.state, class_="down")
    seconds = job.run.seconds if job.run is not None else None
    time = "–" if seconds is None else duration(seconds).replace(" ", "\u00a0")
    return [number, *map(escaped, job.settings.values()), seed, state, time, result]
