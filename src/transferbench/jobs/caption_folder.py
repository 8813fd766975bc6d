"""A folder of photos, a caption for each: by a run that learned to write captions."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from transferbench.checkpoint import facts_of, load
from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import ImageSet
from transferbench.errors import UserError
from transferbench.features.extract import Pictures, batches, evenly_spaced, frozen
from transferbench.report.facts import Picture
from transferbench.report.markup import element, escaped, picture, section
from transferbench.report.outcome import Listing, Outcome, as_section
from transferbench.report.pictures import enlarged
from transferbench.storage import write_text
from transferbench.tasks.captioning import BATCH, BEAMS, PER_BEAM, can_write, sample_captions, search_captions
from transferbench.text.tokeniser import Tokeniser

SHOWN, PRINTED = 48, 10
"""Images on the page, and captions in the terminal."""
SIDE = 160
"""Side of an image on the page, pixels."""


class Captioned(NamedTuple):
    """One image; ``score`` is the log-probability of its caption, None of one that was drawn."""

    image: str
    caption: str
    score: float | None


@dataclass(frozen=True)
class Captioner:
    """A trained network with all that it needs to write: ``length`` in tokens, ``centre`` from a photo to its input."""

    network: Any
    tokeniser: Tokeniser
    length: int
    centre: CentreCrop


@dataclass
class Captions:
    """What came out: the readable images in order, the names of the others, and some pictures (by name)."""

    rows: list[Captioned] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)


class CaptionFolder:
    """Write a caption for every photo of a folder.

    Args:
        model: the run folder or the checkpoint of a run that learned to write captions.
        images: the photos.
        beams: captions kept for a photo while searching; the best is taken.
        per_beam: continuations of one beam.
        nucleus: draw each caption from the tokens that make up this share of the probability; None for beam search.
        faithful: leave the start token out of the beam search as VirTex's code does.
        batch_size: photos at a time; drawn captions depend on it and on the run's seed.
        device: ``cpu``, ``cuda``, ...; ``auto`` for a GPU where there is one.
        workers: loading processes; 0 loads in the main one.

    Raises:
        UserError: the run cannot write, a number is out of range, or the device is not there.
    """

    def __init__(
        self,
        model: str,
        images: ImageSet,
        beams: int = BEAMS,
        per_beam: int = PER_BEAM,
        nucleus: float | None = None,
        faithful: bool = False,
        batch_size: int = BATCH,
        device: str = "auto",
        workers: int = 0,
    ) -> None:
        if not isinstance(images, ImageSet):
            raise UserError(f"data is a {type(images).__name__}; expected photos: data=photos data.root=FOLDER")
        for name, value, least in (
            ("beams", beams, 1),
            ("per_beam", per_beam, 1),
            ("batch_size", batch_size, 1),
            ("workers", workers, 0),
        ):
            if value < least:
                raise UserError(f"task.{name}={value}: expected {least} or more")
        if nucleus is not None and not 0 < nucleus <= 1:
            raise UserError(f"task.nucleus={nucleus}: expected more than 0 and at most 1, or null for beam search")
        self.images, self.beams, self.per_beam, self.nucleus = images, beams, per_beam, nucleus
        self.faithful, self.batch_size, self.workers = faithful, batch_size, workers
        self.device = device_of(device)
        self.captioner = open_captioner(model)

    def carry_out(self, folder: Path, seed: int) -> Outcome:
        """Write ``captions.csv`` and ``captions.json`` into ``folder``; ``seed`` is that of drawn captions.

        Raises:
            UserError: none of the photos can be read.
        """
        found = self._caption_all(seed)
        if not found.rows:
            raise UserError(f"data: none of the {len(self.images)} images could be read; the first: {self._name(0)}")
        write_text(folder / "captions.csv", as_csv(found.rows))
        write_text(folder / "captions.json", json.dumps([row._asdict() for row in found.rows], indent=1) + "\n")
        metrics = {
            "captions/images": float(len(found.rows)),
            "captions/unreadable": float(len(found.unreadable)),
            "captions/distinct": len({row.caption for row in found.rows}) / len(found.rows),
        }
        sections = [_shown(found), *_unreadable(found.unreadable)]
        return Outcome(metrics=metrics, said=self._in_words(found), printed=[_first(found.rows)], sections=sections)

    def _caption_all(self, seed: int) -> Captions:
        net, found = self.captioner.network, Captions()
        shown = set(evenly_spaced(len(self.images), SHOWN).tolist())
        generator = torch.Generator(self.device).manual_seed(seed)
        loader = batches(Pictures(self.images, self.captioner.centre), self.batch_size, self.workers)
        read: set[int] = set()
        with frozen(net, self.device), torch.inference_mode():
            for positions, pictures in loader:
                maps = net.backbone.feature_map(pictures.to(self.device)).float()
                for position, pixels, text in zip(positions.tolist(), pictures, self._written(maps, generator)):
                    name = self._name(position)
                    found.rows.append(Captioned(name, *text))
                    if position in shown:
                        found.pictures[name] = thumbnail(pixels)
                read |= set(positions.tolist())
        found.unreadable += [self._name(at) for at in range(len(self.images)) if at not in read]
        return found

    def _written(self, maps: Tensor, generator: torch.Generator) -> list[tuple[str, float | None]]:
        """Return the caption and the score of each of the ``maps`` (B, C, h, w)."""
        head, tokeniser, length = self.captioner.network.head, self.captioner.tokeniser, self.captioner.length
        placed: dict[str, Any] = {"device": self.device, "batch": self.batch_size}
        if self.nucleus is not None:
            drawn = sample_captions(head, maps, tokeniser, length, generator, self.nucleus, **placed)
            return [(text, None) for text in drawn]
        options = {"faithful": self.faithful, **placed}
        written = search_captions(head, maps, tokeniser, length, self.beams, self.per_beam, **options)
        return [(one.captions[0], round(one.scores[0], 4)) for one in written]

    def _name(self, position: int) -> str:
        """Return the name of an image with whatever no file in UTF-8 can hold replaced."""
        return os.fsencode(self.images.name(position)).decode("utf-8", "replace")

    def _in_words(self, found: Captions) -> str:
        how = f"{self.beams} beams" if self.nucleus is None else f"nucleus sampling (p {self.nucleus:g})"
        count = "1 image was" if len(found.rows) == 1 else f"{len(found.rows):,} images were"
        lost = f"; {len(found.unreadable):,} could not be read" if found.unreadable else ""
        return f"{count} captioned by {how}{lost}. captions.csv and captions.json have all captions."


def open_captioner(path: str) -> Captioner:
    """Return the network of a run with its tokeniser, its length of captions and its centre crop.

    Raises:
        UserError: ``path`` is empty or no checkpoint of ours, its head does not write, or it lacks what writing needs.
    """
    if not path:
        raise UserError("no model is named; choose model=checkpoint model.path=outputs/virtex/RUN")
    network, config = load(path), facts_of(path)["config"]
    if not can_write(network.head):
        pretext = (config.get("head") or {}).get("pretext")
        which = f"+experiment={config.get('name')}" + (f" head.pretext={pretext}" if pretext else "")
        raise UserError(
            f"model.path={path}: this run ({which}) did not learn to write captions; name one of +experiment=virtex "
            "with head.pretext=bicaptioning or captioning, such as model.path=outputs/virtex/RUN"
        )
    data = config.get("data") or {}
    lacking = [key for key in ("tokeniser", "length") if key not in network.text]
    lacking += [f"data.{key}" for key in ("eval_resize", "eval_size") if key not in data]
    if lacking:
        raise UserError(
            f"model.path={path}: the checkpoint holds no {' and no '.join(lacking)}; train again with "
            "+experiment=virtex and name that run"
        )
    centre = CentreCrop(int(data["eval_resize"]), int(data["eval_size"]), "bilinear")  # as in training
    return Captioner(network, Tokeniser.from_json(network.text["tokeniser"]), int(network.text["length"]), centre)


def device_of(name: str) -> torch.device:
    """Return the device of this name, of ``auto`` a GPU where there is one; raises ``UserError`` for one not here."""
    try:
        found = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).split("\n", 1)[0]
        raise UserError(f"task.device={name}: {reason}; expected auto, cpu or a device of this machine") from None
    return found


def as_csv(rows: Sequence[Captioned]) -> str:
    """Return ``rows`` as a CSV file with a head; the score of a drawn caption is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Captioned._fields)
    writer.writerows(rows)
    return text.getvalue()


