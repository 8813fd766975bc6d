import math
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy import stats
from torchvision import transforms
from torchvision.transforms import functional

from transferbench.data.batched_photometric import PARAMETERS
from transferbench.data.multicrop import MultiCrop, cut, make_crop
from transferbench.data.recipe import NUMBERS_PER_CROP, Box, Recipe, View, draw_box, draw_recipe
from transferbench.errors import UserError

rng = np.random.default_rng(0)
TREX: dict[str, dict[str, Any]] = {
    "global": {"count": 1, "size": 224, "scale": [0.25, 1.0], "blur": 0.2, "solarise": 0.2},
    "local": {"count": 8, "size": 96, "scale": [0.05, 0.25], "blur": 0.5},
}


def picture(width: int = 60, height: int = 45) -> Image.Image:
    waves = rng.uniform(0, 0.4, (3, 2))
    y, x = np.mgrid[:height, :width]
    colour = np.stack([127 + 100 * np.sin(a * x + b * y) for a, b in waves], axis=2)
    return Image.fromarray((colour + rng.normal(0, 9, colour.shape)).clip(0, 255).astype(np.uint8))


def by_torchvision(image: Image.Image, size: int, recipe: Recipe) -> torch.Tensor:
    box = recipe.box
    image = functional.resized_crop(
        image, box.top, box.left, box.height, box.width, [size, size], transforms.InterpolationMode.BICUBIC
    )
    if recipe.flip:
        image = functional.hflip(image)
    for which, amount in recipe.jitter:
        image = (
            functional.adjust_brightness,
            functional.adjust_contrast,
            functional.adjust_saturation,
            functional.adjust_hue,
        )[which](image, amount)
    if recipe.grayscale:
        image = functional.to_grayscale(image, 3)
    if recipe.blur is not None:
        image = image.filter(ImageFilter.GaussianBlur(recipe.blur))
    if recipe.solarise:
        image = functional.solarize(image, 128)
    return functional.pil_to_tensor(image)


def plain(box: Box, flip: bool = False) -> Recipe:
    return Recipe(box, flip, (), False, None, False)


def test_cut_out_and_resized_within_a_level_of_pillow() -> None:
    differences = []
    for width, height in [(64, 64), (60, 45), (30, 90), (24, 24), (200, 150)] * 8:
        image = picture(width, height)
        box = draw_box(width, height, View(1, 24, (0.05, 1.0)), rng.random(22).tolist())
        recipe = plain(box, bool(rng.integers(2)))
        difference = cut(np.asarray(image), 24, recipe).int() - by_torchvision(image, 24, recipe).int()
        differences.append(difference)
    everywhere = torch.stack(differences)
    assert everywhere.abs().max() <= 1
    assert (everywhere == 0).float().mean() > 0.93
    image = picture(24, 24)
    for flip in (False, True):
        whole = plain(Box(0, 0, 24, 24, 1.0), flip)
        assert torch.equal(cut(np.asarray(image), 24, whole), by_torchvision(image, 24, whole))


def test_a_crop_is_that_of_the_same_steps_in_torchvision() -> None:
    view = View(1, 24, (0.05, 1.0), blur=0.5, solarise=0.5)
    done: Counter[str] = Counter()
    ours, theirs, bright = [], [], []
    for width, height in [(64, 64), (60, 45), (30, 90), (24, 24)] * 60:
        image = picture(width, height)
        recipe = draw_recipe(width, height, view, rng.random(NUMBERS_PER_CROP).tolist())
        ours.append(make_crop(np.asarray(image), 24, recipe).float())
        theirs.append(by_torchvision(image, 24, recipe).float())
        bright.append(recipe.solarise)
        done.update(field for field in ("flip", "jitter", "grayscale", "blur", "solarise") if getattr(recipe, field))
    assert min(done[f] for f in ("flip", "jitter", "grayscale", "blur", "solarise")) > 10
    mine, other, inverted = torch.stack(ours), torch.stack(theirs), torch.tensor(bright)
    difference = (mine - other).abs()
    assert difference[~inverted].mean() < 0.8
    assert (difference[~inverted] <= 2).float().mean() > 0.95
    assert difference.mean() < 1.0  # a level more or less at 128 is a far way when solarised
    assert (difference <= 2).float().mean() > 0.94
    assert ((mine.mean((0, 2, 3)) - other.mean((0, 2, 3))).abs() < 0.25).all()
    assert ((mine.std((0, 2, 3)) - other.std((0, 2, 3))).abs() < 0.25).all()


