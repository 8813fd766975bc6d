"""ICMLM: predict a word hidden in a caption from the image and the other words (arXiv:2008.01392).

The paper's text, not its code, is public, and not all of it could be read: what it leaves open is an argument here,
and its default is a choice of this package.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.heads.fusion import AttentionFusion, TransformerFusion
from transferbench.heads.tags import TagHead
from transferbench.text.batch import CaptionBatch, WordScores
from transferbench.text.masking import mask_one_word

OUTPUTS = ("concepts", "pieces")


class Language(Protocol):
    """A masked language model, such as those of ``models.language``."""

    size: int
    width: int
    pad: int
    mask: int

    def hidden(self, tokens: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return one vector a token, ``(B, T, width)``."""

    def eval(self) -> Language:
        """Switch dropout off."""

    def requires_grad_(self, requires_grad: bool = True) -> Language:
        """Freeze or free the weights."""


def stack(width: int, outputs: int, layers: int, hidden: int) -> nn.Sequential:
    """Return ``layers`` hidden layers of ``hidden`` units with GELU, and a linear layer to ``outputs``."""
    sizes = [width, *[hidden] * layers]
    inner = [nn.Sequential(nn.Linear(a, b), nn.GELU()) for a, b in pairwise(sizes)]
    return nn.Sequential(*inner, nn.Linear(sizes[-1], outputs))


