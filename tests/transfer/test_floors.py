from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from transferbench.features.floors import describe
from transferbench.probes.logreg import fit_logreg
from transferbench.transfer.floors import PACKAGE, floors, random_floor
from transferbench.transfer.protocol import Protocol


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "transferbench" / "floors"


class Maker:
    """Makes the network and counts how often."""

    def __init__(self, network):
        self.kind, self.calls = type(network), 0

    def __call__(self):
        self.calls += 1
        return self.kind()


@pytest.fixture
def make(network):
    return Maker(network)


PROTOCOL = Protocol(resize=20, size=16, neighbours=5, costs=[0.01, 1.0])


def test_picture_floors_are_probes_on_picture_features(sets, make):
    found = floors(PROTOCOL, sets, make, "small", seed=2)
    assert list(found) == ["pixels", "colour_histogram", "random_backbone"]
    for floor in ("pixels", "colour_histogram"):
        train, test = (describe(images)[floor] for images in (sets["level_2"].train, sets["level_2"].test))
        linear = fit_logreg(train.x, train.y, costs=[0.01, 1.0], seed=2)
        assert found[floor].scores["level_2"]["logreg/top1"] == np.mean(linear.predict(test.x) == test.y)
    assert all(result.seconds > 0 for result in found.values())


def test_floors_of_a_known_set_are_fitted_by_the_solver_of_the_model(sets, make):
    protocol = replace(PROTOCOL, probes=["logreg"], sgd_trials=1, sgd_epochs=2)
    found = floors(protocol, {"in1k": sets["level_2"], "level_2": sets["level_2"]}, make, "small", seed=0)
    for result in found.values():
        assert {"sgd/top1"} == {key for key in result.scores["in1k"] if key.endswith("top1")}
        assert {"logreg/top1"} == {key for key in result.scores["level_2"] if key.endswith("top1")}


def test_the_second_time_comes_from_the_cache(sets, make):
    first = floors(PROTOCOL, sets, make, "small", seed=0)
    second = floors(PROTOCOL, sets, make, "small", seed=0)
    assert make.calls == 1
    assert second == {name: replace(result, seconds=0.0) for name, result in first.items()}


def test_another_backbone_shares_the_picture_floors(sets, make, cache):
    floors(PROTOCOL, sets, make, "small", seed=0)
    other = floors(PROTOCOL, sets, make, "other", seed=0)
    assert make.calls == 2
    assert other["pixels"].seconds == other["colour_histogram"].seconds == 0
    assert other["random_backbone"].seconds > 0
    assert len(list(cache.glob("*.json"))) == 3


@pytest.mark.parametrize("change", ["seed", "probes", "data", "size", "precision"])
def test_what_the_scores_depend_on_is_in_the_key(sets, make, change):
    floors(PROTOCOL, sets, make, "small", seed=0)
    protocol, seed = PROTOCOL, 0
    if change == "seed":
        seed = 1
    elif change == "probes":
        protocol = replace(PROTOCOL, neighbours=3)
    elif change == "size":
        protocol = replace(PROTOCOL, size=12)
    elif change == "precision":
        protocol = replace(PROTOCOL, precision="bf16-mixed")
    else:
        sets["level_1"].train.pixels = sets["level_1"].train.pixels.copy() + 1
        del sets["level_1"].train.__dict__["_digest"]
    again = floors(protocol, sets, make, "small", seed)
    assert make.calls == 2
    assert (again["pixels"].seconds == 0) == (change in ("size", "precision"))  # the backbone's matter alone


@pytest.mark.parametrize(
    ("file", "pictures_stay"),
    [
        ("probes/scaling.py", False),
        ("features/floors.py", False),
        ("transfer/protocol.py", False),
        ("data/images.py", False),
        ("data/evaluation.py", True),
        ("data/multicrop.py", True),
        ("models/backbone.py", True),
        ("report/html.py", None),
    ],
)
def test_the_code_that_scores_come_from_is_in_the_key(sets, make, monkeypatch, tmp_path, file, pictures_stay):
    package = shutil.copytree(PACKAGE, tmp_path / "package", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("transferbench.transfer.floors.PACKAGE", package)
    floors(PROTOCOL, sets, make, "small", seed=0)
    with (package / file).open("a") as source:
        source.write("# changed\n")
    again = floors(PROTOCOL, sets, make, "small", seed=0)
    assert (again["pixels"].seconds == 0) == (pictures_stay is not False)
    assert (again["random_backbone"].seconds == 0) == (pictures_stay is None)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: json.dumps({k: v | {"scores": {}} for k, v in json.loads(text).items()}),
        lambda text: text.replace('"seen"', '"other"'),
    ],
)
def test_a_broken_cache_is_rebuilt_with_a_message(sets, make, cache, damage, caplog):
    first = floors(PROTOCOL, sets, make, "small", seed=0)
    for file in cache.glob("*.json"):
        file.write_text(damage(file.read_text()))
    again = floors(PROTOCOL, sets, make, "small", seed=0)
    assert make.calls == 2
    assert caplog.text.count("computed again") == 2
    assert {name: result.scores for name, result in again.items()} == {n: r.scores for n, r in first.items()}
    assert floors(PROTOCOL, sets, make, "small", seed=0)["random_backbone"].seconds == 0


def test_the_random_backbone_follows_its_seed_and_leaves_torchs_generator(sets, make):
    state = torch.get_rng_state()
    first, same, other = (random_floor(PROTOCOL, sets, make, seed, "cpu") for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.scores == same.scores
    assert first.scores != other.scores
    assert first.neighbours == ()


def test_the_random_backbone_has_its_pictures_statistics(sets, make, monkeypatch):
    networks = []
    monkeypatch.setattr(make, "kind", lambda kind=make.kind: networks.append(kind()) or networks[-1])
    random_floor(PROTOCOL, sets, make, 0, "cpu")
    norm = networks[0].body[1]
    convolution = networks[0].body[0]
    crops = torch.stack([PROTOCOL.transform(networks[0])(sets["seen"].train.image(i)) for i in range(40)])
    activations = convolution(crops.float() / 255)
    torch.testing.assert_close(norm.running_mean, activations.mean(dim=(0, 2, 3)).detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, activations.var(dim=(0, 2, 3)).detach(), atol=1e-5, rtol=1e-4)
