"""Contact sheets show every concept that they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from transferbench.world.contact_sheet import LABEL, contact_sheet, main


def test_a_sheet_has_a_picture_for_each_concept() -> None:
    sheet = np.asarray(contact_sheet(["dog", "teapot", "car"], columns=2, size=32))
    assert sheet.shape == (2 * (32 + LABEL), 64, 3)
    tiles = [sheet[:32, :32], sheet[:32, 32:], sheet[32 + LABEL : 64 + LABEL, :32]]
    assert all(tile.std() > 5 for tile in tiles)
    assert (sheet[32 + LABEL :, 32:] == 255).all()  # no fourth concept


def test_the_command_line_draws_rows_and_skips_unknown_concepts(tmp_path: Path) -> None:
    out = tmp_path / "rows.png"
    options = ["--columns", "2", "--size", "16", "--zoom", "1", "--out", str(out)]
    main(["--concepts", "dog", "unicorn", "cat", *options])
    with Image.open(out) as image:
        assert image.height == 2 * 16
