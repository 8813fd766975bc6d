from __future__ import annotations

import numpy as np
import pytest

from transferbench.errors import UserError
from transferbench.features.extract import Features
from transferbench.probes.aggregate import mean_and_spread, top1
from transferbench.probes.logreg import fit_logreg, search_logreg
from transferbench.probes.scores import mean_average_precision
from transferbench.probes.sgd import Recipe, search_sgd
from transferbench.probes.splits import Parts, tuning_parts
from transferbench.probes.svm import fit_svm
from transferbench.transfer.probing import Probing
from transferbench.transfer.protocol import Protocol
from transferbench.transfer.result import TransferResult


def features(count: int, seed: int, classes: int = 7) -> Features:
    """Classes that overlap, so that accuracies lie between chance and one."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % classes
    centres = np.random.default_rng(0).normal(size=(classes, 12))
    x = centres[y] + rng.normal(0, 1.3, (count, 12))
    return Features(x.astype(np.float32), y, np.arange(count))


TRAIN, TEST = features(140, 1), features(70, 2)


def test_the_published_solver_of_a_set_decides_what_logreg_means() -> None:
    probing = Probing(probes=["logreg"], sgd_trials=2, sgd_epochs=3)
    found = probing.score(TRAIN, TEST, 5, solver="sgd").scores
    probe = search_sgd(TRAIN.x, TRAIN.y, seed=5, trials=2, recipe=Recipe(epochs=3))
    assert found["sgd/top1"] == top1(probe.predict(TEST.x), TEST.y)
    assert not any(key.startswith("logreg") for key in found)
    assert {"logreg/top1", "logreg/top5", "logreg/mean_per_class"} == set(probing.score(TRAIN, TEST, 5).scores)


@pytest.mark.parametrize("faithful", [True, False])
def test_faithful_counts_the_held_out_images_of_either_solver(faithful: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def noted(*args: object, **options: object) -> Parts:
        asked.append(options["faithful"])
        return tuning_parts(*args, **options)  # type: ignore[arg-type]

    for module in ("logreg", "sgd"):
        monkeypatch.setattr(f"transferbench.probes.{module}.tuning_parts", noted)
    probing = Probing(probes=["logreg", "sgd"], faithful=faithful, sgd_trials=1, sgd_epochs=1)
    probing.score(TRAIN, TEST, 0)
    assert asked == [faithful, faithful]


def test_trials_search_c_in_place_of_the_grid() -> None:
    found = Probing(probes=["logreg"], trials=4, cost_range=[1e-3, 1e2], norm="none").score(TRAIN, TEST, 3)
    probe = search_logreg(TRAIN.x, TRAIN.y, trials=4, cost_range=(1e-3, 1e2), seed=3)
    assert found.scores["logreg/top1"] == top1(probe.predict(TEST.x), TEST.y)
    assert found.cost == pytest.approx(probe.cost)


def test_scores_over_seeds_are_means_with_their_spread() -> None:
    single = [Probing(probes=["logreg"], shots=[2]).score(TRAIN, TEST, seed).scores for seed in (1, 2, 3)]
    joint = Probing(probes=["logreg"], shots=[2], seeds=[1, 2, 3]).score(TRAIN, TEST, 99).scores
    for key in ("logreg/top1", "logreg_2shot/top1"):
        mean, spread = mean_and_spread([one[key] for one in single])
        assert joint[key] == pytest.approx(mean)
        assert joint[f"{key}_std"] == pytest.approx(spread)
    few = fit_logreg(TRAIN.x, TRAIN.y, seed=1, shots=2)
    assert single[0]["logreg_2shot/top1"] == top1(few.predict(TEST.x), TEST.y)


def test_classes_of_very_different_size_are_told_apart() -> None:
    keep = np.concatenate([np.flatnonzero(TRAIN.y == 0)[:5], np.flatnonzero(TRAIN.y != 0)])
    tail = Features(TRAIN.x[keep], TRAIN.y[keep], keep)
    found = Probing(probes=["logreg"]).score(tail, TEST, 0).scores
    assert {"logreg/mean_per_class_few", "logreg/mean_per_class_medium"} <= set(found)


def test_a_set_with_several_labels_an_image_is_scored_by_svms() -> None:
    labels = [np.stack([part.y < 3, part.y % 2 == 0], axis=1).astype(np.int64) for part in (TRAIN, TEST)]
    labels[1][:5, 0] = -1  # left open: neither right nor wrong
    train, test = (Features(part.x, own, part.positions) for part, own in zip((TRAIN, TEST), labels))
    found = Probing().score(train, test, 0)
    ranks = fit_svm(TRAIN.x, labels[0]).scores(TEST.x)
    expected, _ = mean_average_precision(ranks, np.where(labels[1] < 0, 255, labels[1]))
    assert found.scores == {"svm/map": expected}
    kept = TransferResult({"voc2007": found.scores, "dtd": {"logreg/top1": 0.6}}, {"voc2007": 70, "dtd": 70}, {}, 1.0)
    assert kept.metrics()["transfer/mean_log_odds"] == pytest.approx(np.log(0.6 / 0.4))  # not of a precision


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("probes", ["svm"], "some of logreg, knn, ncm, sgd"),
        ("trials", 0, "at least 1, or null"),
        ("seeds", [1, 1], "different whole numbers"),
        ("seeds", [1, -1], r"seeds=\[1, -1\]: expected different whole numbers from 0"),
        ("split_seed", -1, "split_seed=-1: expected a whole number from 0"),
        ("split_seed", 2**32, "a whole number from 0"),
        ("lr_range", [1.0], "two positive numbers"),
        ("floors", ["noise"], "some of pixels"),
        ("storage", "int8", "one of float32"),
        ("missing", "ignore", "expected one of error, skip"),
    ],
)
def test_what_makes_no_sense_is_said(key: str, value: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Protocol(**{key: value}).all_sets({})


def test_levels_of_the_benchmark_are_levels() -> None:
    scores = {"in1k": {"sgd/top1": 0.9}, "cog_l2": {"sgd/top1": 0.5}, "dtd": {"logreg/top1": 0.5}}
    metrics = TransferResult(scores, dict.fromkeys(scores, 100), {}, 1.0).metrics()
    assert metrics["cog/level_2/top1"] == 0.5
    assert metrics["transfer/mean_log_odds"] == 0.0  # the training task is no part of it
