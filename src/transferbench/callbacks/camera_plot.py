"""A picture of the cameras before the first step of a fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from transferbench.nerf.views import Views


class CameraPlot(Callback):
    """Write ``figures/cameras.png`` of a fit to a scene, and say so; any other fit is left alone.

    A fit that is taken up again draws it again, of the cameras that it goes on with.

    Args:
        draw: writes the picture, called with a scene, a path and ``ndc=`` (``report.cameras.write_cameras``).
    """

    def __init__(self, draw: Callable[..., Any]) -> None:
        super().__init__()
        self.draw = draw

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, on the first rank."""
        views = getattr(pl_module, "views", None)
        if not isinstance(views, Views) or not trainer.is_global_zero:
            return
        path = Path(trainer.default_root_dir) / "figures" / "cameras.png"
        self.draw(trainer.datamodule.scene, path, ndc=views.ndc)  # type: ignore[attr-defined]
        said = f"{len(views.poses):,} cameras: {path}"
        Console().print(said, markup=False, highlight=False, soft_wrap=True)
