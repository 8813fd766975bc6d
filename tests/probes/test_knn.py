from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from transferbench.probes import knn
from transferbench.probes.knn import NEIGHBOURS, find_voters, knn_predict, nearest
from transferbench.probes.scores import top_k


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.dot(a, b) / math.sqrt(np.dot(a, a)) / math.sqrt(np.dot(b, b)))


def naive_knn(train_x, train_y, test_x, k, temperature):
    predictions = []
    for query in test_x.astype(np.float64):
        similarities = [cosine(query, row) for row in train_x.astype(np.float64)]
        votes: dict[int, float] = {}
        for row in sorted(range(len(train_x)), key=lambda i: -similarities[i])[:k]:
            label = int(train_y[row])
            votes[label] = votes.get(label, 0.0) + math.exp(similarities[row] / temperature)
        predictions.append(max(sorted(votes), key=votes.__getitem__))
    return predictions


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.07), (20, 1.0), (500, 0.5)])
def test_knn_is_the_naive_vote(k, temperature):
    generator = np.random.default_rng(3)
    train_x = generator.normal(size=(90, 6)).astype(np.float32) * generator.uniform(0.1, 9, (90, 1)).astype(np.float32)
    train_y = generator.integers(0, 7, 90)
    test_x = generator.normal(size=(40, 6)).astype(np.float32)
    predicted = knn_predict(train_x, train_y, test_x, k=k, temperature=temperature)
    assert predicted.tolist() == naive_knn(train_x, train_y, test_x, k, temperature)


def test_weights_decide_against_the_majority():
    train_x = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8]], dtype=np.float32)
    train_y = np.array([4, 2, 2])
    query = np.array([[10, 0]], dtype=np.float32)
    assert knn_predict(train_x, train_y, query, k=3, temperature=0.07).tolist() == [4]
    assert knn_predict(train_x, train_y, query, k=3, temperature=10.0).tolist() == [2]


@pytest.mark.parametrize("k", [4, 9, 30])
def test_chunks_change_nothing(k, monkeypatch, tmp_path):
    generator = np.random.default_rng(0)
    bank, queries = (generator.normal(size=(n, 5)).astype(np.float32) for n in (30, 17))
    np.save(tmp_path / "bank.npy", bank)
    whole = nearest(bank, queries, k)
    monkeypatch.setattr(knn, "_CELLS", 35)
    monkeypatch.setattr(knn, "CHUNK", 7)
    for source in (bank, np.load(tmp_path / "bank.npy", mmap_mode="r"), torch.from_numpy(bank)):
        parts = nearest(source, queries, k)
        np.testing.assert_allclose(parts[0], whole[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(parts[1], whole[1])


def test_half_precision_banks():
    generator = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = (np.eye(3)[y] + 0.1 * generator.normal(size=(90, 3))).astype(np.float32)
    for half in (x.astype(np.float16), torch.from_numpy(x).bfloat16()):
        assert (knn_predict(half, y, half, k=5) == y).all()


def test_nearest_comes_first_and_k_is_clipped():
    bank = np.array([[0, 1], [1, 0], [1, 1]], dtype=np.float32)
    similarities, rows = nearest(bank, np.array([[2, 0.2]], dtype=np.float32), 50)
    assert rows.tolist() == [[1, 2, 0]]
    np.testing.assert_allclose(similarities[0], [cosine(np.array([2, 0.2]), bank[i]) for i in (1, 2, 0)], rtol=1e-5)


def test_features_are_not_changed():
    bank = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    before = bank.copy()
    knn_predict(bank, np.arange(8), bank, k=1)
    np.testing.assert_array_equal(bank, before)


def test_one_search_serves_every_neighbourhood():
    generator = np.random.default_rng(3)
    train_x = generator.normal(size=(260, 6)).astype(np.float32)
    train_y = generator.integers(0, 7, 260) * 2 + 1
    test_x = generator.normal(size=(40, 6)).astype(np.float32)
    voters = find_voters(train_x, train_y, test_x)
    assert max(NEIGHBOURS) == 200
    for k in (1, *NEIGHBOURS):
        assert voters.predict(k).tolist() == naive_knn(train_x, train_y, test_x, k, 0.07)
        assert voters.predict(k).tolist() == knn_predict(train_x, train_y, test_x, k=k).tolist()
    with pytest.raises(ValueError, match="200 nearest were searched: k = 250"):
        voters.predict(250)


def test_scores_are_the_votes():
    train_x = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8], [-1, 0]], dtype=np.float32)
    voters = find_voters(train_x, np.array([4, 2, 2, 9]), np.array([[3, 0]], dtype=np.float32), k=10)
    expected = [[2 * math.exp(-0.4 / 0.5), 1.0, 0.0]]
    np.testing.assert_allclose(voters.scores(k=3, temperature=0.5), expected, rtol=1e-6)
    assert voters.classes.tolist() == [2, 4, 9]
    assert voters.scores(k=50)[0, 2] > 0
    assert top_k(voters.scores(3, 0.5), np.array([9]), voters.classes, k=2) == 0
