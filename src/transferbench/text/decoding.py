"""Captions from a model that scores the next token: beam search and nucleus sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from transferbench.errors import UserError

Step: TypeAlias = Callable[[Tensor], Tensor]
"""Prefixes (N, t) int64, start token first, to log-probabilities (N, V) of the token that follows."""

FORBIDDEN = -10_000.0  # VirTex's log-probability of a token that repeats the one before


class Beams(NamedTuple):
    """The captions that a beam search found for B images, best first."""

    tokens: Tensor
    """(B, beams, t) int64 without the start token; behind its end token a caption is filled with end tokens."""
    scores: Tensor
    """(B, beams), the sum of the log-probabilities; minus infinity where fewer captions exist than were asked for."""


@torch.no_grad()
def beam_search(
    step: Step,
    start: Tensor,
    end: int,
    beams: int = 5,
    per_beam: int = 2,
    length: int = 30,
    faithful: bool = False,
) -> Beams:
    """Return the most probable captions of B images; scores are not divided by the length.

    As in VirTex (arXiv:2006.06666) no token follows itself, each beam offers ``per_beam`` continuations, of which the
    ``beams`` best over all beams of an image go on, and the search stops when all beams have ended.

    Args:
        step: called with B rows first, then with B x beams, the beams of an image side by side: N // B tells how often
            an image's features are to be repeated (``repeat_interleave``).
        start: (B,) the start token of each image.
        end: id of the end token.
        beams: captions kept for an image.
        per_beam: continuations of one beam.
        length: most tokens of a caption, its end included.
        faithful: leave the start token out after the first call, as VirTex's code does, which shifts positions by one
            against training.

    Raises:
        UserError: a number is below 1.
    """
    for name, value in (("beams", beams), ("per_beam", per_beam), ("length", length)):
        if value < 1:
            raise UserError(f"beam search with {name}={value}: expected 1 or more")
    found, scores = start[:, None, None], torch.zeros(len(start), 1, device=start.device)
    for time in range(length):
        last = found[..., -1]
        if bool((last == end).all()):
            break
        prefixes = found[..., 1:] if faithful and time else found
        chances = _without_repeats(step(prefixes.flatten(0, 1)), last.flatten(), end)
        chances = chances.view(*last.shape, -1)
        gain, tokens = chances.topk(min(per_beam if time else beams, chances.shape[-1]))
        total = (scores[..., None] + gain).flatten(1)
        scores, chosen = total.topk(min(beams, total.shape[1]))
        parent = chosen // tokens.shape[-1]
        kept = found.gather(1, parent[..., None].expand(-1, -1, found.shape[-1]))
        found = torch.cat([kept, tokens.flatten(1).gather(1, chosen)[..., None]], dim=-1)
    return Beams(found[..., 1:], scores)


def _without_repeats(chances: Tensor, last: Tensor, end: int) -> Tensor:
    """Return (N, V) ``chances`` in which no token follows itself, and end alone follows ``end``, for certain."""
    chances = chances.float().scatter(1, last[:, None], FORBIDDEN)
    only_end = torch.full_like(chances[0], -torch.inf)
    only_end[end] = 0.0
    return torch.where((last == end)[:, None], only_end, chances)


@torch.no_grad()
def nucleus(
    step: Step,
    start: Tensor,
    end: int,
    p: float = 0.9,
    length: int = 30,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return one drawn caption for each of B images, (B, t), without the start token, filled with end tokens.

    Each token is drawn from the fewest most probable ones whose probabilities reach ``p`` (Holtzman et al.,
    arXiv:1904.09751).

    Args:
        step: always called with B rows.
        start: (B,) the start token of each image.
        end: id of the end token.
        p: in (0, 1]; 1 draws from all tokens.
        length: most tokens of a caption, its end included.
        generator: of the draws, on the device of ``start``; None for torch's own.

    Raises:
        UserError: ``p`` or ``length`` is out of range.
    """
    if not 0 < p <= 1 or length < 1:
        raise UserError(f"nucleus sampling with p={p}, length={length}: expected 0 < p <= 1 and 1 or more tokens")
    found = start[:, None]
    ended = torch.zeros_like(start, dtype=torch.bool)
    for _ in range(length):
        chances, tokens = step(found).float().softmax(1).sort(dim=1, descending=True)
        outside = chances.cumsum(1) - chances >= p
        drawn = torch.multinomial(chances.masked_fill(outside, 0.0), 1, generator=generator)
        token = tokens.gather(1, drawn)[:, 0].masked_fill(ended, end)
        found = torch.cat([found, token[:, None]], dim=1)
        ended = ended | (token == end)
        if bool(ended.all()):
            break
    return found[:, 1:]
