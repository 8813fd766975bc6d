"""Published numbers of learning from captions: sizes, shapes, schedules, text.

The parts have tests of their own; here is what they add up to, as ICMLM, VirTex and CLIP have it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader

from transferbench.concepts.similarity import Similarity
from transferbench.concepts.wordnet import WordNet, open_wordnet
from transferbench.data.caption_encoder import CaptionEncoder
from transferbench.errors import UserError
from transferbench.heads.classification import linear_head
from transferbench.heads.contrastive import clip_head
from transferbench.heads.virtex import VirtexHead, backward, caption_lengths, virtex
from transferbench.models.backbone import Backbone, resnet_small, timm_backbone, torchvision_backbone
from transferbench.models.language import MaskedLanguageModel
from transferbench.models.text_encoder import TextEncoder
from transferbench.optim.groups import rated_groups
from transferbench.optim.lookahead import Lookahead
from transferbench.probes.bank import Bank
from transferbench.probes.sgd import multipliers
from transferbench.tasks.captions import Captions
from transferbench.text.batch import CaptionBatch
from transferbench.text.tokeniser import train_tokeniser
from transferbench.text.vocabulary import ConceptVocabulary

COCO_IMAGES, IMAGENET_IMAGES, BATCH = 118_287, 1_281_167, 256
FREE = r".*textual.(embedding|transformer).*(norm.*|bias)"
"""VirTex's parameters without weight decay."""
DOG, CAT, CARNIVORE, CAR = "n02084071", "n02121620", "n02075296", "n02958343"
MAN, WOMAN, ENTITY = "n10287213", "n10787470", "n00001740"


