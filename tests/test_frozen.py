"""Evaluating a model that is not trained: from a run, through a need, on named data sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from transferbench import cli
from transferbench.outputs import read_metrics

pytestmark = pytest.mark.usefixtures("own_cache")
Launch = Callable[..., int]


def scores_of(folder: Path) -> dict[str, float]:
    metrics: dict[str, float] = json.loads((folder / "summary.json").read_text())["metrics"]
    return {key: value for key, value in metrics.items() if key.startswith(("transfer/", "floors/"))}


@pytest.fixture(scope="module")
def trained(photos: Path, tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("outputs")
    words = ["+experiment=trex", "data=folder", f"data.root={photos}", *tiny, f"outputs={outputs}", "run=a"]
    assert cli.command(["transferbench", *words]) == 0
    return outputs / "trex" / "a"


def evaluate(trained: Path, photos: Path, experiment: str, *more: str) -> Path:
    """Evaluate a trained model on the photos it was trained on; return the run folder."""
    size = ["scale.transfer_resize=32", "scale.transfer_size=32", "scale.precision=32-true", "scale.workers=0"]
    data = ["data=folder", f"data.root={photos}"]
    words = [f"+experiment={experiment}", *data, "model=checkpoint", f"model.path={trained}", *size]
    assert cli.command(["transferbench", *words, f"outputs={trained.parents[1]}", "run=a", *more]) == 0
    return trained.parents[1] / experiment / "a"


def test_a_frozen_model_has_the_scores_of_the_run_that_trained_it(trained: Path, photos: Path) -> None:
    folder = evaluate(trained, photos, "cog")
    own, again = scores_of(trained), scores_of(folder)
    assert again == own  # the floors too: the untrained network is that of the checkpoint
    assert any(key.startswith("floors/random_backbone") for key in own)
    assert not (folder / "checkpoints").exists()
    assert read_metrics(folder / "metrics.csv")[-1]["transfer/seen/logreg/top1"] == own["transfer/seen/logreg/top1"]
    page = (folder / "report.html").read_text()
    assert "Accuracy on each set" in page
    assert "The crops as the network saw them" not in page


def test_features_kept_in_a_folder_give_the_same_scores(trained: Path, photos: Path, tmp_path: Path) -> None:
    folder = evaluate(trained, photos, "cog", f"transfer.features={tmp_path}/kept", "run=kept").parent / "kept"
    assert scores_of(folder) == scores_of(trained)
    assert len(list((tmp_path / "kept").glob("*/meta.json"))) == 2  # training and test images


def test_few_shots_are_drawn_for_every_seed(trained: Path, photos: Path) -> None:
    folder = evaluate(trained, photos, "fewshot", "transfer.shots=[1,4]", "transfer.seeds=[1,2]", "run=a")
    found = scores_of(folder)
    for key in ("logreg", "logreg_1shot", "logreg_4shot"):
        assert 0 <= found[f"transfer/seen/{key}/top1"] <= 1
        assert found[f"transfer/seen/{key}/top1_std"] >= 0
    assert (folder / "figures" / "fewshot.png").stat().st_size > 5000
    assert "A few images a class" in (folder / "report.html").read_text()


def test_data_sets_are_taken_by_name_without_any_data(trained: Path, tmp_path: Path) -> None:
    words = ["+experiment=transfer", "model=checkpoint", f"model.path={trained}", "transfer.trials=2"]
    small = ["scale.transfer_resize=16", "scale.transfer_size=16", "scale.precision=32-true"]
    assert cli.command(["transferbench", *words, *small, f"outputs={tmp_path}", "run=a"]) == 0
    found = scores_of(tmp_path / "transfer" / "a")
    assert found["floors/pixels/digits/logreg/top1"] > 0.9
    assert found["transfer/digits/logreg/top1"] > 0.2
    assert "transfer/mean_log_odds" in found


def test_what_a_model_was_trained_by_is_a_need(photos: Path, tiny: tuple[str, ...], tmp_path: Path) -> None:
    settings = ["data=folder", f"data.root={photos}", *tiny]
    need = "needs.model={experiment: trex_plain, overrides: [" + ", ".join(f"'{word}'" for word in settings) + "]}"
    small = ["scale.transfer_resize=32", "scale.transfer_size=32", "scale.precision=32-true"]
    words = ["+experiment=cog", "data=folder", f"data.root={photos}", need, *small, f"outputs={tmp_path}", "run=a"]
    assert cli.command(["transferbench", *words]) == 0
    (teacher,) = (tmp_path / "trex_plain").iterdir()
    assert teacher.name.startswith("need-")
    assert (tmp_path / "cog" / "a" / "summary.json").exists()


def test_nothing_to_evaluate_on_is_said_at_once(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["+experiment=transfer", "model=checkpoint", f"model.path={trained}"]
    for more, said in (
        (["transfer.datasets=[]"], "data is left out; choose data="),
        (["transfer.datasets=[digitss]"], "did you mean digits?"),
        (["transfer.datasets=[cars196]"], "transfer.root"),
        (["transfer.shots=[0]"], "transfer.shots=[0]: expected numbers of images"),
        (["transfer.cost_range=[10,1]"], "transfer.cost_range=[10, 1]: expected two positive numbers"),
        (["model.path=nowhere"], "nowhere"),
    ):
        assert cli.command(["transferbench", *words, *more]) == 2, more
        assert said in capsys.readouterr().err
