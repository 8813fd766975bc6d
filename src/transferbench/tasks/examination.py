"""What a model trained on captions can do, measured on held-out ones: hidden words, captions, retrieval, zero-shot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

BATCH = 128
SHOWN = 6

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Examined:
    """Numbers, and what a report shows of them.

    Attributes:
        metrics: flat keys, ``captions/<metric>``, fractions in [0, 1] but for CIDEr.
        facts: sentences about how it was measured.
        words: hidden words to be shown.
        captions: pictures with a caption that the model wrote.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    words: list[HiddenWord] = field(default_factory=list)
    captions: list[tuple[Picture, str, str]] = field(default_factory=list)

    def __or__(self, other: Examined) -> Examined:
        return Examined(
            self.metrics | other.metrics,
            self.facts + other.facts,
            self.words + other.words,
            self.captions + other.captions,
        )


@dataclass(frozen=True)
class HiddenWord:
    """One hidden word: (H, W, 3) picture, attention (h, w), caption, word, guesses with the image and without."""

    picture: Picture
    attention: NDArray[np.float32]
    caption: str
    word: str
    guesses: list[str]
    blind: list[str]


@dataclass(frozen=True)
class HeldOut:
    """The held-out images as maps, in the order of the records.

    ``maps`` (N, C, h, w) float32 on the CPU; ``rows`` the records' indices of the images that could be read.
    """

    maps: Tensor
    rows: list[int]


def examine(task: Any, data: Any, seed: int, device: str) -> Examined:
    """Run every examination that ``task.head`` can take on the held-out records of ``data``.

    ``data`` is a ``CaptionData``; both networks' modes and devices are left as they were.
    """
    from transferbench.tasks.hidden_words import examine_words

    modes = [(module, module.training) for module in task.modules()]
    place = next(task.parameters()).device
    task.to(device).eval()
    try:
        with torch.inference_mode():
            held = held_out(task, data, device)
            found = Examined(facts=[f"Parts of speech: {data.facts.tagger}; {data.facts}."])
            if hasattr(task.head, "word_scores"):
                found |= examine_words(task.head, data, held, device)
            return found
    finally:
        task.to(place)
        for module, training in modes:
            module.training = training


def held_out(task: nn.Module, data: Any, device: str) -> HeldOut:
    """Return the maps of the held-out images' centre crops."""
    maps, rows = [], []
    for crops, text in data.val_dataloader():
        known = text.indices >= 0
        maps.append(task.maps(crops[0][known].to(device)).float().cpu())  # type: ignore[operator]
        rows += text.indices[known].tolist()
    return HeldOut(torch.cat(maps), rows)
