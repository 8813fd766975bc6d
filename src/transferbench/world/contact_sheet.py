"""Sheets of pictures of the world, to look at.

``python -m transferbench.world.contact_sheet --concepts dog cat --columns 8 --out sheet.png`` draws a row of random
scenes for each concept; without ``--concepts``, one picture of every concept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from transferbench.world.render import render
from transferbench.world.scene import draw_scene
from transferbench.world.shapes import SHAPES

LABEL = 12  # pixels of height of a label


def picture(concept: str, index: int, size: int = 64, clutter: bool = True) -> Image.Image:
    """Return the ``index``-th random picture of ``concept`` for sheets (not one of the data set's)."""
    rng = np.random.default_rng([index, *concept.encode()])
    scene = draw_scene(SHAPES[concept](rng), rng, size, clutter)
    return Image.fromarray(render(scene, rng).rgb)


def concept_rows(concepts: Sequence[str], columns: int = 8, size: int = 64, zoom: int = 2) -> Image.Image:
    """Return a sheet with a row of ``columns`` random pictures for each concept, named at the left."""
    side, margin = size * zoom, 90
    sheet = Image.new("RGB", (margin + columns * side, len(concepts) * side), "white")
    draw = ImageDraw.Draw(sheet)
    for row, concept in enumerate(concepts):
        draw.text((4, row * side + side // 2 - 6), concept, fill="black")
        for column in range(columns):
            image = picture(concept, column, size).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(image, (margin + column * side, row * side))
    return sheet


def contact_sheet(
    concepts: Sequence[str], columns: int = 12, size: int = 64, zoom: int = 1, index: int = 0
) -> Image.Image:
    """Return a sheet with one named picture of each concept, ``columns`` a row."""
    side = size * zoom
    rows = -(-len(concepts) // columns)
    sheet = Image.new("RGB", (columns * side, rows * (side + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, concept in enumerate(concepts):
        x, y = place % columns * side, place // columns * (side + LABEL)
        image = picture(concept, index, size).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(image, (x, y))
        draw.text((x + 2, y + side), concept[: side // 6], fill="black")
    return sheet


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheet that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--concepts", nargs="*", help="rows of these concepts; all of the world, once each, if left out"
    )
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--zoom", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.concepts:
        concepts = [concept for concept in options.concepts if concept in SHAPES]
        sheet = concept_rows(concepts, options.columns, options.size, options.zoom)
    else:
        sheet = contact_sheet(sorted(SHAPES), options.columns, options.size, options.zoom)
    sheet.save(options.out)


if __name__ == "__main__":
    main()
