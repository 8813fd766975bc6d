"""Queries, distances, erasure and thresholds against worked numbers and mixtures whose valley is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.nerf.editing import distance, erased, query_of, relevancy, selected, unit, valley_threshold
from transferbench.nerf.rendering import deltas, weights

QUERY = torch.tensor([1.0, 0.0])
RAW = torch.tensor([[[0.3, 0.0], [1.0, 0.0], [0.0, 2.0], [0.7, 0.0]]])  # of the samples of the worked ray
DENSITY = torch.tensor([[0.0, 0.693147, 1.0, 0.0]])
LENGTHS = deltas(torch.tensor([[2.0, 3.0, 4.0, 6.0]]), torch.ones(1))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_query_is_the_unit_mean_of_its_patch() -> None:
    features = random(6, 7, 5)
    mean = sum(features[r, c] for r in (2, 3, 4) for c in (1, 2, 3)) / 9  # type: ignore[operator]
    torch.testing.assert_close(query_of(features, 2, 1, 3), mean / mean.norm())
    torch.testing.assert_close(query_of(features, 3, 4, 3), unit(features[3:6, 4:7].mean((0, 1))))


@pytest.mark.parametrize(
    ("row", "column", "size"), [(4, 0, 3), (0, 5, 3), (-1, 0, 3), (0, -1, 1), (0, 0, 0), (0, 0, 8)]
)
def test_a_patch_beyond_the_image_is_refused(row: int, column: int, size: int) -> None:
    with pytest.raises(UserError, match=r"rows .* columns .* an image of 6 rows and 7 columns"):
        query_of(random(6, 7, 5), row, column, size)


def test_distances_are_those_of_the_reference_code() -> None:
    torch.testing.assert_close(distance(RAW, QUERY), torch.tensor([[0.0, 0.0, 1.414214, 0.0]]), rtol=0, atol=1e-6)


def test_distances_are_a_function_of_the_angle() -> None:
    features, query = random(200, 6), random(6, seed=1)
    cosine = torch.nn.functional.cosine_similarity(features, query[None])
    torch.testing.assert_close(distance(features, query), (2 - 2 * cosine).sqrt(), rtol=1e-5, atol=1e-5)
    assert distance(-query[None], query).item() == pytest.approx(2.0)
    for threshold, expected in ((1.05, 0.449), (1.2, 0.28), (1.35, 0.089)):
        assert 1 - threshold**2 / 2 == pytest.approx(expected, abs=5e-4)


def test_removing_and_extracting_change_the_weights_as_the_reference_code_does() -> None:
    apart = distance(RAW, QUERY)
    removed = weights(erased(DENSITY, selected(apart, 1.35, "remove")), LENGTHS)[0]
    extracted = weights(erased(DENSITY, selected(apart, 1.05, "extract")), LENGTHS)[0]
    torch.testing.assert_close(removed, torch.tensor([[0, 0, 0.864665, 0]]), rtol=0, atol=1e-6)
    torch.testing.assert_close(extracted, torch.tensor([[0, 0.5, 0, 0]]), rtol=0, atol=1e-6)


def test_thresholds_beyond_all_distances_change_nothing_and_the_modes_complement_each_other() -> None:
    apart = distance(random(500, 4), random(4, seed=1))
    assert not selected(apart, 0.0, "remove").any() and not selected(apart, 2.01, "extract").any()
    for threshold in (0.4, 1.0, 1.7):
        removed, extracted = selected(apart, threshold, "remove"), selected(apart, threshold, "extract")
        assert removed.any() and extracted.any()
        assert torch.equal(removed, ~extracted)  # each sample is kept by one mode, and by one only


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'remove' or 'extract'"):
        selected(torch.zeros(1), 1.0, "delete")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.5, 0.1, 0.03])
def test_the_threshold_lies_in_the_valley(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    near = generator.normal(0.55, 0.12, int(40_000 * share))
    far = generator.normal(1.6, 0.08, 40_000 - len(near))
    found = valley_threshold(np.concatenate([near, far]).clip(0, 2))
    assert found.two_modes
    assert 0.8 < found.threshold < 1.4


def test_the_valley_is_the_least_frequent_distance_between_overlapping_modes() -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(0.6, 0.2, 300_000), generator.normal(1.5, 0.2, 300_000)])
    assert valley_threshold(torch.as_tensor(values)).threshold == pytest.approx(1.05, abs=0.05)


def test_a_flat_valley_is_cut_in_its_middle() -> None:
    found = valley_threshold(np.concatenate([np.full(500, 0.2), np.full(500, 1.8)]))
    assert found.two_modes and found.threshold == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("size", [500, 50_000])
def test_one_mode_falls_back_to_otsu(seed: int, size: int) -> None:
    values = np.random.default_rng(seed).normal(1.2, 0.1, size)
    found = valley_threshold(values)
    assert not found.two_modes
    counts, edges = np.histogram(values, 100)
    centres = (edges[1:] + edges[:-1]) / 2

    def within(cut: int) -> float:
        sides = [(counts[:cut], centres[:cut]), (counts[cut:], centres[cut:])]
        return sum(float((n * (c - np.average(c, weights=n)) ** 2).sum()) for n, c in sides)

    assert found.threshold == pytest.approx(edges[min(range(1, 100), key=within)])


def test_equal_distances_and_none_at_all() -> None:
    assert valley_threshold(torch.full((3, 4), 0.5)) == (0.5, False)
    with pytest.raises(ValueError, match="0 values"):
        valley_threshold(torch.zeros(0))
    with pytest.raises(ValueError, match="not finite"):
        valley_threshold(torch.tensor([0.1, float("nan")]))


def test_relevancy_is_the_least_pairwise_softmax() -> None:
    features, query, negatives = random(9, 6), random(6, seed=1), random(4, 6, seed=2)
    expected = []
    for feature in features:
        cosines = [torch.nn.functional.cosine_similarity(feature, other, dim=0) for other in (query, *negatives)]
        pairs = [torch.softmax(10 * torch.stack([cosines[0], other]), 0)[0] for other in cosines[1:]]
        expected.append(min(pairs))
    torch.testing.assert_close(relevancy(features, query, negatives), torch.stack(expected))
    assert relevancy(query, query, negatives) > 0.5 > relevancy(negatives[0], query, negatives)
