from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.heads.fusion import AttentionFusion, EncoderLayer, TransformerFusion, attend

FUSIONS = {
    "tfm": lambda: TransformerFusion(6, 8, 2, 2, 16, None, 0.0),
    "att+fc": lambda: AttentionFusion(6, 8, 10, True, None),
}


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Maps, vectors, positions and padding of three captions."""
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 4 + [True]])
    return torch.randn(3, 6, 2, 3), torch.randn(3, 5, 8), torch.tensor([4, 1, 2]), padding


def test_scaled_dot_attention() -> None:
    found = attend(torch.tensor([[1.0, 0.0]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), 1 / math.sqrt(2))
    assert found[0].tolist() == pytest.approx([0.669762, 0.330238], abs=1e-6)


def test_a_layer_is_torchs_own_and_as_large_as_one_of_bert() -> None:
    theirs = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True)
    ours = EncoderLayer(8, 2, 16, 0.0)
    ours.load_state_dict(theirs.state_dict())
    _, tokens, _, padding = inputs()
    wanted = theirs(tokens, src_key_padding_mask=padding)
    found, attention = ours(tokens[:, 1:3], tokens, padding, attention=True)
    torch.testing.assert_close(found, wanted[:, 1:3])
    torch.testing.assert_close(attention.sum(2), torch.ones(3, 2))
    assert not attention[1, :, 3:].any()
    with torch.device("meta"):
        assert sum(p.numel() for p in EncoderLayer(768, 12, 3072, 0.1).parameters()) == 7_087_872


def test_the_transformer_is_a_plain_encoder_over_cells_and_tokens() -> None:
    fusion = TransformerFusion(6, 8, 2, 2, 16, (2, 3), 0.0)
    maps, hidden, position, padding = inputs()
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True)
    plain = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    plain.load_state_dict({f"layers.{key}": value for key, value in fusion.layers.state_dict().items()})
    for row in range(3):
        seen = [hidden[row, t] for t in range(5) if not padding[row, t]]
        cells = [
            fusion.norm(fusion.project(maps[row, :, y, x]) + fusion.positions[0, :, y, x])
            for y in range(2)
            for x in range(3)
        ]
        wanted = plain(torch.stack(cells + seen)[None])[0, 6 + position[row]]
        found = fusion(maps, hidden, position, padding).vector[row]
        torch.testing.assert_close(found, wanted)


def test_positions_stretch_to_maps_of_another_size() -> None:
    fusion = TransformerFusion(6, 8, 1, 2, 16, (2, 3), 0.0)
    _, hidden, position, padding = inputs()
    assert fusion(torch.randn(3, 6, 5, 4), hidden, position, padding, attention=True).attention.shape == (3, 5, 4)


def test_attention_pools_the_maps_themselves() -> None:
    fusion = AttentionFusion(6, 8, 10, False, 0.5)
    maps, hidden, position, padding = inputs()
    fused = fusion(maps, hidden, position, padding, attention=True)
    for row in range(3):
        query = fusion.query(hidden[row, position[row]])
        products = torch.stack([query @ fusion.key(maps[row, :, y, x]) for y in range(2) for x in range(3)])
        weights = (products / 0.5).exp() / (products / 0.5).exp().sum()
        torch.testing.assert_close(fused.attention[row].flatten(), weights)
        torch.testing.assert_close(fused.vector[row], maps[row].flatten(1) @ weights)


@pytest.mark.parametrize("kind", list(FUSIONS))
def test_moved_cells_move_the_attention_and_nothing_else(kind: str) -> None:
    fusion = FUSIONS[kind]()
    maps, hidden, position, padding = inputs()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    fused = fusion(maps, hidden, position, padding, attention=True)
    moved = fusion(maps.flatten(2)[:, :, order].view_as(maps), hidden, position, padding, attention=True)
    torch.testing.assert_close(moved.vector, fused.vector)
    torch.testing.assert_close(moved.attention.flatten(1), fused.attention.flatten(1)[:, order])
    torch.testing.assert_close(fused.attention.sum((1, 2)), torch.ones(3))
    assert fusion(maps, hidden, position, padding).attention is None


def test_impossible_widths_are_said() -> None:
    with pytest.raises(UserError, match="heads that divide the language model's width, 8"):
        TransformerFusion(6, 8, 1, 3, 16, None, 0.0)
    with pytest.raises(UserError, match=r"head\.temperature=0"):
        AttentionFusion(6, 8, 10, True, 0)
