"""Dense features: a feature for every cell of a grid over a picture, from any backbone.

Cells tile the picture evenly: row r of ``rows`` stands for the pixels from r H / rows to (r + 1) H / rows, and is
centred there whatever the network's padding does. To that end the picture is resized (bilinear) to a whole number of
strides and moved, its border repeated, by less than a cell and half a window.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.models.backbone import Backbone
from transferbench.models.dilation import dilate, sampling_of
from transferbench.models.feature_map import TRUNK, feature_map
from transferbench.models.value_path import value_path

MOST_PIXELS = 4096**2  # of a picture as the network gets it; a ResNet's first map of it takes 1 GiB


class DenseFeatures(nn.Module):
    """Turn pictures into maps of features.

    The network is copied and stays in evaluation mode; the backbone given is never changed.

    Args:
        backbone: any of ``models.backbone`` whose network has a map.
        stage: where the map is taken: -1 for the last with all that follows it (a transformer's final norm), else the
            place among the network's stages, from 0: stages of a ResNet, resolutions of a ``features`` network,
            ``feature_info`` of timm's (whose ResNets count the stem), blocks of a transformer, with the final norm.
        stride: the most pixels from one cell to the next, in the picture as the network gets it; None for the
            network's own. A convolutional network is dilated to it, a transformer's patches overlap.
        grid: the least number of cells along the shorter side. Pictures too small for it are enlarged to exactly that
            many; larger ones keep their size, and have ``H // stride`` rows.
        head: a head trained on the last map, whose linear path to its features is taken for each cell alone
            (``models.value_path``); None for the map itself.

    Raises:
        UserError: the network has no map, no such stage or no such stride; ``head`` does not fit it.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        stage: int = -1,
        stride: int | None = None,
        grid: int = 25,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if grid < 1 or (stride is not None and stride < 1):
            raise UserError(f"grid={grid}, stride={stride}: expected whole numbers of at least 1")
        if head is not None and stage != -1:
            raise UserError(f"stage={stage}: a head reads the last map; leave stage out, or take no head")
        self.backbone = deepcopy(backbone).eval().requires_grad_(False)
        self.stage, self.grid = stage, grid
        self.layers = _layers(self.backbone.net, stage)
        self.own_stride, self.stride, self.offset, self.width = self._sampled(stride)
        self.cells_to_features: nn.Module = nn.Identity()
        if head is not None:
            self.cells_to_features = value_path(head, self.width).to(self.backbone.mean.device)
            self.width = self.cells_to_features.out_channels
        self.eval()

    def _sampled(self, wanted: int | None) -> tuple[int, int, float, int]:
        """Make the map as fine as wanted; return its stride before and now, its offset and its channels."""
        net: Any = self.backbone.net
        if _is_transformer(net):
            return _overlap(net, wanted)
        found = sampling_of(net, self._map_of)
        stride = min(wanted or found.stride, found.stride)
        if stride < found.stride:
            dilate(net, found, stride)
            if (now := sampling_of(net, self._map_of).stride) != stride:
                raise UserError(f"stride={stride}: {type(net).__name__} can only be dilated to {now}; leave stride out")
        return found.stride, stride, found.offset, found.width

    def _map_of(self, net: nn.Module, pictures: Tensor) -> Tensor:
        """Return the map of normalised ``pictures``, whose sides are whole numbers of strides."""
        if self.layers is not None:
            for name in self.layers:
                pictures = net.get_submodule(name)(pictures)
            return pictures
        if self.stage == -1 and not _is_transformer(net):
            return feature_map(net, pictures)
        return _of_timm(net, pictures, self.stage)

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Return the rows and columns of the map of a picture of that size.

        Raises:
            UserError: the picture would have to be enlarged beyond what memory holds.
        """
        rows, columns = height // self.stride, width // self.stride
        if min(rows, columns) < self.grid:
            shorter = min(height, width)
            rows, columns = (max(self.grid, round(self.grid * side / shorter)) for side in (height, width))
        if rows * columns * self.stride**2 > MOST_PIXELS:
            raise UserError(
                f"grid={self.grid}: pictures of {width} x {height} pixels would be enlarged to "
                f"{columns * self.stride} x {rows * self.stride}; choose a smaller grid or stride"
            )
        return rows, columns

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return ``(B, width, rows, columns)`` of ``(B, 3, H, W)`` images, uint8 or float in [0, 1]."""
        rows, columns = self.cells(*images.shape[-2:])
        skipped = math.ceil(max(-self._moved, 0) / self.stride)
        pictures = self._placed(self._resized(images, rows, columns), skipped)
        maps = self._map_of(self.backbone.net, self.backbone.normalised(pictures))
        maps = maps[..., skipped : skipped + rows, skipped : skipped + columns]
        if maps.shape[-2:] != (rows, columns):
            raise UserError(
                f"stride={self.stride}: {type(self.backbone.net).__name__} gives {tuple(maps.shape[-2:])} cells, not "
                f"{(rows, columns)}, as it does not pad its layers; choose another network, or leave stride out"
            )
        features: Tensor = self.cells_to_features(maps)
        return features.contiguous()

    @property
    def _moved(self) -> int:
        """Pixels by which the picture is moved, so that cell 0 looks at the middle of its own pixels."""
        return round(self.offset - (self.stride - 1) / 2)

    def _resized(self, images: Tensor, rows: int, columns: int) -> Tensor:
        if not images.is_floating_point():
            images = images.to(self.backbone.mean.dtype) / 255
        size = (rows * self.stride, columns * self.stride)
        if images.shape[-2:] == size:
            return images
        return F.interpolate(images, size, mode="bilinear", antialias=True).clamp(0, 1)

    def _placed(self, pictures: Tensor, skipped: int) -> Tensor:
        """Move pictures right and down, and repeat their border where the network looks beyond it."""
        before = self._moved + skipped * self.stride
        for axis in (-2, -1):
            side = pictures.shape[axis]
            length = side + skipped * self.stride + self.own_stride - self.stride
            if length != side or before:
                place = torch.arange(length, device=pictures.device) - before
                pictures = pictures.index_select(axis, place.clamp(0, side - 1))
        return pictures


def _is_transformer(net: Any) -> bool:
    """Tell whether ``net`` is one of timm's transformers that interpolate their positions."""
    return bool(getattr(net, "dynamic_img_size", False)) and hasattr(net, "patch_embed") and hasattr(net, "blocks")


def _overlap(net: Any, wanted: int | None) -> tuple[int, int, float, int]:
    """Have ``net``'s patches lie ``wanted`` pixels apart; return what ``DenseFeatures._sampled`` does.

    Positions are interpolated to the cells that there are, as for a larger picture (Amir et al., arXiv:2112.05814).
    """
    embed, proj = net.patch_embed, getattr(net.patch_embed, "proj", None)
    patch = proj.kernel_size if isinstance(proj, nn.Conv2d) else (0, 1)
    if not isinstance(proj, nn.Conv2d) or proj.in_channels != 3 or patch[0] != patch[1] or proj.stride != patch:
        raise UserError(f"model: {type(net).__name__} does not embed square patches by one convolution; choose a ViT")
    stride = min(wanted or patch[0], patch[0])
    proj.stride = (stride, stride)
    embed.img_size, embed.dynamic_img_pad = None, False  # sizes fit: neither a check nor padding is wanted
    return patch[0], stride, (patch[0] - 1) / 2, net.embed_dim


def _of_timm(net: Any, pictures: Tensor, stage: int) -> Tensor:
    """Return the map of one stage, or a transformer's patch tokens as the grid that they came from."""
    if not _is_transformer(net):
        found: Tensor = net.forward_intermediates(pictures, indices=[stage], stop_early=True, intermediates_only=True)[
            0
        ]
        return found
    if stage == -1:
        tokens = net.forward_features(pictures)[:, net.num_prefix_tokens :]
    else:
        options = {"norm": True, "stop_early": True, "output_fmt": "NLC", "intermediates_only": True}
        tokens = net.forward_intermediates(pictures, indices=[stage], **options)[0]
    proj = net.patch_embed.proj
    rows = (pictures.shape[-2] - proj.kernel_size[0]) // proj.stride[0] + 1
    grid: Tensor = tokens.transpose(1, 2).unflatten(2, (rows, -1))
    return grid


def _layers(net: Any, stage: int) -> list[str] | None:
    """Return the names of the layers that lead to ``stage``, one after the other; None where timm knows the way.

    Raises:
        UserError: there is no such stage.
    """
    if hasattr(net, "forward_features"):
        known = len(net.feature_info) if hasattr(net, "forward_intermediates") else 0
        _within(net, stage, known if stage != -1 else max(known, 1))
        return None
    if all(hasattr(net, name) for name in ("stem", "stages")):
        ends = [["stem", *(f"stages.{k}" for k in range(last + 1))] for last in range(len(net.stages))]
    elif all(hasattr(net, name) for name in TRUNK):
        ends = [list(TRUNK[: last + 1]) for last, name in enumerate(TRUNK) if name.startswith("layer")]
    elif isinstance(getattr(net, "features", None), nn.Sequential):
        ends = _resolutions(net.features)
    else:
        feature_map(net, torch.empty(1, 3, 64, 64))  # says what networks have a map
        raise UserError(
            f"model: {type(net).__name__} has no stages that are known here; choose a ResNet, VGG or timm's"
        )
    _within(net, stage, len(ends))
    return ends[stage]


def _resolutions(features: nn.Sequential) -> list[list[str]]:
    """Return, for each resolution, the layers up to the last that has it."""
    shapes, maps = deepcopy(features).to("meta").eval(), torch.empty(1, 3, 512, 512, device="meta")
    rows: list[int] = []
    with torch.no_grad():
        for layer in shapes:
            maps = layer(maps)
            rows.append(maps.shape[-2])
    last = [k for k in range(len(rows)) if k + 1 == len(rows) or rows[k + 1] < 0.75 * rows[k]]
    names = [f"features.{name}" for name, _ in features.named_children()]
    return [names[: k + 1] for k in last]


def _within(net: nn.Module, stage: int, stages: int) -> None:
    if not -stages <= stage < stages:
        raise UserError(
            f"stage={stage}: {type(net).__name__} has {stages} stages that can be taken; expected -1 for the last"
            + (f", or 0 to {stages - 1}" if stages else "")
        )
