from __future__ import annotations

import pytest
import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.models.text_encoder import QuickGELU, TextEncoder


def small(**more: bool) -> TextEncoder:
    return TextEncoder(20, 16, layers=2, heads=2, length=8, embedding=6, **more)


def test_it_is_as_large_as_clips() -> None:
    with torch.device("meta"):
        encoder = TextEncoder(49_408)
    assert sum(p.numel() for p in encoder.parameters()) + 1 == 63_428_097  # the 1 is CLIP's logit scale


def test_a_caption_ends_at_its_first_end_token_or_its_last_piece() -> None:
    tokens = torch.tensor([[1, 5, 2, 0, 0], [1, 5, 6, 7, 8], [1, 2, 5, 2, 0], [1, 0, 6, 0, 0], [0, 0, 0, 0, 0]])
    assert small().last(tokens).tolist() == [2, 4, 1, 2, 0]


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_features_are_those_of_a_causal_transformer_at_the_end_token(quick_gelu: bool) -> None:
    encoder = small(quick_gelu=quick_gelu)
    tokens = torch.tensor([[1, 5, 7, 2, 0, 0], [1, 9, 2, 0, 0, 0], [1, 5, 6, 7, 8, 9]])
    features = encoder(tokens)
    for row, end in enumerate((3, 2, 5)):
        x = encoder.words(tokens[row]) + encoder.positions[:6]
        for layer in encoder.layers:
            y = layer.norm1(x)
            attention, weights, bias = layer.self_attn, layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias
            q, k, v = ((y @ w.T + b).view(6, 2, 8) for w, b in zip(weights.chunk(3), bias.chunk(3)))
            products = torch.einsum("qhd,khd->hqk", q, k) / 8**0.5
            products = products.masked_fill(torch.ones(6, 6).triu(1).bool(), float("-inf"))
            seen = torch.einsum("hqk,khd->qhd", products.softmax(2), v).flatten(1)
            x = x + attention.out_proj(seen)
            inner = layer.linear1(layer.norm2(x))
            active = inner * torch.sigmoid(1.702 * inner) if quick_gelu else nn.functional.gelu(inner)
            x = x + layer.linear2(active)
        torch.testing.assert_close(features[row], encoder.projection(encoder.norm(x[end])))


def test_what_follows_the_end_changes_nothing_and_evaluation_is_the_same() -> None:
    encoder, tokens = small(), torch.tensor([[1, 5, 7, 2, 0, 0], [1, 9, 8, 7, 2, 0]])
    features = encoder(tokens)
    torch.testing.assert_close(encoder(torch.tensor([[1, 5, 7, 2, 9, 9], [1, 9, 8, 7, 2, 3]])), features)
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(tokens), features)
        torch.testing.assert_close(encoder(tokens[:1]), features[:1])


def test_the_start() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(300, 64, layers=8, heads=2)
    widths = {
        "words.weight": 0.02,
        "positions": 0.01,
        "projection.weight": 0.125,
        "layers.3.self_attn.in_proj_weight": 0.125,
        "layers.3.self_attn.out_proj.weight": 0.125 / 4,
        "layers.3.linear1.weight": 128**-0.5,
        "layers.3.linear2.weight": 0.125 / 4,
    }
    for name, width in widths.items():
        assert float(encoder.get_parameter(name).detach().std()) == pytest.approx(width, rel=0.05), name
    assert not encoder.get_parameter("layers.3.linear1.bias").any()


def test_quick_gelu() -> None:
    x = torch.linspace(-4, 4, 50)
    torch.testing.assert_close(QuickGELU()(x), nn.functional.gelu(x), atol=0.025, rtol=0)
    assert float(QuickGELU()(torch.tensor(1.0))) == pytest.approx(0.845796, abs=1e-6)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UserError, match="captions of 9 tokens: this text encoder takes 8"):
        small()(torch.ones(1, 9, dtype=torch.int64))
    with pytest.raises(UserError, match=r"text\.width=10: expected a multiple of text\.heads=4"):
        TextEncoder(20, 10, heads=4)
