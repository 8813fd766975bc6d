from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import ArrayImages, FolderImages
from transferbench.errors import RunFailed, UserError
from transferbench.features.extract import evenly_spaced, extract


class Network(nn.Module):
    """Counts the pictures it is shown and keeps whether it was in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.5))
        self.seen, self.modes = 0, set()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.dtype == torch.uint8
        self.seen += len(images)
        self.modes.add(self.body[1].training)
        return self.body(images.float() / 255).mean(dim=(2, 3))


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (11, 20, 24, 3), dtype=np.uint8)
    return ArrayImages(pixels, np.arange(11) % 3, ("a", "b", "c"))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network()


def naive(network, images, transform):
    network.eval()
    with torch.no_grad():
        return np.stack([network(transform(images.image(i))[None])[0].numpy() for i in range(len(images))])


@pytest.mark.parametrize("batch_size", [1, 4, 256])
def test_features_are_those_of_single_pictures(images, network, batch_size):
    transform = CentreCrop(16, 12)
    found = extract(network, images, transform, batch_size=batch_size)
    assert network.seen == 11
    np.testing.assert_allclose(found.x, naive(network, images, transform), atol=1e-6)
    assert found.x.dtype == np.float32
    np.testing.assert_array_equal(found.y, images.labels)
    np.testing.assert_array_equal(found.positions, np.arange(11))


def test_modes_gradients_and_statistics_are_left_alone(images, network):
    network.train()
    network.body[3].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    extract(network, images, CentreCrop(16, 12))
    assert network.modes == {False}
    assert network.training
    assert network.body[1].training
    assert not network.body[3].training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    network(torch.zeros(2, 3, 12, 12, dtype=torch.uint8)).sum().backward()  # still trainable: no inference tensors


def test_modes_come_back_after_a_failure(images, network):
    network.train()
    with pytest.raises(RuntimeError):
        extract(network, images, lambda _: torch.zeros(4, 12, 12, dtype=torch.uint8))
    assert network.training


def test_the_default_generator_does_not_move(images, network):
    state = torch.get_rng_state()
    extract(network, images, CentreCrop(16, 12), batch_size=4)
    assert torch.equal(torch.get_rng_state(), state)


def test_chosen_positions_alone(images, network):
    transform = CentreCrop(16, 12)
    found = extract(network, images, transform, positions=np.array([7, 2]))
    np.testing.assert_allclose(found.x, naive(network, images, transform)[[7, 2]], atol=1e-6)
    assert found.y.tolist() == [1, 2]
    assert found.positions.tolist() == [7, 2]


@pytest.mark.parametrize(("length", "most"), [(1, 5), (5, 1), (5, 5), (7, 6), (10, 3), (1000, 512), (0, 4)])
def test_positions_are_spread_evenly(length, most):
    found = evenly_spaced(length, most)
    assert len(found) == len(set(found.tolist())) == min(length, most)
    assert found.dtype == np.int64
    if len(found) > 1:
        assert (found[0], found[-1]) == (0, length - 1)
        assert np.ptp(np.diff(found)) <= 1


@pytest.fixture
def damaged(tmp_path):
    names = [f"{i}.png" for i in range(6)]
    for i, name in enumerate(names):
        Image.new("RGB", (16, 16), (40 * i, 0, 0)).save(tmp_path / name)
    (tmp_path / "1.png").write_bytes(b"not an image")
    (tmp_path / "4.png").unlink()
    return FolderImages(tmp_path, names, [0, 0, 1, 1, 2, 2], ("a", "b", "c"))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("batch_size", [1, 6])
def test_unreadable_images_are_left_out(damaged, network, batch_size, workers, caplog):
    found = extract(network, damaged, CentreCrop(16, 12), batch_size=batch_size, workers=workers)
    assert found.positions.tolist() == [0, 2, 3, 5]
    assert found.y.tolist() == [0, 1, 1, 2]
    assert len(found.x) == 4
    if not workers:
        assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2
        assert "1.png: not an image" in caplog.text


def test_no_readable_image_is_an_error(damaged, network):
    with pytest.raises(UserError, match="none of the 6 images"):
        extract(network, damaged, CentreCrop(16, 12), positions=np.array([1, 4]))


def test_a_diverged_network_is_said(images, network):
    nn.init.constant_(network.body[0].weight, float("nan"))
    with pytest.raises(RunFailed, match="not finite"):
        extract(network, images, CentreCrop(16, 12))


def test_half_precision_is_near_and_float32_comes_back(images, network):
    full = extract(network, images, CentreCrop(16, 12))
    half = extract(network, images, CentreCrop(16, 12), precision="bf16-mixed")
    assert half.x.dtype == np.float32
    assert not np.array_equal(full.x, half.x)
    np.testing.assert_allclose(half.x, full.x, atol=0.02)


def test_an_unknown_precision_is_refused(images, network):
    with pytest.raises(UserError, match="precision=8-bit"):
        extract(network, images, CentreCrop(16, 12), precision="8-bit")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_and_back(images, network):
    on_cpu = extract(network, images, CentreCrop(16, 12))
    on_gpu = extract(network, images, CentreCrop(16, 12), device="cuda")
    np.testing.assert_allclose(on_gpu.x, on_cpu.x, atol=1e-3)
    assert next(network.parameters()).device.type == "cpu"
    network.train()(torch.zeros(2, 3, 12, 12, dtype=torch.uint8)).sum().backward()
