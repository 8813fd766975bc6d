import pytest
import torch
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.heads.projector import Projector


@pytest.mark.parametrize(("hidden_layers", "count"), [(0, 524_288), (1, 4_724_736), (2, 8_925_184), (3, 13_125_632)])
def test_sizes_of_the_paper(hidden_layers, count):
    with torch.device("meta"):
        projector = Projector(2048, hidden_layers)
    assert sum(p.numel() for p in projector.parameters()) == count


def test_forward_is_the_written_formula():
    torch.manual_seed(0)
    projector = Projector(5, 1, 7, 3)
    x = torch.randn(6, 5)
    linear, norm, _ = projector.layers[0]
    hidden = (x / x.norm(dim=1, keepdim=True)) @ linear.weight.T + linear.bias
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
    torch.testing.assert_close(projector(x), hidden @ projector.layers[1].weight.T, rtol=1e-4, atol=1e-6)


def test_input_normalisation_is_a_switch():
    x = torch.randn(4, 5)
    projector = Projector(5, 0, 7, 3)
    torch.testing.assert_close(projector(3 * x), projector(x))
    raw = Projector(5, 0, 7, 3, normalise_input=False)
    torch.testing.assert_close(raw(3 * x), 3 * raw(x))
    torch.testing.assert_close(raw(x), F.linear(x, raw.layers[0].weight))


def test_initialisation():
    torch.manual_seed(0)
    projector = Projector(512, 1, 512, 256)
    linear = projector.layers[0][0]
    assert linear.bias.abs().max() == 0
    assert projector.layers[1].bias is None
    for weight in (linear.weight, projector.layers[1].weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_a_negative_depth_is_refused():
    with pytest.raises(UserError, match=r"head\.bottleneck=-1: expected 1 or more"):
        Projector(8, bottleneck=-1)
    with pytest.raises(UserError, match="hidden_layers=-1"):
        Projector(5, -1)
