"""A model taken as it is."""

from __future__ import annotations

from torch import nn


class Frozen:
    """Train nothing: the run goes straight to the evaluation of ``backbone``.

    Args:
        backbone: images to features ``(B, width)``.
        head: not used; a run hands it over where the configuration has one.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module | None = None) -> None:
        self.backbone = backbone
        self.head = head