def test_cut_and_finished_crops_are_those_of_a_call() -> None:
    crops, images = MultiCrop(TREX), [picture(60, 45), picture(50, 70), picture(96, 96), picture(224, 224)]
    whole, halves = [], []
    for seed, image in enumerate(images * 2):
        torch.manual_seed(seed)
        whole.append(crops(image))
        torch.manual_seed(seed)
        halves.append(crops.cut(image))
    assert [tuple(part.shape) for part in halves[0][:2]] == [(3, 224, 224), (3, 96, 96)]
    assert halves[0][-1].shape == (9, PARAMETERS)
    finished = crops.finish([torch.stack(parts) for parts in zip(*halves)])
    assert len(finished) == 9
    for one, other in zip(finished, [torch.stack(parts) for parts in zip(*whole)]):
        assert one.dtype == torch.uint8 and one.shape == other.shape
        difference = (one.int() - other.int()).abs()
        assert (difference <= 1).float().mean() > 0.998
        assert difference.float().mean() < 0.15


@pytest.mark.parametrize(
    ("size", "scale"), [((64, 64), (0.25, 1.0)), ((500, 375), (0.05, 0.25)), ((60, 200), (0.4, 1.0))]
)
def test_boxes_are_distributed_as_torchvisions(size: tuple[int, int], scale: tuple[float, float]) -> None:
    view = View(1, 8, scale)
    numbers = torch.rand(4000, 22).tolist()
    ours = np.array([draw_box(*size, view, row)[:4] for row in numbers])
    blank = Image.new("RGB", size)
    drawn = [transforms.RandomResizedCrop.get_params(blank, list(scale), [3 / 4, 4 / 3]) for _ in range(4000)]
    theirs = np.array([(left, top, width, height) for top, left, height, width in drawn])
    for column in range(4):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-4
    products = (ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3])
    assert stats.ks_2samp(*products).pvalue > 1e-4


@pytest.mark.parametrize("size", [(10, 100), (100, 10), (40, 37), (1, 50), (50, 1)])
def test_the_box_after_ten_failures_equals_torchvisions(size: tuple[int, int]) -> None:
    # A share of twice the area can never be cut out, so both fall back to the centre.
    ours = draw_box(*size, View(1, 8, (2.0, 2.0)), [0.5] * 22)
    top, left, height, width = transforms.RandomResizedCrop.get_params(Image.new("RGB", size), [2, 2], [3 / 4, 4 / 3])
    assert ours == (left, top, max(1, width), max(1, height), 1.0)


@pytest.mark.parametrize(
    ("scale", "mean"), [((0.25, 1.0), 0.625), ((0.05, 0.25), 0.15), ((0.4, 1.0), 0.7), ((0.05, 0.4), 0.225)]
)
def test_mean_of_the_share_asked_for(scale: tuple[float, float], mean: float) -> None:
    # From an image so wide and high that the first box nearly always fits, but for shares close to one.
    view = View(1, 8, scale, ratio=(1.0, 1.0))
    shares = [draw_box(1000, 1000, view, row).share for row in torch.rand(4000, 22).tolist()]
    deviation = (scale[1] - scale[0]) / math.sqrt(12 * len(shares))
    assert abs(np.mean(shares) - mean) < 4 * deviation
    assert scale[0] <= min(shares) <= max(shares) <= scale[1]


def test_rates_lie_within_four_deviations() -> None:
    crops = MultiCrop(TREX)
    recipes = [crops.draw(64, 64) for _ in range(4000)]
    for kind, rows, blur, solarise in (
        ("global", [r[0] for r in recipes], 0.2, 0.2),
        ("local", [r for row in recipes[:1000] for r in row[1:]], 0.5, 0.0),
    ):
        expected = {"flip": 0.5, "jitter": 0.8, "grayscale": 0.2, "blur": blur, "solarise": solarise}
        for field, rate in expected.items():
            seen = np.mean([bool(getattr(recipe, field)) for recipe in rows])
            assert abs(seen - rate) <= 4 * math.sqrt(rate * (1 - rate) / len(rows)), (kind, field)


def test_amounts_and_orders_of_the_jitter() -> None:
    crops = MultiCrop({"a": {"count": 1, "size": 8, "scale": [0.2, 1.0], "jitter": 1.0, "blur": 1.0}})
    recipes = [crops.draw(64, 64)[0] for _ in range(4800)]
    assert stats.chisquare(list(Counter(tuple(w for w, _ in r.jitter) for r in recipes).values())).pvalue > 1e-4
    assert len({tuple(w for w, _ in r.jitter) for r in recipes}) == 24
    for which, low, high in ((0, 0.6, 1.4), (1, 0.6, 1.4), (2, 0.8, 1.2), (3, -0.1, 0.1)):
        amounts = [dict(r.jitter)[which] for r in recipes]
        assert stats.kstest(amounts, stats.uniform(low, high - low).cdf).pvalue > 1e-4
    assert stats.kstest([r.blur for r in recipes], stats.uniform(0.1, 1.9).cdf).pvalue > 1e-4
    strong = View(1, 8, (0.2, 1.0), jitter=1.0, brightness=3.0, contrast=0.0, hue=0.0)
    recipe = draw_recipe(64, 64, strong, [0.0] * NUMBERS_PER_CROP)
    assert recipe.jitter == ((0, 0.0), (2, 0.8))


