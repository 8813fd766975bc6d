"""Lookahead against the hand-worked numbers, a naive loop, and a run that is taken up again."""

from __future__ import annotations

import functools
import io

import pytest
import torch
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LambdaLR

from transferbench.errors import UserError
from transferbench.optim.lookahead import Lookahead

INNER = functools.partial(SGD, momentum=0.9)


def test_a_constant_gradient() -> None:
    weight = torch.zeros(1, requires_grad=True)
    optimizer, seen = Lookahead([weight], SGD, lr=1.0), []
    for _ in range(10):
        weight.grad = torch.ones(1)
        optimizer.step()
        seen.append(weight.item())
    assert seen == [-1, -2, -3, -4, -2.5, -3.5, -4.5, -5.5, -6.5, -5]


def test_an_interval_of_one_and_a_whole_share_is_the_wrapped_optimiser() -> None:
    ends = []
    for make in (INNER, functools.partial(Lookahead, inner=INNER, interval=1, share=1.0)):
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        optimizer = make(layer.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            layer(torch.ones(5, 3)).square().sum().backward()
            optimizer.step()
        ends.append(torch.cat([p.detach().flatten() for p in layer.parameters()]))
    assert torch.equal(*ends)


@pytest.mark.parametrize("inner", [INNER, AdamW])
def test_a_run_taken_up_again_ends_the_same(inner: type) -> None:
    def train(optimizer: Lookahead, layer: torch.nn.Linear, schedule: LambdaLR, steps: range) -> None:
        for step in steps:
            optimizer.zero_grad()
            layer(torch.full((2, 3), float(step + 1))).square().mean().backward()
            optimizer.step()
            schedule.step()

    def start() -> tuple[Lookahead, torch.nn.Linear, LambdaLR]:
        torch.manual_seed(1)
        layer = torch.nn.Linear(3, 2)
        groups = [{"params": [layer.weight], "lr": 1e-3}, {"params": [layer.bias], "lr": 1e-2, "weight_decay": 0.1}]
        optimizer = Lookahead(groups, inner, lr=1.0)
        return optimizer, layer, LambdaLR(optimizer, lambda step: 1 / (1 + step))

    optimizer, layer, schedule = start()
    train(optimizer, layer, schedule, range(13))
    other, again, plan = start()
    train(other, again, plan, range(7))
    file = io.BytesIO()
    torch.save({"optimizer": other.state_dict(), "schedule": plan.state_dict(), "layer": again.state_dict()}, file)
    file.seek(0)
    kept = torch.load(file, weights_only=True)
    other, again, plan = start()
    again.load_state_dict(kept["layer"])
    other.load_state_dict(kept["optimizer"])
    plan.load_state_dict(kept["schedule"])
    train(other, again, plan, range(7, 13))
    assert torch.equal(layer.weight, again.weight)
    assert torch.equal(layer.bias, again.bias)


def test_a_state_without_slow_weights_starts_them_from_the_parameters() -> None:
    weight = torch.zeros(2, requires_grad=True)
    optimizer = Lookahead([weight], SGD, lr=1.0)
    plain = SGD([weight], lr=1.0).state_dict()
    with torch.no_grad():
        weight.fill_(7)
    optimizer.load_state_dict(plain)
    assert optimizer.slow[0].tolist() == [7, 7]


def test_bad_settings() -> None:
    weight = torch.zeros(1, requires_grad=True)
    with pytest.raises(UserError, match="interval"):
        Lookahead([weight], SGD, interval=0, lr=1.0)
    with pytest.raises(UserError, match="share"):
        Lookahead([weight], SGD, share=0.0, lr=1.0)
