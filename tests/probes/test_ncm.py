from __future__ import annotations

import numpy as np
import torch

from transferbench.probes import bank
from transferbench.probes.ncm import class_means, ncm_predict


def naive_ncm(train_x, train_y, test_x):
    def unit(v):
        return v / np.sqrt((v * v).sum())

    means = {}
    for label in sorted(set(train_y.tolist())):
        rows = [unit(row) for row, y in zip(train_x.astype(np.float64), train_y) if y == label]
        means[label] = unit(sum(rows) / len(rows))
    return [max(means, key=lambda label: float(unit(q) @ means[label])) for q in test_x.astype(np.float64)]


def test_ncm_is_the_naive_rule():
    generator = np.random.default_rng(1)
    train_x = generator.normal(size=(60, 5)).astype(np.float32) * generator.uniform(0.1, 30, (60, 1)).astype(np.float32)
    train_y = generator.integers(0, 6, 60) * 2  # labels 1, 3, ... do not occur and are never answered
    test_x = generator.normal(size=(50, 5)).astype(np.float32)
    assert ncm_predict(train_x, train_y, test_x).tolist() == naive_ncm(train_x, train_y, test_x)


def test_a_long_row_counts_as_much_as_a_short_one():
    x = np.array([[100, 0], [0, 1]], dtype=np.float32)
    means, labels = class_means(x, np.array([3, 3]))
    np.testing.assert_allclose(means, [[np.sqrt(0.5), np.sqrt(0.5)]], rtol=1e-6)
    assert labels.tolist() == [3]


def test_scores_are_cosines_with_the_means():
    x = np.array([[2, 0], [0, 5], [3, 3]], dtype=np.float32)
    means = class_means(x, np.array([7, 7, 1]))
    assert means.classes.tolist() == [1, 7]
    np.testing.assert_allclose(means.scores(np.array([[0, 9]], dtype=np.float32)), [[np.sqrt(0.5)] * 2], rtol=1e-6)


def test_maps_and_half_precision_give_the_same(tmp_path, monkeypatch):
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(60, 5)).astype(np.float32), generator.integers(0, 6, 60)
    expected = class_means(x, y)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(bank, "CHUNK", 7)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_allclose(class_means(mapped, y).means, expected.means, rtol=1e-6)
    np.testing.assert_array_equal(expected.predict(mapped), expected.predict(x))
    half = class_means(torch.from_numpy(x).half(), y)
    np.testing.assert_allclose(half.means, expected.means, atol=2e-3)
