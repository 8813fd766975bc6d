"""Training with the weights shared out over the devices, for networks that one device cannot train (FSDP2 of torch)."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from transferbench.errors import UserError


class FullySharded(DDPStrategy):
    """DDP in which each device holds a share of the weights, their gradients and the optimiser's state.

    A block is put together when it is called, on every rank, and shared out again behind it; all ranks make the same
    calls. Checkpoints are those of DDP, and each of the two goes on from the other's. When training ends, every rank
    has the whole network again, on the CPU.

    Args:
        smallest: weights of the smallest block of a stack (``nn.Sequential``, ``nn.ModuleList``) that is put together
            by itself.
        **options: those of ``DDPStrategy``.
    """

    def __init__(self, smallest: int = 1_000_000, **options: Any) -> None:
        super().__init__(**options)
        self.smallest = smallest
        self._skeletons: dict[str, nn.Module] = {}

    def configure_ddp(self) -> None:
        """Shard what the task names as its ``parts``, which starts from the weights of rank 0.

        Raises:
            UserError: the task names none.
        """
        task: Any = self.lightning_module
        if not hasattr(task, "parts"):
            raise UserError(f"trainer=fsdp: {type(task).__name__} does not say what to shard; use trainer=ddp")
        task.to(memory_format=torch.contiguous_format)  # torch shards no other
        for value in task.state_dict().values():
            dist.broadcast(value, 0)
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module")  # of changing views: nobody here does
        names = {part: name for name, part in task.named_modules()}
        for part in task.parts():
            if next(part.parameters(), None) is not None:
                self._skeletons[names[part]] = skeleton(part)
                shard(part, self.smallest)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the whole weights, as one device has them; all ranks together."""
        return whole(super().lightning_module_state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Tensor]:
        """Return the whole state of the optimiser, as one device has it; all ranks together."""
        return whole(super().optimizer_state(optimizer))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take this rank's share of the optimiser's states."""
        super().load_optimizer_state_dict(checkpoint)
        for optimizer in self.optimizers:
            for parameter, state in optimizer.state.items():
                for key, value in state.items():
                    if isinstance(parameter, DTensor) and value.shape == parameter.shape:
                        mesh, placements = parameter.device_mesh, parameter.placements
                        state[key] = distribute_tensor(value, mesh, placements, src_data_rank=None)

    def on_train_end(self) -> None:
        """Put the network together for good: what follows on rank 0 alone cannot ask the others."""
        weights = self.lightning_module_state_dict()
        for name, part in self._skeletons.items():
            own = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}
            part.load_state_dict(own, assign=True)
            assert self.lightning_module is not None
            self.lightning_module.set_submodule(name, part)


def shard(part: nn.Module, smallest: int) -> None:
    """Share out ``part``, and in it, each by itself, the blocks of its stacks with ``smallest`` weights or more."""
    for stack in reversed(list(part.modules())):
        blocks: Iterable[nn.Module] = stack if isinstance(stack, (nn.Sequential, nn.ModuleList)) else ()
        for block in blocks:
            if sum(parameter.numel() for parameter in block.parameters()) >= smallest:
                fully_shard(block, reshard_after_forward=True)
    fully_shard(part, reshard_after_forward=True)  # also the outermost: the average moves between two calls


def skeleton(part: nn.Module) -> nn.Module:
    """Return a copy of ``part`` without memory for its parameters."""
    hollow = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in part.parameters()}
    return copy.deepcopy(part, hollow)


def whole(tree: dict[str, Any]) -> dict[str, Any]:
    """Return ``tree`` with every shared-out tensor put together, on the CPU; all ranks together."""
    collected: dict[str, Any] = apply_to_collection(tree, DTensor, lambda share: share.full_tensor().cpu())
    return collected
