"""A run's folder: who owns it, what it was configured with, where it stands."""

from __future__ import annotations

import copy
import csv
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

import transferbench
from transferbench.errors import RunFailed, UserError
from transferbench.storage import digest_of, write_text

UNIDENTIFYING = ("name", "run", "sweep_name", "outputs", "logger", "needs")
"""Root keys that say where a run is kept or watched, not what it computes."""
PLACEMENT = ("accelerator", "devices", "num_nodes", "strategy", "sync_batchnorm", "plugins")
"""Trainer keys that say where a run computes."""

SNAPSHOT = "transferbench"
"""The entry of ours in a checkpoint: {"version", "config", "classes", "class_names", "seconds", "random"}."""


def checkpoint_name(step: int) -> str:
    """Return the file name of the checkpoint after ``step`` optimiser steps."""
    return f"step-{step:09d}.ckpt"


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints in ``folder``, oldest first."""
    return sorted(folder.glob("step-*.ckpt"))


def config_digest(config: Mapping[str, Any], world: str = "") -> str:
    """Return the digest that names what a run computes: ``config`` with each need replaced by its own digest."""
    return digest_of(identity(config), transferbench.__version__, world)


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``config`` without the keys that do not change what a run computes."""
    kept = {key: copy.deepcopy(value) for key, value in config.items() if key not in UNIDENTIFYING}
    if isinstance(kept.get("trainer"), dict):
        kept["trainer"] = {key: value for key, value in kept["trainer"].items() if key not in PLACEMENT}
    return kept


def flatten(node: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted keys."""
    if not isinstance(node, Mapping) or not node:
        return {path: node}
    return {
        key: value
        for name, child in node.items()
        for key, value in flatten(child, f"{path}.{name}" if path else str(name)).items()
    }


@dataclass
class RunFolder:
    """``outputs/<name>/<run>/``: everything a run leaves."""

    path: Path
    digest: str
    _lock: IO[str] | None = None

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def summary_file(self) -> Path:
        """The summary, written when the run is finished."""
        return self.path / "summary.json"

    def claim(self, config: Mapping[str, Any]) -> None:
        """Create the folder, or take an earlier run's up again, and hold it against other processes.

        Raises:
            UserError: the folder holds a run of another configuration, or another process is writing to it.
            RunFailed: the folder cannot be written.
        """
        record = self.path / "config.yaml"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.refuse_another(config)
            if not record.exists():
                text = yaml.safe_dump(dict(config), sort_keys=False)
                write_text(record, f"# transferbench {transferbench.__version__}, digest {self.digest}\n{text}")
        except BlockingIOError as error:
            raise UserError(f"{self.path}: another process is writing this run; choose another run=NAME") from error
        except OSError as error:
            raise RunFailed(f"{self.path}: cannot write the run folder ({error.strerror or error})") from error

    def refuse_another(self, config: Mapping[str, Any]) -> None:
        """Refuse a folder that holds a run of other settings.

        Raises:
            UserError: naming the settings that differ.
        """
        record = self.path / "config.yaml"
        if not record.exists():
            return
        text = record.read_text(encoding="utf-8")
        if f"digest {self.digest}" in text.split("\n", 1)[0]:
            return
        try:
            before = flatten(identity(yaml.safe_load(text) or {}))
        except (yaml.YAMLError, AttributeError) as error:
            raise UserError(f"{record} cannot be read ({type(error).__name__}); choose another run=NAME") from error
        now = flatten(identity(config))
        keys = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
        shown = [f"  {key}: there {before.get(key, 'absent')!r}, now {now.get(key, 'absent')!r}" for key in keys[:12]]
        more = [f"  and {len(keys) - 12} more"] if len(keys) > 12 else []
        reason = "\n".join(shown + more) or "  the package or the world has another version"
        raise UserError(f"{self.path} holds a run with other settings; choose another run=NAME, or undo:\n{reason}")

    def release(self) -> None:
        """Let other processes have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def summary(self) -> dict[str, Any] | None:
        """Return the summary of a finished run, None for one that is not."""
        return read_summary(self.path) if self.summary_file.exists() else None

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write ``summary.json``, which marks the run as finished."""
        write_text(self.summary_file, json.dumps(summary, indent=2) + "\n")

    def last_checkpoint(self) -> Path | None:
        """Return the newest checkpoint, None before the first one."""
        found = checkpoints_in(self.checkpoints)
        return found[-1] if found else None


def read_summary(folder: Path | str) -> dict[str, Any]:
    """Return the ``summary.json`` of a finished run.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = Path(folder) / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(summary["metrics"], dict):
            raise TypeError("metrics")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name the folder of a finished run") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); run the experiment again") from error
    return dict(summary)


def checkpoint_in(path: Path | str) -> Path:
    """Return the checkpoint file meant by a run folder or a file.

    Raises:
        UserError: there is none.
    """
    target = Path(path)
    if target.is_file():
        return target
    found = RunFolder(target, "").last_checkpoint()
    if found is None:
        raise UserError(f"{os.fspath(target)}: no checkpoint there; name a run folder or a checkpoint file")
    return found


def read_columns(path: Path) -> list[str]:
    """Return the column names of a metrics file, none where there is no file."""
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the rows of a metrics file without their empty cells; a last line cut short is left out."""
    if not path.exists():
        return []
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                rows.append({key: float(value) for key, value in row.items() if value})
            except (TypeError, ValueError):
                continue
    return rows
