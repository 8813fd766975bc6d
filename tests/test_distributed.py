"""Collectives: nothing happens without a process group, and ranks of unequal length come in order with one."""

from __future__ import annotations

import socket
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from transferbench.distributed import gather, is_main, rank, world_size


def test_without_a_process_group_everything_stays() -> None:
    features, labels = torch.randn(3, 2), torch.arange(3)
    one, other = gather(features, labels)
    assert one is features
    assert other is labels
    assert (rank(), world_size(), is_main()) == (0, 1, True)


def _rank(number: int, port: int, place: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=2, rank=number)
    length = 2 + number  # the last batches of two ranks need not be equally long
    gathered, labels = gather(torch.full((length, 2), float(number)), torch.arange(length))
    found = {"features": gathered, "labels": labels, "main": is_main()}
    asked: list[int] = []
    exchange = dist.all_gather
    dist.all_gather = lambda pieces, mine: (asked.append(mine.numel()), exchange(pieces, mine))
    (found["equal"],) = gather(torch.full((2, 3), float(number)), equal=True)
    torch.save({**found, "asked": asked}, Path(place) / f"{number}.pt")
    dist.destroy_process_group()


def test_two_ranks_of_unequal_length_are_gathered_in_their_order(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(_rank, args=(port, str(tmp_path)), nprocs=2, start_method="fork")
    for number in (0, 1):
        found = torch.load(tmp_path / f"{number}.pt", weights_only=True)
        assert found["features"][:, 0].tolist() == [0, 0, 1, 1, 1]
        assert found["labels"].tolist() == [0, 1, 0, 1, 2]
        assert found["equal"].tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2
        assert found["asked"] == [6]  # the batch alone, and not its length
        assert found["main"] == (number == 0)
