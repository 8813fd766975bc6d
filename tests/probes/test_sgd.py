from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from transferbench.errors import RunFailed, UserError
from transferbench.probes.scaling import fit_scaling
from transferbench.probes.sgd import PUBLISHED, Recipe, fit_sgd, multipliers, search_sgd
from transferbench.probes.splits import holdout_split, tuning_parts

SHORT = Recipe(epochs=7, batch_size=32)


def clusters(count=210, width=10, classes=4, noise=1.5, seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(count) % classes
    x = np.random.default_rng(99).normal(size=(classes, width))[y] + noise * generator.normal(size=(count, width))
    return (5 * x).astype(np.float32), y


def naive(x, y, lr, weight_decay, recipe, seed):
    """The published loop with torch's own layer, loss and optimiser."""
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(x.shape[1], int(y.max()) + 1)
    for parameter in (layer.weight, layer.bias):
        parameter.data.uniform_(-(x.shape[1] ** -0.5), x.shape[1] ** -0.5, generator=generator)
    optimiser = torch.optim.SGD(layer.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x), recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            optimiser.zero_grad()
            nn.functional.cross_entropy(layer(x[batch]), y[batch]).backward()
            optimiser.step()
        for group in optimiser.param_groups:  # after the epoch, by its own index: the lag
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * epoch / recipe.epochs))
    return layer


