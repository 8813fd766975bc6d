"""VirTex: learn from captions by writing them, in one direction, in both, or into gaps (arXiv:2006.06666)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.heads.textual import TextualHead, parse_shape
from transferbench.text.batch import CaptionBatch, WordScores
from transferbench.text.masking import mask_virtex

PRETEXTS = ("bicaptioning", "captioning", "masked_lm")


def caption_lengths(text: CaptionBatch, pad: int) -> Tensor:
    """Return the number of tokens of each caption ``(B,)``, at least 1.

    A caption ends behind its last token that is no padding, or belongs to a word: unknown pieces have padding's id.
    """
    return lengths_of((text.tokens != pad) | (text.words >= 0))


def lengths_of(held: Tensor) -> Tensor:
    """Return one more than the last place that is true in each row of ``held (B, T)``, at least 1."""
    place = torch.arange(1, held.shape[1] + 1, device=held.device)
    return (held * place).amax(dim=1).clamp(min=1)


def backward(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return ``tokens (B, T)`` with each caption reversed in its place, its padding left behind it.

    A caption that was cut has lost its end token, and so does not start with it.
    """
    place = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    mirrored = lengths[:, None] - 1 - place
    return tokens.gather(1, torch.where(mirrored >= 0, mirrored, place))


class Decoding(nn.Module):
    """What heads with a decoder share: the loss of the tokens that it is to predict."""

    def __init__(self, textual: TextualHead, pad: int) -> None:
        super().__init__()
        self.textual, self.pad = textual, pad

    def cut(self, text: CaptionBatch) -> tuple[Tensor, Tensor]:
        """Return the tokens up to the end of the longest caption ``(B, t)``, and the lengths ``(B,)``."""
        lengths = caption_lengths(text, self.pad)
        return text.tokens[:, : int(lengths.max())], lengths

    def loss(self, textual: TextualHead, maps: Tensor, tokens: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross entropy over ``targets (B, T)`` that are no padding; 0 without any."""
        losses = self.losses(textual, maps, tokens, lengths, targets)
        mean: Tensor = losses.sum() / (targets != self.pad).sum().clamp(min=1)
        return mean

    def losses(self, textual: TextualHead, maps: Tensor, tokens: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the cross entropy of each of ``targets (B, T)``, 0 at padding, whose logits are not computed."""
        wanted = targets != self.pad
        logits = textual.output(textual.decode(maps, tokens, lengths)[wanted])
        nothing = torch.zeros(targets.shape, device=targets.device)
        return nothing.masked_scatter(wanted, F.cross_entropy(logits.float(), targets[wanted], reduction="none"))


class GapHead(Decoding):
    """Fill gaps in the caption of an image, knowing the words on both sides.

    Args:
        textual: the decoder; it must not be causal.
        pad: id of padding; it is never a target.
        mask: id of a gap.
    """

    output = "pieces"

    def __init__(self, textual: TextualHead, pad: int, mask: int) -> None:
        super().__init__(textual, pad)
        self.mask = mask

    def forward(self, maps: Tensor, text: CaptionBatch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return the loss ``masked_lm`` of maps ``(B, width, h, w)``, the mean over all gaps of the batch; 0 without.

        ``generator`` draws the gaps.
        """
        tokens, lengths = self.cut(text)
        size = self.textual.output.out_features
        seen, targets = mask_virtex(tokens, lengths, self.mask, size, generator=generator)
        return {"masked_lm": self.loss(self.textual, maps, seen, lengths, targets.masked_fill(targets < 0, self.pad))}

    @torch.no_grad()
    def word_scores(self, maps: Tensor, masked_tokens: Tensor, position: Tensor) -> WordScores:
        """Return the logits of the first token of hidden words, ``(N, V)``; arguments as for ``Icmlm.word_scores``."""
        lengths = lengths_of(masked_tokens != self.pad)
        vectors = self.textual.decode(maps, masked_tokens, lengths)
        return WordScores(self.textual.output(vectors[torch.arange(len(vectors), device=vectors.device), position]))


class VirtexHead(Decoding):
    """Write the caption of an image.

    Args:
        textual: the decoder.
        pad: id of padding; it is never a target.
        both: add a decoder that writes backwards and shares all but the transformer with the first.
    """

    def __init__(self, textual: TextualHead, pad: int, both: bool) -> None:
        super().__init__(textual, pad)
        self.backward_textual = textual.twin() if both else None

    def forward(self, maps: Tensor, text: CaptionBatch) -> dict[str, Tensor]:
        """Return the losses of maps ``(B, width, h, w)``: ``captioning_forward``, and ``_backward`` where it writes so.

        Each is the mean over all targets of the batch that are no padding; 0 without any.
        """
        tokens, lengths = self.cut(text)
        losses = {"captioning_forward": self._next_token(self.textual, maps, tokens, lengths)}
        if self.backward_textual is not None:
            reverse = backward(tokens, lengths)
            losses["captioning_backward"] = self._next_token(self.backward_textual, maps, reverse, lengths)
        return losses

    def _next_token(self, textual: TextualHead, maps: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self.loss(textual, maps, tokens, lengths, self._followers(tokens))

    def _followers(self, tokens: Tensor) -> Tensor:
        return F.pad(tokens[:, 1:], (0, 1), value=self.pad)

    @torch.no_grad()
    def log_probabilities(self, maps: Tensor, prefixes: Tensor) -> Tensor:
        """Return the log-probabilities ``(N, V)`` of the token behind each of ``prefixes (N, t)``, written forwards.

        ``maps`` is ``(B, width, h, w)`` with N a multiple of B: the first N / B prefixes belong to the first image.
        """
        maps = maps.repeat_interleave(len(prefixes) // len(maps), dim=0)
        lengths = torch.full_like(prefixes[:, 0], prefixes.shape[1])
        logits = self.textual.output(self.textual.decode(maps, prefixes, lengths)[:, -1])
        return F.log_softmax(logits.float(), dim=1)

    @torch.no_grad()
    def caption_scores(self, maps: Tensor, tokens: Tensor) -> Tensor:
        """Return the log-likelihood ``(N,)`` of captions ``(N, T)`` of maps ``(N, width, h, w)``.

        The sum over both directions where the head writes in both.
        """
        lengths = lengths_of(tokens != self.pad)
        tokens = tokens[:, : int(lengths.max())]
        total = self._likelihood(self.textual, maps, tokens, lengths)
        if self.backward_textual is not None:
            total = total + self._likelihood(self.backward_textual, maps, backward(tokens, lengths), lengths)
        return total

    def _likelihood(self, textual: TextualHead, maps: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        return -self.losses(textual, maps, tokens, lengths, self._followers(tokens)).sum(dim=1)


def virtex(
    *,
    width: int,
    tokens: int,
    textual: str = "transdec_postnorm::L1_H1024_A16_F4096",
    pretext: str = "bicaptioning",
    length: int = 30,
    dropout: float = 0.1,
    pad: int = 0,
    mask: int | None = None,
) -> VirtexHead | GapHead:
    """Build a head of VirTex; the defaults are the paper's.

    Args:
        width: channels of the maps.
        tokens: number of tokens of the tokeniser; the paper's has 10,000.
        textual: sizes of the decoder, see ``heads.textual.parse_shape``.
        pretext: ``bicaptioning``, ``captioning`` (forwards only) or ``masked_lm``.
        length: longest caption, in tokens.
        dropout: of the decoder.
        pad: id of padding and of unknown pieces.
        mask: id of a gap; None where the tokeniser has none.

    Raises:
        UserError: for another pretext, a name of sizes that cannot be read, or gaps to fill without a ``mask``.
    """
    if pretext not in PRETEXTS:
        raise UserError(f"head.pretext={pretext}: expected one of {', '.join(PRETEXTS)}")
    gaps = pretext == "masked_lm"
    decoder = TextualHead(width, tokens, parse_shape(textual), length, pad, dropout, causal=not gaps)
    if not gaps:
        return VirtexHead(decoder, pad, pretext == "bicaptioning")
    if mask is None:
        raise UserError("head.pretext=masked_lm: this tokeniser has no id for a gap; choose scale.tokeniser=bpe")
    return GapHead(decoder, pad, mask)
