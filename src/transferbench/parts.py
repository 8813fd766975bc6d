"""The parts of a network: a backbone, and a head that is built for it and for the data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from transferbench.build import build
from transferbench.errors import UserError

OFFERED = {
    "classes": "the number of classes",
    "tokens": "the number of tokens",
    "labels": "the number of labels of an image",
    "clusters": "the number of clusters of captions",
    "start": "the id of the start",
    "pad": "the id of padding",
    "mask": "the id of a hidden piece",
    "end": "the id of the end",
}
"""What a head may ask its data for (``ImageData.offered``), by argument."""


@dataclass(frozen=True)
class Parts:
    """What a configuration's model and head become."""

    backbone: nn.Module
    head: nn.Module | None


def build_parts(config: Mapping[str, Any], offered: Mapping[str, int], allowed: Sequence[str] | None = None) -> Parts:
    """Build the backbone, and the head for its width and the numbers that the data have ``offered`` (``head_for``)."""
    backbone = build(config["model"], allowed)
    if not config.get("head"):
        return Parts(backbone, None)
    return Parts(backbone, head_for(build(config["head"], allowed), backbone.width, offered))


def head_for(factory: Callable[..., nn.Module], width: int, offered: Mapping[str, int]) -> nn.Module:
    """Call the ``factory`` of a head with the ``width`` and those of the ``offered`` numbers that it asks for.

    Raises:
        UserError: it asks for a number that the data do not have.
    """
    wanted = inspect.signature(factory).parameters
    for key, parameter in wanted.items():
        if key in OFFERED and key not in offered and parameter.default is parameter.empty:
            raise UserError(
                f"head: it asks for {OFFERED[key]}, which these data do not have; choose data with captions, such as "
                "data=world_captions, or another head"
            )
    known = {"width": width, **offered}
    return factory(**{key: number for key, number in known.items() if key in wanted})


def offered_to(facts: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers that the head of a checkpoint with these ``facts`` was built for."""
    return {"classes": len(facts["classes"]), **facts.get("offered", {})}
