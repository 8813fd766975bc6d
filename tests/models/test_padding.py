import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transferbench.models.padding import pad_as_tensorflow


def same(images, kernel, stride):
    """``SAME`` of TensorFlow's documentation: the output has ceil(n / s) rows, surplus padding goes to the end."""
    sides = []
    for n in (images.shape[3], images.shape[2]):
        total = (n % stride == 0 and max(kernel - stride, 0)) or max(kernel - (n % stride or stride), 0)
        sides += [total // 2, total - total // 2]
    return F.pad(images, sides)


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (15, 10), (2, 3)])
def test_a_strided_network_pads_as_tensorflow(size):
    net = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 5, 1, 2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    pad_as_tensorflow(net)
    assert {name: value.tolist() for name, value in net.state_dict().items()} == {
        n: v.tolist() for n, v in before.items()
    }
    images = torch.rand(2, 3, *size)
    stem = F.relu(F.conv2d(same(images, 7, 2), net[0].weight, stride=2))
    pooled = F.max_pool2d(same(stem, 3, 2), 3, 2)  # after ReLU padding with 0 is padding with what is never largest
    wanted = F.conv2d(pooled, net[3].weight, net[3].bias, stride=2)
    torch.testing.assert_close(net(images), wanted)
    assert wanted.shape[2:] == tuple(math.ceil(n / 8) for n in size)


def test_negative_values_are_pooled_without_the_padding():
    net = nn.Sequential(nn.MaxPool2d(3, 2, 1))
    pad_as_tensorflow(net)
    assert net(torch.full((1, 1, 4, 4), -3.0)).unique().tolist() == [-3.0]


def test_convolutions_of_stride_one_stay():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1))
    images = torch.rand(1, 3, 5, 5)
    wanted = net(images)
    pad_as_tensorflow(net)
    assert torch.equal(net(images), wanted)
