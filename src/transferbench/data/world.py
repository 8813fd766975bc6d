"""The embedded world as a data set: seen concepts to train on, five levels of unseen ones to transfer to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from PIL import Image
from torch import Tensor

from transferbench.concepts.levels import Draw, draw_levels
from transferbench.concepts.wordnet import open_wordnet
from transferbench.data.image_set import Splits
from transferbench.data.labelled import read_folder
from transferbench.data.loading import OnError
from transferbench.data.module import ImageData
from transferbench.errors import UserError
from transferbench.storage import digest_of
from transferbench.world.cache import World, open_world


class WorldData(ImageData):
    """The rendered world: ``train`` and ``val`` images of its concepts, rendered on first use.

    Args:
        concepts: train on the ``seen`` concepts of the draw, or on ``all`` leaf concepts of the world.
        draw_seed: decides which concepts are seen and which belong to which level; never the images.
        world_seed: decides the images.
        progress: show a bar while the images are rendered.

    The other arguments are those of ``ImageData``.
    """

    def __init__(
        self,
        crops: Callable[[Image.Image], list[Tensor]] | None,
        batch_size: int,
        eval_resize: int,
        eval_size: int,
        concepts: Literal["seen", "all"] = "seen",
        draw_seed: int = 0,
        world_seed: int = 0,
        progress: bool = True,
        workers: int = 2,
        on_error: OnError = "skip",
        seed: int = 0,
    ) -> None:
        super().__init__(crops, batch_size, eval_resize, eval_size, workers, on_error, seed)
        if concepts not in ("seen", "all"):
            raise UserError(f"data.concepts is {concepts!r}; expected seen or all.")
        self.name = "world" if concepts == "seen" else "world_all"
        self.concepts = concepts
        self.draw_seed = draw_seed
        self.world_seed = world_seed
        self.progress = progress
        self._world: World | None = None
        self._draw: Draw | None = None

    def read(self) -> Splits:
        """Render the world unless it is there, draw the concepts, list the images of those to train on."""
        self._world = open_world(self.world_seed, self.progress)
        self._draw = draw_levels(open_wordnet(self._world.wordnet), self._world.leaves, seed=self.draw_seed)
        return self._of(self._draw.seen if self.concepts == "seen" else self._world.leaves)

    def _of(self, wnids: Sequence[str]) -> Splits:
        images = self.world.images
        return Splits(read_folder(images / "train", wnids), read_folder(images / "val", wnids))

    @property
    def world(self) -> World:
        """The rendered world, after ``setup``."""
        if self._world is None:
            raise RuntimeError("call setup() before asking a data module for its world")
        return self._world

    @property
    def draw(self) -> Draw:
        """The seen concepts and the levels, after ``setup``."""
        if self._draw is None:
            raise RuntimeError("call setup() before asking a data module for its draw")
        return self._draw

    @property
    def render_seconds(self) -> float:
        """Seconds that ``setup`` spent rendering; 0 when the world was there."""
        return self.world.seconds

    @property
    def class_names(self) -> tuple[str, ...]:
        """The concepts' names."""
        return tuple(self.world.names[wnid] for wnid in self.classes)

    def evaluation_sets(self) -> dict[str, Splits]:
        """Return the seen concepts and the levels, closest first: ``seen``, ``level_1``, ..."""
        levels = {f"level_{level}": self._of(wnids) for level, wnids in enumerate(self.draw.levels, start=1)}
        return {"seen": self._of(self.draw.seen), **levels}

    def digest(self) -> str:
        """Digest the world's own digest and the choice of concepts: rendering the same world anew changes nothing."""
        return digest_of(self.world.digest, self.classes, self.draw.levels)
