import math
from dataclasses import replace

import pytest

from transferbench.report.facts import RunFacts
from transferbench.report.scores import binomial_error, in_order, is_score, read_scores
from transferbench.report.style import spread
from transferbench.report.wording import clipped, duration, headline, listed, percent, points, time_spent


def facts(metrics: dict[str, float], count: int = 400) -> RunFacts:
    counts = {key.split("/")[1]: count for key in metrics if key.startswith("transfer/")}
    origin = {"name": "n", "run": "r", "seed": 0, "commit": "c", "versions": {}}
    return RunFacts(**origin, metrics=metrics, test_counts=counts, concepts={"seen": ["a", "b"]})


def test_numbers_are_said_with_their_units() -> None:
    assert percent(0.7134) == "71.3\u00a0%"
    assert points(0.123) == "+12.3" and points(-0.004) == "−0.4" and points(-0.0001) == "0.0"
    assert [duration(s) for s in (0.42, 59.96, 75, 8000)] == ["0.4 s", "1 min 0 s", "1 min 15 s", "2 h 13 min"]
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c" and listed([]) == ""
    assert clipped("abcdef", 4) == "abc…" and clipped("abcd", 4) == "abcd"


def test_a_run_s_time_leaves_out_what_is_kept_for_later_runs() -> None:
    parts = {"start-up": 3.0, "rendering": 30.0, "training": 75.0, "floors": 0.01}
    text = "run 1 min 18 s (start-up 3.0 s, training 1 min 15 s)"
    assert time_spent(parts) == f"{text}; apart, once for these images and this seed: rendering 30.0 s"
    assert time_spent(parts | {"rendering": 0.0}) == text


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ({"seen": 2, "level_1": 0, "level_2": 0}, "levels 1 to 2, concepts never trained on, the most similar ones"),
        ({"seen": 2, "level_1": 2, "level_2": 3}, "levels 1 to 2, concepts trained on as well, the most similar ones"),
        ({"seen": 2, "level_1": 0, "level_2": 1}, "levels 1 to 2, 1 of their concepts trained on, the most similar"),
        ({"level_1": 0}, "levels 1 to 2, the most similar ones"),
        ({}, "levels 1 to 2, the most similar ones"),
    ],
)
def test_the_headline_says_whether_the_levels_were_trained_on(trained: dict[str, int], said: str) -> None:
    concepts = {"seen": ["a", "b"], "level_1": ["c", "d"], "level_2": ["e", "f", "g"]}
    found = facts({f"transfer/level_{k}/logreg/top1": 0.5 for k in (1, 2)})
    assert said in headline(replace(found, trained=trained, concepts=concepts))


def test_the_headline_says_when_another_set_has_classes_trained_on() -> None:
    found = facts({"transfer/pets/logreg/top1": 0.5, "transfer/cars/logreg/top1": 0.4})
    known = replace(found, trained={"pets": 1, "cars": 0}, concepts={"pets": ["a", "b"], "cars": ["c"]})
    text = headline(known).replace("\u00a0", " ")
    assert "40.0 % on cars and 50.0 % on pets (1 of their concepts trained on)." in text


def test_a_chosen_cost_is_no_accuracy() -> None:
    scores = read_scores({"transfer/seen/logreg/top1": 0.5, "transfer/seen/logreg/cost": 0.01})
    assert scores.model == {("seen", "logreg"): 0.5} and scores.probes == ("logreg",)
    assert scores.costs == {"seen": 0.01}
    assert is_score("transfer/seen/logreg/cost") and not is_score("transfer/mean_log_odds")


def test_sets_come_in_reading_order() -> None:
    assert in_order(["pets", "level_10", "level_2", "seen"]) == ("seen", "level_2", "level_10", "pets")


def test_the_best_floor_and_the_lead() -> None:
    scores = read_scores(
        {
            "transfer/seen/knn/top1": 0.5,
            "floors/pixels/seen/knn/top1": 0.2,
            "floors/colour_histogram/seen/knn/top1": 0.3,
            "floors/pixels/level_1/knn/top1": 0.9,
            "transfer/mean_log_odds": 1.0,
            "transfer/level_1/knn/top1": math.nan,
        }
    )
    assert scores.sets == ("seen",) and scores.main_probe == "knn"
    assert scores.best_floor("seen", "knn") == ("colour_histogram", 0.3)
    assert scores.lead("seen", "knn") == pytest.approx(0.2)
    assert scores.lead("level_1", "knn") is None and scores.best_floor("seen", "ncm") is None


def test_the_binomial_error_is_that_of_the_mean_of_draws() -> None:
    hits = [1.0] * 30 + [0.0] * 70
    mean = sum(hits) / 100
    naive = math.sqrt(sum((hit - mean) ** 2 for hit in hits) / 100) / math.sqrt(100)
    assert binomial_error(0.3, 100) == pytest.approx(naive)


def test_the_headline_gives_the_numbers() -> None:
    metrics = {"transfer/seen/logreg/top1": 0.713, "floors/pixels/seen/logreg/top1": 0.25}
    for k, (own, floor) in enumerate([(0.58, 0.2), (0.41, 0.18)], start=1):
        metrics[f"transfer/level_{k}/logreg/top1"] = own
        metrics[f"floors/random_backbone/level_{k}/logreg/top1"] = floor
    text = headline(facts(metrics)).replace("\u00a0", " ")
    assert "Logistic regression on the frozen features reaches 71.3 % on the 2 seen concepts" in text
    assert "58.0, 41.0 % on levels 1 to 2" in text
    assert "25.0 % on the seen concepts (raw pixels) and 18.0 to 20.0 % on the levels (untrained backbone)" in text
    assert "+23.0 to +46.3 points" in text
    assert "behind" not in text and "standard errors" not in text


def test_the_headline_admits_a_floor_ahead_and_a_lead_within_noise() -> None:
    metrics = {
        "transfer/level_1/logreg/top1": 0.30,
        "floors/pixels/level_1/logreg/top1": 0.28,
        "transfer/level_2/logreg/top1": 0.20,
        "floors/pixels/level_2/logreg/top1": 0.28,
    }
    text = headline(facts(metrics))
    assert "It is behind a floor on level 2." in text
    assert "On level 1 the lead is within two standard errors of nothing." in text


def test_labels_move_apart_and_no_further_than_they_must() -> None:
    assert spread([1.0, 5.0], 1.0) == [1.0, 5.0]
    assert spread([3.0, 3.0], 1.0) == [2.5, 3.5]
    moved = spread([2.0, 0.0, 2.1, 2.2], 1.0)
    assert moved == pytest.approx([1.1, 0.0, 2.1, 3.1])
    assert sorted(moved) == [moved[1], moved[0], moved[2], moved[3]]
