"""The report of one run: a single HTML file with everything inside, and its figures as PNG beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transferbench.report import captions, scene, sections
from transferbench.report.facts import RunFacts
from transferbench.report.fewshot_figure import fewshot_figure, has_shots
from transferbench.report.figures import accuracy_figure, curve_figures
from transferbench.report.markup import element, escaped, page, png
from transferbench.report.pictures import crops_figure, neighbours_figure
from transferbench.report.scores import read_scores
from transferbench.report.style import inline_svg, save_png
from transferbench.report.wording import headline, probe_name
from transferbench.storage import write_bytes, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(facts: RunFacts, folder: Path) -> Path:
    """Write ``report.html`` and ``figures/*.png`` into ``folder``; return the path of the report.

    The page needs nothing beside itself: style, charts (SVG) and pictures (PNG) are inside.
    """
    charts = _charts(facts)
    figures = folder / "figures"
    for name, figure in charts.items():
        save_png(figure, figures / f"{name}.png")
    if facts.crops:
        save_png(crops_figure(facts.crops), figures / "crops.png")
    if facts.neighbours:
        save_png(neighbours_figure(facts.neighbours), figures / "neighbours.png")
    for number, panel in enumerate(facts.panels, start=1):
        write_bytes(figures / f"scene_{number}.png", png(scene.sheet(panel)))
    if facts.hidden_words:
        write_bytes(figures / "attention.png", png(captions.gaze_figure(facts.hidden_words)))
    cameras = figures / "cameras.png"  # drawn before the fit
    drawn = {name: inline_svg(figure, name, _described(name)) for name, figure in charts.items()}
    said = scene.said(facts.metrics) or headline(facts)
    lead = [element("p", escaped(said), class_="lead"), sections.tiles(facts)]
    parts = [
        sections.accuracy(facts, {name: svg for name, svg in drawn.items() if name.startswith("accuracy_")}),
        captions.scores(facts.metrics, facts.notes),
        scene.scores(facts.metrics, facts.notes),
        scene.panels(facts.panels, cameras.read_bytes() if cameras.exists() else b""),
        captions.hidden_words(facts.hidden_words),
        captions.written(facts.written),
        sections.few_shot(drawn.get("fewshot", "")),
        sections.training({name: svg for name, svg in drawn.items() if name.startswith("curve_")}),
        sections.crops(facts.crops),
        sections.neighbours(facts.neighbours),
        sections.concepts(facts),
        sections.timings(facts.timings),
        sections.other_metrics(facts.metrics),
        sections.settings(facts.config),
    ]
    kicker = f"transferbench · run {facts.run} · seed {facts.seed}"
    text = page(facts.name, kicker, lead, [part for part in parts if part], sections.provenance(facts))
    write_text(folder / "report.html", text)
    return folder / "report.html"


def _charts(facts: RunFacts) -> dict[str, Figure]:
    probes: Sequence[str] = read_scores(facts.metrics).probes
    charts = {
        f"accuracy_{probe}": accuracy_figure(facts, probe) if i == 0 else accuracy_figure(facts, probe, width=4.4)
        for i, probe in enumerate(probes)
    }
    if has_shots(facts):
        charts["fewshot"] = fewshot_figure(facts)
    return charts | {f"curve_{name}": figure for name, figure in curve_figures(facts.history).items()}


def _described(name: str) -> str:
    kind, _, rest = name.partition("_")
    if kind == "accuracy":
        return f"Top-1 accuracy of each set with {probe_name(rest)}, beside the floors; the table has the numbers."
    if kind == "fewshot":
        return "Top-1 accuracy over the number of training images a class."
    return f"{rest.replace('_', ' ').capitalize()} during training."
