"""Collectives that are no-ops without a process group, so the same code runs on one device and on many."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util  # registers what is to be called after _end_workers
import signal

import torch
import torch.distributed as dist
from torch import Tensor


def is_distributed() -> bool:
    """Tell whether a process group stands."""
    return dist.is_available() and dist.is_initialized()


def world_size() -> int:
    """Return the number of processes that train together, 1 without a process group."""
    return dist.get_world_size() if is_distributed() else 1


def rank() -> int:
    """Return this process's rank, 0 without a process group."""
    return dist.get_rank() if is_distributed() else 0


def is_main() -> bool:
    """Tell whether this is rank 0."""
    return rank() == 0


@torch.no_grad()
def gather(*tensors: Tensor, equal: bool = False) -> tuple[Tensor, ...]:
    """Concatenate each of ``tensors`` (B, ...) over ranks, in rank order; batches may differ in length over ranks.

    ``equal`` says that they do not: nothing is asked of the other ranks then, and nothing waits for the device.
    """
    if world_size() == 1:
        return tensors
    return tuple(_gather_one(tensor, None if equal else _lengths(tensor)) for tensor in tensors)


def _lengths(tensor: Tensor) -> list[int]:
    count = torch.tensor([tensor.shape[0]], device=tensor.device)
    counts = [torch.zeros_like(count) for _ in range(world_size())]
    dist.all_gather(counts, count)
    return torch.cat(counts).tolist()


def _gather_one(tensor: Tensor, lengths: list[int] | None) -> Tensor:
    """Concatenate over ranks that have batches of ``lengths``, or the same as here where that is None."""
    lengths = lengths or [tensor.shape[0]] * world_size()
    padded = tensor.new_zeros((max(lengths), *tensor.shape[1:]))
    padded[: tensor.shape[0]] = tensor
    pieces = [torch.zeros_like(padded) for _ in lengths]
    dist.all_gather(pieces, padded)
    return torch.cat([piece[:length] for piece, length in zip(pieces, lengths)])


def outlive_sigterm(worker: int) -> None:
    """Let a loading process ignore SIGTERM, as its ``worker_init_fn``.

    A scheduler sends it to all processes of a job; the main one then saves a checkpoint, for which it needs the others.
    They end with it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@atexit.register
def _end_workers() -> None:
    """Kill the loading processes that an error has left: when Python ends it asks them by SIGTERM, and waits.

    What is registered last is called first, so this comes before ``multiprocessing`` waits.
    """
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
