"""Collectives: nothing happens without a process group, and ranks of unequal length come in order with one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from transferbench.distributed import gather, is_main, rank, world_size


def test_without_a_process_group_everything_stays() -> None:
    features, labels = torch.randn(3, 2), torch.arange(3)
    one, other = gather(features, labels)
    assert one is features
    assert other is labels
    assert (rank(), world_size(), is_main()) == (0, 1, True)


def _found(number: int) -> dict[str, Any]:
    length = 2 + number  # the last batches of two ranks need not be equally long
    gathered, labels = gather(torch.full((length, 2), float(number)), torch.arange(length))
    found = {"features": gathered, "labels": labels, "main": is_main()}
    asked: list[int] = []
    exchange = dist.all_gather
    dist.all_gather = lambda pieces, mine: (asked.append(mine.numel()), exchange(pieces, mine))
    (found["equal"],) = gather(torch.full((2, 3), float(number)), equal=True)
    return {**found, "asked": asked}


def test_two_ranks_of_unequal_length_are_gathered_in_their_order(
    two_ranks: Callable[..., list[dict[str, Any]]],
) -> None:
    for number, found in enumerate(two_ranks(_found)):
        assert found["features"][:, 0].tolist() == [0, 0, 1, 1, 1]
        assert found["labels"].tolist() == [0, 1, 0, 1, 2]
        assert found["equal"].tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2
        assert found["asked"] == [6]  # the batch alone, and not its length
        assert found["main"] == (number == 0)


LEFT = """
import torch
from torch.utils.data import DataLoader
from transferbench.distributed import outlive_sigterm
loader = DataLoader(range(9), num_workers=1, persistent_workers=True, worker_init_fn=outlive_sigterm)
kept = iter(loader)
next(kept)
raise ValueError("on purpose")
"""


def test_an_error_leaves_no_loading_process_that_python_waits_for() -> None:
    told = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=120)
    assert told.returncode == 1
    assert "on purpose" in told.stderr
