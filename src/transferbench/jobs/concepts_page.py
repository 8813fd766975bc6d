"""The concepts of all levels as a page to browse: search, filter by level, sort; one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from transferbench.jobs.level_files import Selection
from transferbench.report.markup import element, escaped, page

_COLUMNS = (
    ("concept", ""),
    ("wnid", "id"),
    ("level", "n"),
    ("similarity", "n"),
    ("nearest seen concept", ""),
    ("images", "n count"),
    ("definition", "text"),
)


def concepts_page(selection: Selection) -> str:
    """Return the page: concept, wnid, level, similarity, nearest seen concept, images and definition a row."""
    count = sum(map(len, selection.levels.values()))
    said = (
        f"{count:,} concepts in {len(selection.levels)} levels, the first the closest to the "
        f"{len(selection.source.seen):,} seen ones, from {selection.source.name}."
    )
    tools = element(
        "div",
        '<input id="search" type="search" placeholder="Search names, wnids, definitions" aria-label="Search">',
        element("select", _option("", "all levels"), *_level_options(selection), id="level", aria_label="Level"),
        element("output", id="count", for_="search level"),
        class_="tools",
    )
    heads = "".join(_head(name, kind) for name, kind in _COLUMNS)
    table = element(
        "table", element("thead", element("tr", heads)), element("tbody", *_rows(selection)), class_="found"
    )
    parts = [element("style", _file("concepts.css")), tools, table, element("script", _file("concepts.js"))]
    return page("Concepts of the levels", "transferbench", [element("p", escaped(said), class_="lead")], parts, "")


def _file(name: str) -> str:
    return files("transferbench.jobs").joinpath(name).read_text(encoding="utf-8")


def _option(value: str, text: str) -> str:
    return element("option", escaped(text), value=value)


def _level_options(selection: Selection) -> Iterator[str]:
    return (_option(str(level), f"level {level}") for level in selection.levels)


def _head(name: str, kind: str) -> str:
    return element("th", element("button", escaped(name), type="button"), scope="col", class_=kind)


def _rows(selection: Selection) -> Iterator[str]:
    """Yield the rows, the most similar concept of the first level first."""
    wordnet = selection.source.wordnet
    for level, wnids in selection.levels.items():
        for wnid in sorted(wnids, key=lambda wnid: (-selection.similarity[wnid], wnid)):
            nearest = selection.nearest[wnid]
            cells = (
                ", ".join(wordnet.names(wnid)),
                wnid,
                level,
                f"{selection.similarity[wnid]:{'.4f' if selection.similarity[wnid] < 1e6 else '.4g'}}",
                wordnet.names(nearest)[0],
                selection.source.images[wnid],
                wordnet.definition(wnid),
            )
            first = element("th", escaped(cells[0]), scope="row")
            rest = (element("td", escaped(cell), class_=kind) for cell, (_, kind) in zip(cells[1:], _COLUMNS[1:]))
            yield element("tr", first, *rest, data_level=str(level)) + "\n"
