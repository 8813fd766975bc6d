"""VirTex: learn from captions by writing them, in one direction, in both, or into gaps (arXiv:2006.06666)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.heads.textual import TextualHead, parse_shape
from transferbench.text.batch import CaptionBatch
from transferbench.text.masking import mask_virtex

PRETEXTS = ("bicaptioning", "captioning", "masked_lm")


def caption_lengths(text: CaptionBatch, pad: int) -> Tensor:
    """Return the number of tokens of each caption ``(B,)``, at least 1.

    A caption ends behind its last token that is no padding, or belongs to a word: unknown pieces have padding's id.
    """
    held = (text.tokens != pad) | (text.words >= 0)
    place = torch.arange(1, held.shape[1] + 1, device=held.device)
    return (held * place).amax(dim=1).clamp(min=1)


def backward(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return ``tokens (B, T)`` with each caption reversed in its place, its padding left behind it.

    A caption that was cut has lost its end token, and so does not start with it.
    """
    place = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    mirrored = lengths[:, None] - 1 - place
    return tokens.gather(1, torch.where(mirrored >= 0, mirrored, place))


class VirtexHead(nn.Module):
    """Write the caption of an image.

    Args:
        textual: the decoder; with gaps to fill it must not be causal.
        pretext: one of ``PRETEXTS``; ``bicaptioning`` adds a decoder that writes backwards and shares all but the
            transformer with the first.
        pad: id of padding; it is never a target.
        mask: id of a gap.
    """

    def __init__(self, textual: TextualHead, pretext: str, pad: int, mask: int) -> None:
        super().__init__()
        self.pretext, self.pad, self.mask = pretext, pad, mask
        self.textual = textual
        self.backward_textual = textual.twin() if pretext == "bicaptioning" else None

    def forward(self, maps: Tensor, text: CaptionBatch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return the losses of maps ``(B, width, h, w)``: ``captioning_forward`` and ``_backward``, or ``masked_lm``.

        Each is the mean over all targets of the batch that are no padding; 0 without any. ``generator`` draws gaps.
        """
        lengths = caption_lengths(text, self.pad)
        tokens = text.tokens[:, : int(lengths.max())]
        if self.pretext == "masked_lm":
            size = self.textual.output.out_features
            seen, targets = mask_virtex(tokens, lengths, self.mask, size, generator=generator)
            return {
                "masked_lm": self._loss(self.textual, maps, seen, lengths, targets.masked_fill(targets < 0, self.pad))
            }
        losses = {"captioning_forward": self._next_token(self.textual, maps, tokens, lengths)}
        if self.backward_textual is not None:
            reverse = backward(tokens, lengths)
            losses["captioning_backward"] = self._next_token(self.backward_textual, maps, reverse, lengths)
        return losses

    def _next_token(self, textual: TextualHead, maps: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        targets = F.pad(tokens[:, 1:], (0, 1), value=self.pad)
        return self._loss(textual, maps, tokens, lengths, targets)

    def _loss(self, textual: TextualHead, maps: Tensor, tokens: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross entropy over ``targets (B, T)`` that are no padding; only their logits are computed."""
        wanted = targets != self.pad
        logits = textual.output(textual.decode(maps, tokens, lengths)[wanted])
        total = F.cross_entropy(logits.float(), targets[wanted], reduction="sum")
        return total / max(len(logits), 1)

    @torch.no_grad()
    def log_probabilities(self, maps: Tensor, prefixes: Tensor) -> Tensor:
        """Return the log-probabilities ``(N, V)`` of the token behind each of ``prefixes (N, t)``, written forwards.

        ``maps`` is ``(B, width, h, w)`` with N a multiple of B: the first N / B prefixes belong to the first image.

        Raises:
            UserError: the head fills gaps and cannot write.
        """
        if self.pretext == "masked_lm":
            raise UserError("head.pretext=masked_lm fills gaps and cannot write captions; train with captioning")
        maps = maps.repeat_interleave(len(prefixes) // len(maps), dim=0)
        lengths = torch.full_like(prefixes[:, 0], prefixes.shape[1])
        logits = self.textual.output(self.textual.decode(maps, prefixes, lengths)[:, -1])
        return F.log_softmax(logits.float(), dim=1)


def virtex(
    *,
    width: int,
    classes: int,
    textual: str = "transdec_postnorm::L1_H1024_A16_F4096",
    pretext: str = "bicaptioning",
    length: int = 30,
    dropout: float = 0.1,
    pad: int = 0,
    mask: int = 3,
) -> VirtexHead:
    """Build a head of VirTex; the defaults are the paper's.

    Args:
        width: channels of the maps.
        classes: number of tokens of the tokeniser; the paper's has 10,000.
        textual: sizes of the decoder, see ``heads.textual.parse_shape``.
        pretext: ``bicaptioning``, ``captioning`` (forwards only) or ``masked_lm``.
        length: longest caption, in tokens.
        dropout: of the decoder.
        pad: id of padding and of unknown pieces.
        mask: id of a gap.

    Raises:
        UserError: for another pretext, or a name of sizes that cannot be read.
    """
    if pretext not in PRETEXTS:
        raise UserError(f"head.pretext={pretext}: expected one of {', '.join(PRETEXTS)}")
    causal = pretext != "masked_lm"
    head = TextualHead(width, classes, parse_shape(textual), length, pad, dropout, causal)
    return VirtexHead(head, pretext, pad, mask)
