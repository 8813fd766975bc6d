"""Retrieval with a head whose vectors are given by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from transferbench.errors import RunFailed
from transferbench.tasks import retrieval
from transferbench.tasks.examination import HeldOut
from transferbench.tasks.retrieval import embed_captions, examine_retrieval

CAPTIONS = (("a", "b"), ("c",), ("never seen",), ("b", "e", "f"))
"""The third image cannot be read."""


class Head:
    """Maps and captions hold their vectors themselves; counts the captions that it encodes."""

    encoded = 0

    def embed_images(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3))

    def embed_text(self, tokens: Tensor) -> Tensor:
        self.encoded += len(tokens)
        return torch.eye(6)[tokens[:, 0]]


def encoder(caption: str, labels: Tensor, index: int) -> Any:
    return SimpleNamespace(tokens=torch.tensor(["abcdef".index(caption[0])]))


def examined(seen: list[list[float]]) -> Any:
    data = SimpleNamespace(test_records=SimpleNamespace(captions=CAPTIONS), encoder=encoder)
    maps = torch.tensor(seen)[:, :, None, None].expand(-1, -1, 2, 2)
    return examine_retrieval(Head(), data, HeldOut(maps, [0, 1, 3]), "cpu")


def test_metrics_by_hand() -> None:
    #         a    b    c    d    e    f
    found = examined([[0.1, 0.5, 0.9, 0.0, 0.2, 0.3], [0.0, 0.0, 0.4, 0.0, 0.0, 0.0], [0.3, 0.7, 0.5, 0.0, 0.4, 0.4]])
    # captions in order: a b | c | b e f; image 0 finds c before its b; the b that image 3 has comes behind that of 0
    image_places, text_places = [2, 1, 2], [2, 2, 3, 1, 1, 1]
    for way, places, median in (("image_to_text", image_places, 2.0), ("text_to_image", text_places, 1.5)):
        key = f"captions/retrieval_{way}"
        assert found.metrics[f"{key}_r1"] == pytest.approx(sum(p == 1 for p in places) / len(places))
        assert found.metrics[f"{key}_r5"] == 1
        assert found.metrics[f"{key}_median_rank"] == median
        assert found.metrics[f"{key}_mean_rank"] == pytest.approx(sum(places) / len(places))
    (said,) = found.facts
    assert "3 held-out images and 6 captions" in said
    assert "33.33\u00a0% within 1" in said
    assert "2 of the captions stand beside several images" in said


def test_vectors_that_are_all_the_same_are_worth_chance() -> None:
    found = examined([[1.0] * 6] * 3).metrics
    assert found["captions/retrieval_image_to_text_r1"] == pytest.approx(1 / 3)
    assert found["captions/retrieval_text_to_image_r1"] == pytest.approx(1 / 3)


def test_a_diverged_model_has_no_ranks() -> None:
    with pytest.raises(RunFailed, match="not finite"):
        examined([[float("nan")] * 6] * 3)


def test_equal_captions_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "BATCH", 2)
    head = Head()
    vectors = embed_captions(head, encoder, ["c", "a", "c", "f", "a"], "cpu")
    assert vectors.argmax(1).tolist() == [2, 0, 2, 5, 0]
    assert head.encoded == 3
