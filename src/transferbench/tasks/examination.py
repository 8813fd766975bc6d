"""What a model trained on captions can do, measured on held-out ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from transferbench.features.extract import Pictures, batches, frozen

BATCH = 128


@dataclass(frozen=True)
class Examined:
    """Numbers, and what a report shows of them.

    Attributes:
        metrics: flat keys, ``captions/<metric>``, fractions in [0, 1].
        facts: sentences about how it was measured.
        words: hidden words to be shown, each the fields of a ``report.facts.HiddenWord``.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    words: list[dict[str, Any]] = field(default_factory=list)

    def __or__(self, other: Examined) -> Examined:
        return Examined(self.metrics | other.metrics, self.facts + other.facts, self.words + other.words)


@dataclass(frozen=True)
class HeldOut:
    """The held-out images as maps, in the order of the records.

    ``maps`` (N, C, h, w) float32 on the CPU; ``rows`` the records' indices of the images that could be read.
    """

    maps: Tensor
    rows: list[int]


def examine(task: Any, data: Any, device: str) -> Examined:
    """Run every examination that ``task.head`` can take on the held-out records of ``data``.

    ``data`` is a ``CaptionData``; the task's modes and device are left as they were.
    """
    from transferbench.tasks.hidden_words import examine_words

    with frozen(task, device), torch.inference_mode():
        found = Examined(facts=[f"Parts of speech: {data.facts.tagger}; {data.facts}."])
        if hasattr(task.head, "word_scores"):
            found |= examine_words(task.head, data, held_out(task, data, device), device)
        return found


def held_out(task: Any, data: Any, device: str) -> HeldOut:
    """Return the maps of the held-out images' centre crops; unreadable images are left out with a warning."""
    maps, rows = [], []
    for where, pictures in batches(Pictures(data.test_records.images, data.centre), BATCH):
        maps.append(task.maps(pictures.to(device)).float().cpu())
        rows += where.tolist()
    return HeldOut(torch.cat(maps), rows)
