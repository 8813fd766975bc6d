"""Dilated networks against the networks that they were: every so many cells are the same, borders included."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.models.backbone import resnet_small, timm_backbone, torchvision_backbone
from transferbench.models.dilation import DilatedAvgPool2d, dilate, sampling_of
from transferbench.models.feature_map import feature_map
from transferbench.models.padding import pad_as_tensorflow

SMALL = {"channels": (8, 8, 16, 16), "layers": (1, 1, 1, 1)}


def small_vgg() -> nn.Module:
    """VGG's layers in small, which torchvision keeps under ``features``: pools that pad nothing."""
    from torchvision.models.vgg import make_layers

    net = nn.Sequential()
    net.add_module("features", make_layers([8, "M", 16, "M", 32, 32, "M", 48, 48, "M", 64, 64, "M"], batch_norm=True))
    return net


@pytest.fixture
def networks(modules: SimpleNamespace) -> dict[str, nn.Module]:
    """Networks by name, with weights under which every layer matters."""
    found = {
        "ours": resnet_small(8).net,
        "torchvision": torchvision_backbone("resnet18").net,
        "timm": timm_backbone("resnet26d", **SMALL).net,
        "clip": modules.tiny_clip(),
    }
    for net in found.values():
        for name, parameter in net.named_parameters():
            if name.endswith("weight") and parameter.ndim == 1:
                nn.init.uniform_(parameter, 0.5, 1.5)  # timm begins with 0 in every block's last norm
    return found


@pytest.mark.parametrize("kind", ["ours", "torchvision", "timm", "clip"])
def test_the_map_as_it_was_lies_within_the_finer_one(networks: dict[str, nn.Module], kind: str) -> None:
    net = networks[kind].eval()
    finer, sampling = deepcopy(net), sampling_of(net, feature_map)
    dilate(finer, sampling, 8)
    assert (sampling.stride, sampling_of(finer, feature_map).stride) == (32, 8)
    with torch.no_grad():
        pictures = torch.randn(2, 3, 128, 96)
        before, after = feature_map(net, pictures), feature_map(finer, pictures)
    assert before.shape[2:] == (4, 3) and after.shape[2:] == (16, 12)
    torch.testing.assert_close(after[..., ::4, ::4], before, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(after[..., 1::4, 1::4], before, atol=0.1)


def test_odd_sizes_keep_their_cells(networks: dict[str, nn.Module]) -> None:
    net = networks["ours"].eval()
    finer = deepcopy(net)
    dilate(finer, sampling_of(net, feature_map), 4)
    with torch.no_grad():
        pictures = torch.randn(1, 3, 75, 101)
        before, after = feature_map(net, pictures), feature_map(finer, pictures)
    torch.testing.assert_close(after[..., ::8, ::8], before, atol=1e-4, rtol=1e-4)


def test_layers_without_padding_give_the_cells_that_they_can() -> None:
    net = small_vgg().eval()
    finer = deepcopy(net)
    dilate(finer, sampling_of(net, feature_map), 16)
    with torch.no_grad():
        pictures = torch.randn(1, 3, 96, 96)
        before, after = feature_map(net, pictures), feature_map(finer, pictures)
    assert after.shape[2:] == (5, 5)
    torch.testing.assert_close(after[..., ::2, ::2], before, atol=1e-4, rtol=1e-4)


def test_a_dilated_mean_is_that_of_the_cells_there_are() -> None:
    maps = torch.arange(6.0).reshape(1, 1, 1, 6)
    found = DilatedAvgPool2d((1, 2), 2)(maps)
    assert found.flatten().tolist() == [1, 2, 3, 4, 4, 5]


@pytest.mark.parametrize(
    ("kind", "offset"), [("ours", 0), ("torchvision", 0), ("timm", (4 + 8 + 16) / 4), ("clip", (2 + 4 + 8 + 16) / 2)]
)
def test_where_the_first_cell_is_centred(networks: dict[str, nn.Module], kind: str, offset: float) -> None:
    assert sampling_of(networks[kind], feature_map).offset == offset


def test_patches_and_padding_as_tensorflow_s_move_the_cells() -> None:
    assert sampling_of(torchvision_backbone("convnext_tiny").net, feature_map).offset == (32 - 1) / 2
    net = timm_backbone("resnet26", **SMALL).net
    pad_as_tensorflow(net)  # of a 3x3 window, the middle one of its cells is number 1; of a shortcut, number 0
    assert sampling_of(net, feature_map).offset == 1 + 2 + (4 + 8 + 16) / 2


def test_patches_joined_by_reshaping_stay_in_the_middle() -> None:
    with torch.device("meta"):
        net = timm_backbone("swin_tiny_patch4_window7_224").net
    found = sampling_of(net, feature_map)
    assert (found.stride, found.offset, found.width) == (32, 15.5, 768)


def test_weights_and_their_names_stay(networks: dict[str, nn.Module]) -> None:
    net = networks["clip"]
    finer = deepcopy(net)
    dilate(finer, sampling_of(net, feature_map), 4)
    before, after = net.state_dict(), finer.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)


def test_layers_that_cannot_be_dilated_are_named(networks: dict[str, nn.Module]) -> None:
    net = timm_backbone("resnet26", **SMALL).net
    pad_as_tensorflow(net)
    with pytest.raises(UserError, match=r"layer layer2.*SameConv2d, cannot be dilated; leave stride out"):
        dilate(net, sampling_of(net, feature_map), 4)
    with pytest.raises(UserError, match=r"stride=3: .* goes from 2 to 4 pixels a cell"):
        dilate(networks["ours"], sampling_of(networks["ours"], feature_map), 3)


def test_networks_of_one_size_are_refused() -> None:
    with torch.device("meta"):
        net = timm_backbone("beit_base_patch16_224").net
    with pytest.raises(UserError, match="Beit does not take pictures of any size"):
        sampling_of(net, feature_map)
