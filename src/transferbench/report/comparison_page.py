"""A comparison over seeds for people: a table for the terminal, Markdown, and a self-contained page with figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transferbench.probes.names import SEEN
from transferbench.report.compare import BEST, LEVELS, Comparison, Difference
from transferbench.report.comparison_figures import accuracy_figure, lead_figure
from transferbench.report.intervals import Estimate
from transferbench.report.markup import element, escaped, page, section, table
from transferbench.report.style import inline_svg, save_png
from transferbench.report.wording import floor_name, listed, percent, points, probe_name, set_name
from transferbench.storage import write_text

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"holds": "green", "does not hold": "red", "undecided": "yellow"}
_SAID = {"holds": "holds", "does not hold": "does not hold", "undecided": "is undecided"}
_BRACKETS = "Brackets: 95 % t-intervals over seeds."


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write ``comparison.html``, ``comparison.md`` and ``figures/comparison_*.png``; return the page's path."""
    charts = {"comparison_accuracy": accuracy_figure(comparison)}
    if comparison.differences:
        charts["comparison_lead"] = lead_figure(comparison)
    drawn = []
    for name, figure in charts.items():
        save_png(figure, folder / "figures" / f"{name}.png")
        drawn.append(element("figure", inline_svg(figure, name, "The table below has the numbers.")))
    write_text(folder / "comparison.md", markdown(comparison))
    head, rows = _cells(comparison)
    parts = [
        section(
            "Accuracy over seeds",
            drawn[0],
            table(list(map(escaped, head)), [list(map(_bounded, row)) for row in rows], class_="numbers intervals"),
            note=_BRACKETS,
        ),
        section("Lead over the floors", *drawn[1:], _leads(comparison), note=_rule(comparison)) if drawn[1:] else "",
        section("The runs", table(["seed", "run", "commit"], _runs(comparison))),
    ]
    lead = [element("p", escaped(in_words(comparison)), class_="lead")]
    kicker = f"transferbench · comparison over {_seeds(comparison)}"
    text = page(comparison.name, kicker, lead, [part for part in parts if part], "")
    write_text(folder / "comparison.html", text)
    return folder / "comparison.html"


def in_words(comparison: Comparison) -> str:
    """Say in a paragraph how the experiment does over its seeds and which leads hold."""
    probe = probe_name(comparison.probe)
    shown = [name for name in (SEEN, LEVELS) if name in comparison.model] or list(comparison.model)
    spoken = {SEEN: "the seen concepts", LEVELS: "the mean of the levels"}
    reached = listed([f"{interval(comparison.model[name])} on {spoken.get(name, set_name(name))}" for name in shown])
    sentences = [f"{probe[0].upper()}{probe[1:]} on the frozen features reaches, in percent, {reached}."]
    found: dict[str, list[str]] = {verdict: [] for verdict in _COLOURS}
    for one in comparison.differences:
        if one.floor == BEST:
            found[one.verdict].append(set_name(one.set_name))
    claims = [f"{_SAID[verdict]} on {listed(sets)}" for verdict, sets in found.items() if sets]
    if claims:
        sentences.append(f"A lead of {100 * comparison.threshold:g} points over the best floor {'; it '.join(claims)}.")
    if (odds := comparison.log_odds) is not None:
        bounds = "" if odds.low is None or odds.high is None else f" [{_signed(odds.low)}, {_signed(odds.high)}]"
        sentences.append(f"The mean log-odds are {_signed(odds.mean)}{bounds}.")
    return " ".join([*sentences, *comparison.notes])


