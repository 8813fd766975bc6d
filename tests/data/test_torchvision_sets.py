import pickle
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image
from scipy import io

from transferbench.data.multicrop import MultiCrop
from transferbench.data.torchvision_sets import PARTS, TorchvisionData, read_torchvision
from transferbench.errors import UserError

rng = np.random.default_rng(0)


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = rng.integers(0, 256, (6, 4, 3072), dtype=np.uint8)
    names = [f"data_batch_{part}" for part in range(1, 6)] + ["test_batch"]
    for name, part in zip(names, pixels):
        (folder / name).write_bytes(pickle.dumps({"data": part, "labels": [0, 1, 2, 9]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    splits = read_torchvision("CIFAR10", tmp_path)
    assert (len(splits.train), len(splits.test)) == (20, 4)
    assert splits.train.classes == tuple("abcdefghij")
    assert splits.test.labels.tolist() == [0, 1, 2, 9]
    reference = torchvision.datasets.CIFAR10(str(tmp_path), train=True)
    assert all(np.array_equal(np.asarray(splits.train.image(i)), np.asarray(reference[i][0])) for i in range(20))
    assert splits.train.name(3) == "CIFAR10/train/3"
    crops = MultiCrop({"a": {"count": 1, "size": 8, "scale": [0.5, 1]}})
    data = TorchvisionData("CIFAR10", str(tmp_path), crops, 2, 8, 8, workers=0)
    data.setup()
    assert data.name == "cifar10"
    assert len(data.train_dataloader()) == 10


def test_svhn_holds_its_channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)
    pixels = rng.integers(0, 256, (32, 32, 3, 3), dtype=np.uint8)
    for split in ("train", "test"):
        io.savemat(tmp_path / f"{split}_32x32.mat", {"X": pixels, "y": np.array([[1], [10], [2]])})
    train = read_torchvision("SVHN", tmp_path).train
    assert train.labels.tolist() == [1, 0, 2]
    assert train.classes == ("0", "1", "2")
    assert np.array_equal(np.asarray(train.image(1)), pixels[..., 1])


def test_dtd_joins_training_and_validation_parts(tmp_path: Path) -> None:
    root = tmp_path / "dtd" / "dtd"
    (root / "labels").mkdir(parents=True)
    for part, names in {"train": ["a/1.jpg", "b/1.jpg"], "val": ["a/2.jpg"], "test": ["b/3.jpg", "a/3.jpg"]}.items():
        (root / "labels" / f"{part}1.txt").write_text("\n".join(names))
        for name in names:
            path = root / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 7), (int(path.stem), 0, 0)).save(path, quality=100)
    splits = read_torchvision("DTD", tmp_path)
    assert splits.train.names == ("dtd/dtd/images/a/1.jpg", "dtd/dtd/images/b/1.jpg", "dtd/dtd/images/a/2.jpg")
    assert splits.train.labels.tolist() == [0, 1, 0]
    assert splits.test.labels.tolist() == [1, 0]
    assert splits.train.image(2).size == (9, 7)
    assert len(splits.train.digest()) == 16


@pytest.mark.parametrize("dataset", PARTS)
def test_missing_files_say_how_to_fetch_them(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(UserError, match=rf"{dataset} is not there .*data\.root=FOLDER.*download=True") as caught:
        read_torchvision(dataset, tmp_path / "nothing")
    assert "\n" not in str(caught.value)


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.dataset is 'CIFAR11'; expected one of CIFAR10, CIFAR100"):
        read_torchvision("CIFAR11", tmp_path)
