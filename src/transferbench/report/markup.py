"""Small pieces of HTML: escaping, elements, tables, and pictures inlined as data."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np

from transferbench.report.facts import Picture


def escaped(text: object) -> str:
    """Return ``text`` with ``& < > " '`` escaped, safe inside an element and inside a quoted attribute."""
    return html.escape(str(text), quote=True)


def element(tag: str, *inner: str, **attributes: str) -> str:
    """Return an element around ``inner``, which is already HTML; attributes are escaped, ``class_`` is ``class``."""
    given = "".join(f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"' for name, value in attributes.items())
    return f"<{tag}{given}>{''.join(inner)}</{tag}>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], **attributes: str) -> str:
    """Return a table in a box that scrolls sideways on narrow screens; cells are HTML, a row's first its header."""
    top = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    inner = element("table", element("thead", top), element("tbody", *body), **attributes)
    return element("div", inner, class_="scroll")


def section(title: str, *inner: str, note: str = "") -> str:
    """Return a titled section; ``title`` and ``note`` are plain text, ``inner`` is HTML."""
    below = element("p", escaped(note), class_="note") if note else ""
    return element("section", element("h2", escaped(title)), *inner, below)


def picture(pixels: Picture, alt: str, units: float | None = None) -> str:
    """Return an ``<img>`` that carries ``pixels`` ``(H, W, 3)`` as a PNG inside.

    ``units`` is its width in units that the page's style gives a size (``--w``), None for a width set by the style.
    """
    data = base64.b64encode(png(pixels)).decode("ascii")
    size = f' style="--w:{units:g}"' if units else ""
    return f'<img src="data:image/png;base64,{data}" alt="{escaped(alt)}"{size}>'


def png(pixels: Picture) -> bytes:
    """Return ``pixels`` ``(H, W, 3)`` as the content of a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG")
    return buffer.getvalue()


def page(title: str, kicker: str, lead: Sequence[str], sections: Sequence[str], footer: str) -> str:
    """Return a whole page with its style inside; ``title`` and ``kicker`` are plain text, the rest is HTML."""
    from importlib.resources import files

    style = files("transferbench.report").joinpath("page.css").read_text(encoding="utf-8")
    head = "".join(
        (
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            element("title", escaped(title)),
            f"<style>\n{style}</style>",
        )
    )
    top = element("header", element("p", escaped(kicker), class_="kicker"), element("h1", escaped(title)), *lead)
    body = element("main", top, *sections, element("footer", footer) if footer else "")
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>{body}</body>\n</html>\n'
