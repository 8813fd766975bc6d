"""Frozen features as a linear classifier reads them: held on a device where they fit, else read block by block."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from transferbench.probes.scaling import SMALLEST_STD, Standard


class OnDisk(Protocol):
    """Features in a file, such as the feature store's, whose ``mapped`` gives its numbers as they lie there."""

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)"""

    @property
    def mapped(self) -> NDArray[Any] | Tensor:
        """The rows in the file's precision: a memory map, or a tensor over one."""

    def __len__(self) -> int: ...


FeatureRows = NDArray[Any] | Tensor | OnDisk
"""(N, D) features: a NumPy array or memory map of float16, float32 or float64, a tensor of these or bfloat16, or rows
on disk."""

BLOCK = 64  # rows of a memory map that are read in one go: 256 KiB for 2,048 features in half precision
CHUNK = 8192  # rows that are converted or scored at once
_SPARE = 2 * 2**30  # bytes that stay free beside held features, as CoG leaves them on its GPU


def free_bytes(device: torch.device) -> int:
    """Return how many bytes of features ``device`` can hold while 2 GiB of its memory stay free."""
    if device.type == "cuda":
        return max(int(torch.cuda.mem_get_info(device)[0]) - _SPARE, 0)
    return max(memory_left() - _SPARE, 0)


def memory_left(root: Path = Path("/")) -> int:
    """Return how many bytes this machine, or the container it stands for, has to give (half of all off Linux)."""
    facts, limit = root / "proc/meminfo", root / "sys/fs/cgroup/memory.max"
    if not facts.exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    found = dict(line.split(":", 1) for line in facts.read_text(encoding="ascii").splitlines())
    left = int(found["MemAvailable"].split()[0]) * 1024
    if limit.exists() and (most := limit.read_text(encoding="ascii").strip()).isdigit():
        used = dict(line.split() for line in limit.with_name("memory.stat").read_text(encoding="ascii").splitlines())
        left = min(left, int(most) - int(used["anon"]))  # the rest of what it uses is files that can be read again
    return left


def is_mapped(x: FeatureRows) -> bool:
    """Say whether ``x`` lies in a file: a memory map or a view of one, or a tensor larger than the machine's memory."""
    if not isinstance(x, np.ndarray | Tensor):
        return True
    if isinstance(x, Tensor):
        return x.device.type == "cpu" and x.nbytes > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    base: Any = x
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


def rows_of(x: FeatureRows, which: slice | NDArray[np.int64]) -> Tensor:
    """Return the rows ``which`` (a slice, or positions) of ``x`` as a tensor of its own precision."""
    x = x if isinstance(x, np.ndarray | Tensor) else x.mapped
    if isinstance(x, Tensor):
        return x[which] if isinstance(which, slice) else x[torch.from_numpy(which).to(x.device)]
    part = np.array(x[which]) if isinstance(which, slice) else x[which]  # a copy: maps are often read-only
    return torch.from_numpy(part)


