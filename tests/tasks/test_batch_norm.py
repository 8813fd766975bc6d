"""Batch norm over two processes against torch's own on the joint batch."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from transferbench.tasks.batch_norm import join, separate

CPU = torch.device("cpu")
SHARES = slice(0, 3), slice(3, 8)
"""Images of each rank: unequally many."""
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "images": (lambda: nn.BatchNorm2d(4), (8, 4, 5, 3)),
    "vectors": (lambda: nn.BatchNorm1d(4, eps=0.1), (8, 4)),
    "cumulative average": (lambda: nn.BatchNorm1d(4, momentum=None), (8, 4, 5)),
    "not affine": (lambda: nn.BatchNorm2d(4, affine=False, momentum=0.5), (8, 4, 2, 2)),
    "no statistics": (lambda: nn.BatchNorm2d(4, track_running_stats=False), (8, 4, 2, 2)),
    "with activation": (lambda: BatchNormAct2d(4, inplace=False), (8, 4, 5, 3)),
}


def layer(name: str) -> nn.Module:
    torch.manual_seed(0)
    made = CASES[name][0]().double()
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made


def batches(name: str) -> list[tuple[Tensor, Tensor]]:
    """Three batches far from the origin, and what their outputs are weighed with in the loss."""
    generator, shape = torch.Generator().manual_seed(1), CASES[name][1]
    draw = [torch.randn(2, *shape, generator=generator, dtype=torch.double) for _ in range(3)]
    return [(3 * both[0] + 50, both[1]) for both in draw]


def train(made: nn.Module, name: str, share: slice) -> dict[str, Tensor]:
    """Return outputs, gradients and statistics of a share of the batches."""
    found: dict[str, Tensor] = {}
    for number, (whole, weights) in enumerate(batches(name)):
        x = whole[share].clone().requires_grad_()
        y = made(x)
        (y * weights[share]).sum().backward()
        found |= {f"output {number}": y.detach(), f"gradient {number}": x.grad if x.grad is not None else x}
    found |= {f"gradient of {key}": value.grad for key, value in made.named_parameters() if value.grad is not None}
    return found | dict(made.named_buffers())


def _found(number: int) -> dict[str, dict[str, Tensor]]:
    found = {name: train(join(layer(name), CPU), name, SHARES[number]) for name in CASES}
    half = join(nn.BatchNorm2d(4), CPU)(batches("images")[0][0].bfloat16())
    assert half.dtype == torch.bfloat16
    return found


@pytest.fixture(scope="module")
def of_ranks(two_ranks: Callable[..., list[dict[str, dict[str, Tensor]]]]) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two ranks found, by case."""
    return two_ranks(_found)


@pytest.mark.parametrize("name", list(CASES))
def test_two_ranks_are_one_with_the_joint_batch(name: str, of_ranks: list[dict[str, dict[str, Tensor]]]) -> None:
    wanted = train(layer(name), name, slice(None))
    for found, share in zip((ranks[name] for ranks in of_ranks), SHARES, strict=True):
        assert list(found) == list(wanted)
        for key, value in found.items():
            if key.startswith("gradient of"):  # of this rank's summands of the loss
                value, other = sum(ranks[name][key] for ranks in of_ranks), wanted[key]
            else:
                other = wanted[key][share] if key[-1].isdigit() else wanted[key]
            torch.testing.assert_close(value, other, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("name", list(CASES))
def test_alone_and_in_evaluation_nothing_changes(name: str) -> None:
    plain, joint = layer(name), join(layer(name), CPU)
    for key, value in train(joint, name, slice(None)).items():
        torch.testing.assert_close(value, train(copy.deepcopy(plain), name, slice(None))[key])
    for x, _ in batches(name):
        plain(x)
    torch.testing.assert_close(joint.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_layers_are_joined_and_separated_in_place(device: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(BatchNormAct2d(4), nn.BatchNorm2d(4)))
    modules, state, kinds = list(net.modules()), net.state_dict(), [type(one) for one in net.modules()]
    images = torch.randn(2, 3, 4, 4)
    output = net.eval()(images)
    join(net, torch.device(device))
    assert list(net.modules()) == modules and list(net.state_dict()) == list(state)
    by_torch = [isinstance(one, nn.SyncBatchNorm) for one in net.modules()]
    assert by_torch == [device == "cuda" and issubclass(kind, nn.BatchNorm2d) for kind in kinds]
    assert not {type(one) for one in net.modules()} & {nn.BatchNorm2d, BatchNormAct2d}
    assert torch.equal(net(images), output)
    assert [type(one) for one in separate(net).modules()] == kinds
    assert not {"was", "process_group"} & set(vars(net[1]))
    assert torch.equal(net(images), output)
