from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.heads.tags import (
    TagHead,
    bce_loss,
    multi_hot,
    multilabel_classification,
    softmax_loss,
    tag_head,
    token_classification,
)
from transferbench.text.batch import CaptionBatch

RESNET50 = 23_508_032
"""Parameters of ResNet-50 without its classifier."""


def test_multi_hot_marks_what_a_row_holds() -> None:
    ids = torch.tensor([[-1, 2, 2, 0], [-1, -1, -1, -1], [3, 1, 0, -1]])
    assert multi_hot(ids, 4, ignored=(0,)).tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 1]]


def test_the_losses_are_those_of_a_loop_over_rows() -> None:
    logits, targets = torch.randn(3, 5).double(), torch.tensor([[0.0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
    shares, decisions = [], []
    for row in (0, 2):
        chances = [math.exp(value) for value in logits[row].tolist()]
        told = [-math.log(chances[k] / sum(chances)) for k in range(5) if targets[row, k]]
        shares.append(sum(told) / len(told))
        sigmoid = [1 / (1 + math.exp(-value)) for value in logits[row].tolist()]
        decisions.append(-sum(math.log(p if t else 1 - p) for p, t in zip(sigmoid, targets[row].tolist())) / 5)
    assert float(softmax_loss(logits, targets)) == pytest.approx(sum(shares) / 2, rel=1e-5)
    assert float(bce_loss(logits, targets)) == pytest.approx(sum(decisions) / 2, rel=1e-5)


@pytest.mark.parametrize(("classes", "loss"), [(80, 4.382027), (81, 4.394449), (1000, 6.907755), (30522, 10.326203)])
def test_the_losses_at_zero_logits(classes: int, loss: float) -> None:
    targets = torch.zeros(2, classes)
    targets[0, 3] = targets[1, 5] = targets[1, 7] = 1
    assert float(softmax_loss(torch.zeros(2, classes), targets)) == pytest.approx(loss, abs=1e-5)
    assert float(bce_loss(torch.zeros(2, classes), targets)) == pytest.approx(0.693147, abs=1e-6)


def test_each_source_gives_its_targets(three: CaptionBatch) -> None:
    labelled = three._replace(labels=torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
    assert TagHead(4, 5, "bce", "concepts").targets(three).nonzero().tolist() == [[0, 0], [0, 2], [1, 4]]
    assert TagHead(4, 2, "softmax", "labels").targets(labelled).tolist() == labelled.labels.tolist()
    assert TagHead(4, 2, "softmax", "clusters").targets(labelled).tolist() == labelled.labels.tolist()
    tokens = token_classification(width=4, tokens=13, mask=3).targets(three)
    assert [row.nonzero().flatten().tolist() for row in tokens] == [[5, 6, 7, 8], [9, 10, 11], [5, 12]]
    assert multilabel_classification(width=4, labels=2).targets(labelled).tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 1]]


def test_a_cluster_is_an_ordinary_class(three: CaptionBatch) -> None:
    head, maps = tag_head(width=4, classes=9, clusters=3, loss="softmax", source="clusters"), torch.randn(3, 4, 2, 2)
    clusters = torch.tensor([2, 0, 1])
    loss = head(maps, three._replace(labels=nn.functional.one_hot(clusters, 3).float()))["tags"]
    torch.testing.assert_close(loss, nn.functional.cross_entropy(head.classifier(maps.mean((2, 3))), clusters))


@pytest.mark.parametrize("loss", ["bce", "softmax"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_without_tags_gives_zero_with_a_graph(loss: str, dtype: torch.dtype, empty: CaptionBatch) -> None:
    maps = torch.randn(2, 4, 3, 3, requires_grad=True)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        for head in (tag_head(width=4, classes=5, loss=loss), token_classification(width=4, tokens=9, loss=loss)):
            (value,) = head(maps, empty).values()
            value.backward()
            assert value == 0 and maps.grad is not None and not maps.grad.any()


def test_parameters_with_a_resnet50() -> None:
    counts = [
        RESNET50 + sum(p.numel() for p in head.parameters())
        for head in (
            token_classification(width=2048, tokens=10_000),
            multilabel_classification(width=2048, labels=80),
        )
    ]
    assert counts == [43_998_032, 23_674_001]


def test_what_does_not_fit_is_said(three: CaptionBatch) -> None:
    with pytest.raises(UserError, match=r"head\.loss=hinge"):
        tag_head(width=4, classes=5, loss="hinge")
    with pytest.raises(UserError, match="predicts 5 tags, but the images carry 0 labels"):
        tag_head(width=4, classes=9, labels=5, source="labels")(torch.randn(3, 4, 2, 2), three)
    with pytest.raises(UserError, match="predicts 5 tags, but the images carry 4 labels"):
        multilabel_classification(width=4, labels=5).targets(three._replace(labels=torch.zeros(3, 4)))


@pytest.mark.parametrize(("source", "told"), [("clusters", "data.labels=clusters"), ("labels", "data.labels=tags")])
def test_what_the_images_do_not_carry_is_no_source(source: str, told: str) -> None:
    carried = {"labels": 5} if source == "clusters" else {"clusters": 5}
    with pytest.raises(UserError, match=told):
        tag_head(width=4, classes=9, source=source, **carried)
