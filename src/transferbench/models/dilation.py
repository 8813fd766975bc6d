"""Finer maps of a convolutional network with the weights it has: dilation in place of stride, and where cells look.

A layer of stride 2 that moves by 1 instead computes the cells in between as well; layers behind it then have to skip
every other cell, which is what dilation does ("a trous"; Yu, Koltun and Funkhouser, arXiv:1705.09914; DeepLab,
arXiv:1606.00915). Every second cell of the finer map is a cell of the map as it was, also at
the borders, where the picture is a whole number of strides.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError

MapOf = Callable[[nn.Module, Tensor], Tensor]
"""From a network and normalised pictures (B, 3, H, W) to a map (B, C, h, w)."""

Layers = dict[str, tuple[Fraction, Fraction]]
"""Of layers by name, the pixels between two of their inputs and between two of their outputs."""
_SIDE, _MORE = 512, 3360  # a picture's side, and what is added to it: a multiple of all strides in use
_WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True)
class Sampling:
    """How the cells of a map lie in a picture.

    Attributes:
        stride: pixels from one cell to the next.
        offset: the pixel that cell 0 is centred on, counted from 0 at the first.
        width: channels of the map.
        layers: of each layer with a window or a stride, by name, the pixels between two of its inputs and between two
            of its outputs.
    """

    stride: int
    offset: float
    width: int
    layers: Layers


def sampling_of(net: nn.Module, map_of: MapOf) -> Sampling:
    """Find how ``map_of(net, pictures)`` samples pictures, from its sizes at two sides; nothing is computed.

    Raises:
        UserError: ``net`` does not take pictures of any size, or its map does not grow with them.
    """
    shapes = deepcopy(net).to("meta").eval()
    small, large = (_sizes(shapes, map_of, side) for side in (_SIDE, _SIDE + _MORE))
    strides = {
        name: (_stride(small[name][0], large[name][0]), _stride(small[name][1], large[name][1])) for name in small
    }
    stride = _stride(small[""][1], large[""][1])
    if stride is None or stride.denominator != 1:
        raise UserError(f"model: the map of {type(net).__name__} does not grow evenly with the picture; choose another")
    layers = {name: (a, b) for name, (a, b) in strides.items() if name and a is not None and b is not None}
    layers = {name: both for name, both in layers.items() if _has_window(net.get_submodule(name)) or both[0] != both[1]}
    return Sampling(int(stride), _offset(net, layers, stride), small[""][0], layers)


def dilate(net: nn.Module, sampling: Sampling, stride: int) -> None:
    """Change ``net`` in place so that its map has ``stride`` pixels a cell; weights and their names stay.

    ``sampling`` is that of the map before. Raises ``UserError`` where a layer cannot be changed so.
    """
    for name, (inner, outer) in sampling.layers.items():
        if outer <= stride:
            continue
        if inner < stride or (inner / stride).denominator != 1:
            raise UserError(f"stride={stride}: {_of(net, name)} goes from {inner} to {outer} pixels a cell")
        _spread(net, name, int(inner / stride))


class DilatedAvgPool2d(nn.Module):
    """Average over a window whose cells lie ``dilation`` apart, at every cell; at the end, over what there is of it.

    Args:
        kernel: rows and columns of the window.
        dilation: cells from one to the next.
    """

    def __init__(self, kernel: tuple[int, int], dilation: int) -> None:
        super().__init__()
        self.kernel, self.dilation = kernel, dilation

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C, h, w)`` of ``(B, C, h, w)``."""
        rows, columns = ((side - 1) * self.dilation for side in self.kernel)
        counts = self._sums(F.pad(maps.new_ones(1, 1, *maps.shape[2:]), (0, columns, 0, rows)))
        return self._sums(F.pad(maps, (0, columns, 0, rows))) / counts

    def _sums(self, maps: Tensor) -> Tensor:
        ones = maps.new_ones(maps.shape[1], 1, *self.kernel)
        return F.conv2d(maps, ones, dilation=self.dilation, groups=maps.shape[1])


