"""Feature maps of every kind of network, against the pooled features that the network itself makes of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.models.backbone import Backbone, resnet_small, timm_backbone, torchvision_backbone
from transferbench.models.feature_map import feature_map

PICTURES = torch.linspace(0, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64)


@pytest.mark.parametrize(
    ("backbone", "shape"),
    [
        (resnet_small(8), (64, 2, 2)),
        (resnet_small(8, last_stride=1), (64, 4, 4)),
        (torchvision_backbone("resnet18"), (512, 2, 2)),
        (torchvision_backbone("vgg11", trunk=True), (512, 2, 2)),
        (timm_backbone("resnet18"), (512, 2, 2)),
    ],
)
def test_the_pooled_map_is_the_feature(backbone: Backbone, shape: tuple[int, ...]) -> None:
    backbone.eval()
    with torch.no_grad():
        maps = backbone.feature_map(PICTURES)
        features = backbone(PICTURES)
    assert maps.shape[1:] == shape
    assert backbone.map_width == backbone.width == shape[0] and backbone.pools_map
    torch.testing.assert_close(maps.mean(dim=(2, 3)), features, atol=1e-5, rtol=1e-4)


def test_a_transformer_lays_its_tokens_out_as_the_grid() -> None:
    backbone = timm_backbone("vit_tiny_patch16_224").eval()
    with torch.no_grad():
        maps = backbone.feature_map(PICTURES[..., :32])
        tokens = backbone.net.forward_features(backbone.normalised(PICTURES[..., :32]))
    assert maps.shape == (2, 192, 4, 2)
    assert torch.equal(maps[:, :, 1, 0], tokens[:, 1 + 2])


def test_a_class_token_is_not_the_mean_of_the_map() -> None:
    backbone = timm_backbone("vit_tiny_patch16_224", image_size=64)
    assert backbone.map_width == backbone.width and not backbone.pools_map


def test_the_published_maps_at_224_pixels() -> None:
    with torch.device("meta"):
        resnet, vgg = torchvision_backbone("resnet50"), torchvision_backbone("vgg16")
        picture = torch.zeros(1, 3, 224, 224)
    assert feature_map(resnet.net, picture).shape == (1, 2048, 7, 7)
    assert feature_map(vgg.net, picture).shape == (1, 512, 7, 7)
    assert sum(p.numel() for p in resnet.parameters()) == 23_508_032
    assert sum(p.numel() for p in vgg.net.features.parameters()) == 14_714_688


def test_networks_without_a_map_are_refused() -> None:
    with pytest.raises(UserError, match="no feature map"):
        Backbone(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), 2).feature_map(torch.zeros(1, 3, 2, 2))
    with pytest.raises(UserError, match="trunk"):
        torchvision_backbone("resnet18", trunk=True)
    with pytest.raises(UserError, match="last_stride"):
        resnet_small(8, last_stride=3)
