"""Give an untrained network the normalisation statistics that its pictures would have."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from transferbench.features.extract import frozen


@torch.no_grad()
def calibrate_batch_norm(backbone: nn.Module, pictures: Iterable[Tensor], device: str | torch.device = "cpu") -> None:
    """Set every batch normalisation's running mean and variance to their averages over the batches ``pictures``.

    Each batch (B, 3, S, S) passes once, normalised by its own statistics; all else is in evaluation mode. Modes,
    momenta and the device are afterwards what they were. A network without batch normalisation is left as it is.
    """
    layers = [m for m in backbone.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    with frozen(backbone, device):
        for layer in layers:
            layer.reset_running_stats()
            layer.train()
            layer.momentum = None  # torch's word for a cumulative average
        for batch in pictures:
            backbone(batch.to(device, memory_format=torch.channels_last))
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
