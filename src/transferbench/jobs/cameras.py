"""A look at the cameras of a scene, where nothing is fitted."""

from __future__ import annotations

from pathlib import Path

from transferbench.data.scenes.module import SceneData
from transferbench.errors import UserError
from transferbench.report.cameras import camera_figure
from transferbench.report.capture import SPLITS, capture_of, facts_of
from transferbench.report.markup import element, section
from transferbench.report.outcome import Listing, Outcome, as_section
from transferbench.report.scene import CAMERAS
from transferbench.report.style import inline_svg, save_png


class Cameras:
    """Draw where the cameras of a scene stand and what they look at, beside the numbers a fit starts from.

    Args:
        data: the scene.
        ndc: draw the room of normalised device coordinates, of forward-facing scenes, as ``task=field`` fits them.

    Raises:
        UserError: the data are no scene, or the scene cannot be read.
    """

    def __init__(self, data: SceneData, ndc: bool = False) -> None:
        if not isinstance(data, SceneData):
            raise UserError(
                f"data is a {type(data).__name__}; expected posed images: data=world_scene, or data=scene "
                "data.root=FOLDER"
            )
        data.setup()
        self.capture = capture_of(data.scene, ndc)
        self.name = data.name

    def carry_out(self, folder: Path, seed: int) -> Outcome:
        """Write ``figures/cameras.png`` into ``folder``."""
        figure, rows = camera_figure(self.capture), facts_of(self.capture)
        path = save_png(figure, folder / "figures" / "cameras.png")
        drawn = element("figure", inline_svg(figure, "cameras", CAMERAS), element("figcaption", CAMERAS))
        counts = self.capture.counts
        metrics = {f"cameras/{split}": float(counts.get(split, 0)) for split in SPLITS if split}
        listing = Listing(f"cameras of {self.name}", ["", "found"], rows)
        return Outcome(
            metrics={"cameras/all": float(sum(counts.values()))} | metrics,
            said=f"{sum(counts.values()):,} cameras: {path}",
            printed=[listing],
            sections=[section("The cameras", drawn), as_section(listing)],
        )
