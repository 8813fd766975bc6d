from __future__ import annotations

import pytest
import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.heads.textual import TextualHead, TextualShape, parse_shape

SMALL = TextualShape(False, 2, 8, 2, 16)


def head(shape: TextualShape = SMALL, causal: bool = True) -> TextualHead:
    return TextualHead(6, 20, shape, 7, 0, 0.0, causal)


def test_names_are_read() -> None:
    assert parse_shape("transdec_postnorm::L1_H1024_A16_F4096") == TextualShape(False, 1, 1024, 16, 4096)
    assert parse_shape("transdec_prenorm::L4_H512") == TextualShape(True, 4, 512, 8, 2048)
    assert parse_shape("transdec_postnorm::L2_H96_A3") == TextualShape(False, 2, 96, 3, 384)


@pytest.mark.parametrize(
    "name", ["L1_H1024", "transdec_postnorm::L1", "transdec_midnorm::L1_H64", "transdec_prenorm::L1_H64_A1_F64_"]
)
def test_another_name_is_explained(name: str) -> None:
    with pytest.raises(UserError, match="expected a name like transdec_postnorm::L1_H1024_A16_F4096"):
        parse_shape(name)


@pytest.mark.parametrize("sizes", ["L0_H64", "L1_H64_A3", "L1_H32", "L1_H64_A1_F0"])
def test_impossible_sizes_are_explained(sizes: str) -> None:
    with pytest.raises(UserError, match="A heads that divide the width H"):
        parse_shape(f"transdec_postnorm::{sizes}")


@pytest.mark.parametrize("prenorm", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_logits_are_those_of_each_caption_by_itself(prenorm: bool, causal: bool) -> None:
    textual = head(TextualShape(prenorm, 2, 8, 2, 16), causal)
    maps, tokens, lengths = torch.randn(3, 6, 2, 2), torch.randint(1, 20, (3, 7)), torch.tensor([7, 4, 1])
    logits = textual(maps, tokens, lengths)
    for row, length in enumerate(lengths):
        cells = textual.visual_projection(maps[row].flatten(1).T)[None]
        words = textual.embedding.words(tokens[row, :length]) + textual.embedding.positions.weight[:length]
        x = textual.embedding.norm(words)[None]
        mask = nn.Transformer.generate_square_subsequent_mask(int(length)) if causal else None
        for layer in textual.transformer.layers:
            x = layer(x, cells, tgt_mask=mask)
        x = textual.transformer.norm(x) if prenorm else x
        wanted = x[0] @ textual.embedding.words.weight.T + textual.output.bias
        torch.testing.assert_close(logits[row, :length], wanted)
    assert (textual.transformer.norm is not None) == prenorm


def test_a_token_sees_only_what_stands_before_it() -> None:
    maps, tokens, lengths = torch.randn(1, 6, 2, 2), torch.randint(1, 20, (1, 7)), torch.tensor([7])
    changed = tokens.clone()
    changed[0, 4] = (changed[0, 4] + 1) % 19 + 1
    for causal in (True, False):
        textual = head(causal=causal)
        moved = (textual(maps, tokens, lengths) - textual(maps, changed, lengths)).abs().amax(2)[0] > 1e-6
        assert moved.tolist() == [not causal] * 4 + [True] * 3
    assert not torch.allclose(textual(maps + 1, tokens, lengths), textual(maps, tokens, lengths), rtol=0, atol=1e-6)


def test_unknown_pieces_are_zero_and_the_end_of_a_caption_hides_what_follows() -> None:
    textual, maps = head(), torch.randn(2, 6, 2, 2)
    tokens = torch.tensor([[0, 5, 6, 0, 0], [7, 0, 8, 9, 2]])
    assert not textual.embedding(tokens)[tokens == 0].any()
    assert torch.isfinite(textual(maps, tokens, torch.tensor([3, 5]))).all()


def test_the_start() -> None:
    torch.manual_seed(0)
    textual = TextualHead(128, 300, TextualShape(False, 1, 64, 1, 256))
    drawn = {name: p.detach() for name, p in textual.named_parameters() if p.dim() > 1}
    assert len(drawn) == 9  # visual, words, positions, in and out of two attentions, two of the feed-forward part
    for name, p in drawn.items():
        assert float(p.std()) == pytest.approx(0.02 * (1024 / 64) ** 0.5, rel=0.1), name
        assert float(p.mean()) == pytest.approx(0, abs=0.002), name
    assert not textual.embedding.words.weight[0].any()
    assert textual.output.weight is textual.embedding.words.weight
    for bias, width in ((textual.output.bias, 64), (textual.visual_projection.bias, 128)):
        assert width**-0.5 * 0.9 < float(bias.detach().abs().max()) <= width**-0.5


def test_a_twin_shares_all_but_the_transformer() -> None:
    textual = head()
    twin = textual.twin()
    shared = {name for name, p in twin.named_parameters() if any(p is q for q in textual.parameters())}
    own = {name for name, _ in twin.named_parameters()} - shared
    assert own == {name for name in dict(twin.named_parameters()) if name.startswith("transformer.")}
    for name in own:
        assert torch.equal(twin.get_parameter(name), textual.get_parameter(name))
    assert twin.output.weight is textual.embedding.words.weight


def test_too_long_captions_are_refused() -> None:
    with pytest.raises(UserError, match=r"captions of 8 tokens: this head takes 7 at most; set head\.length"):
        head()(torch.randn(1, 6, 2, 2), torch.ones(1, 8, dtype=torch.int64), torch.tensor([8]))
