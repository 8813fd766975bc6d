"""What a report says and shows of scenes."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from transferbench.report.facts import Panel, RunFacts
from transferbench.report.html import write_report
from transferbench.report.scene import SIDE, panels, said, scores, sheet, tiles

METRICS = {
    "field/test/psnr": 24.567,
    "field/test/ssim": 0.8312,
    "field/seconds_per_view": 0.42,
    "field/teacher/map": 0.55,
    "field/teacher_bilateral/map": 0.61,
    "field/student/map": 0.734,
}


def panel(height: int = 10, width: int = 20, note: str = "") -> Panel:
    red = np.zeros((height, width, 3), np.uint8)
    red[..., 0] = 255
    return Panel("View <3>", [("image", red), ("rendered & such", red // 2)], note)


def test_a_paragraph_says_the_numbers_that_there_are() -> None:
    text = said(METRICS)
    assert "PSNR 24.57 dB on held-out views (SSIM 0.831)." in text and "A view takes" in text
    assert "2-D teacher, as it is 55" in text and "3-D student 73" in text and "bilinear" not in text
    assert said({"train/loss": 1.0}) == ""
    assert said({"field/train/psnr": 20.0}) == "PSNR 20.00 dB on fitted views."


def test_a_paragraph_on_an_edited_scene() -> None:
    text = said({"field/edit/psnr_after": 21.3, "field/edit/psnr_before": 12.0})
    assert "21.30 dB of the scene without it, the unedited one at 12.00 dB" in text


def test_tiles_are_few() -> None:
    found = tiles(METRICS)
    assert found[0] == ("24.57 dB", "PSNR, held-out views")
    assert [name for _, name in found[1:]] == ["mAP, 2-D teacher, as it is", "mAP, 2-D teacher, joint bilateral",
                                              "mAP, 3-D student"]  # fmt: skip
    many = {f"field/map/{name}": 0.5 for name in ("dynamic", "actor", "moving")}
    assert len(tiles(METRICS | many)) == 1 + 4 and tiles({}) == []


def test_the_table_has_a_row_for_each_precision() -> None:
    table = scores(METRICS, ["Two kinds.", "Clicked once."])
    assert table.count("<tr") == 1 + 3 and "Two kinds. Clicked once." in table and "3-D student" in table
    assert scores({"field/test/psnr": 20.0}, []) == ""


def test_pictures_stand_in_rows_with_their_captions() -> None:
    page = panels([panel(note="a < b"), panel()])
    assert page.count("<img") == 4 and page.count("<h3") == 2 and page.count("<figcaption") == 4
    assert "View &lt;3&gt;" in page and "rendered &amp; such" in page and "a &lt; b" in page
    assert "<3>" not in page and panels([]) == ""


def test_the_cameras_stand_before_the_pictures() -> None:
    content = b"not looked into"
    page = panels([panel()], content)
    assert page.count("<img") == 3 and page.index(base64.b64encode(content).decode()) < page.index("<h3")
    alone = panels([], content)
    assert alone.count("<img") == 1 and "The scene" in alone and "before anything was fitted" in alone


def test_a_report_has_the_cameras_that_its_folder_has(tmp_path: Path) -> None:
    facts = RunFacts(name="nerf", run="a", seed=1, commit="", versions={}, metrics={"field/test/psnr": 20.0})
    assert "<img" not in write_report(facts, tmp_path).read_text()
    content = b"content of a file"
    (tmp_path / "figures").mkdir(exist_ok=True)
    (tmp_path / "figures" / "cameras.png").write_bytes(content)
    page = write_report(facts, tmp_path).read_text()
    assert page.count("<img") == 1 and base64.b64encode(content).decode() in page
    assert (tmp_path / "figures" / "cameras.png").read_bytes() == content


def test_a_sheet_is_the_pictures_side_by_side_on_white() -> None:
    strip = sheet(panel(10, 20))
    assert strip.dtype == np.uint8 and strip.shape[0] >= SIDE and strip.shape[1] % 2 == 0
    wide = (strip.shape[1] - 4) // 2
    assert (strip[:, :wide] == (255, 0, 0)).all() and (strip[:, -wide:] == (127, 0, 0)).all()
    assert (strip[:, wide : wide + 4] == 255).all()
    uneven = Panel("", [("a", np.zeros((10, 10, 3), np.uint8)), ("b", np.zeros((20, 10, 3), np.uint8))])
    found = sheet(uneven)
    assert (found[-1, 0] == 255).all() and (found[-1, -1] == 0).all(), "a lower picture stands on white"
