"""What a job found that trains nothing, and the page made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferbench.report import sections
from transferbench.report.facts import RunFacts
from transferbench.report.markup import element, escaped, page, section, table
from transferbench.storage import write_text

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Listing:
    """A table of plain values: the terminal, the page and W&B each show it in their way."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job leaves beside the files that it wrote itself.

    ``metrics`` are flat, as in ``summary.json``; ``said`` is a sentence or two for the top of the page and the
    terminal; ``printed`` goes to the terminal and to W&B; ``sections`` are the page's, HTML (``report.markup.section``,
    ``as_section``).
    """

    metrics: dict[str, float] = field(default_factory=dict)
    said: str = ""
    printed: Sequence[Listing] = ()
    sections: Sequence[str] = ()


def write_outcome(outcome: Outcome, facts: RunFacts, folder: Path) -> Path:
    """Write ``report.html`` of a job into ``folder`` and return its path; ``facts`` say which run it was."""
    lead = [element("p", escaped(outcome.said), class_="lead")] if outcome.said else []
    parts = [
        *outcome.sections,
        sections.timings(facts.timings),
        sections.other_metrics(facts.metrics),
        sections.settings(facts.config),
    ]
    kicker = f"transferbench · run {facts.run}"
    text = page(facts.name, kicker, lead, [part for part in parts if part], sections.provenance(facts))
    write_text(folder / "report.html", text)
    return folder / "report.html"


def as_section(listing: Listing) -> str:
    """Return a table as a section of the page."""
    rows = [[escaped(shown(cell)) for cell in row] for row in listing.rows]
    inner = table([escaped(name) for name in listing.head], rows, class_="listing")
    return section(listing.title, inner, note=listing.note)


def shown(cell: str | float) -> str:
    """Return a cell as it is read: numbers that are not whole with four digits."""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def print_outcome(outcome: Outcome, console: Console, report: Path) -> None:
    """Print a job's tables, its sentence and where the report lies."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    for listing in outcome.printed:
        grid = Table(
            title=escape(listing.title),
            caption=escape(listing.note) or None,
            title_justify="left",
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        for place, name in enumerate(listing.head):
            numbers = all(isinstance(row[place], (int, float)) for row in listing.rows)
            grid.add_column(escape(name), justify="right" if numbers else "left", overflow="fold")
        for row in listing.rows:
            grid.add_row(*(escape(shown(cell)) for cell in row))
        console.print(grid)
    for text in (outcome.said, f"report: {report}"):
        if text:
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def listings_of(content: Any) -> list[Listing]:
    """Return the tables that a summary of a finished job keeps, so that it can be shown again."""
    found = content if isinstance(content, list) else []
    return [Listing(**one) for one in found if isinstance(one, Mapping)]
