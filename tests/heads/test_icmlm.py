from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.heads.icmlm import Icmlm, icmlm_attfc, icmlm_tfm
from transferbench.heads.tags import TagHead
from transferbench.models.language import MaskedLanguageModel
from transferbench.text.batch import CaptionBatch
from transferbench.text.masking import mask_every_word, mask_one_word

Make = Callable[..., Icmlm]


def tfm(language: MaskedLanguageModel, **more: object) -> Icmlm:
    return icmlm_tfm(
        width=6, classes=5, language=language, heads=2, **{"visual_positions": (2, 3), "dropout": 0.0, **more}
    )


def attfc(language: MaskedLanguageModel, **more: object) -> Icmlm:
    return icmlm_attfc(width=6, classes=5, language=language, common=8, **more)


BOTH = pytest.mark.parametrize("make", [tfm, attfc])


def maps() -> Tensor:
    return torch.randn(3, 6, 2, 3, requires_grad=True)


@BOTH
def test_the_losses_are_those_of_the_hidden_words(
    make: Make, language: MaskedLanguageModel, three: CaptionBatch
) -> None:
    head, images = make(language, tag_weight=0.5), maps()
    losses = head(images, three, torch.Generator().manual_seed(4))
    hidden = mask_one_word(three.tokens, three.words, three.concepts, language.mask, torch.Generator().manual_seed(4))
    assert hidden.valid.tolist() == [True, True, False]
    scores = head.word_scores(images, hidden.tokens, hidden.position.clamp(min=0))
    for name, logits in (("masked_word", scores.logits), ("blind", scores.blind)):
        wanted = nn.functional.cross_entropy(logits[:2], hidden.target[:2])
        torch.testing.assert_close(losses[name].detach(), wanted)
    assert isinstance(head.tags, TagHead)
    torch.testing.assert_close(losses["tags"], head.tags(images, three)["tags"] / 2)
    assert list(make(language, tag_weight=0)(images, three)) == ["masked_word", "blind"]


@BOTH
def test_the_language_model_is_frozen_and_awake_to_nothing(
    make: Make, language: MaskedLanguageModel, three: CaptionBatch
) -> None:
    head = nn.ModuleDict({"head": make(language)}).train()["head"]
    assert head.training and not any(module.training for module in language.modules())
    images = maps()
    losses = head(images, three, torch.Generator().manual_seed(0))
    assert losses == head(images, three, torch.Generator().manual_seed(0))
    sum(losses.values()).backward()
    assert all(p.grad is None and not p.requires_grad for p in language.parameters())
    assert all(p.grad is not None for p in head.parameters() if p.requires_grad)
    assert images.grad is not None and images.grad[:2].any()


@BOTH
def test_the_blind_classifier_moves_nothing_but_itself(
    make: Make, language: MaskedLanguageModel, three: CaptionBatch
) -> None:
    head, images = make(language), maps()
    head(images, three)["blind"].backward()
    moved = [name for name, p in head.named_parameters() if p.grad is not None]
    assert images.grad is None and moved and all(name.startswith("blind.") for name in moved)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_without_concepts_gives_zero_with_a_graph(
    make: Make, dtype: torch.dtype, language: MaskedLanguageModel, empty: CaptionBatch, three: CaptionBatch
) -> None:
    head, images = make(language), maps()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        assert all(torch.isfinite(value) and value > 0 for value in head(images, three).values())
        losses = head(images[:2], empty)
    assert [float(value) for value in losses.values()] == [0, 0, 0]
    sum(losses.values()).backward()
    assert all(not p.grad.any() for p in head.parameters() if p.requires_grad)


@BOTH
def test_every_hidden_word_has_scores_and_an_attention(
    make: Make, language: MaskedLanguageModel, three: CaptionBatch
) -> None:
    head, images = make(language).eval(), maps()
    every = mask_every_word(three.tokens, three.words, three.concepts, language.mask)
    scores = head.word_scores(images[every.row], every.tokens, every.position)
    assert scores.logits.shape == scores.blind.shape == (3, 5) and scores.attention.shape == (3, 2, 3)
    torch.testing.assert_close(scores.attention.sum((1, 2)), torch.ones(3))
    assert not scores.logits.requires_grad
    others = head.word_scores(images[every.row].flip(0) + 1, every.tokens, every.position)
    assert torch.equal(others.blind, scores.blind) and not torch.allclose(others.logits, scores.logits)


def test_moved_cells_change_no_score(language: MaskedLanguageModel, three: CaptionBatch) -> None:
    images, order = maps(), torch.tensor([3, 0, 5, 1, 4, 2])
    moved = images.flatten(2)[:, :, order].view_as(images)
    every = mask_every_word(three.tokens, three.words, three.concepts, language.mask)
    for head in (tfm(language, visual_positions=None), attfc(language)):
        scores, again = (head.eval().word_scores(x[every.row], every.tokens, every.position) for x in (images, moved))
        torch.testing.assert_close(again.logits, scores.logits)
        torch.testing.assert_close(again.attention.flatten(1), scores.attention.flatten(1)[:, order])


def test_pieces_instead_of_concepts(language: MaskedLanguageModel, three: CaptionBatch) -> None:
    head, images = attfc(language, output="pieces", tag_weight=0), maps()
    hidden = mask_one_word(three.tokens, three.words, three.concepts, language.mask, torch.Generator().manual_seed(1))
    scores = head.word_scores(images, hidden.tokens, hidden.position.clamp(min=0))
    ids = three.tokens[torch.arange(2), hidden.position[:2]]
    assert scores.logits.shape == (3, 20) and int(ids[1]) == 9
    loss = head(images, three, torch.Generator().manual_seed(1))["masked_word"]
    torch.testing.assert_close(loss.detach(), nn.functional.cross_entropy(scores.logits[:2], ids))


@BOTH
def test_the_loss_falls_where_only_the_image_tells_the_word(
    make: Make, language: MaskedLanguageModel, captions: Callable[..., CaptionBatch]
) -> None:
    torch.manual_seed(1)
    words = torch.arange(5).repeat(4)
    text = captions([[(5, 0, -1), (10 + int(word), 1, int(word))] for word in words])
    images = 0.1 * torch.randn(20, 6, 2, 3)
    images[torch.arange(20), words, torch.arange(20) % 2, torch.arange(20) % 3] += 4
    head = make(language, tag_weight=0)
    optimiser = torch.optim.Adam([p for p in head.parameters() if p.requires_grad], lr=0.01)
    for _ in range(60):
        losses = head(images, text)
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    assert losses["masked_word"] < 0.4 < 1.5 < losses["blind"]


def test_wrong_values_are_said(language: MaskedLanguageModel) -> None:
    with pytest.raises(UserError, match=r"head\.output=words: expected one of concepts, pieces"):
        attfc(language, output="words")
    with pytest.raises(UserError, match=r"head\.tag_weight=-1"):
        tfm(language, tag_weight=-1)
