"""Scenes of the embedded world: objects that stand still on a floor, and a kitchen in which somebody moves things."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from transferbench.data.scenes.folder import read_scene
from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.scene import Scene
from transferbench.world.studio import open_scene


class WorldScene(SceneData):
    """A scene of the embedded world, written in a published format on first use and read back like any other.

    Args:
        kind: ``stage`` stands still (Blender's format), ``kitchen`` moves (EPIC-Diff's).
        scene_seed: which one of them.
        size: pixels from left to right; None for 100 and 114.
        progress: show a bar while pictures are rendered.
        **options: ``pixels``, ``epoch_steps``, ``watched`` and ``seed`` of ``SceneData``.
    """

    def __init__(
        self,
        kind: Literal["stage", "kitchen"] = "stage",
        scene_seed: int = 0,
        size: int | None = None,
        progress: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(root=None, **options)
        self.kind, self.scene_seed, self.size, self.progress = kind, scene_seed, size, progress
        self.name = f"{kind}_{scene_seed}"
        self._seconds = 0.0

    def read(self) -> Scene:
        """Render what is missing, and read it."""
        rendered = open_scene(self.kind, self.scene_seed, self.size, progress=self.progress)
        self._seconds = rendered.seconds
        self.root = str(rendered.folder)
        return read_scene(rendered.folder)

    @property
    def render_seconds(self) -> float:
        """Seconds that ``setup`` spent rendering."""
        return self._seconds

    def without(self, label: int) -> dict[int, Path]:
        """Return the pictures of the scene without one object, by the place of the frame that they belong to.

        Empty for a kitchen, which has none.
        """
        folder = Path(self.root or "") / f"without_{label}" / "test"
        if not folder.is_dir():
            return {}
        return {frame: folder / f"{self.scene.names[frame].removeprefix('test_')}.png" for frame in self.scene.test}
