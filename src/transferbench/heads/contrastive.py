"""Learn which caption goes with which image of a batch: CLIP (arXiv:2103.00020) and SigLIP (arXiv:2303.15343)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from transferbench.distributed import rank, world_size
from transferbench.errors import UserError
from transferbench.heads.fusion import places_of
from transferbench.text.batch import CaptionBatch

MAX_LOG_SCALE = math.log(100)
"""CLIP's logits are never scaled by more than 100."""


class _Gather(torch.autograd.Function):
    """Concatenate over ranks; the gradient of a rank's rows is the sum of what all ranks have for them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        pieces = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(pieces, rows.contiguous())
        return torch.cat(pieces)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(world_size())[rank()]


def compared_jointly() -> bool:
    """Tell whether the batches of all ranks are compared with each other: in training."""
    return world_size() > 1 and torch.is_grad_enabled()


def _first() -> int:
    """Return where this rank's rows stand among those that are compared."""
    return rank() if compared_jointly() else 0


def gather_with_gradient(rows: Tensor) -> Tensor:
    """Return the ``rows (B, D)`` of all ranks, in rank order, through which gradients flow back to their ranks.

    All ranks must have equally many. Without a process group, or where no gradient is wanted (a validation, where
    ranks may have more or fewer), these are the rows themselves.
    """
    if not compared_jointly():
        return rows
    return _Gather.apply(rows)  # type: ignore[no-any-return]


def clip_loss(images: Tensor, texts: Tensor, scale: Tensor | float) -> Tensor:
    """Return the mean of two cross entropies: which text is an image's, and which image is a text's.

    With several ranks this is the loss of the local rows against the columns of all ranks; the mean over ranks, and of
    their gradients, is that of one process with the joint batch.

    Args:
        images: ``(B, D)``, of length 1; row i belongs to row i of ``texts``.
        texts: ``(B, D)`` likewise.
        scale: of the cosines, the inverse of the softmax's temperature.
    """
    with torch.autocast(images.device.type, enabled=False):
        images, texts = images.float(), texts.float()
        own = torch.arange(len(images), device=images.device) + _first() * len(images)
        to_texts = scale * images @ gather_with_gradient(texts).T
        to_images = scale * texts @ gather_with_gradient(images).T
        return (F.cross_entropy(to_texts, own) + F.cross_entropy(to_images, own)) / 2


def siglip_loss(images: Tensor, texts: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
    """Return the sum of independent decisions, does this text belong to this image, over the number of images.

    Arguments and ranks as for ``clip_loss``; ``bias`` is added to the scaled cosines.
    """
    with torch.autocast(images.device.type, enabled=False):
        images, texts = images.float(), texts.float()
        logits = scale * images @ gather_with_gradient(texts).T + bias
        signs = torch.full_like(logits, -1.0)
        own = torch.arange(len(images), device=images.device)
        signs[own, own + _first() * len(images)] = 1.0
        return -F.logsigmoid(signs * logits).sum() / len(images)


class AttentionPool(nn.Module):
    """Pool a map by the attention of its mean over its cells (CLIP's ResNets, arXiv:2103.00020, section 2.4).

    Args:
        width: channels of the maps; a multiple of ``heads``.
        heads: of the attention.
        grid: rows and columns of the learned positions, interpolated for maps of another size.
    """

    def __init__(self, width: int, heads: int, grid: tuple[int, int]) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"head.pool_heads={heads}: expected a divisor of the width of the maps, {width}")
        self.mean_position = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.positions = nn.Parameter(torch.randn(1, width, *grid) * width**-0.5)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Return features ``(B, width)`` of maps ``(B, width, h, w)``."""
        mean = maps.mean(dim=(2, 3))[:, None] + self.mean_position
        cells = (maps + places_of(self.positions, maps)).flatten(2).transpose(1, 2)
        tokens = torch.cat([mean, cells], dim=1)
        pooled: Tensor = self.attention(tokens[:, :1], tokens, tokens, need_weights=False)[0]
        return pooled[:, 0]


class TextTower(Protocol):
    """Captions ``(B, T)`` to features ``(B, embedding)``, such as ``models.text_encoder.TextEncoder``."""

    embedding: int

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return the features."""


