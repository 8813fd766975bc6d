"""Checkpoints open without the framework, and what does not fit is said."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import transferbench
from transferbench.checkpoint import load_weights, snapshot
from transferbench.errors import UserError
from transferbench.parts import build_parts

CONFIG: dict[str, Any] = {
    "model": {"_target_": "transferbench.models.backbone.timm_backbone", "name": "resnet10t", "channels": [8, 8, 8, 8]},
    "head": {
        "_target_": "transferbench.heads.classification.class_mean_head", "_partial_": True,
        "hidden_layers": 1, "hidden_width": 8, "bottleneck": 4, "memory": 16,
    },
    "task": {"_target_": "transferbench.tasks.supervised.Supervised", "_partial_": True,
             "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True}},
}  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A run folder with one checkpoint, as training leaves it."""
    from transferbench.build import build

    parts = build_parts(CONFIG, {"classes": 3})
    task = build(CONFIG["task"])(backbone=parts.backbone, head=parts.head)
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    content = {
        "state_dict": task.state_dict(),
        "transferbench": snapshot(CONFIG, ["n1", "n2", "n3"], ["dog", "cat", "cow"]),
        "global_step": 7,
    }
    torch.save(content, folder / "step-000000007.ckpt")
    return folder.parent


def rewrite(saved: Path, change: Any) -> Path:
    file = saved / "checkpoints" / "step-000000007.ckpt"
    content = torch.load(file, weights_only=True)
    change(content)
    torch.save(content, file)
    return saved


def test_a_run_opens_as_a_plain_network(saved: Path) -> None:
    network = transferbench.load(saved)
    features = network(torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8))
    assert features.shape == (2, network.backbone.width)
    assert network.head is not None
    assert network.head(features).shape == (2, 3)
    assert network.class_names == ("dog", "cat", "cow")
    assert not network.training
    task = transferbench.load_task(saved / "checkpoints" / "step-000000007.ckpt")
    assert torch.equal(task.backbone.net.conv1[0].weight, network.backbone.net.conv1[0].weight)


def test_it_opens_where_hydra_omegaconf_and_lightning_are_missing(
    saved: Path, without_frameworks: Callable[[str], str]
) -> None:
    told = without_frameworks(f"""
import torch, transferbench
network = transferbench.load({str(saved)!r})
print(tuple(network(torch.zeros(1, 3, 32, 32)).shape), type(network.head).__name__)
""")
    assert "Head" in told


def test_a_truncated_file_is_said(saved: Path) -> None:
    file = saved / "checkpoints" / "step-000000007.ckpt"
    whole = file.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 10):
        file.write_bytes(whole[:size])
        with pytest.raises(UserError, match="cannot be read as a checkpoint"):
            transferbench.load(saved)


def test_a_hostile_file_runs_nothing(saved: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    file = saved / "checkpoints" / "step-000000007.ckpt"
    file.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(UserError, match="cannot be read"):
        transferbench.load(saved)
    torch.save({"state_dict": Hostile()}, file)
    with pytest.raises(UserError, match="cannot be read"):
        transferbench.load(saved)
    assert not (tmp_path / "executed").exists()


def test_a_file_that_names_foreign_code_is_refused(saved: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["transferbench"]["config"]["model"]["_target_"] = "os.system"

    with pytest.raises(UserError, match="is refused"):
        transferbench.load(rewrite(saved, change))


def test_foreign_files_are_said(saved: Path) -> None:
    with pytest.raises(UserError, match="not a checkpoint of transferbench"):
        transferbench.load(rewrite(saved, lambda content: content.pop("transferbench")))
    with pytest.raises(UserError, match="no checkpoint there"):
        transferbench.load(saved.parent)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("backbone.net.bn1.weight"), r"missing: backbone\.net\.bn1\.weight"),
        (lambda w: w.update({"head.extra": torch.zeros(1)}), r"unexpected: head\.extra"),
        (lambda w: w.update({"backbone.mean": torch.zeros(1, 3)}), r"another shape: backbone\.mean is \(1, 3\)"),
    ],
)
def test_weights_of_another_architecture_are_named(saved: Path, change: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        transferbench.load(rewrite(saved, lambda content: change(content["state_dict"])))


def test_load_weights_counts_what_it_does_not_name() -> None:
    with pytest.raises(UserError, match="and 2 more"):
        load_weights(torch.nn.Sequential(*[torch.nn.Linear(1, 1, bias=False) for _ in range(7)]), {}, "x")


def test_timm_reads_an_exported_backbone(saved: Path, tmp_path: Path) -> None:
    import timm

    folder = transferbench.export(saved, tmp_path / "out")
    record = json.loads((folder / "config.json").read_text())
    net = timm.create_model(
        record["architecture"], num_classes=0, channels=(8, 8, 8, 8), checkpoint_path=str(folder / "model.safetensors")
    ).eval()
    network = transferbench.load(saved)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net((images - network.backbone.mean) / network.backbone.std), network(images))