@pytest.mark.parametrize(
    ("norm", "lr", "weight_decay"), [("l2", 3.0, 1e-2), ("none", 0.01, 1e-3), ("standard", 0.1, 0)]
)
def test_training_is_torchs(norm, lr, weight_decay):
    x, y = clusters()
    recipe = Recipe(epochs=7, batch_size=32, norm=norm)
    expected = naive(fit_scaling(x, norm)(x), y, lr, weight_decay, recipe, seed=5)
    probe = fit_sgd(x, y, lr=lr, weight_decay=weight_decay, seed=5, recipe=recipe)
    torch.testing.assert_close(probe.weight, expected.weight.data, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(probe.bias, expected.bias.data, rtol=1e-3, atol=1e-4)
    assert probe.bias.abs().max() > 0.01
    test_x, _ = clusters(seed=1)
    logits = expected(torch.from_numpy(fit_scaling(x, norm)(test_x))).detach()
    np.testing.assert_allclose(probe.scores(test_x), logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(probe.predict(test_x), logits.argmax(dim=1))


def test_multipliers_lag_by_one_epoch():
    published = multipliers(100)
    assert [published[k] for k in (0, 1, 2, 51, 98, 99)] == pytest.approx(
        [1, 1, 0.999753, 0.5, 0.002219, 0.000987], abs=1e-6
    )
    own = multipliers(100, lag=False)
    assert own[:99] == published[1:]
    assert own[99] == pytest.approx(0.000247, abs=1e-6)


def test_the_published_recipe():
    assert (PUBLISHED.epochs, PUBLISHED.batch_size, PUBLISHED.momentum, PUBLISHED.norm) == (100, 1024, 0.9, "l2")
    assert PUBLISHED.lag


def test_a_long_training_comes_to_the_optimum():
    """With a strong decay the minimum is unique: scikit-learn's, its C = 1 / (N decay); its bias does not decay."""
    x, y = clusters(noise=2.5)
    scaled = fit_scaling(x, "l2")(x)
    probe = fit_sgd(x, y, lr=1.0, weight_decay=0.01, recipe=Recipe(epochs=300, batch_size=1024, lag=False))
    wide = np.hstack([scaled, np.ones((len(x), 1), np.float32)])  # a column of ones: a bias that decays
    model = LogisticRegression(C=1 / (len(x) * 0.01), fit_intercept=False, tol=1e-8, max_iter=5000).fit(wide, y)
    found = torch.cat([probe.weight, probe.bias[:, None]], dim=1)
    np.testing.assert_allclose(found, model.coef_, atol=0.03)


def test_the_seed_alone_decides_and_the_global_generator_stays():
    x, y = clusters()
    state = torch.random.get_rng_state()
    first = fit_sgd(x, y, lr=1.0, weight_decay=0, seed=1, recipe=SHORT)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(123)
    assert torch.equal(fit_sgd(x, y, lr=1.0, weight_decay=0, seed=1, recipe=SHORT).weight, first.weight)
    assert not torch.equal(fit_sgd(x, y, lr=1.0, weight_decay=0, seed=2, recipe=SHORT).weight, first.weight)


@pytest.mark.parametrize("norm", ["l2", "standard"])
def test_features_that_do_not_fit_are_read_from_where_they_lie(norm, tmp_path):
    x, y = clusters()
    recipe = Recipe(epochs=7, batch_size=32, norm=norm)
    settings = {"lr": 0.5, "weight_decay": 1e-4, "recipe": recipe}
    held = fit_sgd(x, y, **settings)
    streamed = fit_sgd(x, y, room=70 * 10 * 4, **settings)
    torch.testing.assert_close(streamed.weight, held.weight, rtol=1e-4, atol=1e-5)
    np.save(tmp_path / "x.npy", x)
    blocks = fit_sgd(np.load(tmp_path / "x.npy", mmap_mode="r"), y, room=70 * 10 * 4, **settings)
    test_x, test_y = clusters(seed=1)
    accuracies = [np.mean(probe.predict(test_x) == test_y) for probe in (held, blocks)]
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.05)


def test_half_precision_features_train_as_well():
    x, y = clusters()
    test_x, _ = clusters(seed=1)
    exact = fit_sgd(x, y, lr=1.0, weight_decay=0, recipe=SHORT)
    for half in (x.astype(np.float16), torch.from_numpy(x).bfloat16()):
        probe = fit_sgd(half, y, lr=1.0, weight_decay=0, recipe=SHORT)
        assert np.mean(probe.predict(test_x) == exact.predict(test_x)) > 0.95


def test_labels_with_gaps_are_answered():
    x, y = clusters(noise=0.1)
    probe = fit_sgd(x, y * 3 + 1, lr=1.0, weight_decay=0, recipe=SHORT)
    np.testing.assert_array_equal(probe.predict(x), y * 3 + 1)
    assert probe.classes.tolist() == [1, 4, 7, 10]


def test_the_search_is_one_split_thirty_points_and_a_refit():
    x, y = clusters(noise=2.5)
    probe = search_sgd(x, y, seed=22, trials=12, recipe=SHORT)
    fitted, held = holdout_split(y, 0.2, 22)
    for trial in (*probe.search.trials[:2], *probe.search.trials[-2:]):
        alone = fit_sgd(x[fitted], y[fitted], seed=22, recipe=SHORT, **trial.values)
        assert trial.value == pytest.approx(np.mean(alone.predict(x[held]) == y[held]), abs=1.01 / len(held))
    assert len(probe.search.trials) == 12
    assert {"lr": probe.lr, "weight_decay": probe.weight_decay} == probe.search.best
    again = fit_sgd(x, y, lr=probe.lr, weight_decay=probe.weight_decay, seed=22, recipe=SHORT)
    assert torch.equal(probe.weight, again.weight)


@pytest.mark.parametrize("faithful", [True, False])
def test_the_ratchet_of_the_split_is_asked_for(faithful):
    x, _ = clusters(count=103, noise=2.5)
    y = np.repeat([0, 1, 2], [40, 3, 60])
    recipe = Recipe(epochs=3, batch_size=32)
    fitted, held = holdout_split(y, 0.2, 4, faithful=faithful)
    assert len(held) == (8 + 1 + 20 if faithful else 8 + 1 + 12)
    trial = search_sgd(x, y, seed=4, trials=1, recipe=recipe, faithful=faithful).search.trials[0]
    alone = fit_sgd(x[fitted], y[fitted], seed=4, recipe=recipe, **trial.values)
    assert trial.value == pytest.approx(np.mean(alone.predict(x[held]) == y[held]))


@pytest.mark.parametrize("parallel", [4, 10])
def test_points_trained_at_once_are_the_same(parallel):
    x, y = clusters(noise=2.5)
    alone = search_sgd(x, y, seed=3, trials=10, recipe=SHORT)
    together = search_sgd(x, y, seed=3, trials=10, recipe=SHORT, parallel=parallel)
    held = 40
    for one, other in zip(alone.search.trials, together.search.trials):
        assert one.values == other.values
        assert one.value == pytest.approx(other.value, abs=1.01 / held)


def test_few_shot_training_sees_its_draws_alone():
    x, y = clusters(count=200)
    probe = search_sgd(x, y, seed=37, trials=3, shots=8, recipe=SHORT)
    parts = tuning_parts(y, 0.2, 37, shots=8)
    spoiled = np.full_like(x, np.nan)
    used = np.unique(np.concatenate(parts))
    spoiled[used] = x[used]
    again = search_sgd(spoiled, y, seed=37, trials=3, shots=8, recipe=SHORT)
    assert torch.equal(again.weight, probe.weight)
    direct = fit_sgd(
        x[parts.final], y[parts.final], lr=probe.lr, weight_decay=probe.weight_decay, seed=37, recipe=SHORT
    )
    assert torch.equal(direct.weight, probe.weight)


def test_a_diverged_trial_is_the_worst_and_a_diverged_fit_is_said():
    x, y = clusters()
    raw = Recipe(epochs=20, batch_size=32, norm="none")
    wild = {"lr": (1e-3, 1e36), "weight_decay": (1e-12, 1.0)}
    probe = search_sgd(x, y, seed=0, trials=10, recipe=raw, space=wild, parallel=10)
    assert any(math.isnan(trial.value) for trial in probe.search.trials)
    assert not math.isnan(probe.search.value)
    alone = search_sgd(x, y, seed=0, trials=10, recipe=raw, space=wild)
    assert [math.isnan(t.value) for t in alone.search.trials] == [math.isnan(t.value) for t in probe.search.trials]
    with pytest.raises(RunFailed, match=r"diverged.*smaller learning rate"):
        fit_sgd(x, y, lr=1e36, weight_decay=1.0, recipe=raw)


def test_what_cannot_be_fitted_is_said():
    x, y = clusters(count=20)
    with pytest.raises(UserError, match="at least two classes"):
        fit_sgd(x, np.zeros_like(y), lr=1.0, weight_decay=0)
    with pytest.raises(UserError, match="every class has a single one"):
        search_sgd(x[:4], np.arange(4))
    with pytest.raises(UserError, match="shots=16"):
        search_sgd(x, y, shots=16)
    with pytest.raises(UserError, match="epochs=0"):
        fit_sgd(x, y, lr=1.0, weight_decay=0, recipe=Recipe(epochs=0))
    with pytest.raises(ValueError, match="20 rows and 19 labels"):
        fit_sgd(x, y[:19], lr=1.0, weight_decay=0)
