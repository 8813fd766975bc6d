"""What a finished run shows on its W&B page: the report's numbers and pictures as tables, charts and media."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.report.captions import SIDE, overlay
from transferbench.report.facts import Neighbours, Picture, RunFacts
from transferbench.report.outcome import Outcome
from transferbench.report.pictures import enlarged
from transferbench.report.scene import sheet
from transferbench.report.scores import Scores, read_scores
from transferbench.report.wording import floor_name, probe_name, set_name

log = logging.getLogger(__name__)

SHORTEST_SIDE = 96
"""Pixels to which small pictures are enlarged, whole pixels at a time: W&B would blur them."""
GAP = 4
LARGEST_PAGE = 20_000_000
"""Bytes of a report that W&B's page is asked to show."""
GREEN, RED = (44, 140, 90), (200, 70, 60)
"""Frames of neighbours that show the query's concept, and of those that do not; the caption says it, too."""


def wandb_facts(facts: RunFacts, report: Path | None = None) -> dict[str, Any]:
    """Return what ``WandbRun.log_facts`` sends, by its key on the page; a piece without content is left out."""
    import wandb

    scores = read_scores(facts.metrics)
    found: dict[str, Any] = {f"seconds/{part}": seconds for part, seconds in facts.timings.items()}
    crops = of_one_size([side_by_side([picture, *crops]) for picture, crops in facts.crops])
    found["media/crops"] = [
        wandb.Image(strip, caption=f"a picture and its {len(views)} crops")
        for strip, (_, views) in zip(crops, facts.crops)
    ]
    found["media/attention"] = [
        wandb.Image(
            side_by_side([enlarged(word.picture, SIDE), overlay(word.picture, word.attention)]),
            caption=f"{word.word}: {', '.join(word.guesses[:3])} | {word.caption}",
        )
        for word in facts.hidden_words
    ]
    found["media/captions"] = [
        wandb.Image(enlarged(one.picture, SIDE), caption=f"{one.captions[0] if one.captions else ''} | {one.reference}")
        for one in facts.written
    ]
    found["media/scene"] = [
        wandb.Image(sheet(panel), caption=f"{panel.title}: {', '.join(name for name, _ in panel.pictures)}")
        for panel in facts.panels
    ]
    near = of_one_size([neighbour_strip(one) for one in facts.neighbours])
    found["media/neighbours"] = [
        wandb.Image(strip, caption=neighbour_caption(one)) for strip, one in zip(near, facts.neighbours)
    ]
    if scores.sets:
        columns, rows = accuracy_rows(facts, scores)
        found["tables/accuracy"] = wandb.Table(columns=[*columns], data=rows)
    if bars := level_bars(scores):
        table = wandb.Table(columns=["level", "accuracy"], data=bars)
        title = f"Accuracy by level, {probe_name(scores.main_probe)}"
        found["charts/levels"] = wandb.plot.bar(table, "level", "accuracy", title=title)
    if facts.concepts:
        found["tables/concepts"] = wandb.Table(columns=list(CONCEPT_COLUMNS), data=concept_rows(facts))
    if report is not None:
        found |= _files(report, "accuracy_*.png") | _files(report, "cameras.png")
    return {key: value for key, value in found.items() if not isinstance(value, list) or value}


def wandb_outcome(outcome: Outcome, report: Path) -> dict[str, Any]:
    """Return what ``WandbRun.log_facts`` sends of a job: its tables, its figures and its page."""
    import wandb

    tables = {
        f"tables/{listing.title}": wandb.Table(columns=list(listing.head), data=[list(row) for row in listing.rows])
        for listing in outcome.printed
    }
    return {**tables, **_files(report, "*.png")}


