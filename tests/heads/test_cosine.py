import pytest
import torch
from torch.nn import functional as F

from transferbench.heads.cosine import CosineClassifier


def classifier(weight, temperature=0.1):
    made = CosineClassifier(len(weight[0]), len(weight), temperature)
    made.weight.data = torch.tensor(weight)
    return made


def test_logits_and_cross_entropy_of_a_worked_example():
    logits = classifier([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]])(torch.tensor([[3.0, 4.0]]))
    assert logits[0].tolist() == pytest.approx([6, 8, -9.899495], abs=1e-5)
    losses = [F.cross_entropy(logits, torch.tensor([c])).item() for c in range(3)]
    assert losses == pytest.approx([2.126928, 0.126928, 18.026423], abs=1e-5)


def test_without_temperature_it_is_a_linear_layer():
    x, made = torch.randn(4, 2), classifier([[1.0, 0.0], [0.0, 2.0]], temperature=0)
    torch.testing.assert_close(made(x), x @ made.weight.T)


def test_logits_stay_in_float32_under_autocast():
    torch.manual_seed(0)
    made, x = CosineClassifier(64, 10), torch.randn(8, 64)
    exact = made(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(made(x), exact)


def test_weights_start_like_a_linear_layers():
    torch.manual_seed(0)
    weight = CosineClassifier(256, 1000).weight
    assert weight.shape == (1000, 256)
    assert weight.abs().max().item() == pytest.approx(1 / 16, rel=1e-3)
