"""The value path against heads whose attention is the same everywhere, and against heads that pool by the mean."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.heads.contrastive import AttentionPool, ContrastiveHead
from transferbench.models.value_path import value_path


class Text(nn.Module):
    embedding = 6

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens


def head(pool: AttentionPool | None) -> ContrastiveHead:
    return ContrastiveHead(8, Text(), pool, 10.0, None)


def uniform_pool() -> AttentionPool:
    """Attention pooling whose keys are all the same, with biases of its own."""
    pool = AttentionPool(8, 2, (3, 4))
    with torch.no_grad():
        pool.attention.in_proj_bias.normal_()
        pool.attention.out_proj.bias.normal_()
        pool.attention.in_proj_weight[8:16] = 0
    return pool


def unit(features: Tensor) -> Tensor:
    return features / features.norm(dim=1, keepdim=True)


def test_equal_attention_pools_the_value_path() -> None:
    pool, maps = uniform_pool(), torch.randn(2, 8, 3, 4)
    with torch.no_grad():
        pool.mean_position.copy_(pool.positions.mean(dim=(2, 3))[:, None])  # so the added token is a mean of cells too
        found = value_path(head_ := head(pool), 8)(maps)
        assert found.shape == (2, 6, 3, 4)
        torch.testing.assert_close(unit(found.mean(dim=(2, 3))), head_.embed_images(maps), atol=1e-5, rtol=1e-5)


def test_a_constant_map_has_the_pooled_features_at_every_cell() -> None:
    pool = AttentionPool(8, 2, (3, 4))  # whose attention is equal because its tokens are
    with torch.no_grad():
        pool.mean_position.zero_()
        pool.positions.zero_()
        maps = torch.randn(2, 8, 1, 1).expand(2, 8, 5, 7)
        found = value_path(head_ := head(pool), 8)(maps)
        pooled = head_.embed_images(maps)
    torch.testing.assert_close(unit(found), pooled[:, :, None, None].expand(found.shape), atol=1e-5, rtol=1e-5)


def test_the_pool_alone_gives_what_it_pools() -> None:
    pool, maps = uniform_pool(), torch.randn(2, 8, 3, 4)
    with torch.no_grad():
        pool.mean_position.copy_(pool.positions.mean(dim=(2, 3))[:, None])
        torch.testing.assert_close(value_path(pool, 8)(maps).mean(dim=(2, 3)), pool(maps), atol=1e-5, rtol=1e-5)


def test_the_mean_of_a_mean_head_is_its_embedding() -> None:
    averaging, maps = head(None), torch.randn(2, 8, 3, 4)
    with torch.no_grad():
        found = value_path(averaging, 8)(maps)
        torch.testing.assert_close(found[:, :, 1, 2], averaging.projection(maps[:, :, 1, 2]), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(unit(found.mean(dim=(2, 3))), averaging.embed_images(maps), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("features", [5, 0])
def test_timm_s_attention_pool(separate: bool, features: int) -> None:
    from timm.layers import AttentionPool2d

    pool = AttentionPool2d(8, (3, 4), features, head_dim=4, qkv_separate=separate).eval()
    maps = torch.randn(2, 8, 3, 4)
    with torch.no_grad():
        pool.pos_embed[0] = pool.pos_embed[1:].mean(dim=0)
        for keys in (pool.k.weight, pool.k.bias) if separate else (pool.qkv.weight[8:16], pool.qkv.bias[8:16]):
            keys.zero_()
        found = value_path(pool, 8)(maps)
        torch.testing.assert_close(found.mean(dim=(2, 3)), pool(maps), atol=1e-5, rtol=1e-5)
    assert found.shape[1] == (features or 8)


def test_timm_s_rotary_pool_adds_no_positions() -> None:
    from timm.layers import RotAttentionPool2d

    pool = RotAttentionPool2d(8, 5, head_dim=4).eval()
    maps = torch.randn(2, 8, 1, 1).expand(2, 8, 7, 7)
    with torch.no_grad():
        pool.qkv.weight[8:16] = 0
        pool.qkv.bias[8:16] = 0
        torch.testing.assert_close(value_path(pool, 8)(maps)[:, :, 3, 3], pool(maps), atol=1e-5, rtol=1e-5)


def test_heads_without_a_linear_path_are_refused(modules: SimpleNamespace) -> None:
    with pytest.raises(UserError, match="head: Sequential has no linear path"):
        value_path(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), 8)
    with pytest.raises(UserError, match="takes maps of 8 channels; the backbone's have 16"):
        value_path(head(uniform_pool()), 16)
    assert value_path(modules.tiny_clip().head, 128).out_channels == 24
