from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from transferbench.probes.linear_heads import Heads

POINTS = [{"lr": 0.5, "weight_decay": 0.1}, {"lr": 2.0, "weight_decay": 0.0}, {"lr": 0.1, "weight_decay": 0.01}]


def heads(seed=0):
    return Heads(POINTS, 4, 6, torch.Generator().manual_seed(seed), torch.device("cpu"))


def test_side_by_side_is_one_after_the_other():
    generator = torch.Generator().manual_seed(1)
    batches = [(torch.randn(9, 6, generator=generator), torch.randint(4, (9,), generator=generator)) for _ in range(5)]
    together = heads()
    for rows, labels in batches:
        together.step(rows, labels, 0.7, 0.9)
    for index, point in enumerate(POINTS):
        layer = nn.Linear(6, 4)
        layer.weight.data, layer.bias.data = heads().weight[index].clone(), heads().bias[index].clone()
        optimiser = torch.optim.SGD(
            layer.parameters(), lr=0.7 * point["lr"], momentum=0.9, weight_decay=point["weight_decay"]
        )
        for rows, labels in batches:
            optimiser.zero_grad()
            nn.functional.cross_entropy(layer(rows), labels).backward()
            optimiser.step()
        torch.testing.assert_close(together.weight[index], layer.weight.data)
        torch.testing.assert_close(together.bias[index], layer.bias.data)
        torch.testing.assert_close(together.logits(rows)[:, index], layer(rows).detach())


def test_all_start_alike_within_torchs_bounds():
    start = heads()
    assert torch.equal(start.weight[0], start.weight[2])
    assert 0.7 / math.sqrt(6) < start.weight.abs().max() <= 1 / math.sqrt(6)
    assert not torch.equal(start.weight, heads(seed=1).weight)


@pytest.mark.parametrize("part", ["weight", "bias"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_number_that_is_not_finite_is_unsound(part, value):
    some = heads()
    getattr(some, part)[1].view(-1)[0] = value
    assert some.sound().tolist() == [True, False, True]
