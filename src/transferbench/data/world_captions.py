"""Captioned pictures of the embedded world: several seen objects each, told of in COCO's format."""

from __future__ import annotations

from typing import Any

from transferbench.data.caption_module import CaptionData
from transferbench.data.captions import CaptionRecords
from transferbench.data.coco import read_coco
from transferbench.data.image_set import Splits
from transferbench.data.world import WorldData
from transferbench.storage import digest_of
from transferbench.world.album import Album, open_album


class WorldCaptions(CaptionData):
    """The world's captioned pictures to train on, its levels of unseen concepts to transfer to.

    Args:
        draw_seed: decides which concepts are seen: the captions name no others.
        world_seed: decides the pictures.
        progress: show a bar while pictures are rendered.
        **options: those of ``CaptionData``.
    """

    def __init__(self, draw_seed: int = 0, world_seed: int = 0, progress: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.name = "world_captions"
        self.progress = progress
        self.world_data = WorldData(
            None, self.batch_size, self.centre.resize, self.centre.size, "seen", draw_seed, world_seed, progress
        )
        self._album: Album | None = None

    def read_records(self) -> tuple[CaptionRecords, CaptionRecords]:
        """Render what is missing, and read the pictures and captions back as COCO's."""
        self.world_data.setup()
        names = {wnid: self.world.names[wnid] for wnid in self.draw.seen}
        album = open_album(names, self.world_data.draw_seed, self.world_data.world_seed, self.progress)
        self._album, self.wordnet = album, str(album.folder / "wordnet")
        return read_coco(album.folder, "train"), read_coco(album.folder, "val")

    @property
    def world(self) -> Any:
        """The rendered world."""
        return self.world_data.world

    @property
    def draw(self) -> Any:
        """The seen concepts and the levels."""
        return self.world_data.draw

    @property
    def trained_classes(self) -> tuple[str, ...]:
        """The seen concepts, which the pictures show."""
        return tuple(self.draw.seen)

    @property
    def render_seconds(self) -> float:
        """Seconds that ``setup`` spent rendering."""
        return self.world_data.render_seconds + (self._album.seconds if self._album else 0.0)

    def evaluation_sets(self) -> dict[str, Splits]:
        """Return the seen concepts and the levels of the world."""
        return self.world_data.evaluation_sets()

    def digest(self) -> str:
        """Digest the world and the captioned pictures."""
        return digest_of(self.world_data.digest(), self._album.digest if self._album else "")