def thumbnail(pixels: Tensor) -> Picture:
    """Return ``pixels`` (3, S, S) uint8 as a picture of the page: about ``SIDE`` pixels wide."""
    small: Picture = pixels.permute(1, 2, 0).numpy()
    if small.shape[0] > SIDE:
        return np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return enlarged(small, SIDE)


def _shown(found: Captions) -> str:
    captions = {row.image: row.caption for row in found.rows}
    figures = []
    for name, pixels in found.pictures.items():
        image = element("div", picture(pixels, f"{name}: {captions[name]}"))
        text = [element("b", escaped(captions[name])), "<br>", element("small", escaped(name))]
        figures.append(element("figure", image, element("figcaption", *text)))
    many = len(found.pictures) < len(found.rows)
    part = f"{len(found.pictures)} of {len(found.rows):,} images, evenly spaced. " if many else ""
    note = f"{part}The pictures are what the network saw: the centre of each image."
    return section("Captions", element("div", *figures, class_="near gaze"), note=note)


def _unreadable(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f"And {len(names) - SHOWN:,} more." if len(names) > SHOWN else ""
    return [as_section(Listing("Images that could not be read", ["image"], [[name] for name in names[:SHOWN]], more))]


def _first(rows: Sequence[Captioned]) -> Listing:
    """Return the first captions as a table."""
    scored = all(row.score is not None for row in rows)
    head = ["image", "caption", *(["log-probability"] if scored else [])]
    cells: list[list[str | int | float]] = [[cell for cell in row if cell is not None] for row in rows[:PRINTED]]
    note = f"The first {PRINTED} of {len(rows):,}." if len(rows) > PRINTED else ""
    return Listing("captions", head, cells, note=note)