class ContrastiveHead(nn.Module):
    """Bring images and captions into one space, where those that belong together lie close.

    Args:
        width: channels of the maps.
        text: the text encoder.
        pool: maps ``(B, width, h, w)`` to ``(B, width)``; None for the average over cells.
        scale: of the cosines at first; its logarithm is learned.
        bias: SigLIP's, at first; None for the loss of CLIP.
    """

    def __init__(
        self, width: int, text: TextTower, pool: AttentionPool | None, scale: float, bias: float | None
    ) -> None:
        super().__init__()
        if scale <= 0:
            raise UserError(f"head.scale={scale}: expected a positive number")
        self.text, self.pool = text, pool
        self.projection = nn.Linear(width, text.embedding, bias=False)
        nn.init.normal_(self.projection.weight, std=width**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.logit_bias = None if bias is None else nn.Parameter(torch.tensor(float(bias)))

    def embed_images(self, features: Tensor) -> Tensor:
        """Return vectors of length 1, ``(B, embedding)``, of maps ``(B, width, h, w)`` or pooled ``(B, width)``.

        Raises:
            UserError: pooled features, where the head has a pooling of its own.
        """
        if features.dim() == 4:
            features = self.pool(features) if self.pool is not None else features.mean(dim=(2, 3))
        elif self.pool is not None:
            raise UserError("this head pools maps by attention: give it maps (B, C, h, w), not pooled features")
        return F.normalize(self.projection(features).float(), dim=1)

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Return vectors of length 1, ``(B, embedding)``, of captions ``(B, T)``."""
        return F.normalize(self.text(tokens).float(), dim=1)

    def forward(self, maps: Tensor, text: CaptionBatch) -> dict[str, Tensor]:
        """Return the loss ``contrastive`` of maps ``(B, width, h, w)`` and their captions."""
        images, texts, scale = self.embed_images(maps), self.embed_text(text.tokens), self.logit_scale.exp()
        if self.logit_bias is None:
            return {"contrastive": clip_loss(images, texts, scale)}
        return {"contrastive": siglip_loss(images, texts, scale, self.logit_bias)}

    @torch.no_grad()
    def caption_scores(self, maps: Tensor, tokens: Tensor) -> Tensor:
        """Return the cosines ``(N,)`` of captions ``(N, T)`` with their maps ``(N, width, h, w)``."""
        return (self.embed_images(maps) * self.embed_text(tokens)).sum(dim=1)

    @torch.no_grad()
    def clamp_scale(self) -> None:
        """Bring the scale back between 1 and 100; to be called after every optimiser step."""
        self.logit_scale.clamp_(0, MAX_LOG_SCALE)


Text: TypeAlias = TextTower | Callable[..., TextTower]
"""A text encoder, or a factory of one that waits for ``size``, the number of tokens, and the ids ``end``, ``pad``."""


def _build(
    width: int,
    special: Mapping[str, int],
    text: Text,
    pool: str,
    grid: tuple[int, int],
    heads: int,
    scale: float,
    bias: float | None,
) -> ContrastiveHead:
    """Build a head with the named pooling, and a text encoder of ``special`` where ``text`` waits for it."""
    if pool not in ("average", "attention"):
        raise UserError(f"head.pool={pool}: expected average or attention")
    made = text if isinstance(text, nn.Module) else cast(Callable[..., TextTower], text)(**special)
    tower = cast(TextTower, made)
    pooling = AttentionPool(width, heads, (int(grid[0]), int(grid[1]))) if pool == "attention" else None
    return ContrastiveHead(width, tower, pooling, scale, bias)


def clip_head(
    *,
    width: int,
    tokens: int,
    end: int = 2,
    pad: int = 0,
    text: Text,
    pool: str = "average",
    pool_grid: tuple[int, int] = (7, 7),
    pool_heads: int = 32,
    scale: float = 1 / 0.07,
) -> ContrastiveHead:
    """Build a head with CLIP's loss.

    Args:
        width: channels of the maps.
        tokens: number of tokens of the tokeniser.
        end: id of the end token.
        pad: id of padding.
        text: the text encoder; with ``_partial_: true`` it gets these three, the first as ``size``.
        pool: of the maps: ``average`` or ``attention``.
        pool_grid: rows and columns of the learned positions of ``attention``.
        pool_heads: attention heads of ``attention``.
        scale: of the cosines at first.
    """
    return _build(width, {"size": tokens, "end": end, "pad": pad}, text, pool, pool_grid, pool_heads, scale, None)


def siglip_head(
    *,
    width: int,
    tokens: int,
    end: int = 2,
    pad: int = 0,
    text: Text,
    pool: str = "average",
    pool_grid: tuple[int, int] = (7, 7),
    pool_heads: int = 32,
    scale: float = 10.0,
    bias: float = -10.0,
) -> ContrastiveHead:
    """Build a head with SigLIP's loss; ``bias`` is added to the scaled cosines at first, the others as for CLIP."""
    return _build(width, {"size": tokens, "end": end, "pad": pad}, text, pool, pool_grid, pool_heads, scale, bias)
