"""What a W&B run is called: name, group and tags, so that a dashboard of many runs can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

LONGEST_NAME, LONGEST_TAG = 128, 64
"""Characters that W&B takes."""
_CHOICES = re.compile(r"^\+{0,2}([\w./@]+)=(?:(?:choice|range|interval|shuffle|sort|tag)\(.*|[^\[{(]*,.*)$")
"""An override that a sweep varies: ``scale.lr=0.1,0.2`` or ``seed=range(5)``, but not ``layers=[1,1]``."""


def in_sweep(folder: Path, config: Mapping[str, Any]) -> bool:
    """Tell whether ``folder`` is that of a sweep's job: ``<outputs>/<sweep_name>/<name>_<digest>``."""
    return folder.parent.name == str(config.get("sweep_name")) and folder.name.startswith(f"{config['name']}_")


def group(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the name of the sweep, or of the experiment where there is none."""
    return folder.parent.name if in_sweep(folder, config) else str(config["name"])


def name(folder: Path, config: Mapping[str, Any]) -> str:
    """Return ``trex-s1``, and in a sweep ``trex-s1-lr=0.2`` with the settings that vary.

    Where these cannot be told from numbers and words alone, the first digits of the job's digest stand behind them.
    """
    parts = [f"{config['name']}-s{config['seed']}"]
    if in_sweep(folder, config):
        keys = [key for key in varied(folder.parent / "multirun.yaml") if key not in ("seed", "experiment")]
        asked = overrides(folder.parent / "jobs" / f"{folder.name}.json")
        values = {key: asked.get(key, _at(config, key)) for key in keys}
        plain = {key: value for key, value in values.items() if isinstance(value, (str, int, float))}
        parts += [f"{key.rpartition('.')[2]}={value}" for key, value in plain.items()]
        if len(plain) < len(keys) or not (folder.parent / "multirun.yaml").exists():
            parts.append(folder.name.rpartition("_")[2][:6])
    return "-".join(parts)[:LONGEST_NAME]


def varied(record: Path) -> list[str]:
    """Return the keys that a sweep varies, as Hydra's record of it (``multirun.yaml``) says; none without one."""
    if not record.exists():
        return []
    try:
        said = yaml.safe_load(record.read_text(encoding="utf-8"))["hydra"]
        words = [str(word) for word in said["overrides"]["task"]]
        words += [f"{key}={value}" for key, value in (said["sweeper"].get("params") or {}).items()]
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return []
    return list(dict.fromkeys(found[1].replace("/", ".") for word in words if (found := _CHOICES.match(word))))


def overrides(record: Path) -> dict[str, str]:
    """Return what a job of a sweep was asked for, by key, as the sweep's record of the job says; none without one."""
    try:
        words = json.loads(record.read_text(encoding="utf-8"))["overrides"]
        pairs = (str(word).lstrip("+").partition("=") for word in words)
        return {key.replace("/", "."): value for key, _, value in pairs}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def tags(config: Mapping[str, Any]) -> list[str]:
    """Return one tag each for data, model, crops and head, as in ``world``, ``resnet_small``, ``crops-1x64+8x32``.

    They are read off the resolved configuration, which does not know the files it was composed from.
    """
    found = (_data(config.get("data")), _model(config.get("model")), _crops(config.get("crops")), _head(config))
    return [tag[:LONGEST_TAG] for tag in dict.fromkeys(found) if tag]


def _data(node: Any) -> str:
    if not isinstance(node, Mapping):
        return ""
    if "dataset" in node:
        return str(node["dataset"]).lower()
    if node.get("root"):
        return Path(str(node["root"])).name
    concepts = node.get("concepts", "seen")
    kind = _target(node).removesuffix("Data").lower()
    return kind if concepts == "seen" else f"{kind}-{concepts}"


def _model(node: Any) -> str:
    return str(node.get("name") or _target(node)) if isinstance(node, Mapping) else ""


def _crops(node: Any) -> str:
    views = node.get("views") if isinstance(node, Mapping) else None
    if not isinstance(views, Mapping):
        return ""
    return "crops-" + "+".join(f"{view.get('count', 1)}x{view.get('size')}" for view in views.values())


def _head(config: Mapping[str, Any]) -> str:
    node = config.get("head")
    if not isinstance(node, Mapping):
        return ""
    layers = node.get("hidden_layers")
    return _target(node) + (f"-{layers}" if layers is not None else "")


def _target(node: Mapping[str, Any]) -> str:
    return str(node.get("_target_", "")).rpartition(".")[2]


def _at(config: Mapping[str, Any], path: str) -> Any:
    node: Any = config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node
