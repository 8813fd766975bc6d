"""Contrastive losses alone and over two processes, against closed forms and loops."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.heads.contrastive import (
    AttentionPool,
    ContrastiveHead,
    clip_head,
    clip_loss,
    gather_with_gradient,
    siglip_head,
    siglip_loss,
)
from transferbench.models.text_encoder import TextEncoder
from transferbench.text.batch import CaptionBatch

SHARES = slice(0, 2), slice(2, 4)
"""Pairs of each rank."""


def encoder(size: int = 20) -> TextEncoder:
    return TextEncoder(size, 16, layers=1, heads=2, length=8, embedding=5)


def pairs() -> tuple[Tensor, Tensor]:
    """Four images and four captions, in that order, of width 3."""
    generator = torch.Generator().manual_seed(3)
    images, texts = torch.randn(2, 4, 3, generator=generator, dtype=torch.double)
    return images, texts


def gradients(kind: str, share: slice) -> dict[str, Tensor]:
    """Return the loss of a share of the pairs, and its gradients."""
    images, texts = (x[share].float().requires_grad_() for x in pairs())
    scale, bias = torch.tensor(1.5, requires_grad=True), torch.tensor(-0.5, requires_grad=True)
    rows = F.normalize(images, dim=1), F.normalize(texts, dim=1)
    loss = clip_loss(*rows, scale.exp()) if kind == "clip" else siglip_loss(*rows, scale.exp(), bias)
    (loss + 0 * bias).backward()
    found = {"loss": loss.detach(), "images": images.grad, "texts": texts.grad, "scale": scale.grad, "bias": bias.grad}
    return {key: value for key, value in found.items() if value is not None}


def _found(number: int) -> dict[str, dict[str, Tensor]]:
    found = {kind: gradients(kind, SHARES[number]) for kind in ("clip", "siglip")}
    rows = pairs()[0][SHARES[number]].requires_grad_()
    gathered = gather_with_gradient(rows)
    (gathered * (number + 1)).sum().backward()
    found["gather"] = {"gathered": gathered.detach(), "gradient": rows.grad if rows.grad is not None else rows}
    return found


@pytest.fixture(scope="module")
def of_ranks(two_ranks: Callable[..., list[dict[str, dict[str, Tensor]]]]) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two ranks found."""
    return two_ranks(_found)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_two_ranks_are_one_with_the_joint_batch(kind: str, of_ranks: list[dict[str, dict[str, Tensor]]]) -> None:
    wanted, first, second = gradients(kind, slice(None)), *(ranks[kind] for ranks in of_ranks)
    for key in ("loss", "scale", "bias"):
        torch.testing.assert_close((first[key] + second[key]) / 2, wanted[key])
    for key in ("images", "texts"):  # the mean over ranks of a gradient that only one rank has
        torch.testing.assert_close(torch.cat([first[key], second[key]]) / 2, wanted[key])


def test_the_gradient_of_a_gather_is_what_all_ranks_have_for_it(of_ranks: list[dict[str, dict[str, Tensor]]]) -> None:
    for ranks in of_ranks:
        torch.testing.assert_close(ranks["gather"]["gathered"], pairs()[0])
        assert (ranks["gather"]["gradient"] == 3).all()
    rows = pairs()[0]
    assert gather_with_gradient(rows) is rows


def _validated(number: int) -> dict[str, Tensor]:
    with torch.no_grad():
        images, texts = (side[: 2 + number] for side in pairs())
        return {"clip": clip_loss(images, texts, 2.0), "siglip": siglip_loss(images, texts, 2.0, -1.0)}


def test_ranks_with_unequal_batches_validate_their_own(two_ranks: Callable[..., list[dict[str, Tensor]]]) -> None:
    for number, found in enumerate(two_ranks(_validated)):
        for kind, loss in _validated(number).items():
            torch.testing.assert_close(found[kind], loss)


def test_clip_loss_in_closed_form() -> None:
    one = torch.eye(2)
    assert float(clip_loss(one, one, 1.0)) == pytest.approx(0.313262, abs=1e-6)
    exact = math.log1p(math.exp(-1 / 0.07))
    assert float(clip_loss(one, one, 1 / 0.07)) == pytest.approx(exact, abs=5e-8)
    same = F.normalize(torch.ones(4, 3), dim=1)
    for scale in (1.0, 14.0, 100.0):
        assert float(clip_loss(same, same, scale)) == pytest.approx(math.log(4), abs=1e-5)


def test_siglip_loss_in_closed_form() -> None:
    one = torch.eye(2)
    assert float(siglip_loss(one, one, 1.0, 0.0)) == pytest.approx(1.006409, abs=1e-6)
    assert float(siglip_loss(one, one, 10.0, -10.0)) == pytest.approx(0.693193, abs=1e-6)


def test_the_losses_are_those_of_a_loop_over_pairs() -> None:
    images, texts = (F.normalize(x, dim=1) for x in pairs())
    cosines = [[float(i @ t) for t in texts] for i in images]
    rows = [-math.log(math.exp(3 * cosines[k][k]) / sum(math.exp(3 * c) for c in cosines[k])) for k in range(4)]
    columns = [-math.log(math.exp(3 * cosines[k][k]) / sum(math.exp(3 * r[k]) for r in cosines)) for k in range(4)]
    assert float(clip_loss(images, texts, 3.0)) == pytest.approx((sum(rows) + sum(columns)) / 8, rel=1e-5)
    told = [math.log1p(math.exp((-1 if i == t else 1) * (3 * cosines[i][t] - 1))) for i in range(4) for t in range(4)]
    assert float(siglip_loss(images, texts, 3.0, -1.0)) == pytest.approx(sum(told) / 4, rel=1e-5)


