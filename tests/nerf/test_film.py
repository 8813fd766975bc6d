"""Films: as many pictures as were given, in their order and size, in whichever format there is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from transferbench.nerf.film import write_film

PICTURES = [np.full((33, 45, 3), (20 * step, 255 - 20 * step, 40), np.uint8) for step in range(12)]


def test_an_mp4_holds_the_pictures(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = write_film(tmp_path, "colour", iter(PICTURES), 24)
    assert path == tmp_path / "colour.mp4" and [file.name for file in tmp_path.iterdir()] == ["colour.mp4"]
    with av.open(str(path)) as film:
        (stream,) = film.streams
        assert stream.codec_context.pix_fmt == "yuv420p" and float(stream.average_rate) == 24
        assert (stream.height, stream.width) == (34, 46)  # H.264 takes even sides only
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == len(PICTURES)
    for frame, picture in zip(frames, PICTURES):
        np.testing.assert_allclose(frame[:33, :45].astype(int), picture, atol=6)
        np.testing.assert_allclose(frame[33, :45].astype(int), picture[-1], atol=6)


def test_fractions_of_a_frame_a_second_are_kept(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(write_film(tmp_path, "slow", PICTURES[:3], 29.97))) as film:
        assert float(film.streams[0].average_rate) == pytest.approx(29.97, abs=1e-3)


def test_without_pyav_it_is_a_webp_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    path = write_film(tmp_path, "depth", iter(PICTURES), 20)
    assert path == tmp_path / "depth.webp" and "pip install av" in caplog.text
    with Image.open(path) as film:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
        assert film.info["duration"] == 50
    assert len(frames) == len(PICTURES)
    np.testing.assert_allclose(np.stack(frames).astype(int), np.stack(PICTURES), atol=8)


def test_no_pictures_are_no_film(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures"):
        write_film(tmp_path, "none", [], 30)
    assert not list(tmp_path.iterdir())