def _signed(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def interval(one: Estimate) -> str:
    """Return ``71.3 [69.0, 73.6]``, in percent."""
    bounds = "" if one.low is None or one.high is None else f" [{100 * one.low:.1f}, {100 * one.high:.1f}]"
    return percent(one.mean, unit=False) + bounds


def lead_interval(one: Estimate) -> str:
    """Return ``+12.3 [+9.8, +14.8]``, in points."""
    return points(one.mean) + (
        "" if one.low is None or one.high is None else f" [{points(one.low)}, {points(one.high)}]"
    )


def _seeds(comparison: Comparison) -> str:
    seeds = [str(run.seed) for run in comparison.runs]
    return f"seed{'s' * (len(seeds) > 1)} {listed(seeds)}"


def _rule(comparison: Comparison) -> str:
    limit = f"{100 * comparison.threshold:g} points"
    return (
        "Leads are paired: model minus floor of the same seed, in points. "
        f"A lead holds when its interval lies at or above {limit}, does not hold when it lies below, "
        "and is undecided otherwise. The best floor is the strongest of each seed and set. "
        "The intervals are not corrected for looking at several sets."
    )


def _floors(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(floor for floor, _ in comparison.floors))


def _cells(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    floors = _floors(comparison)
    head = ["set", comparison.name, *(floor_name(floor) for floor in floors)]
    rows = []
    for name, own in comparison.model.items():
        found = [comparison.floors.get((floor, name)) for floor in floors]
        rows.append([set_name(name), interval(own), *("–" if one is None else interval(one) for one in found)])
    return head, rows


def _bounded(text: str) -> str:
    """Return an interval as HTML that may break only before its bounds."""
    mean, bracket, bounds = escaped(text).partition(" [")
    return f"{mean} " + element("span", f"[{bounds}", class_="bounds") if bracket else mean


def _by_set(comparison: Comparison) -> list[tuple[str, list[Difference | None]]]:
    found = {(one.set_name, one.floor): one for one in comparison.differences}
    floors = _floors(comparison)
    return [(name, [found.get((name, floor)) for floor in floors]) for name in comparison.model]


def _leads(comparison: Comparison) -> str:
    rows = []
    for name, differences in _by_set(comparison):
        cells = [escaped(set_name(name))]
        for one in differences:
            if one is None:
                cells.append("–")
                continue
            mark = element("span", escaped(one.verdict), class_=f"verdict {one.verdict.replace(' ', '-')}")
            cells.append(f"{_bounded(lead_interval(one.lead))}<br>{mark}")
        rows.append(cells)
    return table(
        ["set", *(escaped(floor_name(floor)) for floor in _floors(comparison))], rows, class_="numbers intervals"
    )


def _runs(comparison: Comparison) -> list[list[str]]:
    return [[str(run.seed), escaped(run.run), element("code", escaped(run.commit))] for run in comparison.runs]


def markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown: a paragraph, the accuracies, the leads with their verdicts."""
    head, rows = _cells(comparison)
    lines = [
        f"# {_plain(comparison.name)}: {_seeds(comparison)}",
        "",
        _plain(in_words(comparison)),
        "",
        *_pipes(head, rows),
    ]
    if comparison.differences:
        floors = _floors(comparison)
        body = [
            [
                set_name(name),
                *("–" if one is None else f"{lead_interval(one.lead)} {one.verdict}" for one in differences),
            ]
            for name, differences in _by_set(comparison)
        ]
        lines += ["", "## Lead over the floors", "", *_pipes(["set", *map(floor_name, floors)], body)]
    return "\n".join([*lines, "", f"{_BRACKETS} {_rule(comparison)}", ""])


def _plain(text: str) -> str:
    return escaped(text).replace("|", "\\|").replace("&#x27;", "'")


def _pipes(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines]


def comparison_table(comparison: Comparison) -> Table:
    """Return a table for the terminal: a row a set, the model's interval and the paired lead over each floor."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    shown = Table(
        title=f"{escape(comparison.name)} over {_seeds(comparison)}: top-1 in %, {probe_name(comparison.probe)}",
        caption=" ".join([_BRACKETS, _rule(comparison), *map(escape, comparison.notes)]),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in ("set", "model", *(f"lead on {floor_name(floor)}" for floor in _floors(comparison))):
        shown.add_column(escape(name), justify="left" if name == "set" else "right", no_wrap=name == "set")
    for name, differences in _by_set(comparison):
        cells = [escape(set_name(name)), interval(comparison.model[name]).replace(" [", "\n\\[")]
        for one in differences:
            if one is None:
                cells.append("–")
            else:
                text = lead_interval(one.lead).replace(" [", "\n\\[")
                cells.append(f"{text}\n[{_COLOURS[one.verdict]}]{one.verdict}[/]")
        shown.add_row(*cells)
    return shown
