"""Names, groups and tags by which a dashboard of many runs can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from transferbench.callbacks import wandb_labels as labels

CONFIG: dict[str, Any] = {
    "name": "trex",
    "seed": 2,
    "sweep_name": "grid",
    "data": {"_target_": "transferbench.data.world.WorldData", "concepts": "seen"},
    "model": {"_target_": "transferbench.models.backbone.resnet_small", "width": 32},
    "crops": {"views": {"global": {"count": 1, "size": 64}, "local": {"count": 8, "size": 32}}},
    "head": {"_target_": "transferbench.heads.classification.class_mean_head", "hidden_layers": 3},
    "scale": {"lr": 0.2},
}


def job(tmp_path: Path, *words: str, params: dict[str, str] | None = None) -> Path:
    sweep = tmp_path / "grid"
    sweep.mkdir()
    said = {"hydra": {"overrides": {"task": list(words)}, "sweeper": {"params": params}}}
    (sweep / "multirun.yaml").write_text(yaml.safe_dump(said))
    return sweep / "trex_0123456789abcdef"


def test_a_single_run_is_named_by_experiment_and_seed(tmp_path: Path) -> None:
    for folder in (tmp_path / "trex" / "a", tmp_path / "trex" / "need-0123", tmp_path / "grid" / "a"):
        assert labels.name(folder, CONFIG) == "trex-s2"
        assert labels.group(folder, CONFIG) == "trex"


def test_a_job_of_a_sweep_is_named_by_what_varies(tmp_path: Path) -> None:
    folder = job(tmp_path, "+experiment=trex", "seed=1,2", "scale.lr=0.1,0.2", "model.layers=[1,1]")
    assert labels.name(folder, CONFIG) == "trex-s2-lr=0.2"
    assert labels.group(folder, CONFIG) == "grid"


def test_a_sweep_named_like_its_experiment_is_one_all_the_same(tmp_path: Path) -> None:
    assert labels.in_sweep(tmp_path / "trex" / "trex_01", CONFIG | {"sweep_name": "trex"})


def test_the_parameters_of_a_sweep_file_count(tmp_path: Path) -> None:
    folder = job(tmp_path, "+experiment=trex", params={"scale.lr": "interval(0.1, 0.3)", "seed": "range(3)"})
    assert labels.name(folder, CONFIG) == "trex-s2-lr=0.2"


def test_a_group_is_named_by_the_sweeps_record_else_by_the_digest(tmp_path: Path) -> None:
    folder = job(tmp_path, "head=trex,trex_plain")
    assert labels.name(folder, CONFIG) == "trex-s2-012345"
    record = folder.parent / "jobs" / f"{folder.name}.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"overrides": ["+experiment=trex", "head=trex_plain"]}))
    assert labels.name(folder, CONFIG) == "trex-s2-head=trex_plain"


@pytest.mark.parametrize("text", ["", "[", "hydra: 3", "hydra: {overrides: {task: 1}}"])
def test_a_record_that_cannot_be_read_costs_only_the_names(tmp_path: Path, text: str) -> None:
    folder = job(tmp_path)
    (folder.parent / "multirun.yaml").write_text(text)
    assert labels.name(folder, CONFIG).startswith("trex-s2")


def test_tags_say_data_model_crops_and_head() -> None:
    assert labels.tags(CONFIG) == ["world", "resnet_small", "crops-1x64+8x32", "class_mean_head-3"]
    other = {"data": {"_target_": "a.FolderData", "root": "/sets/imagenet"}, "model": {"name": "resnet50"}}
    assert labels.tags(other) == ["imagenet", "resnet50"]
    assert labels.tags({"data": {"dataset": "CIFAR10", "root": "/x"}, "crops": None}) == ["cifar10"]
    assert len(labels.tags({"data": {"root": "x" * 200}})[0]) == 64
