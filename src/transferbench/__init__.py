"""How should a visual representation be trained on Task A so that it serves Task B?

``transferbench.load(path)`` opens a run as a plain ``nn.Module``, ``load_task(path)`` as a LightningModule,
``export(path, folder)`` writes its backbone for timm. Importing the package imports neither torch nor Hydra.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "export", "load", "load_task"]


def __getattr__(name: str) -> Any:
    if name in {"load", "load_task", "export"}:
        from transferbench import checkpoint

        return getattr(checkpoint, name)
    raise AttributeError(f"module 'transferbench' has no attribute {name!r}")
