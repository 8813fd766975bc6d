from __future__ import annotations

import torch
from torch import nn

from transferbench.features.calibrate import calibrate_batch_norm


def test_statistics_are_the_averages_over_batches():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.9), nn.Flatten(), nn.BatchNorm1d(100))
    network[1].running_mean.fill_(50)
    network[4].momentum = 0.3
    network.train()
    batches = [torch.randn(8, 3, 5, 5) * scale for scale in (1, 2, 3)]
    with torch.no_grad():
        activations = [network[0](batch) for batch in batches]
    calibrate_batch_norm(network, batches)
    means = torch.stack([a.mean(dim=(0, 2, 3)) for a in activations]).mean(dim=0)
    variances = torch.stack([a.var(dim=(0, 2, 3)) for a in activations]).mean(dim=0)
    torch.testing.assert_close(network[1].running_mean, means)
    torch.testing.assert_close(network[1].running_var, variances)
    assert (network[1].momentum, network[4].momentum) == (0.1, 0.3)
    assert all(module.training for module in network.modules())
    assert network[4].running_var.median() < 2  # dropout at 0.9 in training mode would multiply the variance by ten


def test_a_network_without_batch_norm_is_not_run():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.BatchNorm2d(4, track_running_stats=False))
    calibrate_batch_norm(network, iter([torch.zeros(1, 7)]))  # a wrong shape: it would fail
