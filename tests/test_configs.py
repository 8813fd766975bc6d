"""Every file of conf/: composes, resolves, passes the check, and is named by somebody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from transferbench import cli, schema
from transferbench.build import build
from transferbench.check import problems_of
from transferbench.checkpoint import TASK_TARGETS

CONF = cli.conf_dir()
EXPERIMENTS = sorted(f.stem for f in (CONF / "experiment").glob("*.yaml"))
TASKS = {  # experiment -> task
    f.stem: re.findall(r"override /task: (\w+)", f.read_text())[0].replace("contrastive", "captions")
    for f in (CONF / "experiment").glob("*.yaml")
}
NEEDS = {name: ["needs.model=/x"] for name, task in TASKS.items() if task == "frozen"}
NEEDS["caption_folder"] = ["model.path=/x", "data.root=/x"]
NEEDS |= {name: ["++needs.language=/x"] for name, task in TASKS.items() if task == "captions"}
NEEDS |= {name: ["needs.teacher=/x", "needs.base=/x"] for name in ("n3f", "n3f_words", "neuraldiff_n3f")}
NEEDS |= {name: ["needs.model=/x"] for name in ("render", "edit_scene")}
NEEDS["n3f_joint"] = ["needs.teacher=/x"]
SCENES = ["world_scene", "scene data.root=/x"]
FITS: dict[str, dict[str, list[str]]] = {  # task -> the options of each group that go with it
    "supervised": {
        "data": ["world", "world_all", "folder data.root=/x", "imagenet data.root=/x", "cifar10 data.root=/x"],
        "model": [
            "resnet_small",
            "resnet_small_fine",
            "resnet50",
            "timm model.name=vit_tiny_patch16_224",
            "torchvision model.name=resnet18",
            "checkpoint model.path=/x",
        ],
        "head": ["linear", "trex", "trex_star", "trex_plain", "deepncm"],
        "crops": ["single", "trex", "trex_star"],
        "scale": ["trex_world", "trex_sweep", "supervised_world", "oracle_world", "trex_cifar", "trex_paper"],
    },
    "frozen": {
        "data": ["world", "world_all", "folder data.root=/x", "imagenet data.root=/x", "cifar10 data.root=/x"],
        "model": ["resnet50", "timm model.name=vit_tiny_patch16_224", "checkpoint model.path=/x", "needed"],
        "scale": ["transfer_world", "transfer_paper"],
        "transfer": ["levels", "trex", "cog", "fewshot"],
    },
    "captions": {
        "data": [
            "world_captions",
            "coco_captions data.root=/x",
            "karpathy data.captions=/x data.images=/x",
            "visual_genome data.root=/x",
            "conceptual data.captions=/x data.images=/x",
            "open_clip_csv data.captions=/x",
            "flickr_tokens data.captions=/x data.images=/x",
            "tar_captions data.shards=/x",
        ],
        "model": ["resnet_small", "resnet_small_map", "resnet50", "torchvision model.name=vgg16 model.trunk=true"],
        "head": [
            "icmlm_tp",
            "icmlm_tfm",
            "icmlm_attfc",
            "virtex",
            "token_classification",
            "multilabel_classification",
            "clip",
            "siglip",
        ],
        "crops": ["caption", "clip"],
        "task": ["captions", "virtex", "contrastive"],
        "scale": ["captions_world", "captions_sweep", "captions_paper", "virtex_paper", "clip_paper"],
    },
    "language": {"data": ["world_texts", "coco_captions data.root=/x"], "scale": ["language_world", "language_paper"]},
    "field": {
        "data": SCENES,
        "model": ["nerf", "nerf_fast"],
        "task": ["field", "field_fast"],
        "scale": ["nerf_world", "nerf_paper", "nerf_llff_paper"],
    },
    "field_fast": {
        "data": SCENES,
        "model": ["nerf_fast", "nerf"],
        "task": ["field_fast", "field"],
        "scale": ["nerf_fast_world", "nerf_fast_paper"],
    },
    "n3f": {
        "data": SCENES,
        "task": ["n3f", "n3f_released"],
        "model": ["n3f", "n3f_joint", "n3f_nerf"],
        "scale": ["n3f_world", "n3f_paper"],
    },
    "n3f_words": {"data": SCENES, "model": ["n3f", "n3f_joint", "n3f_nerf"], "scale": ["n3f_words_world"]},
    "n3f_joint": {"data": SCENES, "model": ["n3f_joint"], "scale": ["n3f_joint_world"]},
    "neuraldiff": {
        "data": ["world_kitchen", "scene data.root=/x"],
        "model": ["neuraldiff"],
        "scale": ["neuraldiff_world", "neuraldiff_paper"],
    },
    "neuraldiff_n3f": {
        "data": ["world_kitchen", "scene data.root=/x"],
        "model": ["neuraldiff_n3f"],
        "scale": ["neuraldiff_n3f_world"],
    },
    "render": {
        "data": [*SCENES, "world_kitchen"],
        "model": ["needed", "checkpoint model.path=/x"],
        "scale": ["transfer_world", "transfer_paper"],
    },
    "edit_scene": {
        "data": [*SCENES, "world_kitchen"],
        "model": ["needed", "checkpoint model.path=/x"],
        "scale": ["transfer_world", "transfer_paper"],
    },
    "cameras": {"data": [*SCENES, "world_kitchen"]},
    "compare": {},  # jobs bring what they work on
    "cog_levels": {},
    "zoo": {},
    "caption_folder": {},
}


@pytest.fixture(scope="module", autouse=True)
def composer() -> Iterator[None]:
    schema.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def resolved(*overrides: str) -> dict:
    config = compose("config", overrides=list(overrides))
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_composes_and_passes_the_check(name: str) -> None:
    config = resolved(f"+experiment={name}", *NEEDS.get(name, []))
    assert config["name"] == name
    assert list(problems_of(config)) == []
    assert len((CONF / "experiment" / f"{name}.yaml").read_text().splitlines()) <= 25


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_takes_every_option_that_fits_in_both_orders(name: str) -> None:
    groups = FITS[TASKS[name]]
    for group, options in groups.items():
        for option in options:
            words = f"{group}={option}".split()
            for order in permutations([f"+experiment={name}", " ".join(words)]):
                config = resolved(*" ".join(order).split(), *NEEDS.get(name, []))
                assert list(problems_of(config)) == []
                if group == "data" and "root" in option:
                    assert config["data"]["root"] == "/x"


def test_a_scale_chooses_the_model_and_the_user_still_wins() -> None:
    paper = resolved("+experiment=trex", "scale=trex_paper")
    assert paper["model"]["name"] == "resnet50"
    assert paper["head"]["memory"] == 8192
    for order in permutations(["+experiment=trex", "scale=trex_paper", "model=resnet_small"]):
        assert resolved(*order)["model"]["_target_"].endswith("resnet_small")


def test_t_rex_at_paper_scale_has_the_published_values() -> None:
    """The table of arXiv:2206.15369's released settings."""
    config = resolved("+experiment=trex", "scale=trex_paper", "data=imagenet", "data.root=/x", "trainer=ddp")
    head, views, scale = config["head"], config["crops"]["views"], config["scale"]
    assert (head["hidden_layers"], head["hidden_width"], head["bottleneck"], head["temperature"]) == (3, 2048, 256, 0.1)
    assert (head["memory"], head["momentum"]) == (8192, 0.999)
    assert (views["global"]["count"], views["global"]["size"], views["global"]["scale"]) == (1, 224, [0.25, 1.0])
    assert (views["local"]["count"], views["local"]["size"], views["local"]["scale"]) == (8, 96, [0.05, 0.25])
    assert (scale["epochs"], scale["batch_size"], scale["lr"], scale["warmup_epochs"]) == (100, 64, 0.1, 10)
    assert (config["trainer"]["precision"], config["trainer"]["sync_batchnorm"]) == ("16-mixed", True)
    star = resolved("+experiment=trex_star", "scale=trex_paper")
    assert star["head"]["hidden_layers"] == 1
    assert [v["scale"] for v in star["crops"]["views"].values()] == [[0.4, 1.0], [0.05, 0.4]]


