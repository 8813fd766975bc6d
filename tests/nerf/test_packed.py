"""Packed rendering against the padded one, a naive product under autograd, and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transferbench.nerf import rendering
from transferbench.nerf.packed import along_rays, before, concatenated, pack, weights

COUNTS = torch.tensor([0, 5, 1, 0, 0, 17, 3, 0])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_rays(flat: Tensor, counts: Tensor = COUNTS) -> list[Tensor]:
    return list(flat.split(counts.tolist()))


def naive(density: Tensor, lengths: Tensor, counts: Tensor = COUNTS) -> Tensor:
    """The product of transparencies of each ray, in loops that autograd can follow."""
    found = []
    for some, long in zip(of_rays(density, counts), of_rays(lengths, counts)):
        clear = torch.ones((), dtype=density.dtype)
        for sigma, delta in zip(some, long):
            alpha = 1 - torch.exp(-sigma * delta)
            found.append(clear * alpha)
            clear = clear * (1 - alpha)
    return torch.stack(found) if found else density


def test_weights_and_gradients_are_those_of_the_naive_product() -> None:
    density, lengths = (4 * random(26)).requires_grad_(), random(26, seed=1).requires_grad_()
    upstream = random(26, seed=2) - 0.5
    share, _ = weights(density, lengths, COUNTS)
    torch.testing.assert_close(share, naive(density, lengths))
    ours = torch.autograd.grad((share * upstream).sum(), (density, lengths))
    theirs = torch.autograd.grad((naive(density, lengths) * upstream).sum(), (density, lengths))
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(lambda d, x: weights(d, x, COUNTS)[0], (density, lengths))


def test_weights_are_those_of_padded_rays() -> None:
    density, lengths = 9 * random(26), random(26, seed=1)
    share, clear = weights(density, lengths, COUNTS)
    for some, long, own, seen in zip(of_rays(density), of_rays(lengths), of_rays(share), of_rays(clear)):
        if len(some):
            expected, transmittance = rendering.weights(some[None], long[None])
            torch.testing.assert_close(own, expected[0])
            torch.testing.assert_close(seen, transmittance[0])


def test_unit_density_on_the_unit_interval_agrees_with_nerfacc() -> None:
    share, _ = weights(torch.ones(8), torch.full((8,), 0.25), torch.tensor([4, 0, 4]))
    expected = torch.tensor([0.221199, 0.172270, 0.134164, 0.104487])
    torch.testing.assert_close(share, expected.repeat(2), rtol=0, atol=1e-6)


def test_weights_and_what_is_left_sum_to_one_and_a_split_interval_changes_nothing() -> None:
    density, lengths = 3 * random(26), random(26, seed=1)
    share, clear = weights(density, lengths, COUNTS)
    last = COUNTS.cumsum(0)[COUNTS > 0] - 1
    left = clear[last] * torch.exp(-density[last] * lengths[last])
    ray = torch.arange(8).repeat_interleave(COUNTS)
    torch.testing.assert_close(along_rays(share, None, ray, 8)[COUNTS > 0, 0] + left, torch.ones(4).double())
    assert (along_rays(share, None, ray, 8)[COUNTS == 0] == 0).all()
    place = 2  # of the second ray
    halves = torch.cat([lengths[:place], lengths[place : place + 1].repeat(2) * torch.tensor([0.3, 0.7]), lengths[3:]])
    twice = torch.cat([density[: place + 1], density[place:]])
    again, after = weights(twice, halves, COUNTS + torch.tensor([0, 1, 0, 0, 0, 0, 0, 0]))
    torch.testing.assert_close(again[place] + again[place + 1], share[place])
    torch.testing.assert_close(after[place + 2 :], clear[place + 1 :])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("huge", [1e13, float("inf")])
def test_an_opaque_ray_leaves_those_behind_it_in_the_row_alone(dtype: torch.dtype, huge: float) -> None:
    counts = torch.tensor([100, 3, 0, 2])
    density = torch.cat([torch.full((100,), huge), torch.tensor([0.01, 0.0, 2.0, 1e-4, 1e-3])]).to(dtype)
    density.requires_grad_()
    share, clear = weights(density, torch.ones(105, dtype=dtype), counts)
    expected = rendering.weights(density[100:103].detach()[None], torch.ones(1, 3, dtype=dtype))
    tolerance = {"rtol": 1e-6, "atol": 1e-7}
    torch.testing.assert_close(share[100:103], expected[0][0], **tolerance)
    torch.testing.assert_close(clear[103:], torch.tensor([1.0, 0.9999], dtype=dtype), rtol=0, atol=1e-7)
    assert share[0] == 1 and (share[1:100] == 0).all()
    share.sum().backward()
    assert density.grad is not None and torch.isfinite(density.grad).all()
    torch.testing.assert_close(density.grad[104], torch.exp(torch.tensor(-1.1e-3, dtype=dtype)), **tolerance)


def test_no_density_gives_no_weight_and_its_gradient_is_the_transmittance_s() -> None:
    density = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    share, clear = weights(density, torch.tensor([0.5, 1, 2, 3]).double(), torch.tensor([3, 1]))
    assert (share == 0).all() and (clear == 1).all()
    share.sum().backward()
    assert density.grad is not None
    torch.testing.assert_close(density.grad, torch.tensor([0.5, 1, 2, 3]).double())


def test_sums_before_a_sample_keep_small_numbers_behind_many() -> None:
    values = torch.cat([torch.full((1_000_000,), 3.0), torch.full((1000,), 1e-3)])
    found = before(values, torch.tensor([1_000_000, 0, 1000]))
    torch.testing.assert_close(found[-1000:], torch.arange(1000) * 1e-3, rtol=1e-5, atol=1e-8)
    assert found[0] == 0 and found[1_000_000] == 0 and found.dtype == torch.float32
    wanted = torch.cat([row.cumsum(0) - row for row in of_rays(random(26))])
    torch.testing.assert_close(before(random(26), COUNTS), wanted)


def test_rays_without_any_sample() -> None:
    none, counts = torch.zeros(0), torch.zeros(3, dtype=torch.int64)
    share, clear = weights(none, none, counts)
    assert len(share) == len(clear) == 0
    assert torch.equal(along_rays(share, torch.zeros(0, 2), counts[:0], 3), torch.zeros(3, 2))
    assert len(before(none, counts[:0])) == 0


def test_what_is_kept_is_packed_ray_after_ray() -> None:
    edges = torch.tensor([[0.0, 1, 2, 4], [5, 6, 7, 8], [1, 2, 3, 4]])
    kept = torch.tensor([[True, False, True], [False] * 3, [True, True, True]])
    packed = pack(kept, edges)
    assert packed.ray.tolist() == [0, 0, 2, 2, 2] and packed.counts.tolist() == [2, 0, 3]
    assert packed.near.tolist() == [0, 2, 1, 2, 3] and packed.far.tolist() == [1, 4, 2, 3, 4]
    assert packed.middle.tolist() == [0.5, 3, 1.5, 2.5, 3.5]


def test_rays_in_another_order_give_their_sums_in_that_order() -> None:
    density, lengths, values = 3 * random(26), random(26, seed=1), random(26, 4, seed=2)
    order = torch.tensor([5, 0, 6, 7, 1, 3, 2, 4])
    ray = torch.arange(8).repeat_interleave(COUNTS)
    whole = along_rays(weights(density, lengths, COUNTS)[0], values, ray, 8)
    place = torch.cat([torch.nonzero(ray == one)[:, 0] for one in order])
    share, _ = weights(density[place], lengths[place], COUNTS[order])
    again = along_rays(share, values[place], torch.arange(8).repeat_interleave(COUNTS[order]), 8)
    torch.testing.assert_close(again, whole[order])


def test_parts_follow_one_another() -> None:
    generator = torch.Generator().manual_seed(3)
    edges, kept = torch.rand(9, 6, generator=generator), torch.rand(9, 5, generator=generator) > 0.6
    kept[3:5] = False  # a part without any sample
    whole = pack(kept, edges)
    cut = [pack(kept[some], edges[some]) for some in (slice(0, 3), slice(3, 5), slice(5, 9))]
    for one, other in zip(concatenated(cut), whole, strict=True):
        assert torch.equal(one, other)
    assert concatenated(cut[:1]) is cut[0]


def test_autocast_does_not_round_weights_and_sums() -> None:
    density, lengths, values = 3 * random(26).float(), random(26, seed=1).float(), random(26, 4, seed=2).float()
    ray = torch.arange(8).repeat_interleave(COUNTS)

    def found() -> list[Tensor]:
        share, clear = weights(density, lengths, COUNTS)
        return [share, clear, along_rays(share, values, ray, 8)]

    plain = found()
    with torch.autocast("cpu", torch.bfloat16):
        again = found()
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))