class Bank:
    """The rows ``keep`` of ``x`` (N, D), all when it is None, numbered from 0 and handed out as float32 on ``device``.

    They are held on the device, scaled once, if they take at most ``room`` bytes as float32 (None: what the device has
    to spare); in their own precision, scaled as they are handed out, if only that fits; else they stay where they are.
    ``unit`` brings each row to length 1. Raises ``ValueError`` for features that are not floating-point rows.
    """

    def __init__(
        self,
        x: FeatureRows,
        *,
        keep: NDArray[np.int64] | None = None,
        unit: bool = True,
        device: str | torch.device = "cpu",
        room: int | None = None,
    ) -> None:
        kind = rows_of(x, slice(0, 0)).dtype if len(x.shape) == 2 else None
        if kind is None or not kind.is_floating_point:
            raise ValueError(f"expected floating-point features (N, D), found {kind or 'an array'} {tuple(x.shape)}")
        self.x, self.keep, self.unit, self.device = x, keep, unit, torch.device(device)
        self.count, self.width = len(x) if keep is None else len(keep), int(x.shape[1])
        room = free_bytes(self.device) if room is None else room
        own = torch.float32 if kind == torch.float64 else kind
        self.capacity = max(room // (4 * self.width), 1)
        self.held: Tensor | None = None
        self.scaled = self.count <= self.capacity
        if self.scaled or self.count * self.width * own.itemsize <= room:
            self.held = self._hold(torch.float32 if self.scaled else own)

    def _hold(self, dtype: torch.dtype) -> Tensor:
        held = torch.empty((self.count, self.width), dtype=dtype, device=self.device)
        for start in range(0, self.count, CHUNK):
            stop = min(start + CHUNK, self.count)
            rows = rows_of(self.x, slice(start, stop) if self.keep is None else self.keep[start:stop])
            held[start:stop] = self._finished(rows.to(self.device)) if self.scaled else rows
        return held

    def _finished(self, rows: Tensor) -> Tensor:
        rows = rows.to(torch.float32)
        return normalize(rows, dim=1) if self.unit else rows

    def _read(self, positions: Tensor) -> Tensor:
        """Return the rows ``positions`` (B,), on the device; the file is gone through in ascending order."""
        ascending, order = positions.cpu().sort()
        where = ascending.numpy() if self.keep is None else self.keep[ascending.numpy()]
        if len(where) and (np.diff(where) == 1).all():
            rows = rows_of(self.x, slice(int(where[0]), int(where[-1]) + 1))
        else:
            rows = rows_of(self.x, where)
        rows = self._finished(rows.to(self.device))
        return torch.empty_like(rows).index_copy_(0, order.to(self.device), rows)

    def rows(self, positions: Tensor) -> Tensor:
        """Return the rows ``positions`` (B,) as float32 (B, D)."""
        if self.held is None:
            return self._read(positions)
        found = self.held[positions.to(self.device)]
        return found if self.scaled else self._finished(found)

    def shuffled(self, positions: Tensor, batch: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the rows ``positions`` (n,) once, in random order: features (batch, D) and their positions (batch,).

        The last batch holds what is left over. The order is uniform over all orders, except for a memory map that is
        not held: there, blocks of 64 neighbouring rows are shuffled, as many as the room allows are read, and their
        rows shuffled among each other. ``generator`` lives on the CPU, so the order is the same on every device.
        """
        apart = self.held is None and is_mapped(self.x)
        order = positions[_blocks(len(positions), BLOCK if apart else 1, generator)]
        if self.held is not None:
            for where in torch.split(order.to(self.device), batch):
                yield self.rows(where), where
            return
        for part in torch.split(order, max(self.capacity // batch, 1) * batch):
            mixed = part[torch.randperm(len(part), generator=generator)] if apart else part
            yield from zip(torch.split(self._read(mixed), batch), torch.split(mixed.to(self.device), batch))

    def in_order(self, positions: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the rows ``positions`` (n,) as they stand, some thousand at a time: features and their positions."""
        for where in torch.split(positions, CHUNK):
            yield self.rows(where), where.to(self.device)

    def moments(self, positions: Tensor) -> Standard:
        """Return the mean and (population) deviation of the rows ``positions``, summed in float64."""
        total = torch.zeros(2, self.width, dtype=torch.float64, device=self.device)
        for rows, _ in self.in_order(positions):
            exact = rows.to(torch.float64)
            total += torch.stack([exact.sum(dim=0), exact.square().sum(dim=0)])
        mean, square = (total / len(positions)).cpu()
        std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=SMALLEST_STD)
        return Standard(mean.float().numpy(), std.float().numpy())


def _blocks(count: int, block: int, generator: torch.Generator) -> Tensor:
    """Return ``range(count)`` with its blocks of ``block`` neighbours in random order."""
    starts = torch.randperm(-(-count // block), generator=generator) * block
    order = (starts[:, None] + torch.arange(block)).flatten()
    return order[order < count]