def test_every_scale_defines_the_same_keys_and_components_name_no_other() -> None:
    bases = {base: set(yaml.safe_load((CONF / "scale" / f"{base}.yaml").read_text())) for base in ("world", "paper")}
    assert bases["world"] == bases["paper"]
    named = {key for file in CONF.rglob("*.yaml") for key in re.findall(r"\$\{scale\.(\w+)\}", file.read_text())}
    assert named == bases["world"]
    for file in (CONF / "scale").glob("*.yaml"):
        content = yaml.safe_load(file.read_text())
        defaults = content.pop("defaults", [])
        assert file.stem in bases or defaults[0] in bases
        assert set(content) <= bases["world"]


def test_no_experiment_or_scale_reaches_into_data_or_model() -> None:
    for folder in ("experiment", "scale"):
        for file in (CONF / folder).glob("*.yaml"):
            content = yaml.safe_load(file.read_text())
            assert not {"data", "model"} & set(content)
            if folder == "experiment" and any("/scale" in str(d) for d in content["defaults"]):
                assert not any("/model" in str(d) for d in content["defaults"])


def test_components_ask_hydra_for_nothing() -> None:
    assert not [f for f in CONF.rglob("*.yaml") if "${hydra:" in f.read_text()]


def test_no_file_is_an_orphan() -> None:
    """Somebody names each file: a defaults list, another file, or the README."""
    readme = (CONF.parent / "README.md").read_text()
    texts = {file: file.read_text() for file in CONF.rglob("*.yaml")}
    orphans = []
    for file in texts:
        group, name = file.parent.name, file.stem
        if file.parent == CONF or group == "experiment":
            continue
        patterns = [rf"/?{group}(@\S+)?[:=]\s*{name}\b", rf"{group}/{name}"]
        inherited = any(re.search(rf"^\s*- {name}$", t, re.M) for f, t in texts.items() if f.parent == file.parent)
        others = [t for f, t in texts.items() if f != file] + [readme]
        if not inherited and not any(re.search(p, t) for p in patterns for t in others):
            orphans.append(f"{group}/{name}")
    assert orphans == []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in Path(CONF.parent / "README.md").read_text()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_type_of_every_setting_of_ours_is_known(name: str) -> None:
    """Else a wrong value would be told by a traceback, not by the check."""
    from transferbench.build import locate
    from transferbench.check import hints_of

    def targets(node: object) -> Iterator[dict]:
        if isinstance(node, dict):
            if str(node.get("_target_", "")).startswith("transferbench."):
                yield node
            for value in node.values():
                yield from targets(value)

    for node in targets(resolved(f"+experiment={name}", *NEEDS.get(name, []))):
        hints = hints_of(locate(node["_target_"]))
        assert [key for key in node if key not in hints and not key.startswith("_")] == [], node["_target_"]


@pytest.mark.parametrize("name", ["nerf", "nerf_fast", "n3f", "n3f_joint", "n3f_words", "neuraldiff", "neuraldiff_n3f"])
def test_a_scene_s_task_may_be_opened_from_its_checkpoint(name: str) -> None:
    build(resolved(f"+experiment={name}", *NEEDS.get(name, []))["task"], TASK_TARGETS)
