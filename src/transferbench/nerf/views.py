"""The rays of a scene's pixels, looked up: directions through the lens stand once a camera, not once a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transferbench.nerf.bundle import Rays
from transferbench.nerf.lens import pixel_directions
from transferbench.nerf.rays import to_ndc


class Views(nn.Module):
    """Cameras of N frames of height H and width W.

    Args:
        poses: (N, 4, 4) camera-to-world, OpenGL's axes.
        intrinsics: (N, 4) fx, fy, cx, cy in pixels, pixel centres at +0.5.
        distortion: (N, 6) k1, k2, k3, k4, p1, p2.
        size: (H, W).
        near: (N,) ray parameters, in depths along the viewing axis; a single number for all.
        far: likewise.
        fisheye: whether the distortion is that of a fisheye lens.
        times: (N,) frame numbers, None for a scene that stands still.
        pixel_centre: where in a pixel its ray goes through; the NeRF code's is 0.
        ndc: project the rays into normalised device coordinates, as NeRF does with forward-facing scenes; rays then
            begin at 0 and end at 1.
    """

    poses: Tensor
    table: Tensor
    camera: Tensor
    times: Tensor
    near: Tensor
    far: Tensor
    focal: Tensor

    def __init__(
        self,
        poses: Any,
        intrinsics: Any,
        distortion: Any,
        size: tuple[int, int],
        near: Any,
        far: Any,
        fisheye: bool = False,
        times: Any = None,
        pixel_centre: float = 0.5,
        ndc: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.ndc = size, ndc
        kinds, camera = np.unique(np.concatenate([intrinsics, distortion], 1), axis=0, return_inverse=True)
        rows, columns = np.meshgrid(*(np.arange(side) + pixel_centre for side in size), indexing="ij")
        table = np.stack([pixel_directions(columns, rows, kind[:4], kind[4:], fisheye) for kind in kinds])
        self._keep("poses", poses)
        self._keep("table", table)
        self._keep("near", np.broadcast_to(near, len(poses)))
        self._keep("far", np.broadcast_to(far, len(poses)))
        self._keep("focal", np.asarray(intrinsics)[:, :2])
        numbers = np.zeros(len(poses)) if times is None else times
        for name, values in (("camera", camera.reshape(-1)), ("times", numbers)):
            self.register_buffer(name, torch.tensor(np.asarray(values, np.int64)), persistent=False)

    def _keep(self, name: str, values: Any) -> None:
        self.register_buffer(name, torch.tensor(np.array(values), dtype=torch.float32), persistent=False)

    def rays(self, frames: Tensor, rows: Tensor, columns: Tensor) -> Rays:
        """Return the rays of pixels (R,)."""
        local = self.table[self.camera[frames], rows, columns]
        poses = self.poses[frames]
        directions = (poses[:, :3, :3] @ local[..., None])[..., 0]
        origins, views = poses[:, :3, 3], directions / directions.norm(dim=1, keepdim=True)
        near, far = self.near[frames], self.far[frames]
        if self.ndc:
            focal = self.focal[frames]
            origins, directions = to_ndc(origins, directions, self.size[0], self.size[1], focal[:, 0], focal[:, 1])
            near, far = torch.zeros_like(near), torch.ones_like(far)
        return Rays(origins, directions, near, far, views, frames, self.times[frames], local)

    def whole(self, frame: int) -> Rays:
        """Return the rays of all pixels of a frame, row after row."""
        device = self.poses.device
        rows, columns = torch.meshgrid(*(torch.arange(side, device=device) for side in self.size), indexing="ij")
        return self.rays(torch.full((rows.numel(),), frame, device=device), rows.flatten(), columns.flatten())
