"""Looking at a scene through a field: its cameras, its images, and whole rendered views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.nerf.placement import Placement, placed, signature
from transferbench.nerf.rendering import Rendered
from transferbench.nerf.views import Views

NEAR, FAR = 0.1, 1000.0
"""Where rays of a scene begin and end that says nothing of it, in halves of its box."""
FARTHEST = 1e4
"""How far from the origin cameras may stand, in halves of the box: single precision has 7 digits."""


class Viewing:
    """What every task on a scene has: a model (``backbone``), and after ``check_data`` the scene's cameras and images.

    Attributes:
        backbone: the scene's model.
        pixel_centre: where in a pixel its ray goes through.
        ndc: normalised device coordinates for forward-facing scenes.
        views: the cameras.
        images: (N, H, W, 3 or 4) uint8.
        own_background: (3,) what transparent images are put on.
    """

    backbone: Any
    pixel_centre: float
    ndc: bool
    views: Views
    images: Tensor
    own_background: Tensor

    def check_data(self, data: Any) -> None:
        """Take over the cameras of a scene, and tell the model where the scene is.

        Raises:
            UserError: the data are no scene, or they do not say how far things are and the model has to know; the model
                was fitted to another scene.
        """
        if not hasattr(data, "scene"):
            raise UserError(
                "a field is fitted to posed images; choose data=world_scene, or data=scene data.root=FOLDER"
            )
        scene = data.scene
        ndc = self.ndc and scene.frontal
        refuse_spacing(scene, ndc, getattr(self.backbone, "inverse", None))
        place = placed(scene.poses, scene.near, scene.far, scene.closed_box)
        half = float(np.max(place.high - place.low)) / 2
        if (away := float(np.abs(scene.poses[:, :3, 3]).max())) > FARTHEST * half:
            raise UserError(
                f"{scene.name}: its cameras stand {away:.3g} from the origin, and the scene is {2 * half:.3g} wide: "
                "single precision cannot tell such places apart; subtract their mean from all poses"
            )
        self.views = Views(
            scene.poses,
            scene.intrinsics,
            scene.distortion,
            (scene.height, scene.width),
            NEAR * half if scene.near is None else scene.near,
            FAR * half if scene.far is None else scene.far,
            scene.fisheye,
            scene.times,
            self.pixel_centre,
            ndc,
        )
        if ndc and not self.views.ahead():
            raise UserError(
                f"{scene.name}: not all of its cameras look the same way, and normalised device coordinates have no "
                "place for what is behind them; set task.ndc=false, or data.spherify=true"
            )
        self.own_background = torch.full((3,), 1.0 if scene.background == "white" else 0.0)
        self.images = torch.from_numpy(scene.images)
        if ndc:
            place = Placement(*self.views.reached(), False)
        low, high = (torch.tensor(corner, dtype=torch.float32) for corner in (place.low, place.high))
        cameras = torch.as_tensor(signature(scene.poses, self.pixel_centre, ndc), dtype=torch.float32)
        self.backbone.recognise(cameras, scene.name)
        self.backbone.place(low, high, place.unbounded)

    def look_through(self, fit: Mapping[str, Any] | None) -> None:
        """Send rays as the ``fit`` did that a checkpoint tells of (``checkpoint.facts_of``), where it says how."""
        task = (fit or {}).get("config", {}).get("task", {})
        self.pixel_centre, self.ndc = float(task.get("pixel_centre", 0.5)), bool(task.get("ndc", False))

    def view(self, frame: int) -> Rendered:
        """Return a whole view, rendered without gradients: (H W, ...) row after row."""
        shown: Rendered = self.backbone.render(self.views.whole(frame), self.own_background.to(self.views.poses.device))
        return shown

    def truth(self, frame: int) -> Tensor:
        """Return the image (H, W, 3) of a frame on the scene's own background."""
        return on(self.images[frame], self.own_background).to(self.views.poses.device)


def refuse_spacing(scene: Any, ndc: bool, inverse: bool | None) -> None:
    """Raise ``UserError`` where samples spaced evenly in depth, or in its ``inverse``, do not suit a scene.

    None of a model that spaces them otherwise.
    """
    if scene.near is None and not ndc and inverse is False:
        raise UserError(
            f"{scene.name} does not say how near and far things are, and samples evenly spaced in depth would miss "
            "them; type model.inverse=true, or take experiment=nerf_fast"
        )
    if inverse and (ndc or (scene.near is not None and np.min(scene.near) <= 0)):
        raise UserError(
            f"{scene.name}: its rays begin at 0, where samples evenly spaced in inverse depth have no place; type "
            "model.inverse=false"
        )


def on(pixels: Tensor, background: Tensor) -> Tensor:
    """Return ``pixels`` (..., 3 or 4) uint8 in [0, 1] (..., 3), those with an alpha channel on a ``background``."""
    values = pixels.float() / 255
    if values.shape[-1] == 3:
        return values
    alpha = values[..., 3:]
    return values[..., :3] * alpha + background.to(values.device) * (1 - alpha)
