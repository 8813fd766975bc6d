"""Which tokens of a caption are hidden: one word (ICMLM), each word in turn, a share of the tokens (BERT, VirTex)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class OneMasked(NamedTuple):
    """Captions with one word hidden each."""

    tokens: Tensor
    """(B, T), all pieces of the hidden word replaced by the mask."""
    position: Tensor
    """(B,) of the first hidden piece; -1 where a caption has no concept."""
    target: Tensor
    """(B,) concept of the hidden word; -1 likewise."""
    valid: Tensor
    """(B,) bool: whether a word is hidden."""


class EveryMasked(NamedTuple):
    """One row for each concept of each caption, hidden in that row alone."""

    tokens: Tensor
    """(M, T)."""
    position: Tensor
    """(M,) of the first hidden piece."""
    target: Tensor
    """(M,) concept."""
    row: Tensor
    """(M,) which caption."""
    span: Tensor
    """(M,) how many pieces are hidden."""


class LanguageMasked(NamedTuple):
    """Captions with some tokens hidden."""

    tokens: Tensor
    """(B, T), what the model sees."""
    targets: Tensor
    """(B, T), the token that is to be predicted; -1 where none is."""


def first_pieces(words: Tensor, concepts: Tensor) -> Tensor:
    """Return (B, T) bool: the first token of every word that is a concept.

    A word that was cut off counts with the pieces that are left.
    """
    before = torch.cat([torch.full_like(words[:, :1], -1), words[:, :-1]], dim=1)
    return (concepts >= 0) & (words >= 0) & (words != before)


def mask_one_word(
    tokens: Tensor, words: Tensor, concepts: Tensor, mask: int, generator: torch.Generator | None = None
) -> OneMasked:
    """Hide one concept of each caption, uniformly among its words that are concepts, with all its pieces.

    Args:
        tokens: (B, T) ids.
        words: (B, T) the word of each token, -1 for special ones.
        concepts: (B, T) the concept of that word, -1 for none.
        mask: id that hides a piece.
        generator: of the draw; None for torch's own.
    """
    first = first_pieces(words, concepts)
    chance = torch.rand(tokens.shape, generator=generator, device=tokens.device).masked_fill(~first, -1.0)
    position = chance.argmax(dim=1)
    valid = first.any(dim=1)
    target = concepts.gather(1, position[:, None])[:, 0]
    hidden = (words == words.gather(1, position[:, None])) & valid[:, None]
    return OneMasked(tokens.masked_fill(hidden, mask), position.where(valid, -1), target.where(valid, -1), valid)


def mask_every_word(tokens: Tensor, words: Tensor, concepts: Tensor, mask: int) -> EveryMasked:
    """Return a row for every concept of every caption, in their order; arguments as for ``mask_one_word``."""
    row, position = first_pieces(words, concepts).nonzero(as_tuple=True)
    hidden = words[row] == words[row, position][:, None]
    return EveryMasked(tokens[row].masked_fill(hidden, mask), position, concepts[row, position], row, hidden.sum(dim=1))


def fill_gaps(tokens: Tensor, position: Tensor, span: Tensor, pieces: Tensor, pad: int) -> Tensor:
    """Return captions with each of K words in turn where one is hidden, ``(N, K, T)``; what grows beyond T is cut.

    Args:
        tokens: (N, T) ids, padded with ``pad``.
        position: (N,) of the first hidden piece.
        span: (N,) how many pieces are hidden.
        pieces: (K, L) the pieces of each word, -1 behind them.
        pad: id of padding.
    """
    count = tokens.shape[1]
    place = torch.arange(count, device=tokens.device)
    begin, lengths = position[:, None, None], (pieces >= 0).sum(dim=1)[None, :, None]
    words = pieces[None].expand(len(tokens), -1, -1)
    inside = words.gather(2, (place - begin).clamp(0, pieces.shape[1] - 1).expand(-1, len(pieces), -1))
    source = torch.where(place < begin, place, place - lengths + span[:, None, None])
    outside = tokens[:, None].expand(-1, len(pieces), -1).gather(2, source.clamp(0, count - 1))
    outside = outside.masked_fill(source >= count, pad)
    return torch.where((place >= begin) & (place < begin + lengths), inside, outside)


def mask_for_language(
    tokens: Tensor,
    maskable: Tensor,
    mask: int,
    size: int,
    rate: float = 0.15,
    generator: torch.Generator | None = None,
) -> LanguageMasked:
    """Choose a share of the tokens as BERT does (arXiv:1810.04805): of these 80 % are hidden and 10 % replaced.

    All chosen ones are to be predicted. At least one token of a caption with a maskable one is chosen.

    Args:
        tokens: (B, T) ids.
        maskable: (B, T) bool, false for special tokens and padding.
        mask: id that hides a token.
        size: number of ids, among which replacements are drawn.
        rate: the share.
        generator: of the draws; None for torch's own.
    """
    shape, device = tokens.shape, tokens.device
    chance = torch.rand(shape, generator=generator, device=device).masked_fill(~maskable, 2.0)
    least = chance.amin(dim=1, keepdim=True)
    chosen = maskable & ((chance < rate) | (chance == least))
    fate = torch.rand(shape, generator=generator, device=device)
    others = torch.randint(size, shape, generator=generator, device=device)
    seen = tokens.where(~(chosen & (fate < 0.8)), mask)
    seen = seen.where(~(chosen & (fate >= 0.8) & (fate < 0.9)), others)
    return LanguageMasked(seen, tokens.where(chosen, -1))


def mask_virtex(
    tokens: Tensor,
    lengths: Tensor,
    mask: int,
    size: int,
    rate: float = 0.15,
    hidden_share: float = 0.85,
    random_share: float = 0.10,
    generator: torch.Generator | None = None,
) -> LanguageMasked:
    """Choose tokens as VirTex's masked language modelling does: only hidden ones are predicted.

    Of a caption's n inner tokens (start and end are never chosen) ceil(rate n) are drawn, at least one. One alone is
    always hidden; of several, each is hidden with ``hidden_share``, replaced by any id with ``random_share``, or left.

    Args:
        tokens: (B, T) ids: start, pieces, end, padding.
        lengths: (B,) tokens of each caption without padding.
        mask: id that hides a token.
        size: number of ids.
        rate: share of the inner tokens that are drawn.
        hidden_share: see above.
        random_share: see above.
        generator: of the draws; None for torch's own.
    """
    place = torch.arange(tokens.shape[1], device=tokens.device)
    inner = (place > 0) & (place < lengths[:, None] - 1)
    count = inner.sum(dim=1)
    wanted = torch.ceil(count.double() * rate - 1e-9).long().clamp(min=1).minimum(count)
    order = torch.rand(tokens.shape, generator=generator, device=tokens.device).masked_fill(~inner, 2.0).argsort(1)
    rank = order.argsort(1)
    chosen = inner & (rank < wanted[:, None])
    fate = torch.rand(tokens.shape, generator=generator, device=tokens.device)
    hidden = chosen & ((fate <= hidden_share) | (wanted == 1)[:, None])
    replaced = chosen & ~hidden & (fate <= hidden_share + random_share)
    others = torch.randint(size, tokens.shape, generator=generator, device=tokens.device)
    return LanguageMasked(tokens.where(~hidden, mask).where(~replaced, others), tokens.where(hidden, -1))
