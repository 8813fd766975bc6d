"""What a job on levels reports: the filters' counts, the levels, agreement with published ones, figures, the table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from transferbench.jobs.concepts_page import concepts_page
from transferbench.jobs.level_figures import images_figure, similarity_figure
from transferbench.jobs.level_files import Selection
from transferbench.report.markup import element, escaped, section
from transferbench.report.outcome import Listing, Outcome, as_section
from transferbench.report.style import inline_svg, save_png
from transferbench.report.wording import listed
from transferbench.storage import write_text

_CAPTIONS = {
    "similarity": "Similarity of every candidate to the nearest seen concept; grey: candidates between the levels.",
    "images": "Images of the classes, level by level.",
}


def outcome_of(selection: Selection, sizes: Mapping[str, tuple[int, int]], folder: Path) -> Outcome:
    """Write ``concepts.html`` and the figures into ``folder``; return what the report shows.

    ``sizes`` are the numbers of training and test images by wnid.
    """
    train, test = (
        {level: sum(sizes[wnid][part] for wnid in wnids) for level, wnids in selection.levels.items()}
        for part in range(2)
    )
    write_text(folder / "concepts.html", concepts_page(selection))
    printed = [_filters(selection), _levels(selection, train, test)]
    if selection.agreements:
        printed.append(_agreement(selection))
    link = element("p", element("a", "All concepts, to browse", href="concepts.html"))
    sections = [section("Levels in the ranking", *_figures(selection, folder), link), *map(as_section, printed)]
    if selection.left_out:
        sections.append(as_section(_left_out(selection)))
    return Outcome(metrics=_metrics(selection, train), said=_in_words(selection), printed=printed, sections=sections)


def _figures(selection: Selection, folder: Path) -> list[str]:
    drawn = {"similarity": similarity_figure(selection), "images": images_figure(selection)}
    parts = []
    for name, figure in drawn.items():
        if figure is not None:
            save_png(figure, folder / "figures" / f"{name}.png")
            svg = inline_svg(figure, name, _CAPTIONS[name])
            parts.append(element("figure", svg, element("figcaption", escaped(_CAPTIONS[name]))))
    return parts


def _filters(selection: Selection) -> Listing:
    before = [len(selection.steps[0].left), *(len(step.left) for step in selection.steps)]
    rows: list[list[str | int | float]] = [
        [step.rule, len(step.left), many - len(step.left)] for step, many in zip(selection.steps, before)
    ]
    return Listing("Filters", ["concepts", "left", "dropped"], rows, note=f"From {selection.source.name}.")


def _levels(selection: Selection, train: Mapping[int, int], test: Mapping[int, int]) -> Listing:
    rows: list[list[str | int | float]] = []
    for level, wnids in selection.levels.items():
        values = np.array([selection.similarity[wnid] for wnid in wnids])
        spread = [float(values.max()), float(values.mean()), float(values.min())]
        rows.append([level, len(wnids), *spread, train[level], test[level]])
    head = ["level", "concepts", "most similar", "mean", "least similar", "training images", "test images"]
    note = f"Similarity ({selection.measure}) to the nearest seen concept."
    if selection.ties_at_cuts:
        note += f" The cut falls into a tie at {selection.ties_at_cuts} ends of levels; seed {selection.seed} decides."
    return Listing("Levels", head, rows, note=note)


def _agreement(selection: Selection) -> Listing:
    rows = [
        [one.level, one.common, len(one.missing), one.filtered, len(one.extra), one.tied, one.left_out, one.beyond]
        for one in selection.agreements
    ]
    head = ["level", "in both", "missing", "filtered", "extra", "tied", "left out there", "beyond"]
    note = (
        "Missing: published concepts that are not in our level (filtered: none of our candidates). "
        "Extra: ours that are not published; tied: as similar as the published level's first or last, "
        "so that chance decided; left out there: within its range, so dropped there by hand; "
        "beyond: outside of its range, the cut lies elsewhere."
    )
    return Listing("Agreement with published levels", head, rows, note=note)


def _left_out(selection: Selection) -> Listing:
    rows: list[list[str | int | float]] = [
        [selection.name(wnid), wnid, float(selection.similarity[wnid]), selection.source.wordnet.definition(wnid)]
        for wnid in sorted(selection.left_out, key=lambda wnid: -selection.similarity[wnid])
    ]
    note = (
        "They pass the filters and lie within the range of a published level, yet are in none; "
        "left_out.txt has them, and task.drop=left_out.txt drops them."
    )
    return Listing(
        "Left out of the published levels by hand", ["concept", "wnid", "similarity", "definition"], rows, note
    )


def _in_words(selection: Selection) -> str:
    source, last, count = selection.steps[0], selection.steps[-1], sum(map(len, selection.levels.values()))
    said = (
        f"{len(selection.levels)} levels with {count} concepts, of {len(last.left)} that the filters left "
        f"of {len(source.left)}; {len(selection.source.seen)} are seen."
    )
    if selection.agreements:
        extra = sum(len(one.extra) for one in selection.agreements)
        ours = sum(one.common + len(one.extra) for one in selection.agreements)
        numbers = listed([str(one.level) for one in selection.agreements])
        several = "s" * (len(selection.agreements) > 1)
        said += f" Beside the published level{several} {numbers}, {extra} of {ours} concepts differ."
    return said


def _metrics(selection: Selection, train: Mapping[int, int]) -> dict[str, float]:
    metrics = {f"levels/left/{step.key}": float(len(step.left)) for step in selection.steps}
    for level, wnids in selection.levels.items():
        values = np.array([selection.similarity[wnid] for wnid in wnids])
        metrics |= {
            f"levels/level_{level}/similarity": float(values.mean()),
            f"levels/level_{level}/train_images": float(train[level]),
        }
    for one in selection.agreements:
        metrics[f"levels/level_{one.level}/differ"] = float(len(one.extra))
    if selection.agreements:
        metrics["levels/differ"] = float(sum(len(one.extra) for one in selection.agreements))
    return metrics | {"levels/ties_at_cuts": float(selection.ties_at_cuts)}