class Icmlm(nn.Module):
    """Hide one word of each caption, and predict it from the map of the image and the vectors of a language model.

    The language model is frozen: it never gets a gradient, and stays in evaluation mode while the head trains. Beside
    the model trains ``blind``, a classifier of the language model's vector of the hidden position alone. It shares no
    weight with the rest and sends it no gradient; what the model predicts better, it has from the image.

    Args:
        fusion: of maps and vectors.
        language: frozen here.
        classifier: fused vectors to logits ``(B, K)``.
        blind: vectors of the language model to logits ``(B, K)``.
        tags: predicts the caption's concepts from the maps alone (TP_Postag); None for none.
        tag_weight: of its loss.
        output: ``concepts`` to predict which concept the hidden word is, ``pieces`` for its first token's id.
    """

    def __init__(
        self,
        fusion: TransformerFusion | AttentionFusion,
        language: Language,
        classifier: nn.Module,
        blind: nn.Module,
        tags: TagHead | None,
        tag_weight: float,
        output: str,
    ) -> None:
        super().__init__()
        self.language = language
        self.language.requires_grad_(False)
        self.language.eval()
        self.fusion, self.classifier, self.blind, self.tags = fusion, classifier, blind, tags
        self.tag_weight, self.output = tag_weight, output

    def train(self, mode: bool = True) -> Icmlm:
        """Switch all but the language model, which stays in evaluation mode."""
        super().train(mode)
        self.language.eval()
        return self

    def forward(self, maps: Tensor, text: CaptionBatch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return the losses ``masked_word``, ``blind`` and ``tags`` (weighted) of maps ``(B, width, h, w)``.

        Captions without a concept to hide are left out; a batch of them gives 0. ``generator`` draws the words; None
        for torch's own.
        """
        hidden_word = mask_one_word(text.tokens, text.words, text.concepts, self.language.mask, generator)
        position, valid = hidden_word.position.clamp(min=0), hidden_word.valid
        logits, blind, _ = self._predict(maps, hidden_word.tokens, position, attention=False)
        target = hidden_word.target.clamp(min=0)
        if self.output == "pieces":
            target = text.tokens.gather(1, position[:, None])[:, 0]
        losses = {
            name: _masked_mean(scores, target, valid) for name, scores in (("masked_word", logits), ("blind", blind))
        }
        if self.tags is not None:
            losses["tags"] = self.tag_weight * self.tags(maps, text)["tags"]
        return losses

    @torch.no_grad()
    def word_scores(self, maps: Tensor, masked_tokens: Tensor, position: Tensor) -> WordScores:
        """Return what the hidden words of captions are taken for.

        Args:
            maps: ``(N, width, h, w)``, one a caption.
            masked_tokens: ``(N, T)``, the word's pieces replaced by the mask.
            position: ``(N,)`` of the first of these.
        """
        logits, blind, attention = self._predict(maps, masked_tokens, position, attention=True)
        return WordScores(logits, blind, attention)

    def _predict(
        self, maps: Tensor, tokens: Tensor, position: Tensor, attention: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits, blind logits and, if asked, the attention."""
        padding = tokens == self.language.pad
        with torch.no_grad():
            hidden = self.language.hidden(tokens, padding)
        fused = self.fusion(maps, hidden, position, padding, attention)
        word = hidden[torch.arange(len(hidden), device=hidden.device), position]
        return self.classifier(fused.vector), self.blind(word), fused.attention


def _masked_mean(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the cross entropy of the ``valid`` rows of ``logits (B, K)``; 0, with a graph, without any."""
    losses = F.cross_entropy(logits.float(), target, reduction="none")
    return (losses * valid).sum() / valid.sum().clamp(min=1)


def _outputs(classes: int, language: Language, output: str) -> int:
    if output not in OUTPUTS:
        raise UserError(f"head.output={output}: expected one of {', '.join(OUTPUTS)}")
    return classes if output == "concepts" else language.size


def _tags(width: int, classes: int, weight: float, loss: str) -> TagHead | None:
    if weight < 0:
        raise UserError(f"head.tag_weight={weight}: expected 0 or more")
    return TagHead(width, classes, loss, "concepts") if weight else None


def icmlm_tfm(
    *,
    width: int,
    classes: int,
    language: Language,
    layers: int = 1,
    heads: int = 12,
    inner: int | None = None,
    visual_positions: tuple[int, int] | None = (7, 7),
    dropout: float = 0.1,
    tag_weight: float = 1.0,
    tag_loss: str = "bce",
    output: str = "concepts",
) -> Icmlm:
    """Build ICMLM_tfm: a transformer encoder over the cells of the image and the tokens of the caption together.

    Args:
        width: channels of the maps.
        classes: number of concepts.
        language: the frozen language model.
        layers: of the transformer; one is a choice, like the next four values.
        heads: of each layer; they must divide the width of ``language``.
        inner: hidden width of the feed-forward parts; None for four times the width of ``language``.
        visual_positions: rows and columns of learned positions of the cells; None for none.
        dropout: of the transformer.
        tag_weight: of the loss of TP_Postag, which is added; 0 for none.
        tag_loss: ``bce`` or ``softmax``, see ``heads.tags``.
        output: what is predicted: the ``concepts`` index of the hidden word, or the id of the first of its ``pieces``.
    """
    grid = None if visual_positions is None else (int(visual_positions[0]), int(visual_positions[1]))
    inner = inner or 4 * language.width
    fusion = TransformerFusion(width, language.width, layers, heads, inner, grid, dropout)
    outputs = _outputs(classes, language, output)
    blind = stack(language.width, outputs, layers, inner)
    tags = _tags(width, classes, tag_weight, tag_loss)
    return Icmlm(fusion, language, nn.Linear(language.width, outputs), blind, tags, tag_weight, output)


def icmlm_attfc(
    *,
    width: int,
    classes: int,
    language: Language,
    common: int = 512,
    normalise: bool = True,
    temperature: float | None = None,
    layers: int = 1,
    inner: int | None = None,
    tag_weight: float = 1.0,
    tag_loss: str = "bce",
    output: str = "concepts",
) -> Icmlm:
    """Build ICMLM_att-fc: one spatial attention of the hidden word, and fully connected layers on what it saw.

    Args:
        width: channels of the maps.
        classes: number of concepts.
        language: the frozen language model.
        common: width in which word and cells are compared; 512 is a choice, like the next four values.
        normalise: LayerNorm on both sides of the comparison.
        temperature: of the attention's softmax; None for the square root of ``common``.
        layers: hidden fully connected layers.
        inner: their width; None for ``common``.
        tag_weight: as for ``icmlm_tfm``, like the next two.
        tag_loss: ``bce`` or ``softmax``.
        output: ``concepts`` or ``pieces``.
    """
    fusion = AttentionFusion(width, language.width, common, normalise, temperature)
    outputs = _outputs(classes, language, output)
    inner = inner or common
    classifier, blind = (stack(size, outputs, layers, inner) for size in (width, language.width))
    return Icmlm(fusion, language, classifier, blind, _tags(width, classes, tag_weight, tag_loss), tag_weight, output)
