import pytest
import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.heads.classification import class_mean_head, cosine_head, linear_head, running_mean_head

SMALL = {"width": 8, "classes": 5, "hidden_width": 6, "bottleneck": 4}


def test_linear_head():
    head = linear_head(width=8, classes=5)
    x = torch.randn(2, 8)
    torch.testing.assert_close(head(x), head.classifier(x))
    assert isinstance(head.projector, nn.Identity)
    assert head.memory is None and head.momentum is None


def test_cosine_head_learns_its_weights():
    head = cosine_head(**SMALL, hidden_layers=1)
    assert head.memory is None and head.momentum is None
    assert head.classifier.weight.shape == (5, 4)
    assert head(torch.randn(3, 8)).shape == (3, 5)


def test_class_mean_head_is_fed():
    head = class_mean_head(**SMALL, hidden_layers=1, memory=16, momentum=0.9)
    assert head.memory is head.classifier and head.momentum == 0.9
    assert head(torch.randn(3, 8)).shape == (3, 5)
    assert {"classifier.features", "classifier.labels", "classifier.pointer"} <= set(head.state_dict())


def test_running_mean_head_is_fed_by_the_network_itself():
    head = running_mean_head(**SMALL)
    assert isinstance(head.projector, nn.Identity)
    assert head.memory is head.classifier and head.momentum is None
    assert head.classifier.means.shape == (5, 8)
    assert running_mean_head(**SMALL, hidden_layers=0).classifier.means.shape == (5, 4)


@pytest.mark.parametrize("factory", [cosine_head, class_mean_head, running_mean_head])
def test_null_layers_mean_no_projector(factory):
    assert isinstance(factory(**SMALL, hidden_layers=None).projector, nn.Identity)


@pytest.mark.parametrize(
    ("hidden_layers", "trainable_ocm", "trainable_plain"),
    [
        (0, 24_032_320, 24_288_320),
        (1, 28_232_768, 28_488_768),
        (2, 32_433_216, 32_689_216),
        (3, 36_633_664, 36_889_664),
    ],
)
def test_parameter_counts_of_the_paper(hidden_layers, trainable_ocm, trainable_plain):
    """With ResNet-50's 23,508,032."""
    for factory, count in ((class_mean_head, trainable_ocm), (cosine_head, trainable_plain)):
        with torch.device("meta"):
            head = factory(width=2048, classes=1000, hidden_layers=hidden_layers)
        assert sum(p.numel() for p in head.parameters()) + 23_508_032 == count


def test_momentum_outside_its_range_is_refused():
    with pytest.raises(UserError, match=r"head\.momentum=1.5"):
        class_mean_head(**SMALL, momentum=1.5)
