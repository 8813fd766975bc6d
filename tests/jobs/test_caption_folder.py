"""A caption for every photo of a folder."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from transferbench.checkpoint import snapshot
from transferbench.data.evaluation import CentreCrop
from transferbench.data.photos import read_photos
from transferbench.errors import UserError
from transferbench.jobs import caption_folder
from transferbench.jobs.caption_folder import Captioner, CaptionFolder, thumbnail
from transferbench.parts import build_parts
from transferbench.tasks.captioning import search_captions
from transferbench.text.tokeniser import Tokeniser, train_tokeniser

TEXTS = ["a red box", "two green balls", "a blue, old hat"]
LENGTH = 16
COLOURS = ((220, 20, 20), (20, 220, 20), (20, 20, 220))


class Brightness(nn.Module):
    """Maps that are the mean of each channel."""

    def feature_map(self, images: Tensor) -> Tensor:
        assert not self.training
        return images.float().mean((2, 3), keepdim=True)


class ByColour(nn.Module):
    """Writes the text of the brightest channel: 0.9 of the probability a token, and the rest evenly."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        super().__init__()
        rows = [[*tokeniser.encode(text).ids, tokeniser.end] for text in TEXTS]
        self.rows = torch.tensor([row + [tokeniser.end] * (LENGTH - len(row)) for row in rows])
        self.size = tokeniser.size

    def log_probabilities(self, maps: Tensor, prefixes: Tensor) -> Tensor:
        text = maps[:, :, 0, 0].argmax(1).repeat_interleave(len(prefixes) // len(maps))
        chances = torch.full((len(prefixes), self.size), 0.1 / (self.size - 1))
        return chances.scatter(1, self.rows[text, prefixes.shape[1] - 1, None], 0.9).log()


TOKENISER = train_tokeniser(TEXTS, 32)


@pytest.fixture
def by_colour(monkeypatch: pytest.MonkeyPatch) -> Captioner:
    """What every path opens as in a test with this fixture."""
    network = nn.ModuleDict({"backbone": Brightness(), "head": ByColour(TOKENISER)})
    network.backbone, network.head = network["backbone"], network["head"]
    made = Captioner(network, TOKENISER, LENGTH, CentreCrop(16, 16))
    monkeypatch.setattr(caption_folder, "open_captioner", lambda path: made)
    return made


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Seven photos of three colours in two folders, one of them with a broken name, and two that are no images."""
    root = tmp_path / "album"
    (root / "zoo").mkdir(parents=True)
    for index in range(7):
        folder = root / "zoo" if index % 2 else root
        Image.new("RGB", (30, 20), COLOURS[index % 3]).save(folder / f"{index}.png")
    (root / "3, broken.jpg").write_bytes(b"no image")
    (root / "empty.png").touch()
    (root / "6.png").rename(os.fsdecode(os.fsencode(root) + b"/6\xe9<i>.png"))
    return root


EXPECTED = {f"{'zoo/' if i % 2 else ''}{i}.png": TEXTS[i % 3] for i in range(6)} | {"6\ufffd<i>.png": TEXTS[0]}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_every_readable_photo_gets_its_caption(
    by_colour: Captioner, album: Path, tmp_path: Path, batch_size: int
) -> None:
    job = CaptionFolder("run", read_photos(album), batch_size=batch_size, device="cpu")
    outcome = job.carry_out(tmp_path / "out", 1)
    rows = json.loads((tmp_path / "out" / "captions.json").read_text())
    assert {row["image"]: row["caption"] for row in rows} == EXPECTED
    length = len(TOKENISER.encode(TEXTS[0]).ids) + 1
    assert rows[0]["image"] == "0.png"
    assert rows[0]["score"] == pytest.approx(length * np.log(0.9), abs=1e-3)
    with (tmp_path / "out" / "captions.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [{**row, "score": float(row["score"])} for row in read] == rows
    assert outcome.metrics == {
        "captions/images": 7,
        "captions/unreadable": 2,
        "captions/distinct": pytest.approx(3 / 7),
    }
    assert outcome.said.startswith("7 images were captioned by 5 beams; 2 could not be read.")
    captions, unreadable = outcome.sections
    assert captions.count("<img") == 7
    assert "6\ufffd&lt;i&gt;.png" in captions
    assert "broken" not in captions
    assert "3, broken.jpg" in unreadable
    assert "empty.png" in unreadable
    assert [list(row[:2]) for row in outcome.printed[0].rows] == [[row["image"], row["caption"]] for row in rows]


def test_drawn_captions_follow_the_seed_and_have_no_score(by_colour: Captioner, album: Path, tmp_path: Path) -> None:
    job = CaptionFolder("run", read_photos(album), nucleus=1.0, device="cpu")
    found = []
    for turn, seed in enumerate((1, 1, 2)):
        outcome = job.carry_out(tmp_path / str(turn), seed)
        found.append((tmp_path / str(turn) / "captions.json").read_text())
    assert found[0] == found[1] != found[2]
    assert {row["score"] for row in json.loads(found[0])} == {None}
    assert outcome.printed[0].head == ["image", "caption"]
    assert (tmp_path / "0" / "captions.csv").read_text().splitlines()[1].endswith(",")
    likeliest = CaptionFolder("run", read_photos(album), nucleus=0.5, device="cpu").carry_out(tmp_path / "3", 1)
    assert {str(row[0]): row[1] for row in likeliest.printed[0].rows} == EXPECTED


def test_a_page_shows_some_of_many_and_the_terminal_fewer(
    by_colour: Captioner, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caption_folder, "SHOWN", 3)
    monkeypatch.setattr(caption_folder, "PRINTED", 2)
    for name in ("3, broken.jpg", "empty.png"):
        (album / name).unlink()
    outcome = CaptionFolder("run", read_photos(album), device="cpu").carry_out(tmp_path, 1)
    (captions,) = outcome.sections
    assert captions.count("<img") == 3
    assert "3 of 7 images" in captions
    assert len(outcome.printed[0].rows) == 2
    assert outcome.printed[0].note == "The first 2 of 7."


def test_the_options_reach_the_search(
    by_colour: Captioner, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spied(head: Any, maps: Tensor, *given: Any, **named: Any) -> Any:
        seen.append((len(maps), given, named))
        return search_captions(head, maps, *given, **named)

    monkeypatch.setattr(caption_folder, "search_captions", spied)
    job = CaptionFolder("run", read_photos(album), beams=3, per_beam=4, faithful=True, batch_size=2, device="cpu")
    assert job.carry_out(tmp_path, 1).said.startswith("7 images were captioned by 3 beams")
    assert sum(count for count, _, _ in seen) == 7
    assert max(count for count, _, _ in seen) == 2
    for _, given, named in seen:
        assert given == (TOKENISER, LENGTH, 3, 4)
        assert named == {"faithful": True, "device": torch.device("cpu"), "batch": 2}


@pytest.mark.parametrize("side", [8, 100, 161, 448])
def test_pictures_of_the_page_are_neither_tiny_nor_huge(side: int) -> None:
    shown = thumbnail(torch.arange(3 * side * side).view(3, side, side).to(torch.uint8))
    assert shown.dtype == np.uint8
    assert shown.shape == (shown.shape[0], shown.shape[0], 3)
    assert 160 <= shown.shape[0] <= 2 * 160


def test_wrong_arguments_are_said_before_anything_is_done(by_colour: Captioner, album: Path, tmp_path: Path) -> None:
    images = read_photos(album)
    wrong: list[dict[str, Any]] = [
        {"beams": 0}, {"per_beam": 0}, {"batch_size": 0}, {"workers": -1}, {"nucleus": 0.0}, {"nucleus": 1.5},
        {"device": "abacus"},
    ]  # fmt: skip
    for options in wrong:
        name, value = next(iter(options.items()))
        with pytest.raises(UserError, match=rf"^task\.{name}={value}: .*expected"):
            CaptionFolder("run", images, **options)
    with pytest.raises(UserError, match=r"data is a str; expected photos: data=photos data\.root=FOLDER"):
        CaptionFolder("run", "album")  # type: ignore[arg-type]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").touch()
    job = CaptionFolder("run", read_photos(tmp_path / "broken"), device="cpu")
    with pytest.raises(UserError, match=r"none of the 1 images could be read; the first: a\.png"):
        job.carry_out(tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


WRITER = {
    "_target_": "transferbench.heads.virtex.virtex", "_partial_": True, "textual": "transdec_postnorm::L1_H16_A2_F32",
    "length": LENGTH,
}  # fmt: skip
TEXT = {"tokeniser": TOKENISER.to_json(), "vocabulary": {}, "length": LENGTH}


def saved(folder: Path, head: dict[str, Any] | None, **facts: Any) -> Path:
    """A run folder with the checkpoint of an untrained network, as training leaves it."""
    net = {"_target_": "transferbench.models.backbone.resnet_small", "width": 4, "layers": [1, 1]}
    config = {"name": "trial", "model": net, "head": head, "data": {"eval_resize": 40, "eval_size": 32}}
    offered = {"classes": 2, "tokens": TOKENISER.size, "labels": 0, "pad": TOKENISER.pad, "mask": TOKENISER.mask}
    parts = build_parts(config, offered)
    named = {"backbone": parts.backbone, "head": parts.head}
    weights = {f"{part}.{key}": value for part, net in named.items() if net for key, value in net.state_dict().items()}
    kept = snapshot(config, ["n1", "n2"], ["dog", "cat"]) | {"offered": offered, "text": TEXT} | facts
    (folder / "checkpoints").mkdir(parents=True)
    content = {"state_dict": weights, "transferbench": kept, "global_step": 1}
    torch.save(content, folder / "checkpoints" / "step-000000001.ckpt")
    return folder


def test_runs_that_cannot_write_are_told_from_those_that_can(album: Path, tmp_path: Path) -> None:
    linear = {"_target_": "transferbench.heads.classification.linear_head", "_partial_": True}
    for number, (head, said) in enumerate(
        [
            (None, r"this run \(\+experiment=trial\) did not learn to write captions; name one of \+experiment=virtex"),
            (linear, r"did not learn to write captions"),
            (
                WRITER | {"pretext": "masked_lm"},
                r"\(\+experiment=trial head\.pretext=masked_lm\) did not learn to write",
            ),
        ]
    ):
        with pytest.raises(UserError, match=said):
            CaptionFolder(str(saved(tmp_path / str(number), head)), read_photos(album))
    with pytest.raises(UserError, match="the checkpoint holds no tokeniser and no length; train again"):
        CaptionFolder(str(saved(tmp_path / "untold", WRITER, text={})), read_photos(album))
    with pytest.raises(UserError, match="no model is named; choose model=checkpoint"):
        CaptionFolder("", read_photos(album))
    with pytest.raises(UserError, match="no checkpoint there"):
        CaptionFolder(str(tmp_path / "nowhere"), read_photos(album))


def test_the_command_captions_a_folder_with_a_run(
    album: Path, tmp_path: Path, own_cache: None, capsys: pytest.CaptureFixture[str]
) -> None:
    from transferbench import cli

    run = saved(tmp_path / "virtex", WRITER)
    words = ["+experiment=caption_folder", f"data.root={album}", f"outputs={tmp_path}/outputs", "run=a"]
    named = ["model=checkpoint", f"model.path={run}", "task.device=cpu"]
    assert cli.command(["transferbench", *words, *named]) == 0
    folder = tmp_path / "outputs" / "caption_folder" / "a"
    rows = json.loads((folder / "captions.json").read_text())
    assert [row["image"] for row in rows] == sorted(EXPECTED, key=lambda name: ("zoo" in name, name))
    assert json.loads((folder / "summary.json").read_text())["metrics"]["captions/unreadable"] == 2
    page = (folder / "report.html").read_text()
    assert page.count("<img") == 7
    assert "Images that could not be read" in page
    printed = capsys.readouterr().out
    assert "zoo/1.png" in printed
    opened = caption_folder.open_captioner(str(run))
    assert (opened.centre.resize, opened.centre.size, opened.centre.interpolation) == (40, 32, "bilinear")
    assert cli.command(["transferbench", *words[:1], f"data.root={album}", "model=timm", "model.name=resnet18"]) == 2
    assert "no model is named" in capsys.readouterr().err
