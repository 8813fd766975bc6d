"""The parts of a report that captions bring: hidden words, where the model looked, what it found and wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from transferbench.report.facts import HiddenWord, Picture, WrittenCaption
from transferbench.report.markup import element, escaped, picture, section, table
from transferbench.report.pictures import enlarged
from transferbench.report.wording import percent, set_name

SIDE = 128
"""Shorter side of a shown picture is at least this, pixels."""
ZERO_SHOT = re.compile(r"captions/zero_shot/(.+)/top1")
ROWS = (("visible things", ""), ("nouns", "_noun"), ("adjectives", "_adjective"), ("verbs", "_verb"))


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
    """Return the tables of what a model can do with captions: hidden words, pointing, retrieval, classes by name."""
    found = (_hidden_table(metrics), _pointing(metrics), _retrieval_table(metrics), _zero_shot_table(metrics))
    parts = [text for text in (*found, _writing(metrics)) if text]
    return section("What it learned of captions", *parts, note=" ".join(notes)) if parts else ""


def _pointing(metrics: Mapping[str, float]) -> str:
    if "captions/pointing" not in metrics:
        return ""
    said = (
        f"Pointing: {percent(metrics['captions/pointing'])} of the attention falls on the named object, "
        f"{percent(metrics['captions/pointing_chance'])} where the same caption is read beside another image "
        f"({int(metrics['captions/pointing_count'])} hidden words of captions that name two objects or more)."
    )
    return element("p", escaped(said))


def _writing(metrics: Mapping[str, float]) -> str:
    if "captions/cider" not in metrics:
        return ""
    said = (
        f"Written captions: CIDEr-D {metrics['captions/cider']:.2f} by beam search, "
        f"{metrics['captions/cider_nucleus']:.2f} drawn, {metrics['captions/cider_shuffled']:.2f} judged beside "
        f"another image; {percent(metrics['captions/distinct'])} are different from each other."
    )
    return element("p", escaped(said))


def _retrieval_table(metrics: Mapping[str, float]) -> str:
    rows = []
    for name, ways in (("caption of an image", "image_to_text"), ("image of a caption", "text_to_image")):
        if f"captions/retrieval_{ways}_r1" in metrics:
            cells = [escaped(percent(metrics[f"captions/retrieval_{ways}_r{cut}"])) for cut in (1, 5, 10)]
            rows.append([escaped(name), *cells, f"{metrics[f'captions/retrieval_{ways}_median_rank']:g}"])
    head = ["looked for", "first", "first 5", "first 10", "median rank"]
    return table(head, rows, class_="numbers") if rows else ""


def _zero_shot_table(metrics: Mapping[str, float]) -> str:
    rows = []
    for key, value in metrics.items():
        if (found := ZERO_SHOT.fullmatch(key)) is not None:
            top5 = metrics.get(f"captions/zero_shot/{found[1]}/top5")
            rows.append([escaped(set_name(found[1])), escaped(percent(value)), "–" if top5 is None else percent(top5)])
    return table(["told by name alone", "top-1", "top-5"], rows, class_="numbers") if rows else ""


def _hidden_table(metrics: Mapping[str, float]) -> str:
    rows = []
    for kind, ending in ROWS:
        if f"captions/masked_top1{ending}" not in metrics:
            continue
        cells = [escaped(kind), f"{int(metrics[f'captions/masked_count{ending}']):,}"]
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


def written(shown: Sequence[WrittenCaption]) -> str:
    """Return pictures with the captions that a model wrote, one that it drew, and one that a person wrote."""
    if not shown:
        return ""
    blocks = []
    for one in shown:
        image = element("div", picture(enlarged(one.picture, SIDE), f"picture: {one.reference}"))
        rest = [*one.captions[1:], f"drawn: {one.sampled}", f"a person: {one.reference}"]
        text = [element("b", escaped(one.captions[0] if one.captions else "–"))]
        text += [part for line in rest for part in ("<br>", element("small", escaped(line)))]
        blocks.append(element("figure", image, element("figcaption", *text)))
    note = "Bold: the best caption of the beam search; below it the next ones."
    return section("What it wrote", element("div", *blocks, class_="near gaze"), note=note)


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
