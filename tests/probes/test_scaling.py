from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import Normalizer, StandardScaler

from transferbench.errors import UserError
from transferbench.probes.scaling import SMALLEST_STD, fit_scaling


@pytest.fixture
def parts():
    generator = np.random.default_rng(0)
    return generator.normal(3, 2, (50, 4)).astype(np.float32), generator.normal(1, 5, (20, 4)).astype(np.float32)


def test_standard_is_scikit_learns(parts):
    train, test = parts
    expected = StandardScaler().fit(train)
    scaling = fit_scaling(train, "standard")
    np.testing.assert_allclose(scaling(train), expected.transform(train), atol=1e-5)
    np.testing.assert_allclose(scaling(test), expected.transform(test), atol=1e-5)


def test_a_constant_feature_stays_finite(parts):
    train = parts[0].copy()
    train[:, 2] = 7
    scaled = fit_scaling(train, "standard")(train + np.array([0, 0, 1e-5, 0], dtype=np.float32))
    assert np.isfinite(scaled).all()
    assert abs(scaled[:, 2] - 1e-5 / SMALLEST_STD).max() < 0.1


def test_l2_and_none(parts):
    train, test = parts
    np.testing.assert_allclose(fit_scaling(train, "l2")(test), Normalizer().transform(test), rtol=1e-5)
    np.testing.assert_array_equal(fit_scaling(train, "none")(test), test)
    zeros = np.zeros((1, 4), dtype=np.float32)
    np.testing.assert_array_equal(fit_scaling(train, "l2")(zeros), zeros)


def test_another_word_is_refused(parts):
    with pytest.raises(UserError, match=r"norm=batch.*none, l2, standard"):
        fit_scaling(parts[0], "batch")
