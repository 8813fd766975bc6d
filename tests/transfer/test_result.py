from __future__ import annotations

import json
import math

import pytest

from transferbench.probes.aggregate import log_odds
from transferbench.transfer.result import TransferResult


def result(**logreg: float) -> TransferResult:
    scores = {name: {"knn/top1": 0.1, "logreg/top1": value} for name, value in logreg.items()}
    return TransferResult(scores, dict.fromkeys(logreg, 50), dict.fromkeys(logreg, 0.01), 1.5)


def test_keys_and_the_average_without_seen():
    metrics = result(seen=0.99, level_1=0.8, level_2=0.6).metrics()
    assert metrics == {
        "transfer/seen/knn/top1": 0.1,
        "transfer/seen/logreg/top1": 0.99,
        "transfer/level_1/knn/top1": 0.1,
        "transfer/level_1/logreg/top1": 0.8,
        "transfer/level_2/knn/top1": 0.1,
        "transfer/level_2/logreg/top1": 0.6,
        **{f"transfer/{name}/logreg/cost": 0.01 for name in ("seen", "level_1", "level_2")},
        "cog/level_1/top1": 0.8,
        "cog/level_2/top1": 0.6,
        "transfer/mean_log_odds": pytest.approx((log_odds(0.8) + log_odds(0.6)) / 2),
        "transfer/mean_log_odds_clipped": 0.0,
    }


def test_extra_folders_count_and_a_perfect_score_is_clipped():
    metrics = result(seen=0.5, flowers=1.0).metrics()
    assert metrics["transfer/mean_log_odds"] == pytest.approx(math.log(99))
    assert metrics["transfer/mean_log_odds_clipped"] == 1.0
    assert not any(key.startswith("cog/") for key in metrics)


def test_floors_have_neither_cog_nor_cost_keys():
    metrics = result(seen=0.5, level_1=0.4).metrics("floors/pixels")
    assert metrics["floors/pixels/level_1/logreg/top1"] == 0.4
    assert "floors/pixels/mean_log_odds" in metrics
    assert not any(key.startswith(("cog/", "transfer/")) or key.endswith("/cost") for key in metrics)


def test_nothing_to_average():
    assert not any("mean_log_odds" in key for key in result(seen=0.5).metrics())
    without = TransferResult({"level_1": {"knn/top1": 0.3}}, {"level_1": 10}, {}, 0.0)
    assert without.metrics() == {"transfer/level_1/knn/top1": 0.3}


def test_plain_data_round_trip():
    found = result(seen=0.5, level_1=0.25)
    assert TransferResult.from_plain(json.loads(json.dumps(found.plain()))) == found


@pytest.mark.parametrize(
    "damage", [{"scores": {}}, {"scores": {"seen": {"knn/top1": 7.0}}}, {"test_counts": {}}, {"unknown": 1}]
)
def test_damaged_plain_data_is_refused(damage):
    with pytest.raises((ValueError, TypeError)):
        TransferResult.from_plain(result(seen=0.5).plain() | damage)
