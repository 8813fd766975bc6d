"""TensorFlow's ``SAME`` padding for networks whose weights were trained with it."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F


class SameConv2d(nn.Conv2d):
    """A convolution that pads ``(B, C, H, W)`` so that ceil(H / stride) rows come out, the odd one below."""

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(B, C', ceil(H / stride), ceil(W / stride))``."""
        return super().forward(_padded(input, self.kernel_size, self.stride, 0.0))


class SameMaxPool2d(nn.MaxPool2d):
    """A max-pooling that pads likewise, with what is never the largest."""

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(B, C, ceil(H / stride), ceil(W / stride))``."""
        kernel, stride = (int(self.kernel_size),) * 2, (int(self.stride),) * 2  # type: ignore[arg-type]
        pooled: Tensor = super().forward(_padded(input, kernel, stride, -math.inf))
        return pooled


def pad_as_tensorflow(net: nn.Module) -> None:
    """Change the padding of strided convolutions and max-poolings in place; names and weights stay.

    Convolutions of stride 1 and odd kernels are padded alike in both.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d) and max(layer.stride) > 1:
            layer.__class__ = SameConv2d
            layer.padding = (0, 0)
        elif isinstance(layer, nn.MaxPool2d):
            layer.__class__ = SameMaxPool2d
            layer.padding = 0


def _padded(images: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], value: float) -> Tensor:
    sides: list[int] = []
    for length, k, s in zip(images.shape[:1:-1], kernel[::-1], stride[::-1]):  # width first, as F.pad counts
        surplus = max((math.ceil(length / s) - 1) * s + k - length, 0)
        sides += [surplus // 2, surplus - surplus // 2]
    return F.pad(images, sides, value=value)
