from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from transferbench.data import batched_photometric, photometric
from transferbench.data.batched_photometric import PARAMETERS, change, parameters
from transferbench.data.multicrop import change_one
from transferbench.data.recipe import Box, Recipe

BOX = Box(0, 0, 1, 1, 1.0)
NOTHING = Recipe(BOX, False, (), False, None, False)


def photos(count: int, size: int = 40) -> Tensor:
    """Return smooth colours with noise, (B, 3, size, size) uint8."""
    waves = torch.rand(count, 3, 2, 1, 1) * 0.4
    y, x = torch.arange(size)[:, None], torch.arange(size)[None]
    colour = 127 + 110 * torch.sin(waves[:, :, 0] * x + waves[:, :, 1] * y)
    return (colour + 9 * torch.randn(count, 3, size, size)).clamp(0, 255).to(torch.uint8)


def one_by_one(pixels: Tensor, recipes: list[Recipe]) -> Tensor:
    return torch.stack([torch.from_numpy(change_one(p.numpy(), r)) for p, r in zip(pixels, recipes)])


def batched(pixels: Tensor, recipes: list[Recipe], radius: float = 2.0) -> Tensor:
    return change(pixels, parameters(recipes), radius)


@pytest.mark.parametrize(("which", "low", "high"), [(0, 0.0, 2.0), (1, 0.0, 2.0), (2, 0.0, 2.0), (3, -0.5, 0.5)])
def test_each_change_of_the_jitter_has_each_crops_own_amount(which: int, low: float, high: float) -> None:
    pixels = torch.cat([photos(40), torch.randint(0, 256, (40, 3, 40, 40), dtype=torch.uint8)])
    recipes = [NOTHING._replace(jitter=((which, amount),)) for amount in torch.empty(80).uniform_(low, high).tolist()]
    difference = (batched(pixels, recipes).int() - one_by_one(pixels, recipes).int()).abs()
    assert difference.max() <= 1
    assert (difference == 0).float().mean() > 0.999


def test_all_orders_of_the_jitter() -> None:
    pixels = photos(1).expand(24, -1, -1, -1)
    amounts = (1.4, 0.6, 1.3, 0.09)
    recipes = [NOTHING._replace(jitter=tuple((w, amounts[w]) for w in order)) for order in permutations(range(4))]
    ours, theirs = batched(pixels, recipes), one_by_one(pixels, recipes)
    assert ((ours.int() - theirs.int()).abs() <= 1).float().mean() > 0.999
    assert len({tuple(crop.flatten().tolist()) for crop in ours}) == 24  # so that a confusion of orders would show


def test_some_changes_of_the_jitter_may_be_left_out() -> None:
    pixels = photos(3)
    recipes = [NOTHING._replace(jitter=j) for j in (((3, 0.1), (0, 1.3)), ((2, 1.2), (3, -0.1)), ((1, 0.7),))]
    assert ((batched(pixels, recipes).int() - one_by_one(pixels, recipes).int()).abs() <= 1).float().mean() > 0.999


@pytest.mark.parametrize("field", ["grayscale", "solarise"])
def test_switches_act_on_their_own_crops_alone(field: str) -> None:
    pixels = photos(6)
    recipes = [NOTHING._replace(**{field: bool(crop % 2)}) for crop in range(6)]
    ours = batched(pixels, recipes)
    assert torch.equal(ours, one_by_one(pixels, recipes))
    assert torch.equal(ours[::2], pixels[::2]) and not torch.equal(ours[1], pixels[1])


def test_blur_has_each_crops_own_radius() -> None:
    pixels, radii = photos(20), [None, *torch.linspace(0.1, 2.0, 19).tolist()]
    recipes = [NOTHING._replace(blur=radius) for radius in radii]
    ours = batched(pixels, recipes)
    difference = (ours.int() - one_by_one(pixels, recipes).int()).abs()
    assert difference.max() <= 3 and (difference <= 1).float().mean() > 0.99
    assert torch.equal(ours[0], pixels[0])
    assert torch.equal(batched(pixels, recipes, 0.0), pixels)
    reach = 2
    for radius, weights in zip(radii[1:], batched_photometric.kernels(torch.tensor(radii[1:]), reach)):
        expected = photometric.kernel(float(radius or 0))
        margin = (6 * reach + 1 - len(expected)) // 2
        assert np.allclose(weights, np.pad(expected, margin), atol=1e-6)


def random_recipe() -> Recipe:
    amounts = [*torch.empty(3).uniform_(0.6, 1.4).tolist(), float(torch.empty(1).uniform_(-0.1, 0.1))]
    chances = torch.rand(5).tolist()
    jitter = tuple((w, amounts[w]) for w in torch.randperm(4).tolist()) if chances[0] < 0.8 else ()
    return Recipe(BOX, False, jitter, chances[1] < 0.2, 2 * chances[2] if chances[3] < 0.5 else None, chances[4] < 0.2)


def test_nothing_drawn_changes_nothing_and_crops_do_not_mix() -> None:
    pixels, recipes = photos(48, 24), [random_recipe() for _ in range(48)]
    assert torch.equal(batched(pixels, [NOTHING] * 48), pixels)
    whole, order = batched(pixels, recipes), torch.randperm(48)
    assert torch.equal(batched(pixels[order], [recipes[crop] for crop in order]), whole[order])
    assert torch.equal(batched(pixels[7:8], recipes[7:8]), whole[7:8])
    difference = (whole.int() - one_by_one(pixels, recipes).int()).abs().float()
    assert (difference <= 1).float().mean() > 0.998 and difference.mean() < 0.2


def test_splitting_for_the_cache_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, recipes = photos(10, 24), [random_recipe() for _ in range(10)]
    whole = batched(pixels, recipes)
    monkeypatch.setattr(batched_photometric, "_CACHED", 3 * 24 * 24 * 3)
    assert torch.equal(batched(pixels, recipes), whole)


def test_no_value_is_fetched_from_the_device() -> None:
    # A tensor on "meta" has no values: whatever asks for one, as a branch or a copy to the host would, raises.
    pixels = torch.empty(5, 3, 24, 24, dtype=torch.uint8, device="meta")
    made = change(pixels, torch.empty(5, PARAMETERS, device="meta"), 2.0)
    assert made.shape == pixels.shape and made.dtype == torch.uint8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_crops() -> None:
    pixels, recipes = photos(64, 96), [random_recipe() for _ in range(64)]
    numbers = parameters(recipes).cuda()
    ours = change(pixels.cuda(), numbers, 2.0)
    with_sync_refused: Callable[[str], None] = torch.cuda.set_sync_debug_mode
    with_sync_refused("error")
    try:
        change(ours, numbers, 2.0)
    finally:
        with_sync_refused("default")
    difference = (ours.cpu().int() - one_by_one(pixels, recipes).int()).abs()
    assert (difference <= 2).float().mean() > 0.998
