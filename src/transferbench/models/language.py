"""Masked language models: a small one of our own, and any of the transformers library behind the same interface."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError


class MaskedLanguageModel(nn.Module):
    """A bidirectional transformer that predicts hidden tokens from all others (BERT, arXiv:1810.04805).

    Post-norm layers with GELU as in BERT, without its sentence embedding and pooler; the output layer is the token
    embedding, with a bias of its own.

    Args:
        size: number of tokens of the tokeniser.
        width: of the vectors; a multiple of ``heads``.
        layers: number of transformer layers.
        heads: attention heads of each layer.
        length: longest sequence, in tokens.
        dropout: of the embedding and of every layer.
        inner: hidden width of the feed-forward parts; None for four times ``width``.
        pad: id of padding.
        mask: id that stands for a hidden token.
    """

    tokeniser_digest: Tensor

    def __init__(
        self,
        size: int,
        width: int = 256,
        layers: int = 4,
        heads: int = 4,
        length: int = 32,
        dropout: float = 0.1,
        *,
        inner: int | None = None,
        pad: int = 0,
        mask: int = 3,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"language.width={width}: expected a multiple of language.heads={heads}")
        self.size, self.width, self.length, self.pad, self.mask = size, width, length, pad, mask
        self.words = nn.Embedding(size, width, padding_idx=pad)
        self.positions = nn.Embedding(length, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(width, heads, inner or 4 * width, dropout, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(size))
        self.register_buffer("tokeniser_digest", torch.zeros((), dtype=torch.int64))
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Draw all matrices from N(0, 0.02) and zero all biases, as BERT does; the layers of a stack differ."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        self.words.weight[self.pad] = 0

    def hidden(self, tokens: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return one vector a token, ``(B, T, width)``.

        Args:
            tokens: ``(B, T)`` ids.
            padding_mask: ``(B, T)``, true where nothing may look; None for the padding in ``tokens``. The first token
                is looked at in any case, so that a row of padding alone gives numbers.

        Raises:
            UserError: the sequence is longer than the model's positions.
        """
        if tokens.shape[1] > self.length:
            raise UserError(f"captions of {tokens.shape[1]} tokens: this language model takes {self.length} at most")
        padding = (tokens == self.pad) if padding_mask is None else padding_mask.clone()
        padding[:, 0] = False
        places = torch.arange(tokens.shape[1], device=tokens.device)
        embedded = self.dropout(self.norm(self.words(tokens) + self.positions(places)))
        vectors: Tensor = self.encoder(embedded, src_key_padding_mask=padding)
        return vectors

    def predict(self, hidden: Tensor) -> Tensor:
        """Return logits ``(..., size)`` of hidden vectors ``(..., width)``: of masked positions alone, for instance."""
        return F.linear(self.transform(hidden), self.words.weight, self.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits ``(B, T, size)`` of ``tokens (B, T)``."""
        return self.predict(self.hidden(tokens))

    def bind_tokeniser(self, digest: str) -> None:
        """Keep with the weights which tokeniser they are for: the one whose ``digest()`` this is."""
        self.tokeniser_digest.fill_(_eight_bytes(digest))

    def check_tokeniser(self, digest: str) -> None:
        """Refuse a tokeniser other than the bound one; a model that is bound to none takes any.

        Raises:
            UserError: the model was trained with another tokeniser.
        """
        bound = int(self.tokeniser_digest)
        if bound not in (0, _eight_bytes(digest)):
            raise UserError(
                f"this language model was trained with another tokeniser than the present one ({digest[:12]}): its ids "
                "mean other words; train it again, or take the tokeniser that it was trained with"
            )


def _eight_bytes(digest: str) -> int:
    return int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8], "big", signed=True)


class TransformersLanguage(nn.Module):
    """A masked language model of the transformers library, called like ``MaskedLanguageModel``.

    Args:
        net: a model with a ``base_model``, such as ``BertForMaskedLM``.
        mask: id that stands for a hidden token.
        pad: id of padding.
    """

    def __init__(self, net: nn.Module, mask: int, pad: int) -> None:
        super().__init__()
        self.net = net
        config: Any = net.config
        self.width, self.size = int(config.hidden_size), int(config.vocab_size)
        self.length = int(config.max_position_embeddings)
        self.pad, self.mask = pad, mask

    def hidden(self, tokens: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return one vector a token, ``(B, T, width)``; ``padding_mask`` as for ``MaskedLanguageModel.hidden``."""
        seen = self._seen(tokens, padding_mask)
        base: Any = self.net.base_model
        vectors: Tensor = base(input_ids=tokens, attention_mask=seen).last_hidden_state
        return vectors

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits ``(B, T, size)`` of ``tokens (B, T)``."""
        logits: Tensor = self.net(input_ids=tokens, attention_mask=self._seen(tokens, None)).logits
        return logits

    def check_tokeniser(self, digest: str) -> None:
        """Accept any: a published model comes with its tokeniser, ``text.tokeniser.pretrained_tokeniser``."""

    def _seen(self, tokens: Tensor, padding_mask: Tensor | None) -> Tensor:
        seen = (tokens != self.pad) if padding_mask is None else ~padding_mask
        seen = seen.long()
        seen[:, 0] = 1
        return seen


def transformers_language(name: str, *, pretrained: bool = True, mask: int | None = None) -> TransformersLanguage:
    """Build any masked language model of the transformers library.

    Args:
        name: of a published model (``bert-base-uncased``) or a folder of one; without ``pretrained`` also a kind of
            model in its standard size (``bert``: 12 layers of width 768, 30,522 tokens), for which nothing is fetched.
        pretrained: load the published weights (downloads them on first use).
        mask: id that stands for a hidden token; None for the published tokeniser's, or 103 (BERT's) of a kind.

    Raises:
        UserError: transformers is not installed, or has no such model.
    """
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            "head.language: transformers is not installed; pip install 'transferbench[captions]', or take "
            "transferbench.models.language.MaskedLanguageModel"
        ) from error
    library: Any = transformers
    try:
        if not pretrained and name in library.CONFIG_MAPPING:
            config, mask = library.AutoConfig.for_model(name), 103 if mask is None else mask
        else:
            config = library.AutoConfig.from_pretrained(name)
            mask = library.AutoTokenizer.from_pretrained(name).mask_token_id if mask is None else mask
        factory = library.AutoModelForMaskedLM
        net = factory.from_pretrained(name) if pretrained else factory.from_config(config)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"transformers could not build {name} (pretrained={pretrained}): {reason}") from error
    if mask is None:
        raise UserError(f"{name}: its tokeniser has no mask token; take a masked language model, or give mask=ID")
    return TransformersLanguage(net, mask, int(config.pad_token_id or 0))
