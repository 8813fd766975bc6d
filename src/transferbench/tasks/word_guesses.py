"""What a head takes hidden words of captions for: every concept of every held-out caption, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transferbench.features.extract import evenly_spaced
from transferbench.tasks.examination import BATCH, HeldOut
from transferbench.text.batch import WordScores
from transferbench.text.masking import fill_gaps, mask_every_word

TOP = 5
"""Guesses that are kept of each word."""
FILLED, FEWEST = 30_000, 200
"""Captions that are filled in for a head that reads whole ones, in all; hidden words are at least so many."""
AT_ONCE = 1024
"""Filled captions that go through the head together."""


@dataclass(frozen=True)
class Hidden:
    """M hidden words: which held-out image and caption, what stood there, what was guessed, where was looked."""

    image: NDArray[np.int64]
    caption: list[str]
    target: NDArray[np.int64]
    guesses: NDArray[np.int64]
    """(M, K') concepts, best first."""
    blind: NDArray[np.int64]
    attention: NDArray[np.float32] | None = None
    """(M, h, w); None for a head that does not attend to cells."""
    elsewhere: NDArray[np.float32] | None = None
    """(M, h, w), of the same caption beside another image."""


@dataclass(frozen=True)
class Gaps:
    """N captions with one word hidden in each, and the F words that it could be.

    ``pieces`` (F, L) are these words' tokens, -1 behind them, and ``concepts`` (F,) what they are forms of.
    """

    tokens: Tensor
    position: Tensor
    span: Tensor
    pieces: Tensor
    concepts: Tensor
    pad: int


def hide_all(head: Any, data: Any, held: HeldOut, device: str) -> Hidden | None:
    """Return the guesses for every concept of every caption of the ``held`` images; None where no caption has one.

    A head that reads whole captions is asked for one word of each of some captions, evenly spaced, since every word
    takes as many captions as the concepts have forms.
    """
    rows: list[tuple[int, str]] = [
        (at, caption) for at, row in enumerate(held.rows) for caption in data.test_records.captions[row]
    ]
    mask = data.tokeniser.mask if data.tokeniser.hides else data.tokeniser.pad
    whole = not hasattr(head, "word_scores")
    if whole:
        rows = [rows[i] for i in evenly_spaced(len(rows), max(FEWEST, FILLED // len(data.vocabulary.forms)))]
    pieces, forms = (one.to(device) for one in pieces_of(data))
    mean, found = held.maps.mean(0, keepdim=True), []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        encoded = [data.encoder(caption, torch.zeros(0), at) for at, caption in part]
        tokens, words, concepts = (torch.stack([e[i] for e in encoded]) for i in range(3))
        masked = mask_every_word(tokens, words, concepts, mask)
        chosen = _one_each(masked.row) if whole else torch.arange(len(masked.row))
        for piece in filter(len, torch.split(chosen, 4 * BATCH)):
            tokens, position, span = (one[piece].to(device) for one in (masked.tokens, masked.position, masked.span))
            image = np.array([at for at, _ in part])[masked.row[piece].numpy()]
            found.append(
                _guess(head, held.maps, mean, image, Gaps(tokens, position, span, pieces, forms, data.tokeniser.pad))
            )
            found[-1] |= {"image": image, "target": masked.target[piece].numpy()}
            found[-1]["caption"] = [part[int(row)][1] for row in masked.row[piece]]
    if not found:
        return None
    return Hidden(**{key: _joined([one[key] for one in found]) for key in found[0]})


def _one_each(row: Tensor) -> Tensor:
    """Return one index of each value in ``row``, which does not fall: of every next value one further on."""
    counts = torch.bincount(row)
    counts = counts[counts > 0]
    return counts.cumsum(0) - counts + torch.arange(len(counts)) % counts


def pieces_of(data: Any) -> tuple[Tensor, Tensor]:
    """Return the pieces of every form of every concept ``(F, L)``, -1 behind them, and the concepts ``(F,)``."""
    forms = data.vocabulary.forms
    coded = [torch.tensor(data.tokeniser.encode(word).ids or [data.tokeniser.pad]) for word in forms]
    pieces = torch.nn.utils.rnn.pad_sequence(coded, batch_first=True, padding_value=-1)
    return pieces, torch.tensor(list(forms.values()))


def _guess(head: Any, maps: Tensor, mean: Tensor, image: NDArray[np.int64], gaps: Gaps) -> dict[str, Any]:
    """Return what the hidden words of captions are taken for beside their images, the indices ``image`` of ``maps``."""
    device = gaps.tokens.device
    here = score(head, maps[image].to(device), gaps)
    if (unseen := here.blind) is None:
        unseen = score(head, mean.to(device).expand(len(image), -1, -1, -1), gaps).logits
    found: dict[str, Any] = {"guesses": _ranked(here.logits), "blind": _ranked(unseen)}
    if here.attention is not None:
        elsewhere = score(head, maps[(image + 1) % len(maps)].to(device), gaps).attention
        found |= {"attention": here.attention.float().cpu().numpy(), "elsewhere": elsewhere.float().cpu().numpy()}  # type: ignore[union-attr]
    return found


def score(head: Any, maps: Tensor, gaps: Gaps) -> WordScores:
    """Return scores ``(N, K)`` of all concepts for the hidden words of captions beside ``maps (N, C, h, w)``.

    A concept has the score of its best form ("dog", "dogs"). A head that predicts pieces scores a form by its first.
    """
    if hasattr(head, "word_scores"):
        found: WordScores = head.word_scores(maps, gaps.tokens, gaps.position)
        if head.output != "pieces":
            return found
        first = gaps.pieces[:, 0]
        blind = None if found.blind is None else _best_form(found.blind[:, first], gaps.concepts)
        return found._replace(logits=_best_form(found.logits[:, first], gaps.concepts), blind=blind)
    filled = fill_gaps(gaps.tokens, gaps.position, gaps.span, gaps.pieces, gaps.pad).flatten(0, 1)
    owners = torch.arange(len(maps), device=maps.device).repeat_interleave(len(gaps.pieces))
    parts = zip(torch.split(owners, AT_ONCE), torch.split(filled, AT_ONCE))
    scores = torch.cat([head.caption_scores(maps[owner], captions) for owner, captions in parts])
    return WordScores(_best_form(scores.view(len(maps), -1), gaps.concepts))


def _best_form(scores: Tensor, concepts: Tensor) -> Tensor:
    """Return scores ``(N, K)`` of concepts from those of their forms ``(N, F)``."""
    best = scores.new_full((len(scores), int(concepts.max()) + 1), -torch.inf)
    return best.scatter_reduce(1, concepts.expand_as(scores), scores, "amax")


def _ranked(scores: Tensor) -> NDArray[np.int64]:
    return scores.topk(min(TOP, scores.shape[1]), dim=1).indices.cpu().numpy()


def _joined(pieces: Sequence[Any]) -> Any:
    if isinstance(pieces[0], list):
        return [item for piece in pieces for item in piece]
    return np.concatenate(pieces)
