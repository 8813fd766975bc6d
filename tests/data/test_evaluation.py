import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from transferbench.data.evaluation import CentreCrop
from transferbench.errors import UserError


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(64, 64), (61, 97), (97, 61), (20, 200), (32, 33), (40, 5), (1, 1)])
@pytest.mark.parametrize(("resize", "crop"), [(40, 32), (32, 32), (33, 32), (45, 30)])
def test_equals_torchvision(interpolation: str, size: tuple[int, int], resize: int, crop: int) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    theirs = transforms.Compose(
        [
            transforms.Resize(resize, transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop(crop),
            transforms.PILToTensor(),
        ]
    )
    ours = CentreCrop(resize, crop, interpolation)(image)
    assert torch.equal(ours, theirs(image))
    assert ours.dtype == torch.uint8
    assert ours.is_contiguous()


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="size 256 and the resize 224"):
        CentreCrop(224, 256)
    with pytest.raises(UserError, match="size 0"):
        CentreCrop(224, 0)
    with pytest.raises(UserError, match="'lanczos'; expected one of bicubic, bilinear"):
        CentreCrop(256, 224, "lanczos")
