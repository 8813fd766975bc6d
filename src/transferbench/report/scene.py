"""The parts of a report that scenes bring: how well views were rendered, and the pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import numpy as np

from transferbench.report.facts import Panel, Picture
from transferbench.report.markup import element, escaped, picture, section, table
from transferbench.report.pictures import enlarged
from transferbench.report.wording import duration, percent

SIDE = 150
"""Shorter side of a shown picture is at least this, pixels."""
CAMERAS = (
    "The cameras before anything was fitted. A pyramid goes from the camera to its image, whose top edge has a roof; "
    "lines end nearest to the place that all look at."
)
"""What the picture of the cameras shows."""
SPLITS = {"test": "held-out views", "val": "watched views", "train": "fitted views"}
FORMS = (
    ("field/teacher/map", "2-D teacher, as it is"),
    ("field/teacher_bilinear/map", "2-D teacher, bilinear"),
    ("field/teacher_bilateral/map", "2-D teacher, joint bilateral"),
    ("field/student/map", "3-D student"),
    ("field/teacher/map_words", "2-D teacher asked in words, as it is"),
    ("field/teacher_bilinear/map_words", "2-D teacher asked in words, bilinear"),
    ("field/teacher_bilateral/map_words", "2-D teacher asked in words, joint bilateral"),
    ("field/student/map_words", "3-D student asked in words"),
    ("field/map/dynamic", "moved objects"),
    ("field/map/actor", "actor"),
    ("field/map/moving", "both"),
    ("field/map_static/dynamic", "moved objects, residual of one static field"),
    ("field/map_static/actor", "actor, residual of one static field"),
    ("field/map_static/moving", "both, residual of one static field"),
)
"""Mean average precisions that a run may have measured, and what they are of."""


def said(metrics: Mapping[str, float]) -> str:
    """Say in a paragraph how well views are rendered and objects found; empty without a scene."""
    sentences = []
    for split, name in SPLITS.items():
        if f"field/{split}/psnr" in metrics:
            ssim = metrics.get(f"field/{split}/ssim")
            beside = "" if ssim is None else f" (SSIM {ssim:.3f})"
            sentences.append(f"PSNR {metrics[f'field/{split}/psnr']:.2f} dB on {name}{beside}.")
    if "field/seconds_per_view" in metrics:
        sentences.append(f"A view takes {duration(metrics['field/seconds_per_view'])}.")
    found = [f"{name} {percent(metrics[key])}" for key, name in FORMS if key in metrics]
    if found:
        sentences.append(f"Mean average precision: {'; '.join(found)}.")
    if "field/edit/psnr_after" in metrics:
        sentences.append(
            f"Where the object was, the edited scene is at {metrics['field/edit/psnr_after']:.2f} dB of the scene "
            f"without it, the unedited one at {metrics['field/edit/psnr_before']:.2f} dB."
        )
    return " ".join(sentences)


def tiles(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the few numbers to remember, each with what it is."""
    found = [
        (f"{metrics[f'field/{split}/psnr']:.2f} dB", f"PSNR, {name}")
        for split, name in SPLITS.items()
        if f"field/{split}/psnr" in metrics
    ]
    return found + [(percent(metrics[key]), f"mAP, {name}") for key, name in FORMS if key in metrics][:4]


def scores(metrics: Mapping[str, float], notes: Sequence[str]) -> str:
    """Return the table of retrieval or segmentation; empty where nothing was looked for."""
    rows = [[escaped(name), escaped(percent(metrics[key]))] for key, name in FORMS if key in metrics]
    if not rows:
        return ""
    return section("What it finds", table(["", "mAP"], rows, class_="numbers"), note=" ".join(notes))


def panels(shown: Sequence[Panel], cameras: bytes = b"") -> str:
    """Return the picture of the ``cameras``, a PNG file's content, and below it rows of captioned pictures."""
    if not shown and not cameras:
        return ""
    rows = [camera_picture(cameras)] if cameras else []
    for one in shown:
        figures = [
            element(
                "figure",
                element("div", picture(enlarged(pixels, SIDE), f"{one.title}: {caption}")),
                element("figcaption", escaped(caption)),
            )
            for caption, pixels in one.pictures
        ]
        note = element("p", escaped(one.note), class_="note") if one.note else ""
        rows.append(element("h3", escaped(one.title)) + element("div", *figures, class_="near gaze") + note)
    return section("The scene", *rows)


def camera_picture(content: bytes) -> str:
    """Return the picture of the cameras, as wide as the page, from the ``content`` of a PNG file."""
    data = base64.b64encode(content).decode("ascii")
    image = f'<img src="data:image/png;base64,{data}" alt="{escaped(CAMERAS)}" style="width:100%;border-radius:4px">'
    return element("figure", image, element("figcaption", escaped(CAMERAS)))


def sheet(panel: Panel) -> Picture:
    """Return the pictures of a row side by side, on white."""
    large = [enlarged(pixels, SIDE) for _, pixels in panel.pictures]
    height, gap = max(one.shape[0] for one in large), 4
    strip = np.full((height, sum(one.shape[1] + gap for one in large) - gap, 3), 255, np.uint8)
    left = 0
    for one in large:
        strip[: one.shape[0], left : left + one.shape[1]] = one
        left += one.shape[1] + gap
    return strip
