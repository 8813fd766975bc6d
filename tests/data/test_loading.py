import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import ArrayImages, FolderImages
from transferbench.data.images import UnreadableImage
from transferbench.data.loading import CentreSet, CropLoader, CropSet, Failure, collate, seeded
from transferbench.data.multicrop import MultiCrop
from transferbench.data.samplers import PADDING, EvaluationShare, TrainingShare
from transferbench.data.unreadable import NAMED, UnreadableLog
from transferbench.errors import UserError

CROPS = MultiCrop(
    {"global": {"count": 1, "size": 12, "scale": [0.25, 1]}, "local": {"count": 2, "size": 6, "scale": [0.05, 0.25]}}
)


@pytest.fixture
def unreadable(tmp_path: Path) -> UnreadableLog:
    log = UnreadableLog()
    log.path = tmp_path / "log"
    return log


def folder(root: Path, count: int, broken: tuple[int, ...] = ()) -> FolderImages:
    root.mkdir(parents=True, exist_ok=True)
    names = [f"{index}.png" for index in range(count)]
    for index, name in enumerate(names):
        if index in broken:
            (root / name).write_bytes(b"broken")
        else:
            Image.new("RGB", (16, 16), (index, 0, 0)).save(root / name)
    return FolderImages(root, names, range(count), [str(index) for index in range(count)])


def test_seeded_leaves_the_generator_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1):
        first = torch.rand(2)
    with seeded(1):
        again = torch.rand(2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, again)


def test_a_sample_follows_from_index_and_seed(tmp_path: Path, unreadable: UnreadableLog) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    data = CropSet(ArrayImages(noise, [0, 1, 1], "ab"), CROPS, unreadable)
    state = torch.get_rng_state()
    crops, label = data[1, 7]
    assert label == 1
    assert [tuple(crop.shape) for crop in crops] == [(3, 12, 12), (3, 6, 6), (3, 6, 6)]
    assert all(torch.equal(a, b) for a, b in zip(crops, data[1, 7][0]))
    assert not torch.equal(crops[0], data[1, 8][0][0])
    assert torch.equal(torch.get_rng_state(), state)


def batches(data: CropSet, workers: int, world: int = 1, epoch: int = 0) -> list[tuple[list[torch.Tensor], list[int]]]:
    found = []
    for rank in range(world):
        sampler = TrainingShare(len(data), 0, rank, world)
        sampler.set_epoch(epoch)
        loader = CropLoader(data, sampler=sampler, batch_size=4, num_workers=workers, drop_last=True)
        found += [(crops, labels.tolist()) for crops, labels in loader]
    return found


def test_crops_do_not_depend_on_workers_or_ranks_but_on_the_epoch(tmp_path: Path, unreadable: UnreadableLog) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    data = CropSet(ArrayImages(noise, range(16), [str(i) for i in range(16)]), CROPS, unreadable)

    def by_image(found: list[tuple[list[torch.Tensor], list[int]]]) -> dict[int, torch.Tensor]:
        return {label: crops[1][row] for crops, labels in found for row, label in enumerate(labels)}

    alone = by_image(batches(data, workers=0))
    assert sorted(alone) == list(range(16))
    for other in (batches(data, workers=2), batches(data, workers=0, world=2)):
        assert all(torch.equal(alone[label], crop) for label, crop in by_image(other).items())
    later = by_image(batches(data, workers=0, epoch=1))
    assert not any(torch.equal(alone[label], crop) for label, crop in later.items())


