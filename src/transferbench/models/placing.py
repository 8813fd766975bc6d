"""What every model of a scene knows of the place: where it is, and whose cameras saw it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferbench.errors import UserError


class Placed(nn.Module):
    """A scene's model, which stands in checkpoints with the place that it was fitted to.

    Attributes:
        centre: (3,) of the scene's box.
        reach: half the longest side of the box.
        cameras: (C,) ``nerf.placement.signature`` of the cameras; zeros before any were met.
    """

    centre: Tensor
    reach: Tensor
    cameras: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("reach", torch.ones(()))
        self.register_buffer("cameras", torch.zeros(11))

    @torch.no_grad()
    def recognise(self, cameras: Tensor, name: str) -> None:
        """Keep the signature of the ``cameras`` of the scene ``name``, or compare it with that of an earlier fit.

        Raises:
            UserError: this model was fitted to what other cameras saw.
        """
        if bool(self.cameras.any()) and not torch.allclose(self.cameras, cameras.to(self.cameras), 1e-3, 1e-3):
            raise UserError(
                f"{name}: this field was fitted to another scene, or to this one read in another way; name the scene "
                "that it was fitted to (data.scene_seed, data.concepts, data.root, data.thin, task.pixel_centre, "
                "task.ndc), or a run on this one (needs.base, needs.model)"
            )
        self.cameras.copy_(cameras)
