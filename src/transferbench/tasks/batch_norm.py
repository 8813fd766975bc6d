"""Batch norm whose moments are those of the joint batch of all ranks, on CPUs as on GPUs."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning import LightningModule
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from transferbench.distributed import world_size

M = TypeVar("M", bound=nn.Module)


class JointBatchNorms(TorchSyncBatchNorm):
    """What ``trainer.sync_batchnorm`` does here: Lightning's own way refuses CPUs, and drops timm's activations."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Let the batch norms of ``model`` take their moments over all devices."""
        assert isinstance(model, LightningModule)
        return join(model, model.trainer.strategy.root_device)

    def revert(self, model: nn.Module) -> nn.Module:
        """Let them be what they were."""
        return separate(model)


class JointBatchNorm(_BatchNorm):
    """A batch norm of any number of dimensions that needs no GPU; ``join`` makes it of one of torch's or timm's."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(B, C, ...)``; B may differ over ranks."""
        joint = self.training and world_size() > 1
        return _followed(self, self._normalise(input) if joint else super().forward(input))

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept what the layer accepted before, and more."""

    def _normalise(self, input: Tensor) -> Tensor:
        """Take mean and variance in turn, so that nothing cancels, and in float32 or better."""
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        others, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        sums = _sum_over_ranks(torch.cat([x.sum(others), x.new_tensor([x.numel() // x.shape[1]])]))
        count = sums[-1]
        mean = sums[:-1] / count
        centred = x - mean.view(shape)
        variance = _sum_over_ranks(centred.square().sum(others)) / count
        if self.track_running_stats:
            self._track(mean.detach(), (variance * count / (count - 1)).detach())
        scale = torch.rsqrt(variance + self.eps)
        normalised = centred * (scale if self.weight is None else scale * self.weight).view(shape)
        if self.bias is not None:
            normalised = normalised + self.bias.view(shape)
        return normalised.to(input.dtype)

    def _track(self, mean: Tensor, unbiased: Tensor) -> None:
        """Move the running statistics by the rule of torch's batch norm."""
        count, running_mean, running_var = self.num_batches_tracked, self.running_mean, self.running_var
        if count is None or running_mean is None or running_var is None:
            return
        count.add_(1)
        factor = 1 / int(count) if self.momentum is None else self.momentum
        running_mean.lerp_(mean.to(running_mean.dtype), factor)
        running_var.lerp_(unbiased.to(running_var.dtype), factor)


class TorchJointBatchNorm(nn.SyncBatchNorm):
    """The same by torch's own kernels, which refuse CPUs."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(B, C, ...)``; B may differ over ranks."""
        return _followed(self, super().forward(input))


def _followed(layer: nn.Module, normalised: Tensor) -> Tensor:
    """Let the children of a layer follow: timm's batch norms have a ``drop`` and an ``act``."""
    for child in layer.children():
        normalised = child(normalised)
    return normalised


class _SumOverRanks(torch.autograd.Function):
    """A sum that the losses of all ranks depend on, so that its gradient is a sum over ranks, too."""

    @staticmethod
    def forward(ctx: Any, summand: Tensor) -> Tensor:
        total = summand.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _SumOverRanks.forward(ctx, *gradients)


def _sum_over_ranks(summand: Tensor) -> Tensor:
    total: Tensor = _SumOverRanks.apply(summand)
    return total


def join(module: M, device: torch.device) -> M:
    """Let every batch norm in ``module`` take its moments over all ranks, on ``device``; ``separate`` undoes it.

    The layers stay the same objects, with the same names, parameters and buffers.
    """
    kind = JointBatchNorm if device.type == "cpu" else TorchJointBatchNorm
    for layer in module.modules():
        if isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm):
            vars(layer).update(was=type(layer), process_group=None)
            layer.__class__ = kind
    return module


def separate(module: M) -> M:
    """Let every batch norm in ``module`` be what it was before ``join``."""
    for layer in module.modules():
        if isinstance(layer, (JointBatchNorm, TorchJointBatchNorm)):
            layer.__class__ = vars(layer).pop("was")
            del vars(layer)["process_group"]
    return module
