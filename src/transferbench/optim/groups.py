"""Which parameters weight decay applies to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn


def decay_groups(modules: Iterable[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """Return two parameter groups: decayed tensors of two or more dimensions, and the rest with weight decay 0.

    Biases and 1-D tensors (the scales of normalisation layers) are not decayed. Frozen parameters are left out, a
    parameter that several modules share is counted once.
    """
    decayed: dict[int, nn.Parameter] = {}
    free: dict[int, nn.Parameter] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                group = free if parameter.ndim < 2 or name.endswith("bias") else decayed
                group[id(parameter)] = parameter
    return [
        {"params": list(decayed.values()), "weight_decay": weight_decay},
        {"params": list(free.values()), "weight_decay": 0.0},
    ]
