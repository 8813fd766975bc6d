"""The backbone: a network without its classifier, together with the mean and std it expects."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.models.feature_map import feature_map, map_width, pools_map

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of the training images of ImageNet-1K, as torchvision publishes them
IMAGENET_STD = (0.229, 0.224, 0.225)
WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")  # torchvision's; in training these heads add outputs of their own


class Backbone(nn.Module):
    """Normalise images and turn them into pooled features.

    Args:
        net: maps normalised images ``(B, 3, H, W)`` to features ``(B, width)``.
        width: number of features.
        mean: per channel, of images in [0, 1]; kept as the buffer ``mean`` of shape ``(3, 1, 1)``.
        std: like ``mean``.
        size: side in pixels of the centre crop that published weights want; None for pictures as they come.
        resize: length in pixels of the shorter side before that crop, by bicubic interpolation; None likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        width: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        *,
        size: int | None = None,
        resize: int | None = None,
    ) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise UserError(
                f"model.mean={list(mean)}, model.std={list(std)}: expected three numbers each, std positive"
            )
        self.net = net
        self.width = width
        self.size = size
        self.resize = resize
        self.register_buffer("mean", torch.tensor(list(mean)).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(list(std)).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return features ``(B, width)`` of ``(B, 3, H, W)`` images, uint8 or float in [0, 1]."""
        features: Tensor = self.net(self.normalised(images))
        return features

    def normalised(self, images: Tensor) -> Tensor:
        """Return ``images``, uint8 or float in [0, 1], with the mean and std that the network expects."""
        if not images.is_floating_point():
            images = images.to(self.mean.dtype) / 255
        return (images - self.mean) / self.std

    def feature_map(self, images: Tensor) -> Tensor:
        """Return the last map ``(B, map_width, h, w)`` of ``(B, 3, H, W)`` images, uint8 or float in [0, 1].

        Raises:
            UserError: this kind of network has no map that is known here.
        """
        return feature_map(self.net, self.normalised(images))

    @cached_property
    def map_width(self) -> int:
        """Channels of the last map; raises ``UserError`` as ``feature_map``."""
        return map_width(self.net, self.size or 64)

    @cached_property
    def pools_map(self) -> bool:
        """Whether the features are the mean of the last map, so that what trains the one trains the other."""
        return pools_map(self.net, self.size or 64)


def timm_backbone(
    name: str,
    *,
    pretrained: bool = False,
    image_size: int | None = None,
    channels: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    drop_path: float = 0.0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Backbone:
    """Build any timm model without its classifier.

    Args:
        name: timm's name, with or without a pretrained tag (``vit_small_patch16_224.augreg_in1k``).
        pretrained: load timm's published weights (downloads them on first use).
        image_size: side in pixels of the position embedding of transformers; they take other sizes too where timm can
            interpolate and pad. Convolutional networks take every size and refuse this argument.
        channels: width of each stage, for families that take it (ResNet: four numbers).
        layers: blocks of each stage, for families that take it (ResNet: four numbers).
        drop_path: stochastic depth rate of the last block.
        mean: None for what timm's model expects.
        std: None for what timm's model expects.

    Raises:
        UserError: for an unknown name, an argument that the model does not take, or weights that cannot be had.
    """
    import timm

    if not timm.is_model(name):
        raise unknown_model("timm", name, timm.list_models())
    settings = {"img_size": image_size, "channels": channels, "layers": layers, "drop_path_rate": drop_path or None}
    given = {key: value for key, value in settings.items() if value is not None}
    try:
        net = _create_with_any_size(name, pretrained=pretrained, num_classes=0, **given)
    except TypeError as error:
        raise UserError(f"model {name} does not take one of {', '.join(given)}: {error}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"timm could not build {name} (pretrained={pretrained}): {_first_line(error)}") from error
    expected = net.pretrained_cfg
    width = getattr(net, "head_hidden_size", None) or net.num_features
    return Backbone(
        net, int(width), mean or expected.get("mean", IMAGENET_MEAN), std or expected.get("std", IMAGENET_STD)
    )


def _create_with_any_size(name: str, **settings: Any) -> Any:
    """Let transformers take pictures of any size; families that do not know these options stay as they are."""
    import timm

    interpolate, pad = {"dynamic_img_size": True}, {"dynamic_img_pad": True}
    for options in (interpolate | pad, interpolate):
        try:
            return timm.create_model(name, **{**options, **settings})
        except TypeError as error:
            if "dynamic_img" not in str(error):
                raise
    return timm.create_model(name, **settings)


def torchvision_backbone(
    name: str,
    *,
    weights: str | None = None,
    trunk: bool = False,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Backbone:
    """Build a torchvision classification model whose last linear layer is replaced by the identity.

    Args:
        name: torchvision's name (``resnet50``, ``vit_b_16``, ``convnext_tiny``, ``vgg16``, ...).
        weights: None for torchvision's random initialisation, or the name of published weights (``IMAGENET1K_V2``).
        trunk: drop all that follows the last feature map, and pool that map: of networks such as VGG, whose own
            features are those of a fully connected layer.
        mean: of the images, per channel.
        std: of the images, per channel.

    Raises:
        UserError: for an unknown name, unknown weights, weights that cannot be had, or a model without a linear layer
            at its end.
    """
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise unknown_model("torchvision", name, known)
    published = [entry.name for entry in torchvision.models.get_model_weights(name)]
    if weights is not None and weights != "DEFAULT" and weights not in published:
        raise UserError(f"torchvision publishes no weights {weights} of {name}: expected one of {', '.join(published)}")
    settings: dict[str, bool] = {}
    if name in WITH_AUXILIARY_HEADS:
        settings = {"aux_logits": False} if weights else {"aux_logits": False, "init_weights": True}
    try:
        net = torchvision.models.get_model(name, weights=weights, **settings)
    except (OSError, RuntimeError) as error:
        raise UserError(f"torchvision could not load weights {weights} of {name}: {_first_line(error)}") from error
    if trunk:
        return Backbone(_trunk(net, name), map_width(net, 64), mean, std)
    return Backbone(net, _drop_classifier(net, name), mean, std)


def _trunk(net: nn.Module, name: str) -> nn.Module:
    """Return ``net``'s convolutions with average pooling behind them.

    Raises:
        UserError: for a network without ``features``; of those with a pooled map the trunk is the whole.
    """
    features = getattr(net, "features", None)
    if not isinstance(features, nn.Module):
        raise UserError(f"model.trunk=true: {name} pools its map already; leave model.trunk out")
    pooled = nn.Sequential()
    pooled.add_module("features", features)
    pooled.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    return pooled


def _drop_classifier(net: nn.Module, name: str) -> int:
    """Replace the last linear layer under ``fc``, ``head``, ``heads`` or ``classifier``; return its input width."""
    for attribute in ("fc", "head", "heads", "classifier"):
        part = getattr(net, attribute, None)
        if part is None:
            continue
        linear = [(key, module) for key, module in part.named_modules() if isinstance(module, nn.Linear)]
        if linear:
            key, last = linear[-1]
            net.set_submodule(f"{attribute}.{key}" if key else attribute, nn.Identity())
            return last.in_features
    raise UserError(f"torchvision's {name} does not end in a linear layer: choose a ResNet, ViT, ConvNeXt, VGG, ...")


def resnet_small(
    width: int = 32,
    *,
    layers: Sequence[int] = (2, 2, 2, 2),
    stem_stride: int = 4,
    last_stride: int = 2,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Backbone:
    """Build a narrow ResNet of basic blocks (He et al. 2015) for pictures of 16 to 96 pixels, with a 3x3 stem.

    Args:
        width: channels of the stem and of the first stage; every later stage has twice as many as the one before.
        layers: blocks of each stage; ``(2, 2, 2, 2)`` with ``width=64`` is ResNet-18 but for the stem.
        stem_stride: 1 or 2, the stride of the stem; 4 adds a max-pooling of stride 2. It suits pictures of 48 pixels
            and more; 2 sees finer detail at four times the cost, 1 at sixteen times.
        last_stride: 1 or 2, the stride of the last stage; 1 keeps a map of twice the side.
        mean: of the images, per channel.
        std: of the images, per channel.

    Raises:
        UserError: for another stride.
    """
    if stem_stride not in (1, 2, 4):
        raise UserError(f"model.stem_stride={stem_stride}: expected 1, 2 or 4")
    if last_stride not in (1, 2):
        raise UserError(f"model.last_stride={last_stride}: expected 1 or 2")
    channels = [width * 2**stage for stage in range(len(layers))]
    strides = [1, *[2] * (len(layers) - 2), last_stride][: len(layers)]
    stages = [
        _stage(channels[max(stage - 1, 0)], channels[stage], blocks, stride)
        for stage, (blocks, stride) in enumerate(zip(layers, strides))
    ]
    stem: list[nn.Module] = [
        nn.Conv2d(3, width, 3, min(stem_stride, 2), 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    if stem_stride == 4:
        stem.append(nn.MaxPool2d(3, 2, 1))
    net = nn.Sequential()
    net.add_module("stem", nn.Sequential(*stem))
    net.add_module("stages", nn.Sequential(*stages))
    net.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return Backbone(net, channels[-1], mean, std)


def _stage(inner: int, outer: int, blocks: int, stride: int) -> nn.Sequential:
    """Return ``blocks`` basic blocks, the first of which widens to ``outer`` channels and strides."""
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if stride != 1 or inner != outer:
        shortcut = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
    return nn.Sequential(
        BasicBlock(inner, outer, stride, shortcut), *[BasicBlock(outer, outer) for _ in range(blocks - 1)]
    )


def unknown_model(library: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for a ``name`` that ``library`` does not have, with the closest ones it has."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else f"see the list of models of {library}"
    return UserError(f"model.name={name}: {library} has no such model; {hint}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