def _spread(net: nn.Module, name: str, factor: int) -> None:
    """Give layer ``name`` stride 1 and a window ``factor`` times as wide."""
    layer = net.get_submodule(name)
    if isinstance(layer, nn.AvgPool2d) and not any(_pair(layer.padding)):
        net.set_submodule(name, DilatedAvgPool2d(_pair(layer.kernel_size), factor))
        return
    if not isinstance(layer, (nn.Conv2d, nn.MaxPool2d)) or not _is_plain(layer):
        raise UserError(f"{_of(net, name)} cannot be dilated; leave stride out, and pictures are enlarged instead")
    layer.stride = (1, 1)
    if not isinstance(layer.padding, str):
        layer.padding = (_pair(layer.padding)[0] * factor, _pair(layer.padding)[1] * factor)
    layer.dilation = (_pair(layer.dilation)[0] * factor, _pair(layer.dilation)[1] * factor)


def _sizes(net: nn.Module, map_of: MapOf, side: int) -> dict[str, tuple[int, int]]:
    """Return the rows that each innermost layer takes and gives; under "", the map's channels and rows."""
    seen: dict[str, tuple[int, int]] = {}

    def noting(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def note(_: nn.Module, given: tuple[object, ...], found: object) -> None:
            if isinstance(found, Tensor) and isinstance(given[0], Tensor) and found.ndim == given[0].ndim == 4:
                seen[name] = (given[0].shape[-2], found.shape[-2])

        return note

    inner = [(name, layer) for name, layer in net.named_modules() if not any(layer.children())]
    hooks = [layer.register_forward_hook(noting(name)) for name, layer in inner]
    try:
        with torch.no_grad():
            found = map_of(net, torch.empty(1, 3, side, side, device="meta"))
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        reason = str(error).split("\n", 1)[0]
        raise UserError(
            f"model: {type(net).__name__} does not take pictures of any size ({reason}); choose a convolutional "
            "network, or a transformer of timm's that interpolates its positions"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return {**seen, "": (found.shape[1], found.shape[2])}


def _stride(small: int, large: int) -> Fraction | None:
    """Return the pixels between cells, None where their number does not depend on the picture."""
    return Fraction(_MORE, large - small) if large > small else None


def _offset(net: nn.Module, layers: Layers, stride: Fraction) -> float:
    """Add up by how many pixels the layers that lead to ``stride`` move the centre of the first cell.

    Of several that take the same step, as those of a block and of its shortcut do, the mean counts. Steps that no layer
    takes (patches put together by reshaping) are taken to keep the cells in the middle of their pixels.
    """
    total, at = Fraction(0), Fraction(1)
    while at < stride:
        steps = {name: outer for name, (inner, outer) in layers.items() if inner == at < outer}
        if steps:
            nearest = min(steps.values())
            shifts = [_shift(net.get_submodule(name)) for name, outer in steps.items() if outer == nearest]
            total += at * sum(shifts) / len(shifts)
        else:
            nearest = min([inner for inner, outer in layers.values() if outer > inner > at], default=stride)
            total += (nearest - at) / 2
        at = nearest
    return float(total)


def _shift(layer: nn.Module) -> Fraction:
    """Return the centre of a layer's first window, in cells of its input; 0 for layers of an unknown kind."""
    if not isinstance(layer, _WINDOWED) or isinstance(layer.padding, str):
        return Fraction(0)
    kernel, stride = _pair(layer.kernel_size)[0], _pair(layer.stride)[0]
    padding = max(kernel - stride, 0) // 2 if "Same" in type(layer).__name__ else _pair(layer.padding)[0]
    return Fraction(kernel - 1, 2) - padding


def _is_plain(layer: nn.Module) -> bool:
    """Tell whether a layer is torch's own and pads with what stands for nothing."""
    return type(layer) is nn.MaxPool2d or (type(layer) is nn.Conv2d and layer.padding_mode == "zeros")


def _has_window(layer: nn.Module) -> bool:
    return isinstance(layer, _WINDOWED) and max(_pair(layer.kernel_size)) > 1


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _of(net: nn.Module, name: str) -> str:
    return f"model: layer {name} of {type(net).__name__}, a {type(net.get_submodule(name)).__name__},"
