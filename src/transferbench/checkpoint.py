"""Checkpoints that open without the framework: plain values in, plain ``nn.Module`` out."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import transferbench
from transferbench.build import NETWORK_TARGETS, build
from transferbench.errors import UserError
from transferbench.outputs import SNAPSHOT, checkpoint_in, checkpoints_in
from transferbench.parts import Parts, build_parts, offered_to
from transferbench.storage import atomic_path, write_text

if TYPE_CHECKING:
    from lightning import LightningModule

log = logging.getLogger(__name__)

TEACHER = "transferbench.checkpoint.dense_teacher"
"""The target of a scene's teacher, which a task is handed unbuilt."""
TASK_TARGETS = (*NETWORK_TARGETS, "transferbench.tasks.", "transferbench.optim.", "torch.optim.", TEACHER)
"""What the task of a checkpoint may name."""
FROM_A_FILE = "transferbench.checkpoint.backbone"
"""The target of ``model=checkpoint``; no checkpoint names it, so that it opens when that file is gone."""
LANGUAGE = "transferbench.checkpoint.language"
"""The target of a head's frozen language model; no checkpoint names it either."""


class Network(nn.Module):
    """A trained network: ``backbone`` maps images to features, ``head`` features to logits (None where there is none).

    Of a run on a scene, the backbone is the scene's model, and so is ``field``, which renders rays (``nerf.bundle``).

    ``class_names`` are the readable names of the logits' classes; ``text`` what a model of captions needs to read and
    write them: the tokeniser, the concepts and the length, as plain values (empty for others).
    """

    def __init__(self, parts: Parts, class_names: Sequence[str], text: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.text = dict(text or {})
        self.backbone = parts.backbone
        self.head = parts.head
        self.class_names = tuple(class_names)

    @property
    def field(self) -> Any:
        """The scene's model, which renders rays; None of a run on other data."""
        return self.backbone if hasattr(self.backbone, "render") else None

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, width) of ``images`` (B, 3, H, W), uint8 or float in [0, 1]."""
        features: Tensor = self.backbone(images)
        return features


def snapshot(config: Mapping[str, Any], classes: Sequence[str], class_names: Sequence[str]) -> dict[str, Any]:
    """Return what every checkpoint carries so that it can be opened again: plain containers only."""
    kept = {**config, **{part: standing_alone(config[part]) for part in ("model", "head") if config.get(part)}}
    facts = {"config": kept, "classes": list(classes), "class_names": list(class_names)}
    return {"version": transferbench.__version__, **facts}


def read(path: Path | str, place: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint of ours onto the device ``place``, without running any code it may contain.

    Raises:
        UserError: the file is missing, corrupt, or not a checkpoint of this package.
    """
    file = checkpoint_in(path)
    try:
        content = torch.load(file, map_location=place, weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError) as error:
        reason = str(error).split("\n", 1)[0][:160]
        raise UserError(
            f"{file} cannot be read as a checkpoint: it is truncated, corrupt or unsafe ({reason})"
        ) from error
    if not isinstance(content, dict) or SNAPSHOT not in content or "state_dict" not in content:
        raise UserError(
            f"{file} is not a checkpoint of transferbench; name a run folder or a file from its checkpoints/"
        )
    return content


def facts_of(path: Path | str) -> dict[str, Any]:
    """Return what a checkpoint of ours says of itself (``snapshot``); its weights are not read. Raises as ``read``."""
    facts: dict[str, Any] = read(path, "meta")[SNAPSHOT]
    return facts


@dataclass(frozen=True)
class Resumable:
    """A checkpoint to go on from: after ``step`` optimiser steps and ``seconds`` of training."""

    path: Path
    step: int
    seconds: float


def newest_readable(folder: Path) -> Resumable | None:
    """Return the newest checkpoint in ``folder`` that can be read, None where there is none at all.

    Raises:
        UserError: there are checkpoints, and none of them can be read.
    """
    problem: UserError | None = None
    for path in reversed(checkpoints_in(folder)):
        try:
            content = read(path)
            return Resumable(path, int(content["global_step"]), float(content[SNAPSHOT].get("seconds", 0.0)))
        except UserError as error:
            log.warning("%s; trying the one before", error)
            problem = error
    if problem is not None:
        raise problem
    return None


