import pytest
import torch
from torch import nn

from transferbench.heads.classification import class_mean_head, cosine_head
from transferbench.models.backbone import torchvision_backbone
from transferbench.optim.groups import decay_groups, rated_groups


@pytest.mark.parametrize(("hidden_layers", "decayed", "free"), [(3, 57, 115), (1, 55, 109)])
def test_counts_of_the_paper(hidden_layers, decayed, free):
    with torch.device("meta"):
        backbone = torchvision_backbone("resnet50")
        means = class_mean_head(width=2048, classes=1000, hidden_layers=hidden_layers)
        plain = cosine_head(width=2048, classes=1000, hidden_layers=hidden_layers)
    for head, more in ((means, 0), (plain, 1)):
        first, second = decay_groups([backbone, head], 1e-4)
        assert (len(first["params"]), len(second["params"])) == (decayed + more, free)
        assert (first["weight_decay"], second["weight_decay"]) == (1e-4, 0.0)


def test_frozen_parameters_are_left_out_and_shared_ones_counted_once():
    layer, frozen = nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)
    first, second = decay_groups([layer, frozen, nn.Sequential(layer)], 0.1)
    assert first["params"] == [layer.weight]
    assert second["params"] == [layer.bias]


def test_a_two_dimensional_bias_is_not_decayed():
    module = nn.Module()
    module.position_bias = nn.Parameter(torch.zeros(3, 3))
    first, second = decay_groups([module], 0.1)
    assert first["params"] == []
    assert len(second["params"]) == 1


def test_groups_with_a_rate_a_part():
    backbone, head = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    frozen = nn.Linear(1, 1).requires_grad_(False)
    parts = {"backbone": backbone, "head": nn.ModuleDict({"textual": head, "again": backbone, "frozen": frozen})}
    groups = rated_groups(parts, {"backbone": 0.2, "head": 0.001}, 1e-4, r".*textual\.(.*bias|1\.)")
    assert [(g["lr"], g["weight_decay"], len(g["params"])) for g in groups] == [
        (0.2, 1e-4, 2),
        (0.001, 1e-4, 1),
        (0.001, 0.0, 3),
    ]
    assert groups[1]["params"][0] is head[0].weight
