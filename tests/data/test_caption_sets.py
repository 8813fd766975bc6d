"""Data modules of published formats, each on a small tree with its usual flaws."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from PIL import Image
from torch.optim import AdamW

from transferbench.data.caption_sets import (
    ConceptualCaptions,
    CsvCaptions,
    FlickrCaptions,
    KarpathyCaptions,
    VisualGenomeCaptions,
    coco_ids,
)
from transferbench.data.multicrop import MultiCrop
from transferbench.data.paired_captions import PairedCaptions
from transferbench.errors import UserError
from transferbench.heads.tags import tag_head
from transferbench.models.backbone import resnet_small
from transferbench.tasks.captions import Captions
from transferbench.tasks.language import LanguageModelling

COUNT, MISSING, BROKEN = 12, 3, 5
"""Images of a tree, the one without a file, and the one whose file is damaged."""
SHAPES, COLOURS = ("box", "ball"), ("red", "blue")


def sentence(index: int) -> str:
    one, other = SHAPES[index % 2], SHAPES[index // 2 % 2]
    return f"A {COLOURS[index // 4 % 2]} {one} to the left of a {COLOURS[index % 2]} {other}."


def pictures(folder: Path, name: Callable[[int], str]) -> Path:
    noise = np.random.default_rng(0)
    for index in range(COUNT):
        path = folder / name(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (24, 20, 3), dtype=np.uint8)).save(path)
        if index == MISSING:
            path.unlink()
        if index == BROKEN:
            path.write_bytes(path.read_bytes()[:40])
    return folder


def karpathy(root: Path) -> tuple[type[PairedCaptions], dict[str, Any]]:
    images = pictures(root / "images", lambda k: f"val2014/{k}.jpg")
    splits = ["train"] * 7 + ["restval"] * 2 + ["val"] * 2 + ["test"]
    rows: list[Any] = [
        {
            "cocoid": 100 + k,
            "imgid": k,
            "split": split,
            "filepath": "val2014",
            "filename": f"{k}.jpg",
            "sentences": [{"raw": sentence(k), "sentid": k}, {"raw": " ", "sentid": 50 + k}],
        }
        for k, split in enumerate(splits)
    ]
    (root / "dataset.json").write_text(json.dumps({"images": [*rows, rows[0], "no row"]}))
    return KarpathyCaptions, {"captions": str(root / "dataset.json"), "images": str(images)}


def visual_genome(root: Path) -> tuple[type[PairedCaptions], dict[str, Any]]:
    pictures(root, lambda k: f"VG_100K/{k}.jpg")
    images = [{"image_id": k, "width": 20, "height": 24, "coco_id": 100 + k} for k in range(COUNT)]
    regions = [
        {
            "id": k,
            "regions": [
                {"region_id": 2 * k, "image_id": k, "phrase": sentence(k), "x": 1, "y": 1, "width": 9, "height": 9},
                {"region_id": 2 * k + 1, "image_id": k, "phrase": "", "x": 0, "y": 0, "width": 0, "height": 0},
            ],
        }
        for k in range(COUNT)
    ]
    (root / "image_data.json").write_text(json.dumps(images))
    (root / "region_descriptions.json").write_text(json.dumps(regions))
    return VisualGenomeCaptions, {"root": str(root), "holdout": 0.2}


def conceptual(root: Path, columns: str) -> tuple[type[PairedCaptions], dict[str, Any]]:
    images = pictures(root / "images", lambda k: f"{k:09d}.jpg")
    rows = [(sentence(k), f"https://x.org/{k}") for k in range(COUNT)]
    lines = ["\t".join(row if columns == "cc3m" else row[::-1]) for row in rows]
    (root / "table.tsv").write_text("\n".join([*lines, "no address"]) + "\n")
    paths = {"captions": str(root / "table.tsv"), "images": str(images)}
    return ConceptualCaptions, {**paths, "columns": columns, "holdout": 0.2}


def table(root: Path) -> tuple[type[PairedCaptions], dict[str, Any]]:
    pictures(root / "images", lambda k: f"{k}.png")
    lines = [f'images/{k}.png;7;"{sentence(k)}"' for k in range(COUNT)]
    (root / "table.csv").write_text("\n".join(["path;size;text", *lines, "images/0.png;7;", "short"]) + "\n")
    names = {"separator": ";", "image_column": "path", "caption_column": "text"}
    return CsvCaptions, {"captions": str(root / "table.csv"), **names, "holdout": 0.2}


def flickr(root: Path) -> tuple[type[PairedCaptions], dict[str, Any]]:
    images = pictures(root / "images", lambda k: f"{k}.jpg")
    lines = [f"{k}.jpg#{which}\t{sentence(k + which)}" for k in range(COUNT) for which in (0, 1)]
    (root / "tokens").write_text("\n".join([*lines, lines[0], "no number\tx"]) + "\n")
    (root / "train").write_text("".join(f"{k}.jpg\n" for k in range(9)))
    (root / "test").write_text("".join(f"{k}\n" for k in range(9, COUNT)))
    lists = {"train_split": str(root / "train"), "test_split": str(root / "test")}
    return FlickrCaptions, {"captions": str(root / "tokens"), "images": str(images), **lists}


TREES: dict[str, Callable[[Path], tuple[type[PairedCaptions], dict[str, Any]]]] = {
    "karpathy": karpathy,
    "visual_genome": visual_genome,
    "cc3m": lambda root: conceptual(root, "cc3m"),
    "cc12m": lambda root: conceptual(root, "cc12m"),
    "open_clip_csv": table,
    "flickr_tokens": flickr,
}
LEFT_OUT = {  # by the reader of the training part
    "karpathy": {
        "image missing": 1,
        "empty caption": 8,
        "duplicated image id": 1,
        "row without split": 1,
    },
    "visual_genome": {"image missing": 1, "empty caption": 11},
    "cc3m": {"line without exactly two columns": 1, "image missing": 1},
    "cc12m": {"line without exactly two columns": 1, "image missing": 1},
    "open_clip_csv": {"image missing": 1, "empty caption": 1, "line without exactly 3 columns": 1},
    "flickr_tokens": {"line broken": 1, "duplicated caption id": 1, "image missing": 1},
}


def data_of(root: Path, kind: str, lexicon: str, **options: Any) -> PairedCaptions:
    made, own = TREES[kind](root)
    crops = MultiCrop({"global": {"count": 1, "size": 32, "scale": [0.5, 1.0]}})
    sizes = {"batch_size": 4, "eval_resize": 32, "eval_size": 32, "workers": 0}
    text = {"vocabulary": 34, "length": 40, "wordnet": lexicon}
    return made(**{"crops": crops, **sizes, **text, **own, **options})


def trainer_of(folder: Path, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet["enable_model_summary"] = False
    return Trainer(accelerator="cpu", default_root_dir=folder, use_distributed_sampler=False, **quiet, **options)


@pytest.mark.parametrize("kind", TREES)
def test_two_steps_of_tag_prediction(kind: str, tmp_path: Path, lexicon: str) -> None:
    data = data_of(tmp_path, kind, lexicon)
    data.setup()
    torch.manual_seed(0)
    task = Captions(resnet_small(8, last_stride=1), tag_head(width=64, classes=len(data.classes)), AdamW)
    before = [parameter.detach().clone() for parameter in task.backbone.parameters()]
    trainer = trainer_of(tmp_path, max_steps=2)
    trainer.fit(task, datamodule=data)
    assert trainer.global_step == 2
    assert any(not torch.equal(one, other) for one, other in zip(before, task.backbone.parameters()))
    assert torch.isfinite(trainer.callback_metrics["val/loss"])


@pytest.mark.parametrize("kind", TREES)
def test_every_usable_image_is_on_one_side(kind: str, tmp_path: Path, lexicon: str) -> None:
    data = data_of(tmp_path, kind, lexicon)
    data.setup()
    train, test = data.train_records, data.test_records
    names = [*train.images.names, *test.images.names]
    known = COUNT - 1 - (kind == "karpathy")  # its test split is on neither side
    assert len(names) == len(set(names)) == known
    assert len(test) == {"karpathy": 2, "flickr_tokens": 3}.get(kind, 2)
    number = [int(Path(name).stem) for name in train.images.names]
    assert [captions[0] for captions in train.captions] == [sentence(k) for k in number]
    assert train.skipped == LEFT_OUT[kind]


@pytest.mark.parametrize("kind", ["karpathy", "cc3m", "open_clip_csv", "flickr_tokens", "visual_genome"])
def test_captions_alone_for_a_language_model(kind: str, tmp_path: Path, lexicon: str) -> None:
    from transferbench.models.language import MaskedLanguageModel

    alone = {"text_only": True}
    data = data_of(tmp_path, kind, lexicon, crops=None, **alone)
    data.setup()
    crops, text = next(iter(data.train_dataloader()))
    assert crops == [] and text.tokens.shape == (4, 40)
    task = LanguageModelling(MaskedLanguageModel(34, 16, 1, 2, 40), optimizer=AdamW, warmup_epochs=0)
    trainer = trainer_of(tmp_path, max_steps=1)
    trainer.fit(task, datamodule=data)
    assert torch.isfinite(trainer.callback_metrics["train/loss"])


def test_karpathy_s_restval_is_trained_on(tmp_path: Path, lexicon: str) -> None:
    data = data_of(tmp_path, "karpathy", lexicon, test_split="test")
    data.setup()
    assert data.train_records.ids == (100, 101, 102, 104, 105, 106, 107, 108)
    assert data.test_records.ids == (111,)
    with pytest.raises(UserError, match=r"data\.train_split and data\.test_split are both val"):
        data_of(tmp_path, "karpathy", lexicon, train_split="val")


def test_visual_genome_leaves_out_images_of_coco(tmp_path: Path, lexicon: str) -> None:
    file = tmp_path / "captions_val2017.json"
    file.write_text(json.dumps({"images": [{"id": 100}, {"id": 108}, {"id": 999}, {}], "annotations": []}))
    assert coco_ids(file) == {100, 108, 999}
    data = data_of(tmp_path, "visual_genome", lexicon, exclude_coco=str(file))
    data.setup()
    kept = {*data.train_records.ids, *data.test_records.ids}
    assert kept == set(range(COUNT)) - {0, 8, MISSING}
    with pytest.raises(UserError, match=r"no list of images in it.*data\.exclude_coco=FILE"):
        file.write_text("{}")
        coco_ids(file)


def test_swapped_columns_say_the_other_order(tmp_path: Path, lexicon: str) -> None:
    with pytest.raises(UserError, match=r"swapped; set data\.columns=cc3m"):
        data_of(tmp_path, "cc3m", lexicon, columns="cc12m").setup()


def test_a_table_of_held_out_images(tmp_path: Path, lexicon: str) -> None:
    held = tmp_path / "held.csv"
    held.write_text("path;size;text\nimages/11.png;7;a red box\nimages/11.png;7;a ball\n")
    data = data_of(tmp_path, "open_clip_csv", lexicon, test_captions=str(held))
    data.setup()
    assert data.test_records.captions == (("a red box", "a ball"),)


def test_flickr_s_held_out_images_are_not_trained_on(tmp_path: Path, lexicon: str) -> None:
    with pytest.raises(UserError, match=r"data\.train_split is left out.*set data\.train_split=FILE"):
        data_of(tmp_path, "flickr_tokens", lexicon, train_split=None)
    data = data_of(tmp_path / "share", "flickr_tokens", lexicon, train_split=None, test_split=None, holdout=0.3)
    data.setup()
    assert (len(data.train_records), len(data.test_records)) == (8, 3)
