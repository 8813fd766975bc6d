from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from transferbench.probes import matching
from transferbench.probes.matching import class_weights, rank_scores, ranks, ranks_of_vectors, recalls


def naive_ranks(similarity: Tensor, queries: Tensor, keys: Tensor) -> list[int]:
    found = []
    for row, query in zip(similarity.tolist(), queries.tolist()):
        order = sorted(range(len(row)), key=lambda j: (-row[j], j))
        found.append(1 + next(place for place, j in enumerate(order) if int(keys[j]) == query))
    return found


def captioned(images: int, seed: int) -> Tensor:
    """The image of each caption, 1 to 5 captions an image, in no order."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(1, 6, (images,), generator=generator)
    groups = torch.arange(images).repeat_interleave(counts)
    return groups[torch.randperm(len(groups), generator=generator)]


@pytest.mark.parametrize("levels", [3, 1000])
def test_ranks_are_those_of_a_sort_with_and_without_ties(levels: int) -> None:
    groups, images = captioned(30, 1), torch.arange(30)
    similarity = torch.randint(levels, (30, len(groups)), generator=torch.Generator().manual_seed(2)) / levels
    assert ranks(similarity, images, groups).tolist() == naive_ranks(similarity, images, groups)
    assert ranks(similarity.T, groups, images).tolist() == naive_ranks(similarity.T, groups, images)


def test_ranks_by_hand() -> None:
    similarity = torch.tensor([[0.1, 0.9, 0.9, 0.3], [0.5, 0.5, 0.5, 0.5]])
    groups = torch.tensor([0, 1, 0, 1])
    assert ranks(similarity, torch.arange(2), groups).tolist() == [2, 2]  # ties: the lower index comes first
    assert ranks(similarity.T, groups, torch.arange(2)).tolist() == [2, 2, 1, 1]


def test_a_similarity_of_minus_infinity_comes_last_by_index() -> None:
    similarity = torch.tensor([[-torch.inf, 0.0, -torch.inf]])
    assert ranks(similarity, torch.tensor([2]), torch.arange(3)).tolist() == [3]


@pytest.mark.parametrize("cells", [1, 100, 2**22])
def test_vectors_in_blocks_give_the_ranks_of_the_whole_matrix(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_CELLS", cells)
    generator = torch.Generator().manual_seed(3)
    images, groups = torch.arange(20), captioned(20, 4)
    seen, read = (normalize(torch.randn(n, 8, generator=generator).double(), dim=1) for n in (20, len(groups)))
    similarity = seen @ read.T
    assert ranks_of_vectors(seen, read, images, groups).tolist() == naive_ranks(similarity, images, groups)
    assert ranks_of_vectors(read, seen, groups, images).tolist() == naive_ranks(similarity.T, groups, images)


def test_equal_keys_tie_whatever_the_matrix_product_rounds() -> None:
    generator = torch.Generator().manual_seed(5)
    key = normalize(torch.randn(1, 511, generator=generator), dim=1).expand(203, -1)
    queries = normalize(torch.randn(203, 511, generator=generator), dim=1)
    own = torch.arange(203)
    assert ranks_of_vectors(queries, key, own, own).tolist() == list(range(1, 204))


def test_what_has_no_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 queries"):
        ranks(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0, 0, 2]))
    with pytest.raises(ValueError, match="not a number"):
        ranks(torch.tensor([[math.nan, 1.0]]), torch.tensor([0]), torch.arange(2))


def test_scores_by_hand() -> None:
    found = torch.tensor([1, 1, 3, 5, 6, 11])
    expected = {"r1": 2 / 6, "r5": 4 / 6, "r10": 5 / 6, "median_rank": 4.0, "mean_rank": 4.5}
    assert rank_scores(found) == pytest.approx(expected)
    assert recalls(found, (3,)) == {"r3": 0.5}


def prompts_of(templates: int, classes: int) -> Tensor:
    generator = torch.Generator().manual_seed(6)
    lengths = torch.rand(templates, classes, 1, generator=generator) * 20 + 0.1
    return lengths * torch.randn(templates, classes, 6, generator=generator)


def test_class_weights_are_the_naive_mean_of_directions() -> None:
    embeddings = prompts_of(7, 4)
    columns = class_weights(embeddings)
    assert columns.shape == (6, 4)
    for c in range(4):
        mean = [0.0] * 6
        for vector in embeddings[:, c].tolist():
            length = math.sqrt(sum(x * x for x in vector))
            mean = [m + x / length / 7 for m, x in zip(mean, vector)]
        length = math.sqrt(sum(x * x for x in mean))
        torch.testing.assert_close(columns[:, c], torch.tensor([m / length for m in mean]))


def test_class_weights_have_length_1_and_know_neither_repetition_nor_order() -> None:
    embeddings = prompts_of(5, 9)
    columns = class_weights(embeddings)
    torch.testing.assert_close(columns.norm(dim=0), torch.ones(9))
    torch.testing.assert_close(class_weights(embeddings[:1].repeat(6, 1, 1)), class_weights(embeddings[:1]))
    order = torch.randperm(9, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(class_weights(embeddings[:, order]), columns[:, order])
