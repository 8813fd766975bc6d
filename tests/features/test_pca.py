"""Principal components against scikit-learn's, and what any number of them must satisfy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.decomposition import PCA

from transferbench.errors import UserError
from transferbench.features.pca import fit_pca

RNG = np.random.default_rng(0)
TOKENS = (RNG.normal(size=(120, 12)) @ RNG.normal(size=(12, 12)) + 3).astype(np.float32)
PARTS = [TOKENS[:50], TOKENS[50:51], TOKENS[51:]]


def test_components_are_scikit_learn_s_up_to_sign() -> None:
    found, reference = fit_pca(PARTS, 5), PCA(5, svd_solver="full").fit(TOKENS.astype(np.float64))
    signs = np.sign((found.components * reference.components_).sum(axis=1))
    np.testing.assert_allclose(found.components, reference.components_ * signs[:, None], atol=1e-8)
    np.testing.assert_allclose(found.variance, reference.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(found.explained, reference.explained_variance_ratio_, rtol=1e-10)
    np.testing.assert_allclose(found.reduced(TOKENS), reference.transform(TOKENS) * signs, atol=1e-4)


def test_the_largest_number_of_a_component_is_positive() -> None:
    for features in (TOKENS, -TOKENS):
        components = fit_pca([features], 12).components
        assert (components[np.arange(12), np.abs(components).argmax(axis=1)] > 0).all()
    np.testing.assert_allclose(fit_pca([TOKENS], 4).components, fit_pca([-TOKENS], 4).components, atol=1e-12)


def test_more_components_restore_the_features_better() -> None:
    errors = []
    for dimensions in range(1, 13):
        pca = fit_pca(PARTS, dimensions)
        errors.append(float(((pca.restored(pca.reduced(TOKENS)) - TOKENS) ** 2).sum(axis=1).mean()))
        left = pca.total - pca.variance.sum()
        assert errors[-1] == pytest.approx(left * 119 / 120, abs=1e-4)
    assert all(later < earlier for earlier, later in pairwise(errors)) and errors[-1] < 1e-9


def test_features_that_are_all_the_same_have_no_variance() -> None:
    pca = fit_pca([np.ones((4, 3), np.float32)], 2)
    assert pca.total == 0 and not pca.explained.any() and not pca.reduced(np.ones((4, 3), np.float32)).any()


@pytest.mark.parametrize("dimensions", [0, 13])
def test_dimensions_that_cannot_be_had(dimensions: int) -> None:
    with pytest.raises(UserError, match=f"dimensions={dimensions}: the features have 12 channels; expected 1 to 12"):
        fit_pca(PARTS, dimensions)
    with pytest.raises(UserError, match="components of 1 features: expected at least 2"):
        fit_pca([TOKENS[:1]], 1)
