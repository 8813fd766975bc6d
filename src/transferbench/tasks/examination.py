"""What a model has learned beside features that transfer, measured on data held out: captions, views of a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transferbench.errors import UserError
from transferbench.features.extract import Pictures, batches, evenly_spaced, frozen
from transferbench.text.prompts import read_prompts

BATCH = 128
MOST = 5_000
"""Held-out images that are examined, evenly spaced among all: as many as COCO's."""


@dataclass(frozen=True)
class Examined:
    """Numbers, and what a report shows of them.

    Attributes:
        metrics: flat keys, ``captions/<metric>``; fractions in [0, 1], but for ranks and CIDEr.
        facts: sentences about how it was measured.
        words: hidden words to be shown, each the fields of a ``report.facts.HiddenWord``.
        written: captions to be shown, each the fields of a ``report.facts.WrittenCaption``.
        panels: rows of pictures to be shown, each the fields of a ``report.facts.Panel``.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    words: list[dict[str, Any]] = field(default_factory=list)
    written: list[dict[str, Any]] = field(default_factory=list)
    panels: list[dict[str, Any]] = field(default_factory=list)

    def __or__(self, other: Examined) -> Examined:
        metrics, facts = self.metrics | other.metrics, self.facts + other.facts
        written, panels = self.written + other.written, self.panels + other.panels
        return Examined(metrics, facts, self.words + other.words, written, panels)


@dataclass(frozen=True)
class HeldOut:
    """The held-out images as maps, in the order of the records.

    ``maps`` (N, C, h, w) float32 on the CPU; ``rows`` the records' indices of the images that could be read.
    """

    maps: Tensor
    rows: list[int]


def examine(task: Any, data: Any, sets: Mapping[str, Any], device: str) -> Examined:
    """Run every examination that ``task.head`` can take on the held-out records of ``data``.

    ``data`` is a ``CaptionData``; ``sets`` are ``Splits`` by name, whose classes are told by their names where the head
    compares images with words. The task's modes and device are left as they were.
    """
    from transferbench.tasks.captioning import can_write, examine_captioning
    from transferbench.tasks.hidden_words import examine_words
    from transferbench.tasks.retrieval import examine_retrieval
    from transferbench.tasks.zero_shot import examine_zero_shot

    head = task.head
    guesses = hasattr(head, "word_scores") or hasattr(head, "caption_scores")
    writes, compares = can_write(head), hasattr(head, "embed_text")
    found = Examined(facts=[f"Parts of speech: {data.facts.tagger}; {data.facts}."])
    if not (guesses or writes or compares):
        return found
    with frozen(task, device), torch.inference_mode():
        held = held_out(task, data, device)
        if guesses:
            found |= examine_words(head, data, held, device)
        if writes:
            found |= examine_captioning(head, data, held, device)
        if compares:
            names = data.world.names if hasattr(data, "world") else {}
            found |= examine_retrieval(head, data, held, device)
            found |= examine_zero_shot(task, data, sets, read_prompts(task.prompts), device, names)
    return found


def seen_picture(data: Any, row: int) -> NDArray[np.uint8]:
    """Return the held-out image of a record (S, S, 3) as the network saw it."""
    pixels: NDArray[np.uint8] = data.centre(data.test_records.images.image(row)).permute(1, 2, 0).numpy()
    return pixels


def held_out(task: Any, data: Any, device: str) -> HeldOut:
    """Return the maps of the held-out images' centre crops; unreadable images are left out with a warning.

    Raises:
        UserError: none could be read.
    """
    maps, rows = [], []
    chosen = evenly_spaced(len(data.test_records), MOST)
    for where, pictures in batches(Pictures(data.test_records.images, data.centre, chosen), BATCH):
        maps.append(task.maps(pictures.to(device)).float().cpu())
        rows += where.tolist()
    if not maps:
        raise UserError(f"none of the {len(data.test_records)} held-out images could be read; expected at least one")
    return HeldOut(torch.cat(maps), rows)
