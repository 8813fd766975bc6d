"""Learning from captions on a small tree in COCO's format, with every head."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from torch.optim import SGD, AdamW

from transferbench.data.multicrop import MultiCrop
from transferbench.data.paired_captions import CocoCaptions
from transferbench.errors import UserError
from transferbench.heads.contrastive import clip_head, siglip_head
from transferbench.heads.icmlm import icmlm_attfc, icmlm_tfm
from transferbench.heads.tags import multilabel_classification, tag_head, token_classification
from transferbench.heads.virtex import virtex
from transferbench.models.backbone import resnet_small, torchvision_backbone
from transferbench.models.language import MaskedLanguageModel
from transferbench.models.text_encoder import TextEncoder
from transferbench.optim.lookahead import Lookahead
from transferbench.parts import head_for
from transferbench.tasks.captions import Captions
from transferbench.tasks.hidden_words import coverage
from transferbench.tasks.language import LanguageModelling
from transferbench.tasks.word_guesses import hide_all

HEADS = ("tp", "labels", "tfm", "attfc", "virtex", "captioning", "masked_lm", "tokens", "multilabel", "clip", "siglip")
WORDS = {"captions/masked_top1", "captions/masked_top1_blind", "captions/masked_count"}
POINTING = {"captions/pointing", "captions/pointing_chance"}
MEASURED = {  # what the examination of each head gives, beside sets
    **dict.fromkeys(("tp", "masked_lm"), WORDS),
    **dict.fromkeys(("tfm", "attfc"), WORDS | POINTING),
    **dict.fromkeys(("virtex", "captioning"), WORDS | {"captions/cider", "captions/cider_shuffled"}),
    **dict.fromkeys(
        ("clip", "siglip"), WORDS | {f"captions/retrieval_{way}_r1" for way in ("image_to_text", "text_to_image")}
    ),
    **dict.fromkeys(("labels", "tokens", "multilabel"), frozenset()),
}
SIZE, LENGTH = 40, 48


def data_of(tree: Path, lexicon: str, **options: Any) -> CocoCaptions:
    crops = MultiCrop({"global": {"count": 1, "size": 32, "scale": [0.5, 1.0]}})
    sizes = {"batch_size": 4, "eval_resize": 32, "eval_size": 32, "workers": 0}
    text = {"vocabulary": SIZE, "length": LENGTH, "wordnet": lexicon}
    return CocoCaptions(str(tree), crops=crops, **{**sizes, **text, **options})


def head_of(kind: str, data: CocoCaptions) -> torch.nn.Module:
    torch.manual_seed(0)
    language = MaskedLanguageModel(SIZE, 16, 1, 2, LENGTH)
    text = functools.partial(TextEncoder, width=16, layers=1, heads=2, length=LENGTH, embedding=8)
    decoder = {"textual": "transdec_postnorm::L1_H16_A2_F32", "length": LENGTH, "dropout": 0.0}
    made: dict[str, Any] = {
        "tp": tag_head,
        "labels": functools.partial(tag_head, source="labels"),
        "tfm": functools.partial(icmlm_tfm, language=language, heads=2, visual_positions=(2, 2)),
        "attfc": functools.partial(icmlm_attfc, language=language, common=32),
        "virtex": functools.partial(virtex, **decoder),
        "captioning": functools.partial(virtex, pretext="captioning", **decoder),
        "masked_lm": functools.partial(virtex, pretext="masked_lm", **decoder),
        "tokens": token_classification,
        "multilabel": multilabel_classification,
        "clip": functools.partial(clip_head, text=text),
        "siglip": functools.partial(siglip_head, text=text),
    }
    return head_for(made[kind], 64, data.offered)


def task_of(kind: str, data: CocoCaptions, **options: Any) -> Captions:
    torch.manual_seed(0)
    backbone = resnet_small(8, last_stride=1)
    return Captions(backbone, head_of(kind, data), AdamW, lr=3e-3, head_lr=3e-3, **options)


def trainer_of(folder: Path, **options: Any) -> Trainer:
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(accelerator="cpu", default_root_dir=folder, use_distributed_sampler=False, **quiet, **options)


@pytest.mark.parametrize("kind", HEADS)
def test_two_steps_and_the_examination(kind: str, coco_tree: Path, lexicon: str, tmp_path: Path) -> None:
    data = data_of(coco_tree, lexicon)
    data.setup()
    task = task_of(kind, data)
    trainer = trainer_of(tmp_path, max_steps=2)
    trainer.fit(task, datamodule=data)
    assert all(torch.isfinite(value).all() for value in task.state_dict().values())
    assert torch.isfinite(trainer.callback_metrics["val/loss"])
    task.train()
    found = task.examine(data, {}, "cpu").metrics
    assert task.training
    assert MEASURED[kind] <= set(found) and bool(found) == bool(MEASURED[kind])
    assert POINTING & set(found) == POINTING & MEASURED[kind]
    if "captions/pointing_chance" in found:
        assert 0 < found["captions/pointing_chance"] < 1
        concepts = [i for text in every_word(data) for i in text if i >= 0]
        things = {word for name in data.test_records.tag_names for word in name.split()[-1:]}
        assert found["captions/masked_count"] == sum(data.vocabulary.words[i] in things for i in concepts) > 0
        assert found["captions/masked_count_noun"] == sum(data.vocabulary.tags[i] == "noun" for i in concepts)


def every_word(data: CocoCaptions) -> list[list[int]]:
    """The concepts of every held-out caption, word by word."""
    from transferbench.text.words import split_words

    return [data.vocabulary.find(split_words(text)) for captions in data.test_records.captions for text in captions]


@pytest.mark.parametrize("kind", HEADS)
def test_the_loss_falls_on_one_repeated_batch(kind: str, coco_tree: Path, lexicon: str) -> None:
    data = data_of(coco_tree, lexicon)
    data.setup()
    torch.manual_seed(1)
    task = task_of(kind, data)
    crops, text = next(iter(data.train_dataloader()))
    optimizer = task.optimiser()
    losses = []
    for _ in range(30):
        loss = torch.stack(list(task.head(task.maps(crops[0]), text).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_the_frozen_language_model_and_the_text_alone_send_the_backbone_nothing(coco_tree: Path, lexicon: str) -> None:
    data = data_of(coco_tree, lexicon)
    data.setup()
    task = task_of("tfm", data)
    crops, text = next(iter(data.train_dataloader()))
    task.head(task.maps(crops[0]), text)["blind"].backward()
    assert all(parameter.grad is None for parameter in task.backbone.parameters())
    assert all(parameter.grad is None for parameter in task.head.language.parameters())
    assert not any(parameter.requires_grad for parameter in task.head.language.parameters())


def test_micro_batches_give_the_same_gradient(coco_tree: Path, lexicon: str) -> None:
    data = data_of(coco_tree, lexicon)
    data.setup()
    crops, text = next(iter(data.train_dataloader()))
    grads = []
    for micro in (None, 3):
        task = task_of("tp", data, micro_batch=micro).eval()
        torch.stack(list(task.head(task.maps(crops[0]), text).values())).sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in task.parameters() if p.grad is not None]))
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-6)


def test_statistics_of_micro_batches_are_counted_once(coco_tree: Path, lexicon: str) -> None:
    data = data_of(coco_tree, lexicon)
    data.setup()
    crops, text = next(iter(data.train_dataloader()))
    task, plain = task_of("tp", data, micro_batch=2).train(), task_of("tp", data).train()
    task.head(task.maps(crops[0]), text)["tags"].backward()
    for piece in torch.split(crops[0], 2):
        plain.maps(piece)
    for name, value in plain.backbone.named_buffers():
        if "running" in name:
            torch.testing.assert_close(task.backbone.get_buffer(name), value)


def test_lookahead_is_an_optimiser_of_the_task(coco_tree: Path, lexicon: str, tmp_path: Path) -> None:
    data = data_of(coco_tree, lexicon)
    data.setup()
    task = task_of("tp", data)
    task.optimizer = functools.partial(Lookahead, inner=functools.partial(SGD, momentum=0.9), interval=2)
    trainer_of(tmp_path, max_steps=2).fit(task, datamodule=data)
    assert all(torch.isfinite(value).all() for value in task.state_dict().values())


def test_a_language_model_learns_the_captions_and_is_bound_to_their_tokeniser(
    coco_tree: Path, lexicon: str, tmp_path: Path
) -> None:
    data = data_of(coco_tree, lexicon, text_only=True)
    data.setup()
    torch.manual_seed(0)
    model = MaskedLanguageModel(SIZE, 16, 1, 2, LENGTH, dropout=0.0)
    task = LanguageModelling(model, optimizer=AdamW, lr=1e-2, warmup_epochs=0)
    trainer = trainer_of(tmp_path, max_epochs=80)
    trainer.fit(task, datamodule=data)
    assert trainer.callback_metrics["val/loss"] < 0.7 * np.log(SIZE)
    model.check_tokeniser(data.tokeniser.digest())
    with pytest.raises(UserError, match="another tokeniser"):
        model.check_tokeniser("0" * 64)


def test_a_network_that_does_not_pool_its_map_is_refused() -> None:
    with pytest.raises(UserError, match="trunk"):
        Captions(torchvision_backbone("vgg11"), tag_head(width=512, classes=2), AdamW)


def test_crops_of_several_views_are_refused(coco_tree: Path, lexicon: str) -> None:
    several = MultiCrop({"global": {"count": 2, "size": 32, "scale": [0.5, 1.0]}})
    with pytest.raises(UserError, match="crops=caption"):
        CocoCaptions(str(coco_tree), crops=several, batch_size=4, eval_resize=32, eval_size=32, wordnet=lexicon)


def test_crops_that_are_finished_on_the_device_are_refused(coco_tree: Path, lexicon: str) -> None:
    batched = MultiCrop({"global": {"count": 1, "size": 32, "scale": [0.5, 1.0]}}, batched=True)
    with pytest.raises(UserError, match=r"crops\.batched=true"):
        CocoCaptions(str(coco_tree), crops=batched, batch_size=4, eval_resize=32, eval_size=32, wordnet=lexicon)


def test_a_mirrored_crop_mirrors_its_caption(coco_tree: Path, lexicon: str) -> None:
    data = data_of(coco_tree, lexicon)
    data.crops = MultiCrop(
        {"global": {"count": 1, "size": 48, "scale": [1, 1], "ratio": [1, 1], "flip": 1.0, "jitter": 0}}
    )
    data.setup()
    seen = set()
    for seed in range(40):
        _, row = data.training_set()[(0, seed)]
        caption = data.tokeniser.decode([t for t in row.tokens.tolist() if t > 2])
        if " of a " in caption:
            seen.add("left" not in caption)
    assert seen == {True}


def test_clusters_as_labels(coco_tree: Path, lexicon: str) -> None:
    data = data_of(coco_tree, lexicon, labels="clusters", concepts=3)
    data.setup()
    _, row = data.training_set()[(0, 0)]
    assert row.labels.shape == (3,)
    assert float(row.labels.sum()) == pytest.approx(1)


def test_other_categories_of_the_held_out_images_are_refused(coco_tree: Path, lexicon: str, tmp_path: Path) -> None:
    root = tmp_path / "coco"
    shutil.copytree(coco_tree, root)
    file = root / "annotations" / "instances_val2017.json"
    content = json.loads(file.read_text())
    content["categories"][0]["name"] = "cube"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"not the same.*cube"):
        data_of(root, lexicon).setup()


def test_coverage_against_boxes_counted_by_hand() -> None:
    class Box:
        left, top, right, bottom = 16.0, 0.0, 48.0, 16.0

    assert coverage([Box], (64, 32), (2, 2)).tolist() == [[1, 1], [0, 0]]
    assert coverage([Box], (48, 48), (3, 3)).tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]


def test_hidden_words_are_every_concept_of_every_caption(coco_tree: Path, lexicon: str) -> None:
    data = data_of(coco_tree, lexicon)
    data.setup()
    task = task_of("attfc", data).eval()
    from transferbench.tasks.examination import held_out

    with torch.inference_mode():
        held = held_out(task, data, "cpu")
        hidden = hide_all(task.head, data, held, "cpu")
    assert sorted(hidden.target.tolist()) == sorted(i for text in every_word(data) for i in text if i >= 0)
    np.testing.assert_allclose(hidden.attention.sum((1, 2)), 1, rtol=1e-5)
