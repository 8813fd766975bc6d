from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.heads.virtex import PRETEXTS, VirtexHead, backward, caption_lengths, virtex
from transferbench.text.batch import CaptionBatch
from transferbench.text.masking import mask_virtex

RESNET50 = 23_508_032
"""Parameters of ResNet-50 without its classifier."""
RESNET50_TENSORS, RESNET50_ENTRIES = 159, 318
"""Its parameter tensors, and entries of its state dict."""
TINY = "transdec_postnorm::L1_H8_A2_F16"


def head(pretext: str = "bicaptioning", **more: object) -> VirtexHead:
    return virtex(width=6, tokens=20, textual=TINY, pretext=pretext, length=7, mask=3, **{"dropout": 0.0, **more})


def published(sizes: str, pretext: str = "bicaptioning") -> VirtexHead:
    """A head at the paper's size, without memory."""
    with torch.device("meta"):
        return virtex(width=2048, tokens=10_000, textual=f"transdec_postnorm::{sizes}", pretext=pretext, mask=3)


def maps(count: int = 3) -> Tensor:
    return torch.randn(count, 6, 2, 2, requires_grad=True)


@pytest.mark.parametrize(
    ("sizes", "pretext", "count"),
    [
        ("L1_H512_A8_F2048", "bicaptioning", 38_111_568),
        ("L1_H768_A12_F3072", "bicaptioning", 51_699_792),
        ("L1_H1024_A16_F4096", "bicaptioning", 69_482_320),
        ("L1_H2048_A32_F8192", "bicaptioning", 182_555_472),
        ("L2_H1024_A16_F4096", "bicaptioning", 103_075_664),
        ("L3_H1024_A16_F4096", "bicaptioning", 136_669_008),
        ("L4_H1024_A16_F4096", "bicaptioning", 170_262_352),
        ("L1_H2048_A32_F8192", "captioning", 115_407_696),
        ("L1_H2048_A32_F8192", "masked_lm", 115_407_696),
    ],
)
def test_published_sizes_with_a_resnet50(sizes: str, pretext: str, count: int) -> None:
    assert RESNET50 + sum(p.numel() for p in published(sizes, pretext).parameters()) == count


def test_the_parts_of_the_published_head() -> None:
    made = published("L1_H1024_A16_F4096")
    layer = sum(p.numel() for p in made.textual.transformer.parameters())
    assert layer == 16_796_672
    assert sum(p.numel() for p in made.textual.parameters()) - layer == 12_380_944
    assert RESNET50_TENSORS + len(list(made.parameters())) == 202
    assert RESNET50_ENTRIES + len(made.state_dict()) == 370


def test_the_pattern_of_exempt_tensors_leaves_two_biases_to_decay() -> None:
    exempt = re.compile(r".*textual.(embedding|transformer).*(norm.*|bias)")
    names = [f"head.{name}" for name, _ in published("L1_H1024_A16_F4096").named_parameters()]
    assert len([name for name in names if exempt.match(name)]) == 26
    decayed = [name for name in names if name.endswith("bias") and not exempt.match(name)]
    assert decayed == ["head.textual.visual_projection.bias", "head.textual.output.bias"]