def test_numbers_are_used_once() -> None:
    """No two decisions of a crop share a number: their correlation vanishes."""
    fixed = View(2, 8, (0.25, 0.25), ratio=(1.0, 1.0), blur=0.5, solarise=0.5)  # else both offsets follow the box
    crops = MultiCrop({"a": fixed})
    rows = [
        [value for r in crops.draw(64, 64) for value in (r.flip, r.grayscale, r.blur is None, r.solarise, *r.box[:2])]
        for _ in range(3000)
    ]
    correlation = np.corrcoef(np.array(rows, dtype=float).T)
    pairs = correlation[~np.eye(len(correlation), dtype=bool)]
    assert np.abs(pairs).max() < 5 / math.sqrt(3000)


def test_shapes_order_and_kind() -> None:
    crops = MultiCrop(TREX)
    made = crops(picture(50, 70))
    assert [tuple(crop.shape) for crop in made] == [(3, 224, 224)] + [(3, 96, 96)] * 8
    assert all(crop.dtype == torch.uint8 and crop.is_contiguous() for crop in made)
    assert len(crops) == 9
    views = {"a": View(0, 8, (0.1, 1.0)), "b": View(2, 5, (0.1, 1.0)), "c": {"count": 1, "size": 7, "scale": (1, 1)}}
    assert [crop.shape[1] for crop in MultiCrop(views)(picture(1, 1))] == [5, 5, 7]


def test_crops_follow_from_the_default_generator_alone() -> None:
    crops, image = MultiCrop(TREX), picture()
    torch.manual_seed(3)
    first = crops(image)
    random.seed(1)
    torch.manual_seed(3)
    assert all(torch.equal(a, b) for a, b in zip(first, crops(image)))
    assert not torch.equal(crops(image)[1], first[1])
    before = np.asarray(image).copy()
    crops(image)
    assert np.array_equal(np.asarray(image), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": [0.5, 0.25]}, "crops.views.local.scale is [0.5, 0.25]; expected two numbers between 0 and 1"),
        ({"scale": [0.0, 0.25]}, "crops.views.local.scale"),
        ({"scale": [0.5, 1.25]}, "crops.views.local.scale"),
        ({"scale": 0.5}, "crops.views.local.scale"),
        ({"scale": [0.1, None]}, "crops.views.local.scale"),
        ({"scale": [0.1, float("nan")]}, "crops.views.local.scale"),
        ({"count": -1}, "crops.views.local.count is -1; expected an integer, at least 0"),
        ({"count": 1.5}, "crops.views.local.count"),
        ({"count": True}, "crops.views.local.count"),
        ({"size": 0}, "crops.views.local.size is 0; expected an integer, at least 1"),
        ({"blur": 1.2}, "crops.views.local.blur is 1.2; expected a number from 0 to 1"),
        ({"flip": -0.1}, "crops.views.local.flip"),
        ({"solarise": None}, "crops.views.local.solarise"),
        ({"grayscale": "often"}, "crops.views.local.grayscale"),
        ({"hue": 0.6}, "crops.views.local.hue is 0.6; expected a number from 0 to 0.5"),
        ({"contrast": -1}, "crops.views.local.contrast"),
        ({"blur_radius": [2.0, 0.1]}, "crops.views.local.blur_radius"),
        ({"ratio": [0, 1]}, "crops.views.local.ratio"),
        ({"solarize": 0.2}, "crops.views.local.solarize is not known; expected one of count, size"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    views = {**TREX, "local": {**TREX["local"], **change}}
    with pytest.raises(UserError) as caught:
        MultiCrop(views)
    assert message in str(caught.value)


def test_missing_fields_and_no_views() -> None:
    with pytest.raises(UserError, match=r"crops\.views\.a\.scale is missing"):
        MultiCrop({"a": {"count": 1, "size": 8}})
    with pytest.raises(UserError, match="no crop at all"):
        MultiCrop({"a": {"count": 0, "size": 8, "scale": [0.1, 1]}})
    with pytest.raises(UserError, match="no crop at all"):
        MultiCrop({})
    with pytest.raises(UserError, match=r"crops\.views\.a is 3; expected a mapping"):
        MultiCrop({"a": 3})  # type: ignore[dict-item]
    with pytest.raises(UserError, match=r"crops\.views\.a\.scale"):
        MultiCrop({"a": View(1, 8, (0.5, 0.2))})
