import pytest
import torch
from torch import nn

from transferbench.heads.classification import class_mean_head
from transferbench.models.backbone import torchvision_backbone
from transferbench.optim.momentum import MomentumEncoder


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(2, 2)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


def test_three_steps_towards_a_constant():
    encoder = MomentumEncoder(constant(1.0), constant(1.0), 0.999)
    for _ in range(3):
        encoder.update(constant(2.0), constant(2.0))
    for parameter in encoder.parameters():
        assert parameter.flatten().tolist() == pytest.approx([1.002997001] * parameter.numel(), abs=2e-7)


def test_only_parameters_are_averaged():
    backbone = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    encoder = MomentumEncoder(backbone, nn.Identity(), 0.0)
    backbone(torch.randn(8, 2) + 5)
    encoder.update(backbone, nn.Identity())
    assert torch.equal(encoder.backbone[0].weight, backbone[0].weight)
    assert int(encoder.backbone[1].num_batches_tracked) == 0
    assert encoder.backbone[1].running_mean.tolist() == [0, 0]
    encoder.train()(torch.randn(8, 2))
    assert int(encoder.backbone[1].num_batches_tracked) == 1


def test_no_gradient():
    encoder = MomentumEncoder(nn.Linear(2, 2), nn.Linear(2, 2))
    out = encoder(torch.randn(4, 2, requires_grad=True))
    assert not out.requires_grad
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_total_size_of_the_paper():
    with torch.device("meta"):
        backbone, head = torchvision_backbone("resnet50"), class_mean_head(width=2048, classes=1000)
        encoder = MomentumEncoder(backbone, head.projector)
    modules = (backbone, head, encoder)
    assert sum(p.numel() for module in modules for p in module.parameters()) == 73_267_328
