"""Published modules in small: their state dicts have the names that their publishers' files have."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SimclrBlock(nn.Module):
    """Bottleneck of Separius/SimCLRv2-Pytorch, resnet.py."""

    def __init__(self, inner: int, outer: int, stride: int, projects: bool) -> None:
        super().__init__()
        self.projection = nn.Identity()
        if projects:
            self.projection = nn.Module()
            self.projection.shortcut = nn.Conv2d(inner, 4 * outer, 1, stride, bias=False)
            self.projection.bn = nn.Sequential(nn.BatchNorm2d(4 * outer), nn.Identity())
        self.projects = projects
        self.net = nn.Sequential(
            nn.Conv2d(inner, outer, 1, bias=False),
            nn.Sequential(nn.BatchNorm2d(outer), nn.ReLU()),
            nn.Conv2d(outer, outer, 3, stride, 1, bias=False),
            nn.Sequential(nn.BatchNorm2d(outer), nn.ReLU()),
            nn.Conv2d(outer, 4 * outer, 1, bias=False),
            nn.Sequential(nn.BatchNorm2d(4 * outer), nn.Identity()),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.projection.bn(self.projection.shortcut(x)) if self.projects else x
        return F.relu(shortcut + self.net(x))


class Simclr(nn.Module):
    """The ResNet of Separius/SimCLRv2-Pytorch without selective kernels."""

    def __init__(self, layers: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.Sequential(nn.BatchNorm2d(64), nn.ReLU())]
        stages, inner = [], 64
        for index, (count, outer) in enumerate(zip(layers, channels)):
            stage = nn.Module()
            stage.blocks = nn.ModuleList()
            for block in range(count):
                stride = 2 if index and not block else 1
                stage.blocks.append(SimclrBlock(inner, outer, stride, not block))
                inner = 4 * outer
            stages.append(stage)
        self.net = nn.Sequential(nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1)), *stages)
        self.fc = nn.Linear(inner, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.net[0](x)
        for stage in list(self.net)[1:]:
            for block in stage.blocks:
                x = block(x)
        return x.mean((2, 3))


class ClipBlock(nn.Module):
    """Bottleneck of openai/CLIP, model.py."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = nn.Conv2d(outer, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3, self.bn3 = nn.Conv2d(outer, 4 * outer, 1, bias=False), nn.BatchNorm2d(4 * outer)
        self.downsample = None
        if stride > 1 or inner != 4 * outer:
            layers = {"-1": nn.AvgPool2d(stride), "0": nn.Conv2d(inner, 4 * outer, 1, bias=False)}
            self.downsample = nn.Sequential(OrderedDict(**layers, **{"1": nn.BatchNorm2d(4 * outer)}))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.avgpool(F.relu(self.bn2(self.conv2(x))))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


class ClipTower(nn.Module):
    """The ResNet of openai/CLIP with its attention pool."""

    def __init__(self, layers: Sequence[int], channels: Sequence[int], heads: int, output: int, side: int) -> None:
        super().__init__()
        stem = channels[0]
        self.conv1, self.bn1 = nn.Conv2d(3, stem // 2, 3, 2, 1, bias=False), nn.BatchNorm2d(stem // 2)
        self.conv2, self.bn2 = nn.Conv2d(stem // 2, stem // 2, 3, 1, 1, bias=False), nn.BatchNorm2d(stem // 2)
        self.conv3, self.bn3 = nn.Conv2d(stem // 2, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem)
        inner = stem
        for index, (count, outer) in enumerate(zip(layers, channels)):
            blocks = []
            for block in range(count):
                blocks.append(ClipBlock(inner, outer, 2 if index and not block else 1))
                inner = 4 * outer
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))
        self.attnpool = nn.Module()
        self.attnpool.positional_embedding = nn.Parameter(torch.randn((side // 32) ** 2 + 1, inner))
        for name in ("k_proj", "q_proj", "v_proj"):
            setattr(self.attnpool, name, nn.Linear(inner, inner))
        self.attnpool.c_proj = nn.Linear(inner, output)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        for index in (1, 2, 3):
            x = F.relu(getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(F.avg_pool2d(x, 2)))))
        pool, tokens = self.attnpool, x.flatten(2).permute(2, 0, 1)
        tokens = torch.cat([tokens.mean(0, keepdim=True), tokens]) + pool.positional_embedding[:, None]
        q, k, v = (getattr(pool, f"{part}_proj")(tokens) for part in "qkv")
        length, batch, width = tokens.shape
        q, k, v = (part.reshape(length, batch * self.heads, -1).transpose(0, 1) for part in (q, k, v))
        weights = (q @ k.transpose(1, 2) / (width // self.heads) ** 0.5).softmax(-1)
        return pool.c_proj((weights @ v).transpose(0, 1).reshape(length, batch, width)[0])


class ObowExtractor(nn.Module):
    """The feature extractor of valeoai/obow, feature_extractor.py."""

    def __init__(self, resnet: nn.Module) -> None:
        super().__init__()
        stem = OrderedDict(Conv=resnet.conv1, bn=resnet.bn1, relu=nn.ReLU(), maxpool=resnet.maxpool)
        stages = [resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4]
        self._feature_blocks = nn.ModuleList([nn.Sequential(stem), *stages])


class Sequentially(nn.Sequential):
    """torchvision's ResNet taken apart into its children, in their order."""

    def __init__(self, resnet: nn.Module) -> None:
        stages = [resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4]
        super().__init__(resnet.conv1, resnet.bn1, nn.ReLU(), resnet.maxpool, *stages)


def tiny_resnet() -> nn.Module:
    """A ResNet-50 in small, under torchvision's names, without its classifier."""
    return timm.create_model("resnet50", layers=[1, 1, 1, 1], channels=[4, 6, 8, 10], num_classes=0).eval()


def tiny_deit() -> nn.Module:
    """A distilled DeiT in small, without its classifiers."""
    small = {"embed_dim": 12, "depth": 2, "num_heads": 3, "img_size": 32}
    return timm.create_model("deit_tiny_distilled_patch16_224", num_classes=0, **small).eval()


def tiny_clip() -> nn.Module:
    """CLIP's image tower in small, under timm's names."""
    from dataclasses import replace

    from timm.models.byobnet import ByoBlockCfg, ByobNet, model_cfgs

    blocks = [ByoBlockCfg(type="bottle", d=1, c=c, s=1 if c == 32 else 2, br=0.25) for c in (32, 64, 96, 128)]
    config = replace(model_cfgs["resnet50_clip"], blocks=tuple(blocks), stem_chs=(4, 4, 8))
    return ByobNet(config, num_classes=24, img_size=64).eval()


def randomised(net: nn.Module) -> nn.Module:
    """Give every tensor of ``net`` values of its own."""
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point():
                value.normal_(0, 0.3)
            else:
                value.fill_(7)
    return net.eval()


@pytest.fixture(scope="session")
def modules() -> SimpleNamespace:
    """The modules of this file by name."""
    kept: dict[str, Callable[..., object]] = {
        one.__name__: one
        for one in (Simclr, ClipTower, ObowExtractor, Sequentially, tiny_resnet, tiny_deit, tiny_clip, randomised)
    }
    return SimpleNamespace(**kept)
