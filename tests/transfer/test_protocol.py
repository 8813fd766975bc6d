from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import yaml
from PIL import Image

from transferbench import cli
from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import Splits
from transferbench.errors import UserError
from transferbench.features.extract import extract
from transferbench.probes.knn import knn_predict
from transferbench.probes.logreg import fit_logreg
from transferbench.probes.ncm import ncm_predict
from transferbench.probes.scores import mean_per_class
from transferbench.transfer.probing import Probing
from transferbench.transfer.protocol import Protocol


def protocol(**changes):
    return Protocol(**{"resize": 20, "size": 16, "neighbours": 5, "costs": [0.01, 1.0]} | changes)


def test_scores_are_those_of_the_probes(sets, network):
    found = protocol().evaluate(network, sets, seed=3)
    transform = CentreCrop(20, 16)
    train, test = (extract(network, images, transform) for images in (sets["level_1"].train, sets["level_1"].test))
    linear = fit_logreg(train.x, train.y, costs=[0.01, 1.0], seed=3)
    assert found.scores["level_1"] == {
        "knn/top1": np.mean(knn_predict(train.x, train.y, test.x, k=5) == test.y),
        "ncm/top1": np.mean(ncm_predict(train.x, train.y, test.x) == test.y),
        "logreg/top1": np.mean(linear.predict(test.x) == test.y),
        "logreg/mean_per_class": mean_per_class(linear.predict(test.x), test.y),
    }
    assert list(found.scores) == ["seen", "level_1", "level_2"]
    assert found.test_counts == {"seen": 12, "level_1": 12, "level_2": 12}
    assert found.chosen["level_1"] == linear.cost
    assert found.seconds > 0
    again = protocol().evaluate(network, sets, seed=3)
    assert replace(again, seconds=found.seconds) == found


def test_each_picture_is_read_once(sets, network, monkeypatch):
    read: list[str] = []
    kind = type(sets["seen"].train)
    original = kind.image
    monkeypatch.setattr(kind, "image", lambda self, index: (read.append(self.name(index)), original(self, index))[1])
    protocol().evaluate(network, sets, seed=0)
    assert len(read) == len(set(read)) == 3 * 52


def test_some_probes_alone(sets, network):
    found = protocol(probes=["ncm"]).evaluate(network, sets, seed=0)
    assert set(found.scores["seen"]) == {"ncm/top1"}
    assert found.chosen == {}


def test_nearest_training_pictures_of_seen_and_of_the_last_set(sets, network):
    found = protocol().evaluate(network, sets, seed=0)
    assert [n.dataset for n in found.neighbours] == ["seen"] * 6 + ["level_2"] * 6
    transform = CentreCrop(20, 16)
    train, test = (extract(network, images, transform) for images in (sets["level_2"].train, sets["level_2"].test))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train.x, test.x)]
    for neighbours in found.neighbours[6:]:
        query = neighbours.query
        assert query.name == f"level_2/test/{query.position}"
        assert query.label == f"class_{query.position % 4}"
        similarities = unit[0] @ unit[1][query.position]
        found_positions = [near.position for near in neighbours.nearest]
        np.testing.assert_allclose(similarities[found_positions], np.sort(similarities)[:-6:-1], atol=1e-6)
        assert [near.label for near in neighbours.nearest] == [f"class_{i % 4}" for i in found_positions]


def test_folders_are_evaluated_too(sets, network, tmp_path):
    for part, count in (("train", 4), ("val", 2)):
        for label, colour in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
            folder = tmp_path / "flowers" / part / label
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (20, 24), colour).save(folder / f"{i}.png")
    chosen = protocol(folders={"flowers": str(tmp_path / "flowers")})
    found = chosen.evaluate(network, chosen.all_sets({"seen": sets["seen"]}), seed=0)
    assert found.test_counts["flowers"] == 4
    assert found.scores["flowers"]["logreg/top1"] == 1.0
    assert found.metrics()["transfer/mean_log_odds_clipped"] == 1.0


def test_a_folder_may_not_take_the_name_of_a_set(sets, tmp_path):
    with pytest.raises(UserError, match=r"transfer\.folders\.level_1: there is a set"):
        protocol(folders={"level_1": str(tmp_path)}).all_sets(sets)


def test_folders_are_not_read_again(sets, network, tmp_path):
    tmp_path.joinpath("pets").mkdir()
    chosen = protocol(folders={"pets": str(tmp_path / "pets")}, probes=["ncm"])
    assert list(chosen.evaluate(network, sets, seed=0).scores) == list(sets)


@pytest.mark.parametrize("content", [[], ["1.png"], ["a/1.png"], ["a/", "b/"], ["train/", "val/a/1.png"]])
def test_what_is_wrong_with_a_folder_names_its_setting(sets, tmp_path, content):
    for name in content:
        path = tmp_path / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(UserError, match=r"^transfer\.folders\.pets: ") as raised:
        protocol(folders={"pets": str(tmp_path)}).all_sets(sets)
    assert "data.root" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probes": ["svm"]}, r"probes=\['svm'\].*logreg, knn, ncm"),
        ({"probes": []}, "probes="),
        ({"costs": []}, "costs="),
        ({"costs": [0.0, 1.0]}, "costs="),
        ({"holdout": 1.0}, "holdout=1.0"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"norm": "batch"}, "norm=batch.*none, l2, standard"),
        ({"precision": "16"}, "precision=16.*bf16-mixed"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"size": 32}, "size 32"),
        ({"folders": {"pets": "/nowhere/pets"}}, r"transfer\.folders\.pets=/nowhere/pets: no such folder"),
    ],
)
def test_mistakes_are_said_before_any_work(changes, message):
    with pytest.raises(UserError, match=message):
        protocol(**changes)


def test_a_set_of_one_class_is_said(sets, network):
    one = sets["seen"].train
    one.labels[:] = 0
    with pytest.raises(UserError, match=r"^seen: .*two classes"):
        protocol().evaluate(network, {"seen": Splits(one, sets["seen"].test)}, seed=0)


def test_every_setting_can_be_typed_without_a_plus():
    content = yaml.safe_load((cli.conf_dir() / "transfer" / "levels.yaml").read_text(encoding="utf-8"))
    assert set(content) - {"_target_"} == {field.name for field in fields(Protocol)}
    defaults = {field.name: field.default for field in fields(Probing)}
    for key in ("lr_range", "weight_decay_range", "sgd_epochs", "sgd_norm", "holdout", "faithful", "short", "costs"):
        assert (
            tuple(content[key]) == tuple(defaults[key])
            if isinstance(content[key], list)
            else (content[key] == defaults[key])
        )


def test_too_few_images_for_the_shots_are_said_before_any_is_read(sets):
    fewest = min(np.bincount(sets["level_1"].train.labels))
    at_most = int(fewest) - max(1, int(fewest) // 5)  # the held-out part gives none
    protocol(shots=[1, at_most]).all_sets(sets)
    with pytest.raises(UserError, match=rf"level_1: transfer.shots={at_most + 1}: .*transfer.short=all"):
        protocol(shots=[at_most + 1, 1]).all_sets({"level_1": sets["level_1"]})
    protocol(shots=[at_most + 1], short="all").all_sets(sets)


@pytest.mark.parametrize("below", ["", "/deep/er"])
def test_features_are_not_kept_in_a_file(tmp_path, below):
    (tmp_path / "list.txt").touch()
    with pytest.raises(UserError, match=r"transfer.features=.*: .*/list\.txt is a file; expected a folder"):
        protocol(features=f"{tmp_path}/list.txt{below}")
    protocol(features=f"{tmp_path}/new{below}")
