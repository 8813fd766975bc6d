"""The root of every configuration: what Hydra checks by type; constructors are the schema of all else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional  # noqa: UP035  OmegaConf reads these spellings on every supported Python

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

KEPT = ("name", "run", "seed", "outputs", "sweep_name", "needs")
"""Root keys that a run cannot do without; ``~key`` on the command line takes them away."""


@dataclass
class Root:
    """Keys a configuration may have at its top; component groups are free below."""

    name: str = MISSING
    run: Optional[str] = None  # noqa: UP045
    seed: int = 1
    sweep_name: str = MISSING
    outputs: str = "outputs"
    needs: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    task: Any = MISSING
    data: Any = None
    crops: Any = None
    model: Any = None
    head: Any = None
    transfer: Any = None
    scale: Any = None
    trainer: Any = None
    logger: Any = None
    callbacks: Any = None


def register() -> None:
    """Make the schema known to Hydra under the name that ``conf/config.yaml`` starts with."""
    ConfigStore.instance().store(name="schema", node=Root)
