"""What a cell alone adds to the features of a head that pools maps: MaskCLIP's dense features (arXiv:2112.01071).

Attention pooling adds up linear functions of the cells, weighted by attention. Without the weights, that function can
be had at every cell, and lies in the space of the pooled features: that of the text, where the head has one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError

Affine = tuple[Tensor, Tensor]
"""A weight (D, C) and a bias (D,), float64."""


@torch.no_grad()
def value_path(head: nn.Module, width: int) -> nn.Conv2d:
    """Return the 1x1 convolution from maps ``(B, width, h, w)`` to the features of ``head``, ``(B, D, h, w)``.

    Where ``head`` adds positions to the cells, every cell gets their mean, so that its feature does not depend on where
    in the picture it lies; the mean over cells is the same.

    Args:
        head: has ``projection``, a linear layer, and ``pool``, which is None for the mean over cells
            (``heads.contrastive``), or pools by attention itself (theirs, or timm's ``AttentionPool2d``, as the
            ``head`` of its ``resnet50_clip``).
        width: channels of the maps.

    Raises:
        UserError: another kind of head, or one for maps of another width.
    """
    steps: list[Affine] = []
    pool: Any = getattr(head, "pool", head)
    if pool is not None:
        steps += _pooling(pool)
    if pool is not head:
        steps.append(_linear(getattr(head, "projection", None), head))
    if (taken := steps[0][0].shape[1]) != width:
        raise UserError(f"head: {type(head).__name__} takes maps of {taken} channels; the backbone's have {width}")
    weight, bias = steps[0]
    for next_weight, next_bias in steps[1:]:
        weight, bias = next_weight @ weight, next_weight @ bias + next_bias
    path = nn.Conv2d(width, len(weight), 1)
    path.weight.copy_(weight[:, :, None, None])
    path.bias.copy_(bias)  # type: ignore[union-attr]
    return path.eval().requires_grad_(False)


def _pooling(pool: Any) -> list[Affine]:
    """Return the value and output projections of an attention pool, the mean position within the former's bias."""
    if isinstance(attention := getattr(pool, "attention", None), nn.MultiheadAttention):
        place = pool.positions.double().mean(dim=(0, 2, 3))
        value = _third(attention.in_proj_weight, attention.in_proj_bias)
        return [_moved(value, place), _linear(attention.out_proj, pool)]
    if hasattr(pool, "qkv") and hasattr(pool, "proj"):
        value = _linear(pool.v, pool) if pool.qkv is None else _third(pool.qkv.weight, pool.qkv.bias)
        if isinstance(positions := pool.pos_embed, Tensor):  # (1 + cells, C): the first is the pooling token's
            value = _moved(value, positions[1:].double().mean(dim=0))
        return [value] if isinstance(pool.proj, nn.Identity) else [value, _linear(pool.proj, pool)]
    raise _unknown(pool)


def _third(weight: Tensor, bias: Tensor | None) -> Affine:
    """Return what makes the values, of a layer that makes queries, keys and values."""
    values = weight.double().chunk(3)[2]
    return values, values.new_zeros(len(values)) if bias is None else bias.double().chunk(3)[2]


def _linear(layer: Any, head: nn.Module) -> Affine:
    if not isinstance(layer, nn.Linear):
        raise _unknown(head)
    weight = layer.weight.double()
    return weight, weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.double()


def _moved(layer: Affine, place: Tensor) -> Affine:
    return layer[0], layer[1] + F.linear(place, layer[0])


def _unknown(head: nn.Module) -> UserError:
    return UserError(
        f"head: {type(head).__name__} has no linear path from a cell to its features; expected a contrastive head of "
        "ours or an attention pool of CLIP's ResNets"
    )
