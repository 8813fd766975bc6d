"""Zero-shot classification with a head that knows colours, so that the right answer is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from transferbench.data.caption_encoder import CaptionEncoder
from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import ArrayImages, Splits
from transferbench.errors import UserError
from transferbench.features.extract import Pictures
from transferbench.tasks import zero_shot
from transferbench.tasks.zero_shot import examine_zero_shot, name_weights
from transferbench.text.prompts import read_prompts
from transferbench.text.tokeniser import train_tokeniser
from transferbench.text.vocabulary import ConceptVocabulary

COLOURS = {
    "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "dark_cyan, teal": (0, 1, 1),
    "purple": (1, 0, 1), "black": (0, 0, 0), "white": (1, 1, 1),
}  # fmt: skip
NAMES = {f"n{index}": name for index, name in enumerate(COLOURS)}
PHOTO, SHORT = read_prompts("photo"), read_prompts("clip_short")
TEXTS = [template.replace("{}", name.split(",")[0].replace("_", " ")) for template in SHORT + PHOTO for name in COLOURS]


class Head:
    """The colour of images, and of the word for a colour in a caption; a third of them is off by the template."""

    def __init__(self, tokeniser: Any) -> None:
        self.tokeniser = tokeniser

    def embed_images(self, maps: Tensor) -> Tensor:
        return normalize(maps.mean(dim=(2, 3)), dim=1)

    def embed_text(self, tokens: Tensor) -> Tensor:
        texts = [self.tokeniser.decode(row) for row in tokens.tolist()]
        return normalize(torch.stack([self.meant(text) for text in texts]), dim=1)

    def meant(self, text: str) -> Tensor:
        known = (value for name, value in COLOURS.items() if name.split(",")[0].replace("_", " ") in text)
        colour = torch.tensor(next(known, (0.5, 0.4, 0.6))) * 2.0 - 1
        return colour.flip(0) if "origami" in text else colour


@pytest.fixture(scope="module")
def data() -> Any:
    tokeniser = train_tokeniser(TEXTS, 60)
    encoder = CaptionEncoder(tokeniser, ConceptVocabulary((), (), ()), 40)
    return SimpleNamespace(tokeniser=tokeniser, encoder=encoder, centre=CentreCrop(4, 4))


def task_of(data: Any) -> Any:
    return SimpleNamespace(head=Head(data.tokeniser), maps=lambda pictures: pictures.float() / 127.5 - 1)


def pictures(classes: dict[str, tuple[int, ...]], count: int = 3, wrong: int = 0) -> Splits:
    """``count`` pictures a class in its colour; the first ``wrong`` of all are labelled as the class after theirs."""
    shown = np.repeat(np.array(list(classes.values())), count, axis=0)
    labels = np.repeat(np.arange(len(classes)), count)
    labels[:wrong] = (labels[:wrong] + 1) % len(classes)
    pixels = np.broadcast_to(shown[:, None, None] * 255, (len(shown), 4, 4, 3)).astype(np.uint8)
    images = ArrayImages(pixels, labels, tuple(classes))
    return Splits(images, images)


def examined(data: Any, splits: Splits, prompts: tuple[str, ...] = PHOTO, names: Any = NAMES) -> Any:
    with torch.inference_mode():
        return examine_zero_shot(task_of(data), data, {"colours": splits}, prompts, "cpu", names)


BY_ID = dict(zip(NAMES, COLOURS.values()))


@pytest.mark.parametrize("prompts", [PHOTO, SHORT])
def test_the_nearest_name_is_answered(
    data: Any, prompts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(zero_shot, "BATCH", 5)
    found = examined(data, pictures(BY_ID, wrong=2), prompts)
    assert found.metrics["captions/zero_shot/colours/top1"] == 22 / 24
    assert found.metrics["captions/zero_shot/colours/top5"] >= 22 / 24
    assert any("24 images of 8 classes, chance 12.50\u00a0%" in fact for fact in found.facts)
    assert any(prompts[0] in fact for fact in found.facts)
    assert not caplog.records


def test_a_set_without_readable_names_is_called_by_its_classes(data: Any) -> None:
    assert examined(data, pictures(COLOURS), names={}).metrics["captions/zero_shot/colours/top1"] == 1


def test_the_order_of_the_classes_changes_nothing(data: Any) -> None:
    turned = dict(reversed(BY_ID.items()))
    first, second = pictures(BY_ID), pictures(turned)
    swapped = second.test.labels.copy()
    swapped[:3] = 4  # white said to be yellow, in both orders
    straight = first.test.labels.copy()
    straight[-3:] = 3
    second.test.labels, first.test.labels = swapped, straight
    scores = [examined(data, splits, SHORT).metrics for splits in (first, second)]
    assert scores[0] == scores[1]
    assert scores[0]["captions/zero_shot/colours/top1"] == 21 / 24


def test_top_5_counts_the_five_nearest_names(data: Any) -> None:
    shown = pictures({key: BY_ID[key] for key in ("n0", "n1", "n2", "n6", "n7")}, count=1).test
    said = ArrayImages(shown.pixels, np.full(5, 6), tuple(BY_ID))  # type: ignore[attr-defined]
    found = examined(data, Splits(said, said)).metrics  # black is near red, green and blue, and farthest from white
    assert found == {"captions/zero_shot/colours/top1": 1 / 5, "captions/zero_shot/colours/top5": 4 / 5}


def test_five_classes_have_no_top_5(data: Any) -> None:
    five = dict(list(BY_ID.items())[:5])
    assert set(examined(data, pictures(five)).metrics) == {"captions/zero_shot/colours/top1"}


def test_of_two_classes_called_alike_the_first_is_answered(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    names = {**NAMES, "n5": "red, crimson"}
    twins = {**BY_ID, "n5": COLOURS["red"]}
    found = examined(data, pictures(twins), SHORT, names)
    assert found.metrics["captions/zero_shot/colours/top1"] == 21 / 24
    assert found.metrics["captions/zero_shot/colours/top5"] == 1
    (warning,) = caplog.messages
    assert "called alike" in warning
    assert "'red'" in warning
    assert any("called alike" in fact for fact in found.facts)
    columns = name_weights(Head(data.tokeniser), data.encoder, ["red", "blue", "red"], SHORT, "cpu")
    assert torch.equal(columns[:, 0], columns[:, 2])
    torch.testing.assert_close(columns.norm(dim=0), torch.ones(3))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("赤", "knows no piece"),
        ("", "knows no piece"),
        ("n01440764", "WordNet's ids"),
        ("purple " * 40, "cut to the data's length of 40 tokens"),
    ],
)
def test_a_name_that_cannot_be_told_is_warned_of_and_measured(
    name: str, said: str, data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    found = examined(data, pictures(BY_ID), names={**NAMES, "n5": name})
    assert any("zero-shot classification on colours: " in message and said in message for message in caplog.messages)
    assert any(said in fact for fact in found.facts)
    assert found.metrics["captions/zero_shot/colours/top1"] >= 21 / 24


def test_sets_with_several_labels_an_image_are_left_out(data: Any) -> None:
    one = pictures(BY_ID).test
    several = ArrayImages(one.pixels, np.eye(8, dtype=np.int64)[one.labels], one.classes)  # type: ignore[attr-defined]
    found = examined(data, Splits(several, several))
    assert not found.metrics
    assert any("several labels an image" in fact for fact in found.facts)


def test_unreadable_images_are_left_out_and_none_at_all_is_an_error(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = pictures(BY_ID, wrong=2)
    whole = Pictures.__getitem__
    monkeypatch.setattr(Pictures, "__getitem__", lambda self, i: (i, None) if i < 2 else whole(self, i))
    found = examined(data, splits)
    assert found.metrics["captions/zero_shot/colours/top1"] == 1
    assert any("22 images" in fact for fact in found.facts)
    monkeypatch.setattr(Pictures, "__getitem__", lambda self, i: (i, None))
    with pytest.raises(UserError, match="none of the 24 images of colours could be read"):
        examined(data, splits)


def test_no_sets_say_nothing(data: Any) -> None:
    found = examine_zero_shot(task_of(data), data, {}, PHOTO, "cpu", NAMES)
    assert not found.metrics
    assert not found.facts