def test_embeddings_have_length_one(three: CaptionBatch) -> None:
    head, maps = clip_head(width=6, tokens=20, text=encoder()), torch.randn(3, 6, 2, 3)
    torch.testing.assert_close(
        head.embed_images(maps), F.normalize(maps.mean((2, 3)) @ head.projection.weight.T, dim=1)
    )
    torch.testing.assert_close(head.embed_images(maps.mean((2, 3))), head.embed_images(maps))
    torch.testing.assert_close(head.embed_text(three.tokens), F.normalize(head.text(three.tokens), dim=1))


@pytest.mark.parametrize("pool", ["average", "attention"])
def test_the_loss_of_a_head(pool: str, three: CaptionBatch) -> None:
    maps = torch.randn(3, 6, 2, 3)
    settings = {"width": 6, "tokens": 20, "text": encoder(), "pool": pool, "pool_grid": (2, 3), "pool_heads": 2}
    clip, siglip = clip_head(**settings), siglip_head(**settings)
    assert clip.logit_scale.item() == pytest.approx(2.659260, abs=1e-6) and clip.logit_bias is None
    assert float(siglip.logit_scale) == pytest.approx(math.log(10)) and float(siglip.logit_bias) == -10
    images, texts = clip.embed_images(maps), clip.embed_text(three.tokens)
    torch.testing.assert_close(clip(maps, three)["contrastive"], clip_loss(images, texts, 1 / 0.07))
    images = siglip.embed_images(maps)
    torch.testing.assert_close(siglip(maps, three)["contrastive"], siglip_loss(images, texts, 10.0, -10.0))
    for head in (clip, siglip):
        head(maps, three)["contrastive"].backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())


def test_losses_are_computed_in_float32_under_autocast(three: CaptionBatch, empty: CaptionBatch) -> None:
    head, maps = clip_head(width=6, tokens=20, text=encoder()), torch.randn(3, 6, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        images, texts = head.embed_images(maps), head.embed_text(three.tokens)
        loss = head(maps, three)["contrastive"]
        assert torch.isfinite(head(maps[:2], empty)["contrastive"])
    assert images.dtype == texts.dtype == loss.dtype == torch.float32
    assert torch.equal(loss, clip_loss(images, texts, head.logit_scale.exp()))


def test_attention_pooling_is_attention_of_the_mean() -> None:
    pool, maps = AttentionPool(6, 2, (2, 3)), torch.randn(2, 6, 2, 3)
    for row in range(2):
        cells = [maps[row, :, y, x] + pool.positions[0, :, y, x] for y in range(2) for x in range(3)]
        tokens = torch.stack([maps[row].mean((1, 2)) + pool.mean_position[0, 0], *cells])[None]
        wanted = pool.attention(tokens, tokens, tokens)[0][0, 0]
        torch.testing.assert_close(pool(maps)[row], wanted)
    assert pool(torch.randn(2, 6, 4, 4)).shape == (2, 6)


@pytest.mark.parametrize(("value", "wanted"), [(-3.0, 0.0), (7.0, 4.605170), (2.0, 2.0)])
def test_the_scale_is_clamped(value: float, wanted: float) -> None:
    head = clip_head(width=6, tokens=20, text=encoder())
    nn.init.constant_(head.logit_scale, value)
    head.clamp_scale()
    assert float(head.logit_scale) == pytest.approx(wanted, abs=1e-6)
    assert 1 <= float(head.logit_scale.exp()) <= 100.0001


def test_the_text_encoder_may_wait_for_the_number_of_tokens() -> None:
    text = functools.partial(TextEncoder, width=16, layers=1, heads=2, embedding=5)
    head = clip_head(width=6, tokens=30, text=text)
    assert isinstance(head.text, TextEncoder) and head.text.size == 30


def test_pairs_are_learned_by_heart(three: CaptionBatch) -> None:
    maps = torch.randn(3, 6, 2, 3)
    for head in (clip_head(width=6, tokens=20, text=encoder()), siglip_head(width=6, tokens=20, text=encoder())):
        optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
        losses = []
        for _ in range(40):
            optimiser.zero_grad()
            losses.append(head(maps, three)["contrastive"])
            losses[-1].backward()
            optimiser.step()
            head.clamp_scale()
        assert losses[-1] < 0.2 * losses[0]


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UserError, match=r"head\.pool=max: expected average or attention"):
        clip_head(width=6, tokens=20, text=encoder(), pool="max")
    with pytest.raises(UserError, match=r"head\.scale=0"):
        ContrastiveHead(6, encoder(), None, 0, None)
    with pytest.raises(UserError, match=r"head\.pool_heads=4: expected a divisor"):
        AttentionPool(6, 4, (2, 2))
    head = clip_head(width=6, tokens=20, text=encoder(), pool="attention", pool_heads=2)
    with pytest.raises(UserError, match="give it maps"):
        head.embed_images(torch.randn(2, 6))