def test_lengths_count_unknown_pieces_of_a_cut_caption() -> None:
    tokens = torch.tensor([[1, 5, 0, 6, 2, 0], [1, 5, 6, 7, 8, 0], [1, 2, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    words = torch.tensor([[-1, 0, 1, 2, -1, -1], [-1, 0, 1, 2, 3, 4], [-1] * 6, [-1] * 6])
    text = CaptionBatch(tokens, words, words, torch.zeros(4, 0), torch.arange(4))
    lengths = caption_lengths(text, pad=0)
    assert lengths.tolist() == [5, 6, 2, 1]
    assert backward(tokens, lengths).tolist() == [
        [2, 6, 0, 5, 1, 0],
        [0, 8, 7, 6, 5, 1],
        [2, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_a_cut_caption_has_no_end_in_either_direction(captions: Callable[..., CaptionBatch]) -> None:
    text = captions([[(5, word, -1) for word in range(29)], [(5, word, -1) for word in range(28)]], 30)
    reverse = backward(text.tokens, caption_lengths(text, 0))
    assert (
        [(row == 2).any().item() for row in text.tokens]
        == [(row == 2).any().item() for row in reverse]
        == [False, True]
    )
    assert reverse[:, -1].tolist() == [1, 1] and reverse[1, 0] == 2


def test_the_losses_are_those_of_a_loop_over_tokens(three: CaptionBatch) -> None:
    made, images = head(), maps()
    losses = made(images, three)
    lengths = [6, 5, 4]
    for name, textual in (("captioning_forward", made.textual), ("captioning_backward", made.backward_textual)):
        told = []
        for row, length in enumerate(lengths):
            caption = three.tokens[row, :length]
            caption = caption if name.endswith("forward") else caption.flip(0)
            logits = textual(images[row : row + 1], caption[None], torch.tensor([length]))[0]
            told += [F.cross_entropy(logits[t], caption[t + 1]) for t in range(length - 1)]
        torch.testing.assert_close(losses[name], torch.stack(told).mean())
    assert list(losses) == ["captioning_forward", "captioning_backward"]
    assert list(head("captioning")(images, three)) == ["captioning_forward"]


def test_logits_of_zero_and_of_a_known_value(captions: Callable[..., CaptionBatch]) -> None:
    made = virtex(width=6, tokens=10_000, textual=TINY, length=7)
    for parameter in (made.textual.embedding.words.weight, made.textual.output.bias):
        nn.init.zeros_(parameter)
    text = captions([[(5, 0, -1), (9_999, 1, -1)], [(7, 0, -1)]])
    losses = made(maps(2), text)
    assert float(losses["captioning_forward"]) == pytest.approx(9.210340, abs=1e-5)
    assert float(sum(losses.values())) == pytest.approx(18.420681, abs=1e-5)


def test_targets_of_padding_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = virtex(width=6, tokens=4, textual=TINY, pretext="captioning", length=4)
    known = torch.tensor([[[0.0, 1, 0, 0], [0, 0, 2, 0], [9, -9, 3, 7], [0, 0, 0, 0]]])
    monkeypatch.setattr(made.textual, "decode", lambda *_: known)
    made.textual.output = nn.Identity()
    tokens = torch.tensor([[3, 1, 2, 0]])
    text = CaptionBatch(
        tokens, torch.full_like(tokens, -1), torch.full_like(tokens, -1), torch.zeros(1, 0), tokens[0, :1]
    )
    monkeypatch.setattr("transferbench.heads.virtex.caption_lengths", lambda *_: torch.tensor([4]))
    assert float(made(maps(1), text)["captioning_forward"]) == pytest.approx(0.542211, abs=1e-6)


def test_only_gaps_are_predicted(three: CaptionBatch) -> None:
    made, images = head("masked_lm"), maps()
    loss = made(images, three, torch.Generator().manual_seed(0))["masked_lm"]
    lengths = torch.tensor([6, 5, 4])
    seen, targets = mask_virtex(three.tokens[:, :6], lengths, 3, 20, generator=torch.Generator().manual_seed(0))
    gaps = (seen == 3).nonzero().tolist()
    assert len(gaps) == 3
    told = [F.cross_entropy(made.textual(images, seen, lengths)[row, t], targets[row, t]) for row, t in gaps]
    torch.testing.assert_close(loss, torch.stack(told).mean())


@pytest.mark.parametrize("pretext", PRETEXTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_without_targets_gives_zero_with_a_graph(
    pretext: str, dtype: torch.dtype, empty: CaptionBatch, three: CaptionBatch
) -> None:
    made, images = head(pretext), maps()
    nothing = empty._replace(tokens=empty.tokens.where(empty.tokens == 1, 0))
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        assert all(torch.isfinite(value) and value > 0 for value in made(images, three).values())
        losses = made(images[:2], nothing)
    sum(losses.values()).backward()
    assert all(value == 0 for value in losses.values())
    assert images.grad is not None and not images.grad.any()
    assert all(p.grad is not None and not p.grad.any() for p in made.parameters())


@pytest.mark.parametrize("pretext", PRETEXTS)
def test_one_batch_is_learned_by_heart(pretext: str, three: CaptionBatch) -> None:
    made, images = head(pretext), maps().detach()
    optimiser = torch.optim.Adam(made.parameters(), lr=0.03)
    first = {name: float(value) for name, value in made(images, three).items()}
    for _ in range(60):
        losses = made(images, three)
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    assert all(losses[name] < 0.5 * first[name] for name in losses)


def test_log_probabilities_of_the_next_token(three: CaptionBatch) -> None:
    made, images = head().eval(), maps(2).detach()
    prefixes = three.tokens[:2, :4].repeat_interleave(2, dim=0)
    found = made.log_probabilities(images, prefixes)
    assert found.shape == (4, 20) and torch.equal(found[0], found[1])
    torch.testing.assert_close(found.exp().sum(1), torch.ones(4))
    logits = made.textual(images, three.tokens[:2, :4], torch.tensor([4, 4]))[:, -1]
    torch.testing.assert_close(found[::2], logits.log_softmax(1).detach())


@pytest.mark.parametrize("pretext", ["captioning", "bicaptioning"])
def test_the_likelihood_of_a_caption_is_that_of_a_loop(pretext: str, three: CaptionBatch) -> None:
    made, images = head(pretext).eval(), maps().detach()
    found = made.caption_scores(images, three.tokens)
    for row, length in enumerate([6, 5, 4]):
        told = 0.0
        for textual in filter(None, (made.textual, made.backward_textual)):
            caption = three.tokens[row, :length]
            caption = caption if textual is made.textual else caption.flip(0)
            logits = textual(images[row : row + 1], caption[None], torch.tensor([length]))[0].log_softmax(1)
            told += sum(float(logits[t, caption[t + 1]]) for t in range(length - 1))
        assert float(found[row]) == pytest.approx(told, rel=1e-5)


def test_the_scores_of_a_gap_are_the_logits_there(three: CaptionBatch) -> None:
    made, images = head("masked_lm").eval(), maps().detach()
    position = torch.tensor([2, 1, 3])
    found = made.word_scores(images, three.tokens, position)
    logits = made.textual(images, three.tokens[:, :6], torch.tensor([6, 5, 4]))
    torch.testing.assert_close(found.logits, logits[torch.arange(3), position].detach())
    assert found.blind is None and found.attention is None


def test_gaps_want_a_tokeniser_that_hides() -> None:
    with pytest.raises(UserError, match=r"scale\.tokeniser=bpe"):
        virtex(width=6, tokens=20, textual=TINY, pretext="masked_lm")


def test_another_pretext_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"head\.pretext=colouring: expected one of bicaptioning, captioning, masked_lm"
    ):
        head("colouring")
