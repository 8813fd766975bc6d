"""The last feature map of a network, before it is pooled: what caption supervision and dense teachers look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from transferbench.errors import UserError

TRUNK = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
"""torchvision's ResNets up to the last map."""


def feature_map(net: Any, images: Tensor) -> Tensor:
    """Return the map (B, C, h, w) of normalised ``images`` (B, 3, H, W).

    Knows this package's small ResNet, torchvision's ResNets and all its networks with ``features`` (VGG, ConvNeXt,
    DenseNet, ...), and timm's, whose transformers' patch tokens are laid out as the grid they came from.

    Raises:
        UserError: for a network of another kind.
    """
    found: Tensor
    if hasattr(net, "forward_features"):
        return _of_timm(net, images)
    if all(hasattr(net, name) for name in ("stem", "stages")):
        found = net.stages(net.stem(images))
        return found
    if all(hasattr(net, name) for name in TRUNK):
        found = images
        for name in TRUNK:
            found = getattr(net, name)(found)
        return found
    if isinstance(getattr(net, "features", None), nn.Module):
        found = net.features(images)
        return found
    raise UserError(
        f"model: {type(net).__name__} has no feature map that is known here; choose a ResNet, VGG or timm's"
    )


def _of_timm(net: Any, images: Tensor) -> Tensor:
    found: Tensor = net.forward_features(images)
    if found.ndim == 4:
        return found.permute(0, 3, 1, 2) if getattr(net, "output_fmt", "NCHW") == "NHWC" else found
    if found.ndim != 3 or not hasattr(net, "patch_embed"):
        raise UserError(f"model: timm's {type(net).__name__} gives no feature map; choose a convolutional one or a ViT")
    patch = net.patch_embed.patch_size
    height, width = -(-images.shape[-2] // patch[0]), -(-images.shape[-1] // patch[1])
    tokens = found[:, getattr(net, "num_prefix_tokens", 0) :]
    if tokens.shape[1] != height * width:
        raise UserError(f"model: {tokens.shape[1]} tokens are no grid of {height} x {width} patches")
    return tokens.transpose(1, 2).reshape(len(tokens), -1, height, width)


@torch.no_grad()
def map_width(net: nn.Module, side: int) -> int:
    """Return the number of channels of ``net``'s map, found with a picture of ``side`` pixels."""
    with _evaluated(net):
        return feature_map(net, _picture(net, side)).shape[1]


@torch.no_grad()
def pools_map(net: nn.Module, side: int) -> bool:
    """Tell whether ``net``'s features of a picture of ``side`` pixels are the mean of its map."""
    with _evaluated(net):
        picture = _picture(net, side)
        mean, features = feature_map(net, picture).mean((2, 3)), net(picture)
        return mean.shape == features.shape and torch.allclose(mean, features, rtol=1e-3, atol=1e-4)


def _picture(net: nn.Module, side: int) -> Tensor:
    parameter = next(net.parameters())
    draws = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0), device="cpu")
    return draws.to(parameter.device, parameter.dtype)


@contextmanager
def _evaluated(net: nn.Module) -> Iterator[None]:
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)
