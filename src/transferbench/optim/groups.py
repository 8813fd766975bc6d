"""Which parameters weight decay applies to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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


def rated_groups(
    parts: Mapping[str, nn.Module], rates: Mapping[str, float], weight_decay: float, free: str
) -> list[dict[str, Any]]:
    """Return parameter groups with a learning rate a part; names that match ``free`` are not decayed.

    Args:
        parts: modules by name; a parameter is called ``<part>.<its name in the part>``.
        rates: the learning rate of each part.
        weight_decay: of all other parameters.
        free: a regular expression, matched at the start of names.

    Frozen parameters are left out, a parameter that several modules share is counted once, empty groups are dropped.
    """
    groups: dict[tuple[float, float], dict[int, nn.Parameter]] = {}
    known: set[int] = set()
    for part, module in parts.items():
        for name, parameter in module.named_parameters(prefix=part):
            if parameter.requires_grad and id(parameter) not in known:
                known.add(id(parameter))
                decay = 0.0 if re.match(free, name) else weight_decay
                groups.setdefault((rates[part], decay), {})[id(parameter)] = parameter
    return [
        {"params": list(members.values()), "lr": lr, "weight_decay": decay} for (lr, decay), members in groups.items()
    ]
