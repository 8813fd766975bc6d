"""A scene as a Lightning data module: pixels to fit to, whole views to watch and to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.data.resuming import ResumingData
from transferbench.data.scenes.folder import read_scene
from transferbench.data.scenes.rays import Draw, PixelDraws
from transferbench.data.scenes.scene import Scene
from transferbench.distributed import rank
from transferbench.errors import UserError
from transferbench.storage import digest_of


class SceneData(ResumingData):
    """The posed images of a folder, in whichever of the known formats.

    A training batch is a ``Pixels``; in validation it is the place of one frame. There are no classes.

    Args:
        root: the scene's folder.
        pixels: how they are drawn (``data.scenes.rays.Draw``).
        epoch_steps: steps that make an epoch.
        format: blender, llff, transforms, colmap or epic_diff; None to look at the folder.
        downscale: pixels of the files a side that make one here.
        size: in place of it, the longer side in pixels, or width and height.
        split: a step (every 8th frame is a test view) or a share to fit (0.9), where the format has no split itself.
        spherify: centre a capture of LLFF's kind that goes round something.
        thin: keep every so many of the validation and test frames of a Blender scene.
        watched: views that are rendered in every validation, at most.
        seed: of the draws.
    """

    classes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    trained_classes: tuple[str, ...] = ()

    def __init__(
        self,
        root: str | None,
        pixels: Draw,
        epoch_steps: int = 500,
        format: str | None = None,
        downscale: float = 1,
        size: int | Sequence[int] | None = None,
        split: float | None = None,
        spherify: bool = False,
        thin: int = 1,
        watched: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if epoch_steps < 1 or watched < 0:
            raise UserError(
                f"found epoch_steps={epoch_steps}, watched={watched}; expected scale.epoch_steps=1 or more, 0 or more"
            )
        self.root = root
        self.reading: dict[str, Any] = {
            "format": format, "downscale": downscale, "size": size, "split": split, "spherify": spherify, "thin": thin,
        }  # fmt: skip
        self.pixels = pixels
        self.epoch_steps, self.watched, self.seed = epoch_steps, watched, seed
        self._scene: Scene | None = None
        self.name = "scene" if root is None else Path(root).name

    def read(self) -> Scene:
        """Return the scene; called once, by ``setup``. Raises ``UserError``."""
        if self.root is None:
            raise UserError("data.root is not set; expected the folder of a scene: data=scene data.root=FOLDER")
        return read_scene(self.root, **self.reading)

    def setup(self, stage: str | None = None) -> None:
        """Read the scene, unless that is done."""
        if self._scene is None:
            self._scene = self.read()

    @property
    def scene(self) -> Scene:
        """The posed images."""
        if self._scene is None:
            raise RuntimeError("call setup() before asking for the scene")
        return self._scene

    @property
    def offered(self) -> dict[str, int]:
        """What a branch of features may ask for."""
        return {"classes": 0}

    def kept(self) -> dict[str, Any]:
        """Return what a checkpoint tells of the scene."""
        return {"scene": {"name": self.name, "digest": self.digest()}}

    @property
    def render_seconds(self) -> float:
        """Seconds that ``setup`` spent making the images."""
        return 0.0

    def evaluation_sets(self) -> dict[str, Any]:
        """No labelled images."""
        return {}

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change with the images and their cameras."""
        scene = self.scene
        parts = (scene.images, scene.poses, scene.intrinsics, scene.distortion)
        return digest_of(*(np.ascontiguousarray(part).tobytes() for part in parts), scene.train, scene.test)

    def check_batch(self, devices: int) -> None:
        """Raise ``UserError`` when there is nothing to fit to."""
        if not self.scene.train:
            raise UserError(f"{self.name}: no frame to fit; expected at least one in the training split")

    def train_dataloader(self) -> PixelDraws:
        """Return this rank's draws of pixels."""
        draws = PixelDraws(self.scene, self.pixels, self.epoch_steps, self.seed, rank())
        draws.skip = self.behind()
        return draws

    def val_dataloader(self) -> list[int]:
        """Return the places of the views to watch, evenly spaced in the validation split (else in the test split)."""
        views = self.scene.val or self.scene.test
        chosen = np.unique(np.linspace(0, len(views) - 1, min(self.watched, len(views))).round().astype(int))
        return [views[int(index)] for index in chosen]
