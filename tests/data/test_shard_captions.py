"""Captioned images streamed from tar shards as a data module: every picture has a colour of its own."""

from __future__ import annotations

import io
import json
import logging
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from PIL import Image
from torch.optim import AdamW

from transferbench.data import shard_captions
from transferbench.data.multicrop import MultiCrop
from transferbench.data.shard_captions import ShardCaptions
from transferbench.data.tar_images import read_first
from transferbench.errors import UserError
from transferbench.heads.tags import tag_head
from transferbench.models.backbone import resnet_small
from transferbench.report.gather import gather
from transferbench.tasks.captions import Captions
from transferbench.tasks.examination import held_out

SHARDS, EACH = 4, 10
SHAPES, COLOURS = ("box", "ball"), ("red", "blue")
PLAIN = {"count": 1, "size": 16, "scale": [1, 1], "ratio": [1, 1], "jitter": 0.0, "grayscale": 0.0}


def sentence(index: int) -> str:
    one, other = SHAPES[index % 2], SHAPES[index // 2 % 2]
    return f"A {COLOURS[index // 4 % 2]} {one} to the left of a {COLOURS[index % 2]} {other}."


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def png(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 16), (number, 255 - number, 7)).save(stream, "PNG")
    return stream.getvalue()


def make(folder: Path, shards: int = SHARDS, each: int = EACH, broken: int | None = None, mode: str = "w") -> Path:
    """Shards of samples numbered through; number ``broken`` has a damaged image, and one more has no caption."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:02d}.tar", mode) as archive:  # type: ignore[call-overload]
            add(archive, f"none{shard}.png", png(0))
            for number in range(shard * each, (shard + 1) * each):
                add(archive, f"{number}.png", png(number)[:40] if number == broken else png(number))
                add(archive, f"{number}.txt", sentence(number).encode())
                add(archive, f"{number}.json", json.dumps({"alt": [sentence(number), "a ball"]}).encode())
    (folder / "sizes.json").write_text(json.dumps({f"{shard:02d}.tar": each for shard in range(shards)}))
    return folder


def data_of(folder: Path, lexicon: str, flip: float = 0.0, **options: Any) -> ShardCaptions:
    crops = MultiCrop({"global": {**PLAIN, "flip": flip}})
    sizes = {"batch_size": 4, "eval_resize": 16, "eval_size": 16, "workers": 0, "held_out": 4}
    text = {"vocabulary": 34, "length": 40, "wordnet": lexicon}
    data = ShardCaptions(str(folder), **{"crops": crops, **sizes, **text, **options})
    data.setup()
    return data


def numbers(batch: Any) -> list[int]:
    return [int(crop[0, 0, 0]) for crop in batch[0][0]]


def epoch(data: ShardCaptions, number: int = 0) -> list[list[int]]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
    found = [numbers(batch) for batch in loader]
    assert len(found) == len(loader)
    return found


def flat(batches: list[list[int]]) -> list[int]:
    return [number for batch in batches for number in batch]


def trainer_of(folder: Path, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet["enable_model_summary"] = False
    return Trainer(accelerator="cpu", default_root_dir=folder, use_distributed_sampler=False, **quiet, **options)


def task_of(data: ShardCaptions) -> Captions:
    torch.manual_seed(0)
    return Captions(resnet_small(8, last_stride=1), tag_head(width=64, classes=len(data.classes)), AdamW, lr=1e-3)


@pytest.mark.parametrize("workers", [0, 2])
def test_two_steps_of_tag_prediction_and_the_examination(tmp_path: Path, lexicon: str, workers: int) -> None:
    data = data_of(make(tmp_path), lexicon, workers=workers)
    task = task_of(data)
    trainer = trainer_of(tmp_path, max_steps=2, val_check_interval=2)
    trainer.fit(task, datamodule=data)
    assert trainer.global_step == 2
    assert trainer.num_training_batches == 36 // 4
    assert task.images_per_step == 4
    assert torch.isfinite(trainer.callback_metrics["val/loss"])
    with torch.inference_mode():
        assert held_out(task, data, "cpu").rows == [0, 1, 2, 3]
    assert [int(crops[0][0, 0, 0]) for _, crops in gather(data, {}, None).crops] == [4, 13, 22, 30, 39]


def test_an_epoch_is_every_training_sample_once_in_an_order_of_its_own(tmp_path: Path, lexicon: str) -> None:
    data = data_of(make(tmp_path), lexicon)
    first = epoch(data)
    assert sorted(flat(first)) == list(range(4, 40))
    assert first == epoch(data_of(tmp_path, lexicon))
    assert first != epoch(data, 1)
    assert first != epoch(data_of(tmp_path, lexicon, seed=1))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_share_an_epoch_out(tmp_path: Path, lexicon: str, workers: int) -> None:
    data = data_of(make(tmp_path), lexicon, workers=workers)
    loader = data.train_dataloader()
    found = []
    for number in (0, 1):  # the workers live on
        loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
        found.append([numbers(batch) for batch in loader])
        assert len(found[-1]) == 9  # whatever the number of workers
    assert found[0] == epoch(data_of(tmp_path, lexicon, workers=workers)) != found[1]
    every = set(flat(found[0]) + flat(found[1]))
    assert every <= set(range(4, 40))
    assert len(set(flat(found[0]))) == 36 if workers == 1 else len(set(flat(found[0]))) >= 28
    for at in range(workers):  # a worker's batches are of its shards alone
        mine = {number // EACH for batch in found[0][at::workers] for number in batch}
        others = {number // EACH for i, batch in enumerate(found[0]) if i % workers != at for number in batch}
        assert not mine & others


def test_ranks_share_an_epoch_out(
    tmp_path: Path, lexicon: str, two_ranks: Callable[[Callable[[int], Any]], list[Any]]
) -> None:
    make(tmp_path)

    def found(_: int) -> dict[str, Any]:
        data = data_of(tmp_path, lexicon, workers=2)
        loader = data.train_dataloader()
        batches = [numbers(batch) for batch in loader]
        tested = [text.indices.tolist() for _, text in data.val_dataloader()]
        return {"train": batches, "tested": tested, "digest": data.digest(), "classes": list(data.classes)}

    one, other = two_ranks(found)
    assert len(one["train"]) == len(other["train"]) == 36 // 8
    assert not set(flat(one["train"])) & set(flat(other["train"]))
    assert len(set(flat(one["train"]) + flat(other["train"]))) >= 28
    assert (one["tested"], other["tested"]) == ([[0, 2]], [[1, 3]])
    assert (one["digest"], one["classes"]) == (other["digest"], other["classes"])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("skip", [1, 4, 8])
def test_a_resumed_epoch_goes_on_where_it_was(tmp_path: Path, lexicon: str, workers: int, skip: int) -> None:
    data = data_of(make(tmp_path), lexicon, flip=0.5, workers=workers)
    whole = list(data.train_dataloader())
    again = data_of(tmp_path, lexicon, flip=0.5, workers=workers)
    again.load_state_dict({**data.state_dict(), "batches_done": skip})
    rest = list(again.train_dataloader())
    assert len(rest) == len(whole) - skip
    for (crops, text), (others, other) in zip(whole[skip:], rest):
        assert torch.equal(crops[0], others[0])
        assert all(torch.equal(one, two) for one, two in zip(text, other))


def test_resuming_in_an_epoch_with_other_readers_is_refused(tmp_path: Path, lexicon: str) -> None:
    data = data_of(make(tmp_path), lexicon, workers=2)
    state = data.state_dict()
    assert state == {"batches_done": 0, "workers": 2, "ranks": 1}
    other = data_of(tmp_path, lexicon, workers=3)
    other.load_state_dict(state)  # between two epochs nothing depends on them
    with pytest.raises(UserError, match=r"1 ranks of 2 workers .*there are 1 ranks of 3 workers.*data\.workers=2"):
        other.load_state_dict({**state, "batches_done": 3})


def test_too_few_shards_or_samples_are_refused_before_training(tmp_path: Path, lexicon: str) -> None:
    data = data_of(make(tmp_path), lexicon, workers=3)
    data.check_batch(1)
    with pytest.raises(UserError, match=r"4 shards for 6 readers \(2 ranks of 3 workers\).*set data\.workers=2"):
        data.check_batch(2)
    with pytest.raises(UserError, match=r"36 training samples, fewer than one batch of 10 on each of 4 devices"):
        data_of(tmp_path, lexicon, batch_size=10).check_batch(4)
    with pytest.raises(UserError, match=r"crops is left out"):
        data_of(tmp_path, lexicon, crops=None).check_batch(1)
    data_of(tmp_path, lexicon, workers=3, resampled=True).check_batch(2)
    (tmp_path / "sizes.json").unlink()
    with pytest.raises(UserError, match=r"data\.samples=N"):
        data_of(tmp_path, lexicon)
    assert len(data_of(tmp_path, lexicon, samples=40).train_dataloader()) == 9


def test_a_mirrored_crop_mirrors_its_caption(tmp_path: Path, lexicon: str) -> None:
    for flip, side in ((0.0, "left"), (1.0, "right")):
        data = data_of(make(tmp_path), lexicon, flip=flip)
        for batch in data.train_dataloader():
            for number, tokens in zip(numbers(batch), batch[1].tokens):
                expected = data.encoder(sentence(number).replace("left", side), torch.zeros(0), 0).tokens
                assert torch.equal(tokens, expected)


def test_captions_go_with_their_images_and_any_of_several_is_drawn(tmp_path: Path, lexicon: str) -> None:
    data = data_of(make(tmp_path), lexicon, caption_field="alt")
    assert data.train_records.captions[0] == (sentence(4), "a ball")
    row = data.encoder("a ball", torch.zeros(0), 0).tokens
    short = 0
    for batch in data.train_dataloader():
        for number, tokens in zip(numbers(batch), batch[1].tokens):
            whole = data.encoder(sentence(number), torch.zeros(0), 0).tokens
            assert torch.equal(tokens, whole) or torch.equal(tokens, row)
            short += torch.equal(tokens, row)
    assert 8 < short < 28


def test_words_come_from_the_first_samples(tmp_path: Path, lexicon: str) -> None:
    data = data_of(make(tmp_path), lexicon, text_samples=12)
    assert data.train_records.ids == tuple(map(str, range(4, 16)))
    assert data.test_records.ids == ("0", "1", "2", "3")
    assert set(data.classes) == {"box", "ball", "red", "blue", "left"}
    assert len(data.train_dataloader()) == 9  # trained on all the same
    kept = data.kept()["text"]
    assert kept["tokeniser"] == data_of(tmp_path, lexicon, text_samples=12).kept()["text"]["tokeniser"]


def test_shards_of_held_out_samples(tmp_path: Path, lexicon: str) -> None:
    make(tmp_path / "train"), make(tmp_path / "test", shards=2)
    data = data_of(tmp_path / "train", lexicon, test_shards=str(tmp_path / "test"), held_out=13)
    assert data.test_records.ids == tuple(map(str, range(13)))
    assert sorted(flat(epoch(data))) == list(range(40))
    with pytest.raises(UserError, match=r"00\.tar: named by data\.shards and by data\.test_shards"):
        data_of(tmp_path / "train", lexicon, test_shards=str(tmp_path / "train" / "00.tar"))


def test_no_more_than_half_of_the_first_shard_is_held_out(tmp_path: Path, lexicon: str) -> None:
    assert len(data_of(make(tmp_path), lexicon, held_out=500).test_records) == 5
    make(tmp_path / "small", each=1)
    with pytest.raises(UserError, match=r"1 samples .* of which none can be held out.*data\.test_shards"):
        data_of(tmp_path / "small", lexicon)


def test_unreadable_images_are_counted_once_and_replaced(
    tmp_path: Path, lexicon: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = data_of(make(tmp_path, broken=20), lexicon, workers=2)
    with caplog.at_level(logging.WARNING, logger="transferbench"):
        batches = epoch(data) + epoch(data, 1)
    assert len(batches) == 18 and 20 not in flat(batches)
    told = [record.getMessage() for record in caplog.records if "could not be read" in record.getMessage()]
    assert len(told) == 1 and told[0].startswith("1 image could not be read") and "20 in" in told[0]
    with pytest.raises(UserError, match=r"20 in .*data\.on_error=skip"):
        epoch(data_of(tmp_path, lexicon, on_error="raise"))


def test_a_broken_held_out_image_is_left_out(tmp_path: Path, lexicon: str) -> None:
    data = data_of(make(tmp_path, broken=2), lexicon)
    assert [text.indices.tolist() for _, text in data.val_dataloader()] == [[0, 1, -1, 3]]
    with torch.inference_mode():
        assert held_out(task_of(data), data, "cpu").rows == [0, 1, 3]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_images_are_found_where_they_lie(tmp_path: Path, mode: str) -> None:
    folder = make(tmp_path, mode=mode)
    shards = sorted(folder.glob("*.tar"))
    records = read_first("x", shards, 30, start=7)
    assert [records.images.image(at).getpixel((0, 0)) for at in range(30)] == [
        (number, 255 - number, 7) for number in range(7, 37)
    ]
    assert records.images.name(29) == f"{shards[3]}/36"
    assert records.images.digest() != read_first("x", shards, 30, start=6).images.digest()
    with pytest.raises(UserError, match=r"no sample with an image and a caption.*data\.caption_field"):
        read_first("x", shards, 30, "no such field")


def test_captions_alone_for_a_language_model(tmp_path: Path, lexicon: str) -> None:
    data = data_of(make(tmp_path), lexicon, text_only=True, crops=None, text_samples=20)
    data.check_batch(1)
    batches = list(data.train_dataloader())
    assert len(batches) == 5
    assert all(crops == [] for crops, _ in batches)
    assert sorted(int(index) for _, text in batches for index in text.indices) == list(range(20))


@pytest.mark.parametrize("options", [{"held_out": 0}, {"samples": 0}, {"text_samples": 0}, {"labels": "clusters"}])
def test_mistakes_are_named(tmp_path: Path, lexicon: str, options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=rf"data\.{next(iter(options))}="):
        data_of(make(tmp_path), lexicon, **options)


def test_a_rank_s_crops_are_its_own(tmp_path: Path, lexicon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    monkeypatch.setattr(shard_captions, "world_size", lambda: 2)
    found = []
    for rank in (0, 1, 0):
        monkeypatch.setattr(shard_captions, "rank", lambda rank=rank: rank)
        data = data_of(tmp_path, lexicon, flip=0.5)
        stream: Any = data.training_set()
        assert len(stream) == 16
        found.append(["left" in data.tokeniser.decode(stream[0, at][1].tokens.tolist()) for at in range(16)])
    assert found[0] == found[2] != found[1]
