"""How good a rendered picture is, and how well a map of scores finds a thing.

Images are (H, W, 3) with values in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights

Backbone = Literal["alex", "vgg", "squeeze"]

_WEIGHTS = {
    "alex": AlexNet_Weights.DEFAULT,
    "vgg": VGG16_Weights.DEFAULT,
    "squeeze": SqueezeNet1_1_Weights.DEFAULT,
}


def psnr(image: Tensor, reference: Tensor) -> float:
    """Return the peak signal-to-noise ratio in decibels of two images of one shape; infinite for identical ones."""
    _check_pair(image, reference)
    error = float(F.mse_loss(image.double(), reference.double()))
    return -10 * math.log10(error) if error > 0 else math.inf


def ssim(image: Tensor, reference: Tensor) -> float:
    """Return the structural similarity, 1 for identical images (Wang et al., 2004: Gaussian window, deviation 1.5).

    The mean over all pixels, the image mirrored beyond its borders, as torchmetrics has it; others leave out a border.
    Raises ValueError for images of fewer than 6 pixels a side, which the window does not fit.
    """
    _check_pair(image, reference)
    if min(image.shape[:2]) < 6:
        raise ValueError(f"ssim: images of shape {tuple(image.shape)}, expected at least 6 pixels a side")
    a, b = (x.float().permute(2, 0, 1)[None] for x in (image, reference))
    return float(cast(Tensor, structural_similarity_index_measure(a, b, data_range=1.0)))


def lpips_or_none(image: Tensor, reference: Tensor, backbone: Backbone = "vgg") -> float | None:
    """Return the learned perceptual distance, or None where the network's weights are not on this machine.

    Nothing is downloaded: the file that torchvision would fetch is looked for in torch's hub folder
    (``$TORCH_HOME/hub/checkpoints``). ``"vgg"`` is what NeRF's follow-ups report (Zhang et al., arXiv:1801.03924).
    """
    _check_pair(image, reference)
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(_WEIGHTS[backbone].url).name
    if not file.is_file():
        return None
    a, b = (x.float().clamp(0, 1).permute(2, 0, 1)[None] for x in (image, reference))
    with torch.no_grad():
        return float(_lpips_network(backbone, str(file), str(a.device))(a, b))


@lru_cache(maxsize=2)
def _lpips_network(backbone: Backbone, file: str, device: str) -> nn.Module:
    """Return the network of one device; ``file`` tells apart hub folders, so that a moved one is read again."""
    network: nn.Module = LearnedPerceptualImagePatchSimilarity(net_type=backbone, normalize=True).to(device)
    return network


def average_precision(scores: Tensor | NDArray[Any], positives: Tensor | NDArray[Any]) -> float | None:
    """Return the average precision of ``scores`` (N,) for the pixels that ``positives`` (N,) marks, None without any.

    Pixels without order (equal scores) share one point of the curve, so constant scores give the share of positives.
    """
    wanted = _flat(positives).astype(bool)
    return float(average_precision_score(wanted, _flat(scores))) if wanted.any() else None


def mean_average_precision(values: Iterable[float | None]) -> float | None:
    """Return the mean over the frames that had anything to find; None when none had.

    A frame without positives, None, is left out and not counted as 0 (the protocol of NeuralDiff, arXiv:2110.09936).
    """
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def _flat(values: Tensor | NDArray[Any]) -> NDArray[Any]:
    return (values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)).ravel()


def _check_pair(image: Tensor, reference: Tensor) -> None:
    if image.shape != reference.shape or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(
            f"images of shapes {tuple(image.shape)} and {tuple(reference.shape)}: expected two of one shape (H, W, 3)"
        )
