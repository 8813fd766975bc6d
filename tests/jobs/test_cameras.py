"""The cameras of a capture, looked at from the command line, without a fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transferbench import cli
from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.rays import Draw
from transferbench.errors import UserError
from transferbench.jobs.cameras import Cameras
from transferbench.nerf.paths import orbit
from transferbench.report.outcome import write_outcome

COUNT = 9


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Nine photos once round a desk, in the format of instant-ngp."""
    root = tmp_path / "desk"
    root.mkdir()
    frames = []
    for number, pose in enumerate(orbit(COUNT, 3.0)):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"photo_{number}.png")
        frames.append({"file_path": f"photo_{number}.png", "transform_matrix": pose.tolist()})
    content = {"fl_x": 14.0, "fl_y": 14.0, "cx": 8.0, "cy": 6.0, "w": 16, "h": 12, "frames": frames}
    (root / "transforms.json").write_text(json.dumps(content))
    return root


def test_a_picture_a_table_and_a_sentence(desk: Path, tmp_path: Path) -> None:
    outcome = Cameras(SceneData(str(desk), Draw(rays=8), split=3)).carry_out(tmp_path / "run", 0)
    path = tmp_path / "run" / "figures" / "cameras.png"
    assert path.stat().st_size > 20_000 and outcome.said == f"9 cameras: {path}"
    assert outcome.metrics == {"cameras/all": 9, "cameras/train": 6, "cameras/val": 0, "cameras/test": 3}
    (listing,) = outcome.printed
    assert ["cameras", "6 fitted, 3 held out"] in [list(row) for row in listing.rows]
    assert "<svg" in outcome.sections[0] and "held out (3)" not in outcome.said


def test_from_the_command_line(desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["+experiment=cameras", "data=scene", f"data.root={desk}", f"outputs={tmp_path}", "run=a"]
    assert cli.command(["transferbench", *words]) == 0
    folder = tmp_path / "cameras" / "a"
    assert (folder / "figures" / "cameras.png").exists() and "<svg" in (folder / "report.html").read_text()
    assert f"9 cameras: {folder / 'figures' / 'cameras.png'}" in capsys.readouterr().out
    assert not (folder / "checkpoints").exists()
    assert json.loads((folder / "summary.json").read_text())["metrics"]["cameras/all"] == 9


def test_a_capture_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["+experiment=cameras", "data=scene", f"data.root={tmp_path / 'no'}", f"outputs={tmp_path}", "run=a"]
    assert cli.command(["transferbench", *words]) == 2
    assert "no such folder" in capsys.readouterr().err and not (tmp_path / "cameras").exists()


def test_data_of_another_kind_are_refused() -> None:
    with pytest.raises(UserError, match=r"^data is a dict; expected posed images: data=world_scene"):
        Cameras({})  # type: ignore[arg-type]


def test_the_page_is_written(desk: Path, tmp_path: Path) -> None:
    from transferbench.report.facts import RunFacts

    outcome = Cameras(SceneData(str(desk), Draw(rays=8))).carry_out(tmp_path, 0)
    facts = RunFacts(name="cameras", run="a", seed=1, commit="", versions={}, metrics=outcome.metrics)
    page = write_outcome(outcome, facts, tmp_path).read_text()
    assert "The cameras" in page and "place they look at" in page and page.count("<svg") == 1