def test_batches_are_stacked_by_crop(unreadable: UnreadableLog) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    data = CropSet(ArrayImages(noise, range(5), "abcde"), CROPS, unreadable)
    samples = [data[index] for index in range(5)]
    crops, labels = collate(samples)
    assert isinstance(crops, list)
    assert [tuple(crop.shape) for crop in crops] == [(5, 3, 12, 12), (5, 3, 6, 6), (5, 3, 6, 6)]
    assert all(torch.equal(crops[view][row], samples[row][0][view]) for view in range(3) for row in range(5))
    assert labels.dtype == torch.int64
    assert crops[0].dtype == torch.uint8
    assert collate([samples[0], Failure("no")]) == Failure("no")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_training_image_is_replaced_by_the_next(
    tmp_path: Path, unreadable: UnreadableLog, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    data = CropSet(
        folder(tmp_path / "x", 8, broken=(2, 3, 7)), lambda image: [torch.tensor(image.getpixel((0, 0)))], unreadable
    )
    assert [data[index][1] for index in range(8)] == [0, 1, 4, 4, 4, 5, 6, 0]
    unreadable.remove()
    unreadable._noted.clear()
    loader = CropLoader(data, sampler=TrainingShare(8), batch_size=4, num_workers=workers)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            labels = [label for crops, batch in loader for label in batch.tolist()]
            assert sorted(labels) == [0, 0, 1, 4, 4, 4, 5, 6]
    (record,) = caplog.records
    assert record.getMessage().startswith("3 images could not be read and were left out: ")
    for name in ("2.png", "3.png", "7.png"):
        assert f"x/{name}: not an image" in record.getMessage()


@pytest.mark.parametrize("workers", [0, 2])
def test_raising_tells_file_and_reason_in_one_sentence(tmp_path: Path, unreadable: UnreadableLog, workers: int) -> None:
    images = folder(tmp_path / "x", 8, broken=(5,))
    for data, sampler in (
        (CropSet(images, CROPS, unreadable, "raise"), TrainingShare(8)),
        (CentreSet(images, CentreCrop(8, 8), unreadable, "raise"), EvaluationShare(8)),
    ):
        loader = CropLoader(data, sampler=sampler, batch_size=4, num_workers=workers)
        with pytest.raises(UserError) as caught:
            list(loader)
        message = str(caught.value)
        assert message == f"{tmp_path}/x/5.png: not an image (remove or replace this file, or set data.on_error=skip)."


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_readable_ends_the_run(tmp_path: Path, unreadable: UnreadableLog, workers: int) -> None:
    images = folder(tmp_path / "x", 4, broken=(0, 1, 2, 3))
    for data, sampler in (
        (CropSet(images, CROPS, unreadable), TrainingShare(4)),
        (CentreSet(images, CentreCrop(8, 8), unreadable), EvaluationShare(4)),
    ):
        loader = CropLoader(data, sampler=sampler, batch_size=2, num_workers=workers)
        with pytest.raises(UserError, match=r"none of 4 images can be read, such as 0\.png; set data\.root="):
            list(loader)


def test_evaluation_marks_padding_and_unreadable_images(tmp_path: Path, unreadable: UnreadableLog) -> None:
    data = CentreSet(folder(tmp_path / "x", 5, broken=(1,)), CentreCrop(8, 6), unreadable)
    crops, label = data[3]
    assert (label, crops[0].tolist()) == (3, [[[3] * 6] * 6, [[0] * 6] * 6, [[0] * 6] * 6])
    for index in (1, PADDING):
        crops, label = data[index]
        assert label == -1
        assert tuple(crops[0].shape) == (3, 6, 6)
        assert crops[0].dtype == torch.uint8
        assert not crops[0].any()
    loader = CropLoader(data, sampler=EvaluationShare(5, rank=1, world=2), batch_size=2)
    assert [labels.tolist() for _, labels in loader] == [[-1, 3], [-1]]


def test_the_log_names_five_and_counts_the_rest(unreadable: UnreadableLog, caplog: pytest.LogCaptureFixture) -> None:
    other = UnreadableLog()
    other.path = unreadable.path
    for index in range(NAMED + 2):
        unreadable.note(UnreadableImage(f"ü{index}.jpg", "the file is empty"))
        other.note(UnreadableImage(f"ü{index}.jpg", "the file is empty"))
    with caplog.at_level(logging.WARNING):
        assert unreadable.report() == NAMED + 2
        assert unreadable.report() == 0
        unreadable.note(UnreadableImage("late.jpg", "not an image"))
        assert unreadable.report() == 1
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("7 images could not be read and were left out: ü0.jpg: the file is empty; ü1.jpg")
    assert first.endswith("ü4.jpg: the file is empty; and 2 more")
    assert second == "1 image could not be read and was left out: late.jpg: not an image"
