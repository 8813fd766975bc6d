import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image

from transferbench.data import module as module_under_test
from transferbench.data.folder import FolderData
from transferbench.data.module import ImageData
from transferbench.data.multicrop import MultiCrop
from transferbench.errors import UserError

CROPS_LOCAL = {"count": 2, "size": 6, "scale": [0.1, 0.25], "blur": 0.5, "blur_radius": [0.1, 0.5]}
CROPS = MultiCrop({"global": {"count": 1, "size": 12, "scale": [0.25, 1]}})


def make(root: Path, split: str = "train", classes: int = 2, count: int = 10, broken: int = 0) -> Path:
    noise = np.random.default_rng(0)
    for label in range(classes):
        folder = root / split / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            path = folder / f"{index}.png"
            Image.fromarray(noise.integers(0, 256, (20, 16, 3), dtype=np.uint8)).save(path)
            if index < broken:
                path.write_bytes(b"")
    return root


def data(root: Path, batch_size: int = 4, **options: object) -> FolderData:
    found = FolderData(str(root), CROPS, batch_size, 10, 8, **{"workers": 0, **options})  # type: ignore[arg-type]
    found.setup("fit")
    return found


def test_batches_and_properties(tmp_path: Path) -> None:
    folder = data(make(make(tmp_path / "pets"), "val", count=3))
    assert folder.name == "pets"
    assert folder.classes == folder.class_names == ("class0", "class1")
    assert folder.evaluation_sets() == {"seen": folder.splits}
    train = list(folder.train_dataloader())
    assert len(train) == len(folder.train_dataloader()) == 5
    for crops, labels in train:
        assert [tuple(crop.shape) for crop in crops] == [(4, 3, 12, 12)]
        assert labels.shape == (4,)
    val = list(folder.val_dataloader())
    assert [tuple(crops[0].shape) for crops, _ in val] == [(4, 3, 8, 8), (2, 3, 8, 8)]
    assert torch.cat([labels for _, labels in val]).tolist() == [0, 0, 0, 1, 1, 1]
    first = folder.splits.test.image(0).resize((10, 12), Image.Resampling.BILINEAR).crop((1, 2, 9, 10))
    assert np.array_equal(val[0][0][0][0].permute(1, 2, 0).numpy(), np.asarray(first))


def test_crops_finished_on_the_device_are_those_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "x")
    views = {"global": {"count": 1, "size": 12, "scale": [0.25, 1], "solarise": 0.5}, "local": dict(CROPS_LOCAL)}
    whole, cut = data(root), data(root)
    whole.crops, cut.crops = MultiCrop(views), MultiCrop(views, batched=True)
    for first, second in zip(whole.train_dataloader(), cut.train_dataloader()):
        monkeypatch.setattr(cut, "trainer", Trainer(logger=False, accelerator="cpu"))
        cut.trainer.training = True  # type: ignore[union-attr]
        crops, labels = cut.on_after_batch_transfer(second, 0)
        assert torch.equal(labels, first[1])
        assert len(crops) == len(first[0]) == 3
        for one, other in zip(crops, first[0]):
            assert one.shape == other.shape
            assert (one.float() - other.float()).abs().mean() < 3  # levels; colours of noise, where hue is coarsest


def test_setup_reads_once_and_needs_no_second_call(tmp_path: Path) -> None:
    folder = data(make(tmp_path / "x"))
    splits = folder.splits
    folder.setup()
    assert folder.splits is splits
    unread = FolderData(str(tmp_path), CROPS, 4, 10, 8)
    with pytest.raises(RuntimeError, match="setup"):
        _ = unread.splits


def test_digest_follows_the_images_and_not_the_loading(tmp_path: Path) -> None:
    root = make(tmp_path / "x")
    first = data(root).digest()
    assert data(root, batch_size=2, seed=5).digest() == first
    assert data(root, holdout_seed=1).digest() != first
    (root / "train" / "class0" / "0.png").unlink()
    assert data(root).digest() != first


def test_the_order_follows_from_the_seed(tmp_path: Path) -> None:
    root = make(tmp_path / "x")
    crops = [next(iter(data(root, seed=seed).train_dataloader()))[0][0] for seed in (0, 0, 1)]
    assert torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[0], crops[2])


def test_too_few_images_for_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "x")  # 18 to train on, 2 held out
    with pytest.raises(
        UserError, match=r"x has 18 training images, fewer than one batch of 19; set scale.batch_size=18"
    ):
        data(root, batch_size=19).train_dataloader()
    monkeypatch.setattr(module_under_test, "world_size", lambda: 2)
    with pytest.raises(UserError, match=r"batch of 10 on each of 2 devices; set scale.batch_size=9 or lower"):
        data(root, batch_size=10).train_dataloader()


def test_ranks_share_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "x", classes=3, count=7)  # 18 to train on, 3 held out
    monkeypatch.setattr(module_under_test, "world_size", lambda: 2)
    seen, tested = [], []
    for rank in range(2):
        monkeypatch.setattr(module_under_test, "rank", lambda rank=rank: rank)
        folder = data(root, batch_size=3)
        seen += [crop.numpy().tobytes() for crops, _ in folder.train_dataloader() for crop in crops[0]]
        tested.append([labels.tolist() for _, labels in folder.val_dataloader()])
    assert len(set(seen)) == 18
    assert tested == [[[0, 2]], [[1, -1]]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "scale.batch_size=1"),
        ({"workers": -1}, "data.workers"),
        ({"on_error": "ignore"}, r"data.on_error is 'ignore'; expected skip or raise"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        data(make(tmp_path / "x"), **options)


class Probe(LightningModule):
    """Keeps what the trainer hands it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.epochs: list[list[bytes]] = [[], []]
        self.validated: list[int] = []

    def training_step(self, batch: tuple[list[torch.Tensor], torch.Tensor], _: int) -> torch.Tensor:
        self.epochs[self.current_epoch] += [crop.numpy().tobytes() for crop in batch[0][0]]
        return self.weight.sum()

    def validation_step(self, batch: tuple[list[torch.Tensor], torch.Tensor], _: int) -> None:
        self.validated += batch[1].tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("workers", [0, 2])
def test_lightning_trains_on_new_crops_every_epoch_and_warns_once(
    tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    root = make(make(tmp_path / "x", broken=1), "val", count=3, broken=1)
    folder, probe = data(root, workers=workers), Probe()
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=2, accelerator="cpu", num_sanity_val_steps=0, enable_model_summary=False, **options)
    with caplog.at_level(logging.WARNING, logger="transferbench"):
        trainer.fit(probe, datamodule=folder)
    assert [len(epoch) for epoch in probe.epochs] == [20, 20]
    assert len(set(probe.epochs[0] + probe.epochs[1])) == 40
    assert probe.validated == [-1, 0, 0, -1, 1, 1] * 2
    told = [record.getMessage() for record in caplog.records if record.name.startswith("transferbench")]
    assert [message.split(" could")[0] for message in told] == ["2 images", "2 images"]  # training's, validation's
    assert folder.report_unreadable() == 0


def test_image_data_is_abstract() -> None:
    with pytest.raises(TypeError):
        ImageData(CROPS, 4, 10, 8)  # type: ignore[abstract]


def test_real_photographs(test_data: Path) -> None:
    folder = data(test_data / "cifar10-subset", batch_size=64, workers=2)
    crops, labels = next(iter(folder.train_dataloader()))
    assert crops[0].shape == (64, 3, 12, 12)
    assert len(set(labels.tolist())) > 3
    assert len(folder.val_dataloader()) == 32