def load(path: Path | str, trusted: Sequence[str] = ()) -> Network:
    """Return the network of a run folder or a checkpoint file, in eval mode, on the CPU.

    Works where Hydra, OmegaConf and Lightning are not installed. ``trusted`` names further packages, with a dot at the
    end, whose classes the file may build (``["my_package."]``).

    Raises:
        UserError: the file cannot be read, names foreign classes, or its weights do not fit its own configuration.
    """
    content = read(path)
    facts = content[SNAPSHOT]
    parts = build_parts(unpretrained(facts["config"]), offered_to(facts), (*NETWORK_TARGETS, *trusted))
    network = Network(parts, facts["class_names"], facts.get("text"))
    wanted = {k: v for k, v in content["state_dict"].items() if k.startswith(("backbone.", "head."))}
    load_weights(network, wanted, str(path))
    return network.eval()


def unpretrained(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``config`` with the download of pretrained weights switched off: the checkpoint brings its own."""
    model = architecture(config["model"])
    for key, off in (("pretrained", False), ("weights", None)):
        if key in model:
            model[key] = off
    return {**config, "model": model}


def backbone(
    path: str,
    *,
    name: str | None = None,
    network: nn.Module | None = None,
    layout: str | Mapping[str, Any] | None = None,
    trusted: Sequence[str] = (),
) -> nn.Module:
    """Return a trained backbone, to be evaluated or trained on: of a run of ours, or of a published file.

    ``path`` is a run folder, a checkpoint of ours, or somebody else's file; what network that is of and how it lies
    there say ``name``, ``network`` and ``layout`` (``models.foreign.foreign_backbone``). ``trusted`` as for ``load``.

    Raises:
        UserError: the file cannot be read, or does not fit its network, with the keys that differ.
    """
    foreign = {"name": name, "network": network, "layout": layout}
    if not _is_ours(path):
        node = {"_target_": "transferbench.models.foreign.foreign_backbone", "path": path, **foreign}
        return build(node)  # type: ignore[no-any-return]
    given = [key for key, value in foreign.items() if value is not None]
    if given:
        raise UserError(f"model.{given[0]}: {path} is of transferbench and brings its own network; leave it out")
    return load(path, trusted).backbone.train()


def dense_teacher(
    path: str, *, stage: int = -1, stride: int | None = 8, grid: int = 25, by_words: bool = False
) -> nn.Module:
    """Return the dense features of a trained network (``models.dense.DenseFeatures``): of a run of ours or a file.

    ``by_words`` takes those that compare with texts, of a run of CLIP's kind; its ``words`` are what makes vectors of
    texts (``models.words.Words``).

    Raises:
        UserError: as ``backbone``; or the run has no head that compares images with texts.
    """
    settings = {"stage": stage, "stride": stride, "grid": grid}
    node = {"_target_": "transferbench.models.dense.DenseFeatures", "_partial_": True, **settings}
    if not by_words:
        return build(node)(backbone(path))  # type: ignore[no-any-return]
    network = load(path)
    if not hasattr(network.head, "embed_text"):
        raise UserError(f"{path}: this run compares no images with texts; see +experiment=clip")
    teacher: nn.Module = build(node)(network.backbone, head=network.head)
    teacher.words = _reader(network)
    return teacher


def words_of(path: str) -> Any:
    """Return what reads words into the space of the features of a fitted field (``models.words.Words``).

    ``path`` is a run on a scene; the network that reads is that of its teacher, which has to be where it was.

    Raises:
        UserError: as ``read``; or the field has no features, or none that compare with words.
    """
    teacher = facts_of(path)["config"]["task"].get("teacher") or {}
    if not teacher.get("by_words"):
        raise UserError(f"{path}: the features of this run compare with no words; name a run of +experiment=n3f_words")
    return _reader(load(teacher["path"]))


def _reader(network: Network) -> Any:
    reading = {"_target_": "transferbench.models.words.Words", "_partial_": True}
    return build(reading)(network.head, network.text)


def _is_ours(path: str) -> bool:
    """Tell a checkpoint of this package from other files; of no file at all ``read`` says what is missing."""
    if not Path(path).is_file():
        return True
    if path.endswith(".safetensors"):
        return False
    try:
        return SNAPSHOT in torch.load(path, map_location="meta", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError):
        return False


def architecture(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node of ``model``'s network without its file: of ``model=checkpoint``, what the file was made with.

    Raises:
        UserError: as ``read``, for a checkpoint of ours.
    """
    if model.get("_target_") != FROM_A_FILE:
        return dict(model)
    if model.get("network"):
        return dict(model["network"])
    if model.get("name"):
        return {"_target_": "transferbench.models.zoo.zoo_backbone", "name": model["name"]}
    return dict(facts_of(model["path"])["config"]["model"])


def language(source: str) -> nn.Module:
    """Return a masked language model: of a run of ours (a folder or a checkpoint), else of the transformers library.

    Raises:
        UserError: the file is no language model, or transformers has none of this name.
    """
    if not Path(source).exists():
        return build({"_target_": "transferbench.models.language.transformers_language", "name": source})  # type: ignore[no-any-return]
    found = load(source).backbone
    if not hasattr(found, "hidden"):
        raise UserError(f"head.language={source}: this run trained no language model; see +experiment=language")
    return found


def standing_alone(node: Any) -> Any:
    """Return ``node`` with every network of a file, at or below it, replaced by that network's architecture."""
    if isinstance(node, list):
        return [standing_alone(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("_target_") == FROM_A_FILE:
        return architecture(node)
    if node.get("_target_") != LANGUAGE:
        return {key: standing_alone(value) for key, value in node.items()}
    source = node["source"]
    if Path(source).exists():
        return dict(facts_of(source)["config"]["model"])
    return {"_target_": "transferbench.models.language.transformers_language", "name": source, "pretrained": False}


def classes_of(model: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the classes that ``model`` was trained on: of a checkpoint of ours; () untrained, None for unknown.

    ``model`` is the configuration's node.
    """
    if model.get("_target_") == FROM_A_FILE and not model.get("network") and not model.get("name"):
        facts = facts_of(model["path"])
        return tuple(facts.get("trained", facts["classes"]))
    return None if model.get("_target_") == FROM_A_FILE or model.get("pretrained") or model.get("weights") else ()


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load ``weights`` into ``module``, all of them and nothing else.

    Raises:
        UserError: naming the keys that are missing, unexpected, or of another shape.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in weights]
    unexpected = [key for key in weights if key not in own]
    shapes = [
        f"{key} is {tuple(weights[key].shape)}, not {tuple(own[key].shape)}"
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    found = [
        f"{title}: {', '.join(keys[:5])}{f' and {len(keys) - 5} more' if len(keys) > 5 else ''}"
        for title, keys in (("missing", missing), ("unexpected", unexpected), ("another shape", shapes))
        if keys
    ]
    if found:
        raise UserError(f"{source} does not fit this architecture: " + "; ".join(found))
    module.load_state_dict(dict(weights))


def load_task(path: Path | str, trusted: Sequence[str] = ()) -> LightningModule:
    """Return the LightningModule of a run, with its weights, to go on training or to validate.

    ``trusted`` names further packages, as for ``load``; what the file may build of this one is ``TASK_TARGETS``.

    Raises:
        UserError: as ``load``.
    """
    content = read(path)
    facts = content[SNAPSHOT]
    allowed = (*TASK_TARGETS, *trusted)
    parts = build_parts(unpretrained(facts["config"]), offered_to(facts), allowed)
    task: LightningModule = build(facts["config"]["task"], allowed)(backbone=parts.backbone, head=parts.head)
    load_weights(task, content["state_dict"], str(path))
    return task


def export(path: Path | str, folder: Path | str, trusted: Sequence[str] = ()) -> Path:
    """Write the backbone alone as ``model.safetensors`` and ``config.json`` in timm's form; return the folder.

    ``timm.create_model(architecture, num_classes=0, checkpoint_path=folder/model.safetensors)`` reads that of a run
    with ``model=timm``; of others, the file holds the weights under the names of torchvision's or this package's
    network. ``trusted`` as for ``load``.

    Raises:
        UserError: as ``load``.
    """
    from safetensors.torch import save_file

    network, target = load(path, trusted), Path(folder)
    node = facts_of(path)["config"]["model"]
    net = network.backbone.get_submodule("net")
    with atomic_path(target / "model.safetensors") as part:
        save_file({key: value.contiguous() for key, value in net.state_dict().items()}, part)
    mean, std = (network.backbone.get_buffer(name).flatten().tolist() for name in ("mean", "std"))
    record = {
        "architecture": node.get("name", node["_target_"].rpartition(".")[2]),
        "num_classes": 0,
        "num_features": int(network.backbone.width),  # type: ignore[arg-type]
        "pretrained_cfg": {"mean": mean, "std": std},
        "model_args": {k: v for k, v in node.items() if k not in {"_target_", "name", "pretrained", "weights"}},
    }
    write_text(target / "config.json", json.dumps(record, indent=2) + "\n")
    return target
