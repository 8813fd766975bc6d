"""Scenes of the embedded world: objects that stand still on a floor, and a kitchen in which somebody moves things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from transferbench.concepts.levels import draw_levels
from transferbench.concepts.wordnet import open_wordnet
from transferbench.data.scenes.folder import read_scene
from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.scene import Scene
from transferbench.errors import UserError
from transferbench.storage import digest_of
from transferbench.world.studio import open_scene
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy, write_wordnet


class WorldScene(SceneData):
    """A scene of the embedded world, written in a published format on first use and read back like any other.

    Args:
        kind: ``stage`` stands still (Blender's format), ``kitchen`` moves (EPIC-Diff's).
        scene_seed: which one of them.
        size: pixels from left to right; None for 100 and 114.
        concepts: what things are chosen from: ``all`` concepts of the world (of a kitchen, what stands in kitchens),
            those that are ``seen`` by models trained on it (``seen_lemmas``), or lemmas.
        progress: show a bar while pictures are rendered.
        **options: ``pixels``, ``epoch_steps``, ``watched`` and ``seed`` of ``SceneData``.
    """

    def __init__(
        self,
        kind: Literal["stage", "kitchen"] = "stage",
        scene_seed: int = 0,
        size: int | None = None,
        concepts: Literal["all", "seen"] | Sequence[str] = "all",
        progress: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(root=None, **options)
        self.kind, self.scene_seed, self.size, self.progress = kind, scene_seed, size, progress
        if isinstance(concepts, str) and concepts not in ("all", "seen"):
            raise UserError(f"data.concepts={concepts}: expected all, seen, or lemmas, such as [fox,mug,piano,car]")
        self.concepts = concepts if isinstance(concepts, str) else tuple(concepts)
        own = self.concepts if isinstance(self.concepts, str) else digest_of(sorted(self.concepts))[:6]
        self.name = f"{kind}_{scene_seed}" if own == "all" else f"{kind}_{own}_{scene_seed}"  # two choices, two scenes
        self._seconds = 0.0

    def read(self) -> Scene:
        """Render what is missing, and read it."""
        rendered = open_scene(self.kind, self.scene_seed, self.size, lemmas=self.lemmas(), progress=self.progress)
        self._seconds = rendered.seconds
        self.root = str(rendered.folder)
        return read_scene(rendered.folder)

    def lemmas(self) -> tuple[str, ...] | None:
        """Return the concepts that things are chosen from, None for those of the kind of scene."""
        if self.concepts == "all":
            return None
        return seen_lemmas() if self.concepts == "seen" else tuple(self.concepts)

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


def seen_lemmas() -> tuple[str, ...]:
    """Return the lemmas of the concepts that models of the world are trained on, of ``WorldData``'s draw 0."""
    concepts = read_taxonomy()
    ids = concept_ids(concepts)
    lemmas = {ids[leaf.lemma]: leaf.lemma for leaf in leaves(concepts)}
    with TemporaryDirectory() as folder:
        write_wordnet(concepts, Path(folder))
        seen = draw_levels(open_wordnet(Path(folder)), sorted(lemmas)).seen
    return tuple(sorted(lemmas[wnid] for wnid in seen))