def size(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.fixture(scope="module")
def bicaptioning() -> VirtexHead:
    """VirTex's head of one layer of width 1024, without memory."""
    with torch.device("meta"):
        head = virtex(width=2048, tokens=10_000)
    assert isinstance(head, VirtexHead)
    return head


@pytest.fixture(scope="module")
def resnet50() -> Backbone:
    with torch.device("meta"):
        return torchvision_backbone("resnet50")


@pytest.mark.parametrize(
    ("name", "count", "published"),
    [
        ("resnet50", 23_508_032, 25_557_032),
        ("resnet101", 42_500_160, 44_549_160),
        ("wide_resnet50_2", 66_834_240, 68_883_240),
    ],
)
def test_resnets_with_and_without_their_classifier(name: str, count: int, published: int) -> None:
    with torch.device("meta"):
        backbone = torchvision_backbone(name)
        assert size(backbone) == count
        assert size(backbone, linear_head(width=2048, classes=1000)) == published


@pytest.mark.parametrize(
    ("name", "features", "published"), [("vgg16", 14_714_688, 138_357_544), ("vgg16_bn", 14_723_136, 138_365_992)]
)
def test_vggs_with_thirteen_convolutions(name: str, features: int, published: int) -> None:
    with torch.device("meta"):
        backbone = torchvision_backbone(name)
        assert size(backbone, linear_head(width=4096, classes=1000)) == published
        assert size(torchvision_backbone(name, trunk=True)) == features
    assert sum(isinstance(module, nn.Conv2d) for module in backbone.modules()) == 13


def test_our_language_model_is_bert_without_sentence_embedding() -> None:
    with torch.device("meta"):
        model = MaskedLanguageModel(30_522, width=768, layers=12, heads=12, length=512)
    assert size(model.words, model.positions, model.norm) == 23_837_184 - 2 * 768
    assert [size(layer) for layer in model.encoder.layers] == [7_087_872] * 12
    assert size(model.words, model.positions, model.norm, model.encoder) == 108_891_648 - 2 * 768


def test_the_shared_parts_of_virtex(bicaptioning: VirtexHead) -> None:
    textual = bicaptioning.textual
    counts = {
        "visual": size(textual.visual_projection),
        "words": size(textual.embedding.words),
        "positions": size(textual.embedding.positions),
        "norm": size(textual.embedding.norm),
        "bias": textual.output.bias.numel(),
    }
    assert counts == {"visual": 2_098_176, "words": 10_240_000, "positions": 30_720, "norm": 2_048, "bias": 10_000}
    assert sum(counts.values()) == 12_380_944 == size(bicaptioning) - 2 * 16_796_672


@pytest.mark.parametrize(
    ("name", "visual", "published"),
    [
        ("vit_base_patch32_clip_224", 87_849_216, 151_277_313),
        ("vit_base_patch16_clip_224", 86_192_640, 149_620_737),
        ("resnet50_clip", 38_316_896, 102_007_137),
    ],
)
def test_the_sizes_of_clip(name: str, visual: int, published: int) -> None:
    resnet = name.startswith("resnet")
    embedding, absent = (1024, 1024) if resnet else (512, 0)  # the projection of CLIP's ResNets has a bias, ours none
    with torch.device("meta"):
        backbone = timm_backbone(name)
        text = TextEncoder(49_408, embedding=embedding)
        head = clip_head(width=backbone.width, tokens=49_408, text=text)
    assert size(backbone, head.projection) == visual - absent
    assert size(backbone, head) == published - absent
    assert text.positions.shape == (77, 512)


def outputs(modules: dict[str, nn.Module], call: functools.partial[Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape that each module gives while ``call`` is carried out."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, _module: nn.Module, _given: object, found: Tensor) -> None:
        shapes[name] = tuple(found.shape)

    hooks = [module.register_forward_hook(functools.partial(note, name)) for name, module in modules.items()]
    call()
    for hook in hooks:
        hook.remove()
    return shapes


def test_the_stages_of_a_resnet_and_a_vgg_at_224_pixels(resnet50: Backbone) -> None:
    picture = torch.zeros(1, 3, 224, 224, device="meta")
    stages = {name: getattr(resnet50.net, name) for name in ("layer1", "layer2", "layer3", "layer4")}
    shapes = [(1, 256, 56, 56), (1, 512, 28, 28), (1, 1024, 14, 14), (1, 2048, 7, 7)]
    assert list(outputs(stages, functools.partial(resnet50, picture)).values()) == shapes
    with torch.device("meta"):
        vgg = torchvision_backbone("vgg16", trunk=True)
    convolutions = [module for module in vgg.modules() if isinstance(module, nn.Conv2d)]
    last = {str(number): module for number, module in enumerate(convolutions, start=1) if number > 10}
    shapes = [(1, 512, 14, 14)] * 3
    assert list(outputs(last, functools.partial(vgg, picture)).values()) == shapes
    assert vgg.feature_map(picture).shape == (1, 512, 7, 7)


def test_the_textual_head_sees_49_cells(resnet50: Backbone, bicaptioning: VirtexHead) -> None:
    maps = resnet50.feature_map(torch.zeros(2, 3, 224, 224, device="meta"))
    textual, tokens = bicaptioning.textual, torch.ones(2, 30, dtype=torch.int64, device="meta")
    seen = outputs({"cells": textual.visual_projection}, functools.partial(textual, maps, tokens, tokens[:, 0]))
    assert seen == {"cells": (2, 49, 1024)}


def test_logits_of_captions_of_up_to_30_tokens(bicaptioning: VirtexHead) -> None:
    maps, tokens = torch.zeros(2, 2048, 7, 7, device="meta"), torch.ones(2, 31, dtype=torch.int64, device="meta")
    for length in (1, 30):
        assert bicaptioning.textual(maps, tokens[:, :length], tokens[:, 0]).shape == (2, length, 10_000)
    with pytest.raises(UserError, match="captions of 31 tokens: this head takes 30 at most"):
        bicaptioning.textual(maps, tokens, tokens[:, 0])


def test_a_vocabulary_as_large_as_clips() -> None:
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), (24_000, 6))
    tokeniser = train_tokeniser([" ".join(map("".join, letters))], 49_408, "byte_bpe")
    assert (tokeniser.size, tokeniser.start, tokeniser.end) == (49_408, 49_406, 49_407)
    joined = [tokeniser.piece(index) for index in range(512, 49_406)]
    assert len(joined) == len(set(joined)) == 48_894
    assert all(len(piece.removesuffix("</w>")) > 1 for piece in joined)
    assert tokeniser.piece(511).endswith("</w>") and len(tokeniser.piece(511)) == 1 + len("</w>")


@pytest.fixture(scope="module")
def wordnet() -> WordNet:
    """WordNet 3.0."""
    try:
        found = open_wordnet()
    except UserError as error:
        pytest.skip(str(error))
    data = Path(found.source) / "data.noun"
    if not data.is_file() or b"WordNet 3.0 Copyright" not in data.read_bytes()[:2000]:
        pytest.skip(f"{found.source}: not WordNet 3.0 as files")
    return found


def test_the_nouns_of_wordnet(wordnet: WordNet) -> None:
    assert len(wordnet) == 82_115
    assert [wnid for wnid in wordnet.wnids if not wordnet.parents(wnid)] == [ENTITY]
    assert sum(len(wordnet.parents(wnid)) > 1 for wnid in wordnet.wnids) == 2_213
    assert [wordnet.synset_name(wnid) for wnid in (DOG, ENTITY)] == ["dog.n.01", "entity.n.01"]


def test_lin_similarity_over_all_of_wordnet(wordnet: WordNet) -> None:
    names = {CAT: "cat.n.01", CARNIVORE: "carnivore.n.01", CAR: "car.n.01", MAN: "man.n.01", WOMAN: "woman.n.01"}
    assert {wnid: wordnet.synset_name(wnid) for wnid in names} == names
    lin = Similarity(wordnet, wordnet.wnids)
    assert [lin.count(wnid) for wnid in (DOG, CAT, CARNIVORE, CAR)] == [190, 39, 366, 41]
    assert lin.ic(DOG) == pytest.approx(6.068852, abs=5e-7)
    assert lin.ic(ENTITY) == 0
    found = [lin.pair(*pair) for pair in ((DOG, CAT), (DOG, CAR), (MAN, WOMAN), (DOG, DOG), (DOG, ENTITY))]
    assert found == pytest.approx([0.789035, 0.139969, 0.734112, 1, 0], abs=5e-7)


def test_tensors_of_bicaptioning_with_a_resnet50(resnet50: Backbone, bicaptioning: VirtexHead) -> None:
    model = nn.ModuleDict({"visual": resnet50.net, "head": bicaptioning})
    assert len(list(model.parameters())) == 202
    assert len(list(resnet50.parameters())) == 159
    assert len(model.state_dict()) == 370


def test_which_tensors_of_virtex_are_not_decayed(resnet50: Backbone, bicaptioning: VirtexHead) -> None:
    parts = {"backbone": resnet50, "head": bicaptioning}
    groups = rated_groups(parts, {"backbone": 0.2, "head": 0.001}, 1e-4, FREE)
    found = {(group["lr"], group["weight_decay"]): len(group["params"]) for group in groups}
    assert found == {(0.2, 1e-4): 159, (0.001, 1e-4): 17, (0.001, 0.0): 26}
    names = {id(p): name for part, module in parts.items() for name, p in module.named_parameters(prefix=part)}
    decayed = [names[id(p)] for group in groups[:2] for p in group["params"]]
    biases = [name for name in decayed if name.endswith("bias") and not name.startswith("backbone.")]
    assert biases == ["head.textual.visual_projection.bias", "head.textual.output.bias"]
    assert {"head.textual.embedding.words.weight", "head.textual.embedding.positions.weight"} <= set(decayed)
    assert any(re.match(r"backbone\.net\.bn1\.(weight|bias)", name) for name in decayed)


def test_a_caption_of_29_pieces_or_more_has_no_end_in_either_direction() -> None:
    tokeniser = train_tokeniser(["abcdefghij " * 3], 16)
    encode = CaptionEncoder(tokeniser, ConceptVocabulary((), ()), 30)
    captions = {count: "".join("acegi"[k % 5] for k in range(count - 1)) for count in (27, 28, 29, 40)}  # and a blank
    rows = [encode(caption, torch.zeros(0), 0) for caption in captions.values()]
    text = CaptionBatch(*(torch.stack(field) for field in zip(*rows)))
    assert [len(tokeniser.encode(caption).ids) for caption in captions.values()] == list(captions)
    lengths = caption_lengths(text, tokeniser.pad)
    assert lengths.tolist() == [29, 30, 30, 30]
    reverse = backward(text.tokens, lengths)
    for tokens in (text.tokens, reverse):
        assert (tokens == tokeniser.end).any(dim=1).tolist() == [True, True, False, False]
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(reverse[row, :length], text.tokens[row, :length].flip(0))


def test_the_steps_of_a_linear_classifier_on_imagenet() -> None:
    bank, generator = Bank(np.zeros((IMAGENET_IMAGES, 1), dtype=np.float32)), torch.Generator().manual_seed(0)
    batches = [len(rows) for rows, _ in bank.shuffled(torch.arange(IMAGENET_IMAGES), BATCH, generator)]
    assert (len(batches), sum(batches)) == (5_005, IMAGENET_IMAGES)
    assert len(multipliers(100)) * len(batches) == 500_500


class Stop(Callback):
    """End the fit before its first step."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = True


def no_batches(images: int) -> DataLoader[int]:
    """A loader as long as that of a set of ``images`` that no one reads."""
    return DataLoader(range(images), batch_size=BATCH, drop_last=True)  # type: ignore[arg-type]


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Trainer]:
    """A trainer that has planned VirTex's run on COCO: 500,000 steps of 256 images, 10,000 of them warm-up."""
    slow = functools.partial(Lookahead, inner=functools.partial(SGD, momentum=0.9))
    head = virtex(width=64, tokens=10, textual="transdec_postnorm::L1_H8_A2_F16", length=5)
    warmup = 10_000 / (COCO_IMAGES // BATCH)
    task = Captions(resnet_small(8), head, slow, lr=0.2, head_lr=0.001, no_decay=FREE, warmup_epochs=warmup)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(
        max_steps=500_000, max_epochs=1083, accelerator="cpu", callbacks=[Stop()], default_root_dir=tmp_path, **quiet
    )
    trainer.fit(task, no_batches(COCO_IMAGES))
    yield trainer


@pytest.mark.filterwarnings("ignore")
def test_half_a_million_steps_are_1083_epochs_of_coco(planned: Trainer) -> None:
    images = planned.max_steps * BATCH
    assert images / COCO_IMAGES == pytest.approx(1082.11, abs=0.005)
    assert math.ceil(planned.max_steps / int(planned.num_training_batches)) == planned.max_epochs == 1083
    assert planned.estimated_stepping_batches == 500_000
    assert planned.global_step == 0


@pytest.mark.filterwarnings("ignore")
def test_the_learning_rates_of_virtex(planned: Trainer) -> None:
    schedule = planned.lr_scheduler_configs[0].scheduler
    assert [(group["initial_lr"], group["weight_decay"]) for group in planned.optimizers[0].param_groups] == [
        (0.2, 1e-4),
        (0.001, 1e-4),
        (0.001, 0.0),
    ]
    wanted = {0: 0, 5_000: 0.5, 10_000: 1, 132_500: 0.853553, 255_000: 0.5, 377_500: 0.146447, 500_000: 0}
    for factor in schedule.lr_lambdas:
        assert {step: round(factor(step), 6) for step in wanted} == wanted
