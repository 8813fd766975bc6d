"""The parts of a report that captions bring: hidden words, and where the model looked for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from transferbench.report.facts import HiddenWord, Picture
from transferbench.report.markup import element, escaped, picture, section, table
from transferbench.report.pictures import enlarged
from transferbench.report.wording import percent

SIDE = 128
"""Shorter side of a shown picture is at least this, pixels."""
ROWS = (("noun", ""), ("adjective", "_adjective"), ("verb", "_verb"))


def overlay(image: Picture, attention: NDArray[np.float32]) -> Picture:
    """Return ``image`` (H, W, 3), enlarged, bright where ``attention`` (h, w) is high and dim where it is low."""
    large = enlarged(image, SIDE).astype(np.float32)
    rows = (np.arange(large.shape[0]) * attention.shape[0]) // large.shape[0]
    columns = (np.arange(large.shape[1]) * attention.shape[1]) // large.shape[1]
    strength = (attention / max(float(attention.max()), 1e-9))[rows][:, columns, None]
    glow = np.array([255.0, 196.0, 0.0], np.float32)
    shown = large * (0.25 + 0.75 * strength) * (1 - 0.25 * strength) + glow * 0.25 * strength
    bright: Picture = np.clip(shown, 0, 255).astype(np.uint8)
    return bright


def scores(metrics: Mapping[str, float], notes: Sequence[str]) -> str:
    """Return the table of accuracies on hidden words, and how well the attention points at what they name."""
    parts = [text for text in [_hidden_table(metrics)] if text]
    if "captions/pointing" in metrics:
        said = (
            f"Pointing: {percent(metrics['captions/pointing'])} of the attention falls on the named object, "
            f"{percent(metrics['captions/pointing_chance'])} where the same caption is read beside another image "
            f"({int(metrics['captions/pointing_count'])} hidden words of captions that name two objects or more)."
        )
        parts.append(element("p", escaped(said)))
    return section("What it learned of captions", *parts, note=" ".join(notes)) if parts else ""


def _hidden_table(metrics: Mapping[str, float]) -> str:
    rows = []
    for kind, ending in ROWS:
        if f"captions/masked_top1{ending}" not in metrics:
            continue
        cells = [escaped(f"{kind}s"), f"{int(metrics[f'captions/masked_count{ending}']):,}"]
        for top in ("top1", "top5"):
            for model in ("", "_blind"):
                value = metrics.get(f"captions/masked_{top}{ending}{model}")
                cells.append("–" if value is None else escaped(percent(value)))
        rows.append(cells)
    head = ["hidden words", "n", "top-1", "text alone", "top-5", "text alone"]
    return table(head, rows, class_="numbers") if rows else ""


def hidden_words(shown: Sequence[HiddenWord]) -> str:
    """Return each picture beside the attention of every hidden word, with the guesses."""
    if not shown:
        return ""
    blocks: list[str] = []
    for index, one in enumerate(shown):
        if index == 0 or one.caption != shown[index - 1].caption:
            image = element("div", picture(enlarged(one.picture, SIDE), f"picture: {one.caption}"))
            blocks.append(element("figure", image, element("figcaption", escaped(one.caption)), class_="query"))
        image = element("div", picture(overlay(one.picture, one.attention), f"attention of {one.word}"))
        right = bool(one.guesses) and one.guesses[0] == one.word
        guessed = escaped(", ".join(one.guesses[:3]))
        text = [element("b", escaped(one.word)), "<br>", guessed]
        if one.blind:
            text += ["<br>", element("small", escaped(f"text alone: {', '.join(one.blind[:2])}"))]
        blocks.append(element("figure", image, element("figcaption", *text), class_="same" if right else "other"))
    note = (
        "Bright: where the model looked for the hidden word (bold); below it its guesses, green if the first is right."
    )
    return section("Where it looked", element("div", *blocks, class_="near gaze"), note=note)


def gaze_figure(shown: Sequence[HiddenWord]) -> Picture:
    """Return the overlays of up to 12 hidden words, four in a row, as one picture."""
    tiles = [overlay(one.picture, one.attention) for one in shown[:12]]
    height, width = max(t.shape[0] for t in tiles), max(t.shape[1] for t in tiles)
    rows = -(-len(tiles) // 4)
    sheet = np.full((rows * (height + 4), 4 * (width + 4), 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (index // 4) * (height + 4), (index % 4) * (width + 4)
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet
