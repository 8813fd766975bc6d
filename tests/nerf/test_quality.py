"""Measures of pictures and rankings against closed forms and naive sums."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity
from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

from transferbench.nerf.quality import average_precision, lpips_or_none, mean_average_precision, psnr, ssim


def picture(seed: int = 0, size: int = 40) -> Tensor:
    return torch.rand(size, size, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("error", "decibels"), [(1e-2, 20.0), (1e-3, 30.0)])
def test_psnr_of_a_known_error(error: float, decibels: float) -> None:
    image = 0.5 * picture().double()
    assert psnr(image + math.sqrt(error), image) == pytest.approx(decibels)


def test_identical_pictures_have_no_noise() -> None:
    assert psnr(picture(), picture()) == math.inf
    assert ssim(picture(), picture()) == pytest.approx(1.0)


def test_ssim_is_its_formula() -> None:
    a, b = picture(0).double(), (picture(0).double() + 0.2 * picture(1).double()).clamp(0, 1)

    def blur(x: np.ndarray) -> np.ndarray:
        return gaussian_filter(x, (1.5, 1.5, 0), truncate=3.4, mode="mirror")

    x, y = a.numpy(), b.numpy()
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    upper = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    values = upper / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    assert ssim(a.float(), b.float()) == pytest.approx(float(values.mean()), abs=1e-4)


def test_pictures_that_do_not_fit_are_refused() -> None:
    for measure in (psnr, ssim, lpips_or_none):
        with pytest.raises(ValueError, match=r"one shape \(H, W, 3\)"):
            measure(picture(size=8), picture(size=9))
        with pytest.raises(ValueError, match=r"one shape \(H, W, 3\)"):
            measure(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="at least 6 pixels"):
        ssim(picture(size=5), picture(size=5))


def test_the_perceptual_distance_needs_weights_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    assert lpips_or_none(picture(0), picture(1), "squeeze") is None
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.manual_seed(0)
    name = SqueezeNet1_1_Weights.DEFAULT.url.rsplit("/", 1)[1]
    torch.save(squeezenet1_1(weights=None).state_dict(), checkpoints / name)
    far, close = (
        lpips_or_none(picture(0), picture(1), "squeeze"),
        lpips_or_none(picture(0), picture(0) + 1e-3, "squeeze"),
    )
    assert far is not None and close is not None and far > 100 * close > 0
    assert lpips_or_none(picture(0), picture(0), "squeeze") == 0.0
    scaled = [(2 * picture(seed) - 1).permute(2, 0, 1)[None] for seed in (0, 1)]  # the network's own range
    expected = learned_perceptual_image_patch_similarity(*scaled, net_type="squeeze")
    assert far == pytest.approx(float(expected), rel=1e-5)


def naive_average_precision(scores: list[float], positives: list[bool]) -> float:
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    found, total = 0, 0.0
    for place, index in enumerate(order, 1):
        if positives[index]:
            found += 1
            total += found / place
    return total / found


def test_average_precision_is_the_naive_sum() -> None:
    generator = np.random.default_rng(0)
    scores, positives = generator.normal(size=200), generator.random(200) < 0.2
    expected = naive_average_precision(scores.tolist(), positives.tolist())
    assert average_precision(scores, positives) == pytest.approx(expected)
    assert average_precision(torch.tensor(scores), torch.tensor(positives)) == pytest.approx(expected)


def test_average_precision_of_constant_and_of_perfect_scores() -> None:
    positives = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 1]])
    assert average_precision(torch.zeros(2, 4), positives) == pytest.approx(3 / 8)
    assert average_precision(positives.float(), positives) == 1.0


def test_frames_without_positives_are_left_out_of_the_mean() -> None:
    nothing = average_precision(torch.rand(5), torch.zeros(5, dtype=torch.bool))
    assert nothing is None
    assert mean_average_precision([0.5, nothing, 1.0]) == 0.75
    assert mean_average_precision([None]) is None and mean_average_precision([]) is None
