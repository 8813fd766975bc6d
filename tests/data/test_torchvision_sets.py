import pickle
from pathlib import Path

import numpy as np
import pytest
import torchvision

from transferbench.data.multicrop import MultiCrop
from transferbench.data.torchvision_sets import TorchvisionData

rng = np.random.default_rng(0)


def test_cifar10_as_a_data_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = rng.integers(0, 256, (6, 4, 3072), dtype=np.uint8)
    names = [f"data_batch_{part}" for part in range(1, 6)] + ["test_batch"]
    for name, part in zip(names, pixels):
        (folder / name).write_bytes(pickle.dumps({"data": part, "labels": [0, 1, 2, 9]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    crops = MultiCrop({"a": {"count": 1, "size": 8, "scale": [0.5, 1]}})
    data = TorchvisionData("CIFAR10", str(tmp_path), crops, 2, 8, 8, workers=0)
    data.setup()
    assert data.name == "cifar10"
    assert len(data.train_dataloader()) == 10
    assert data.classes == tuple("abcdefghij")
