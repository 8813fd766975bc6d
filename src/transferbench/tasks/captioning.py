"""Captions that a head writes: by beam search or drawn, and how good they are on held-out images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.features.extract import evenly_spaced
from transferbench.tasks.examination import Examined, HeldOut, seen_picture
from transferbench.text.cider import cider
from transferbench.text.decoding import Step, beam_search, nucleus
from transferbench.text.spice import spice
from transferbench.text.tokeniser import Tokeniser

BEAMS, PER_BEAM, NUCLEUS = 5, 2, 0.9
"""VirTex's choices (arXiv:2006.06666, its released settings)."""
BATCH = 64
"""Images decoded at a time; each stands ``beams`` times in the decoder's batch."""
SEED = 0
"""Of the drawn captions of an examination."""
SHOWN, ALTERNATIVES = 6, 3
"""Images that a report shows, and captions by beam search of each."""
JAR = "SPICE_JAR"
"""The environment variable with the path of ``spice-1.0.jar``."""


class Written(NamedTuple):
    """The captions found for one image, best first, and the sums of their tokens' log-probabilities."""

    captions: list[str]
    scores: list[float]


def can_write(head: Any) -> bool:
    """Tell whether ``head`` learned to write captions, word by word."""
    return hasattr(head, "log_probabilities")


def search_captions(
    head: Any,
    maps: Tensor,
    tokeniser: Tokeniser,
    length: int,
    beams: int = BEAMS,
    per_beam: int = PER_BEAM,
    *,
    faithful: bool = False,
    device: str | torch.device = "cpu",
    batch: int = BATCH,
) -> list[Written]:
    """Return what a beam search finds for every image: up to ``beams`` different captions.

    Args:
        head: ``log_probabilities(maps (B, C, h, w), prefixes (N, t)) -> (N, V)``, in evaluation mode on ``device``.
        maps: (N, C, h, w) feature maps, on any device.
        tokeniser: of the head.
        length: longest caption in tokens, start and end included, as in training.
        beams: captions kept for an image while searching.
        per_beam: continuations of one beam.
        faithful: as ``text.decoding.beam_search``.
        device: where ``head`` is.
        batch: images at a time; the captions do not depend on it.

    Raises:
        UserError: a number is below 1.
    """
    written: list[Written] = []
    for part, start in _parts(maps, tokeniser, device, batch):
        found = beam_search(_step(head, part), start, tokeniser.end, beams, per_beam, length - 1, faithful)
        for tokens, scores in zip(found.tokens.tolist(), found.scores.tolist()):
            best: dict[str, float] = {}
            for ids, score in zip(tokens, scores):
                if score > -torch.inf:
                    best.setdefault(tokeniser.decode(ids), score)  # other pieces may spell the same words
            written.append(Written(list(best), list(best.values())))
    return written


def sample_captions(
    head: Any,
    maps: Tensor,
    tokeniser: Tokeniser,
    length: int,
    generator: torch.Generator,
    p: float = NUCLEUS,
    *,
    device: str | torch.device = "cpu",
    batch: int = BATCH,
) -> list[str]:
    """Return one drawn caption for every image (nucleus sampling, arXiv:1904.09751).

    ``generator`` lives on ``device``; the draws depend on it and on ``batch``. The other arguments are those of
    ``search_captions``.

    Raises:
        UserError: ``p`` is not in (0, 1].
    """
    texts: list[str] = []
    for part, start in _parts(maps, tokeniser, device, batch):
        tokens = nucleus(_step(head, part), start, tokeniser.end, p, length - 1, generator)
        texts += map(tokeniser.decode, tokens.tolist())
    return texts


def _parts(
    maps: Tensor, tokeniser: Tokeniser, device: str | torch.device, batch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some maps (B, C, h, w) on ``device`` and the start token of each (B,)."""
    for part in filter(len, torch.split(maps, batch)):
        yield part.to(device), torch.full((len(part),), tokeniser.start, device=device)


def _step(head: Any, maps: Tensor) -> Step:
    def step(prefixes: Tensor) -> Tensor:
        chances: Tensor = head.log_probabilities(maps, prefixes)
        return chances

    return step


def examine_captioning(head: Any, data: Any, held: HeldOut, device: str) -> Examined:
    """Write a caption for every held-out image and compare it with those that people wrote.

    ``captions/cider`` is CIDEr-D of beam search, ``captions/cider_nucleus`` of a drawn caption, both from 0 to 10;
    ``captions/cider_shuffled`` is the first with each caption given to the next image, which is what captions get that
    have the right manner and the wrong subject. ``captions/distinct`` is the share of different captions, and
    ``captions/spice`` (0 to 1) is there where Java and ``$SPICE_JAR`` are.
    """
    options: dict[str, Any] = {"device": device}
    written = search_captions(head, held.maps, data.tokeniser, data.length, **options)
    generator = torch.Generator(device).manual_seed(SEED)
    sampled = sample_captions(head, held.maps, data.tokeniser, data.length, generator, **options)
    references = [data.test_records.captions[row] for row in held.rows]
    best = [found.captions[0] for found in written]
    metrics = {
        "captions/cider": cider(best, references),
        "captions/cider_nucleus": cider(sampled, references),
        "captions/cider_shuffled": cider([best[-1], *best[:-1]], references),
        "captions/distinct": len(set(best)) / len(best),
    }
    measured, why = _spice(best, references)
    said = (
        f"{len(best):,} held-out images were captioned by {BEAMS} beams. CIDEr-D goes from 0 to 10 (papers print it "
        "times 100); shuffled: each caption judged beside the next image."
    )
    return Examined(metrics | measured, [said, *why], written=shown_captions(data, held, written, sampled))


def _spice(captions: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], list[str]]:
    """Return the mean SPICE, or why there is none."""
    jar = os.environ.get(JAR)
    if not jar:
        return {}, [f"SPICE was not measured: ${JAR} names no spice-1.0.jar."]
    try:
        return {"captions/spice": float(spice(captions, references, jar).mean())}, []
    except UserError as error:
        return {}, [f"SPICE was not measured: {error}."]


def shown_captions(
    data: Any, held: HeldOut, written: Sequence[Written], sampled: Sequence[str]
) -> list[dict[str, Any]]:
    """Return some held-out images for a report.

    Each has its ``picture`` (H, W, 3) uint8 as the network saw it, the best ``captions`` of the beam search, a
    ``sampled`` one, and a ``reference``.
    """
    shown: list[dict[str, Any]] = []
    for at in evenly_spaced(len(held.rows), SHOWN).tolist():
        row = held.rows[at]
        picture = seen_picture(data, row)
        texts = {"captions": written[at].captions[:ALTERNATIVES], "sampled": sampled[at]}
        shown.append({"picture": picture, **texts, "reference": data.test_records.captions[row][0]})
    return shown
