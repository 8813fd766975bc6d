"""The look of every figure: one colour-blind-safe palette, one set of sizes, and the two ways out, PNG and SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from transferbench.report.markup import escaped
from transferbench.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_P = ParamSpec("_P")
_T = TypeVar("_T")

# After Okabe and Ito (2008), darkened so that text in these colours is readable on white; page.css has the dark twins.
PALETTE = {
    "ink": "#1f2429",
    "muted": "#68717a",
    "rule": "#dde1e6",
    "model": "#0067a8",
    "amber": "#b36b00",
    "plum": "#a0457a",
    "green": "#00795c",
    "slate": "#5b6470",
    "red": "#c24a00",
}
SERIES = tuple((PALETTE[name], marker) for name, marker in zip(("amber", "plum", "green", "slate", "red"), "s^Dvp"))
WIDTH = 7.2
"""Width of a full-width figure in inches; texts of 8 points stay readable from 560 to 1000 pixels."""

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "text.color": PALETTE["ink"],
    "axes.edgecolor": PALETTE["muted"],
    "axes.labelcolor": PALETTE["ink"],
    "axes.titlecolor": PALETTE["ink"],
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": PALETTE["rule"],
    "grid.linewidth": 0.7,
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
    "xtick.labelcolor": PALETTE["ink"],
    "ytick.labelcolor": PALETTE["ink"],
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "transferbench",
    "figure.dpi": 100,
}


def in_house_style(draw: Callable[_P, _T]) -> Callable[_P, _T]:
    """Wrap a function that draws, so that every text and line it makes takes the sizes of the house."""

    @wraps(draw)
    def styled(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        import matplotlib

        with matplotlib.rc_context(_RC):
            return draw(*args, **kwargs)

    return styled


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of ``width`` x ``height`` inches and its axes; call it inside ``in_house_style``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


@in_house_style
def save_png(figure: Figure, path: Path, dpi: int = 200) -> Path:
    """Write ``figure`` as a PNG on white; return ``path``."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    figure.set_layout_engine("none")  # settled: drawing it again as SVG need not lay it out once more
    write_bytes(path, buffer.getvalue())
    return path


@in_house_style
def inline_svg(figure: Figure, prefix: str, label: str) -> str:
    """Return ``figure`` as an SVG element for an HTML page, transparent, its colours taken from the page's variables.

    ``prefix`` keeps its ids apart from those of other figures of the page; ``label`` (plain text) describes it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    for name, colour in PALETTE.items():
        text = re.sub(re.escape(colour), f"var(--{name}, {colour})", text, flags=re.IGNORECASE)
    return re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{escaped(label)}">', text, count=1
    )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move label positions apart until neighbours are at least ``gap`` from each other, as little as that takes.

    Labels too close form a block centred on the mean of their places (isotonic regression by pooling).
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[tuple[float, int]] = []  # (mean of place minus its offset inside all blocks, members)
    for rank, i in enumerate(order):
        mean, size = places[i] - rank * gap, 1
        while blocks and blocks[-1][0] >= mean:
            before, members = blocks.pop()
            mean, size = (before * members + mean * size) / (members + size), members + size
        blocks.append((mean, size))
    flat = [mean for mean, size in blocks for _ in range(size)]
    moved = [0.0] * len(places)
    for rank, i in enumerate(order):
        moved[i] = flat[rank] + rank * gap
    return moved
