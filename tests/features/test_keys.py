from __future__ import annotations

import copy
import functools
import importlib
import sys

import numpy as np
import pytest
import torch
from torch import nn

from transferbench.data.evaluation import CentreCrop
from transferbench.errors import UserError
from transferbench.features.keys import described, key_parts, network_digest, weights_digest


class Network(nn.Module):
    def __init__(self, stride=1, pool="avg", slope=0.1):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, stride), nn.BatchNorm2d(4), nn.LeakyReLU(slope))
        self.pool = pool
        self.register_buffer("grid", torch.arange(3), persistent=False)
        self.register_buffer("sixteen", torch.ones(2, dtype=torch.bfloat16))

    def forward(self, images):
        return self.body(images)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network()


def changed(network, change):
    other = copy.deepcopy(network)
    with torch.no_grad():
        change(other)
    return other


def same_bits(network):
    network.load_state_dict({key: value.clone() for key, value in network.state_dict().items()})


@pytest.mark.parametrize(
    "change",
    [
        same_bits,
        lambda n: n.eval(),
        lambda n: n.requires_grad_(False),
        lambda n: n.to(memory_format=torch.channels_last),
        lambda n: n.body[0](torch.zeros(1, 3, 8, 8)),
    ],
)
def test_what_changes_no_feature_changes_no_digest(network, change):
    other = changed(network, change)
    assert weights_digest(other) == weights_digest(network)
    assert network_digest(other) == network_digest(network)


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n.body[0].weight[0, 0, 0, 0].mul_(1 + 1e-6),
        lambda n: n.body[0].bias.neg_(),
        lambda n: n.body[1].running_var.mul_(2),
        lambda n: n.body[1].num_batches_tracked.add_(1),
        lambda n: n.grid.add_(1),
        lambda n: n.sixteen.mul_(2),
        lambda n: n.double(),
        lambda n: n.body[1].register_buffer("bias_too", torch.zeros(0)),
        lambda n: n.body.register_buffer("empty", torch.zeros(0, 4)),
    ],
)
def test_every_bit_of_the_weights_counts(network, change):
    assert weights_digest(changed(network, change)) != weights_digest(network)


def test_two_tensors_that_change_places_are_told_apart():
    one, other = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    assert weights_digest(nn.Sequential(one, other)) != weights_digest(nn.Sequential(other, one))


@pytest.mark.parametrize("settings", [{"stride": 2}, {"pool": "max"}, {"slope": 0.2}])
def test_the_structure_counts_where_the_weights_are_the_same(network, settings):
    other = Network(**settings)
    other.load_state_dict(network.state_dict())
    assert weights_digest(other) == weights_digest(network)
    assert network_digest(other) != network_digest(network)


def test_the_code_of_a_class_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "network_of_my_own.py"
    digests = []
    for factor in ("2", "2", "31"):
        file.write_text(
            f"from torch import nn\n\n\nclass Own(nn.Module):\n    def forward(self, x):\n        return {factor} * x\n"
        )
        module = importlib.import_module("network_of_my_own")
        digests.append(network_digest(importlib.reload(module).Own()))
    del sys.modules["network_of_my_own"]
    assert digests[0] == digests[1] != digests[2]


class Doubling:
    def __init__(self, times):
        self.times = times

    def __call__(self, image):
        return image

    def __repr__(self):
        return f"Doubling({self.times})"


class Silent:
    def __call__(self, image):
        return image


def test_a_transform_is_what_it_says(pictures):
    assert described(Doubling(1)) == described(Doubling(1))
    assert described(Doubling(1)) != described(Doubling(2))
    assert described(CentreCrop(8, 6)).startswith("CentreCrop(resize=8, size=6, interpolation='bicubic')")


@pytest.mark.parametrize("transform", [Silent(), lambda image: image, functools.partial(described)])
def test_a_transform_that_tells_nothing_is_refused(transform):
    with pytest.raises(UserError, match="does not tell its settings"):
        described(transform)


def test_each_part_is_in_the_key(network, pictures):
    images = pictures(4)
    parts = key_parts(network, images, CentreCrop(8, 6))
    assert parts == key_parts(copy.deepcopy(network), pictures(4), CentreCrop(8, 6))
    assert all(isinstance(part, str) for part in parts.values())
    others = {
        "images": key_parts(network, pictures(5), CentreCrop(8, 6)),
        "transform": key_parts(network, images, CentreCrop(8, 7)),
        "precision": key_parts(network, images, CentreCrop(8, 6), precision="bf16-mixed"),
        "storage": key_parts(network, images, CentreCrop(8, 6), storage="float16"),
        "architecture": key_parts(network, images, CentreCrop(8, 6), architecture="resnet"),
    }
    for part, other in others.items():
        assert {key for key in parts if parts[key] != other[key]} == {part}


def test_labels_count(network, pictures):
    images, other = pictures(4), pictures(4)
    other.labels = np.array([0, 0, 0, 0])
    assert key_parts(network, images, CentreCrop(8, 6)) != key_parts(network, other, CentreCrop(8, 6))