def _files(report: Path, pattern: str) -> dict[str, Any]:
    """Return the figures beside a report, and the report where it is not too large."""
    import wandb

    found: dict[str, Any] = {}
    for figure in sorted((report.parent / "figures").glob(pattern)):
        found[f"media/{figure.stem}"] = wandb.Image(str(figure))
    if report.stat().st_size <= LARGEST_PAGE:
        found["report"] = wandb.Html(report.read_text(encoding="utf-8"), inject=False, data_is_not_path=True)
    else:
        log.warning("%s is larger than %d MB: not sent to W&B", report, LARGEST_PAGE // 1_000_000)
    return found


def accuracy_rows(facts: RunFacts, scores: Scores) -> tuple[list[str], list[list[Any]]]:
    """Return the head and the rows of the table of accuracies: a row for each set and probe, the floors beside them."""
    columns = ["set", "probe", "test images", "accuracy", *map(floor_name, scores.floor_names), "lead over best floor"]
    rows: list[list[Any]] = [
        [
            set_name(name),
            probe_name(probe),
            facts.test_counts.get(name),
            scores.model[name, probe],
            *(scores.floors.get((floor, name, probe)) for floor in scores.floor_names),
            scores.lead(name, probe),
        ]
        for name in scores.sets
        for probe in scores.probes
        if (name, probe) in scores.model
    ]
    return columns, rows


def level_bars(scores: Scores) -> list[list[Any]]:
    """Return (set, accuracy with the main probe) of the seen concepts and the levels; none without levels."""
    probe = scores.main_probe
    names = [name for name in scores.sets if name == "seen" or name in scores.levels] if scores.levels else []
    return [[set_name(name), scores.model[name, probe]] for name in names if (name, probe) in scores.model]


CONCEPT_COLUMNS = ("set", "similarity to the seen", "trained on", "concepts")


def concept_rows(facts: RunFacts) -> list[list[Any]]:
    """Return a row for each set: its similarity to the seen concepts, how many were trained on, their names."""
    return [
        [set_name(name), facts.similarity.get(name), facts.trained.get(name), ", ".join(concepts)]
        for name, concepts in facts.concepts.items()
    ]


def neighbour_strip(one: Neighbours) -> Picture:
    """Return the test picture and its neighbours, nearest first, framed by whether they show its concept."""
    near = [framed(enlarged(picture, SHORTEST_SIDE), GREEN if same else RED) for picture, _, same in one.neighbours]
    return side_by_side([enlarged(one.query, SHORTEST_SIDE), *near])


def neighbour_caption(one: Neighbours) -> str:
    """Return ``level 1, mug: mug = | vase | cup``, the neighbours of the same concept marked."""
    near = " | ".join(f"{label} =" if same else label for _, label, same in one.neighbours)
    return f"{set_name(one.set_name)}, {one.label}: {near}"


def framed(picture: Picture, colour: tuple[int, int, int], width: int = 3) -> Picture:
    """Return a copy of ``picture`` (H, W, 3) whose outermost ``width`` pixels are of ``colour``."""
    copy = np.empty_like(picture)
    copy[:] = colour
    copy[width:-width, width:-width] = picture[width:-width, width:-width]
    return copy


def side_by_side(pictures: Sequence[Picture]) -> Picture:
    """Return pictures (H, W, 3) of any sizes beside one another on white, small ones enlarged by one common factor."""
    times = -(-SHORTEST_SIDE // max(picture.shape[0] for picture in pictures))
    pictures = [picture.repeat(times, 0).repeat(times, 1) for picture in pictures]
    height = max(picture.shape[0] for picture in pictures)
    strip = np.full((height, sum(p.shape[1] + GAP for p in pictures) - GAP, 3), 255, np.uint8)
    left = 0
    for picture in pictures:
        strip[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + GAP
    return strip


def of_one_size(pictures: Sequence[Picture]) -> list[Picture]:
    """Return pictures (H, W, 3) on white of the largest height and width: W&B shows those of one key at one size."""
    height = max((picture.shape[0] for picture in pictures), default=0)
    width = max((picture.shape[1] for picture in pictures), default=0)
    return [
        np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in pictures
    ]
