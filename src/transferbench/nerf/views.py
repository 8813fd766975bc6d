"""The rays of a scene's pixels: worked out for pinholes, looked up where a lens bends them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transferbench.nerf.bundle import Rays
from transferbench.nerf.lens import pixel_directions
from transferbench.nerf.rays import camera_directions, to_ndc, world_rays


class Views(nn.Module):
    """Cameras of N frames of height H and width W.

    Nothing of them stands in a checkpoint. Where a lens bends, what it shows in each pixel is solved for once a camera,
    and kept in 8 bytes a pixel beside the buffers, for those are sent to all devices at each step.

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
    intrinsics: Tensor
    camera: Tensor
    times: Tensor
    near: Tensor
    far: Tensor
    bent: Tensor | None

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
        self.size, self.pixel_centre, self.ndc = size, pixel_centre, ndc
        kinds, camera = np.unique(np.concatenate([intrinsics, distortion], 1), axis=0, return_inverse=True)
        self.bent = self._solved(kinds, fisheye) if fisheye or np.any(distortion) else None
        self._keep("poses", poses)
        self._keep("intrinsics", intrinsics)
        self._keep("near", np.broadcast_to(near, len(poses)))
        self._keep("far", np.broadcast_to(far, len(poses)))
        numbers = np.zeros(len(poses)) if times is None else times
        for name, values in (("camera", camera.reshape(-1)), ("times", numbers)):
            self.register_buffer(name, torch.tensor(np.asarray(values, np.int64)), persistent=False)

    def _keep(self, name: str, values: Any) -> None:
        self.register_buffer(name, torch.tensor(np.array(values), dtype=torch.float32), persistent=False)

    def _solved(self, kinds: Any, fisheye: bool) -> Tensor:
        """Return x and y (C, H, W, 2) of the directions that the pixels of the cameras ``kinds`` (C, 10) show."""
        found = torch.empty(len(kinds), *self.size, 2)
        rows, columns = np.meshgrid(*(np.arange(side) + self.pixel_centre for side in self.size), indexing="ij")
        for own, kind in zip(found, kinds):  # one after the other: solving takes twenty times the memory of the result
            own.copy_(torch.from_numpy(pixel_directions(columns, rows, kind[:4], kind[4:], fisheye)[..., :2]))
        return found

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move or convert what is no buffer along with what is."""
        if self.bent is not None:
            self.bent = fn(self.bent)
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    @property
    def focal(self) -> Tensor:
        """Focal lengths fx and fy (N, 2) in pixels."""
        return self.intrinsics[:, :2]

    def ahead(self) -> bool:
        """Tell whether all cameras' corners look towards -z, as normalised device coordinates want it of all rays."""
        height, width = self.size
        rows, columns = torch.tensor([[0, 0, height - 1, height - 1], [0, width - 1, 0, width - 1]])
        corners = self.local(torch.arange(len(self.poses))[:, None], rows, columns)  # (N, 4, 3)
        return bool(((self.poses[:, None, 2, :3] * corners).sum(-1) < 0).all())

    def reached(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lowest and the highest coordinates (3,) of projected rays.

        A camera that is off the middle sees beyond the cube [-1, 1] that one at the origin has.
        """
        height, width = self.size
        rows, columns = torch.tensor([[0, 0, height - 1, height - 1], [0, width - 1, 0, width - 1]])
        frames = torch.arange(len(self.poses)).repeat_interleave(4)
        rays = self.rays(frames, rows.repeat(len(self.poses)), columns.repeat(len(self.poses)))
        ends = torch.cat([rays.origins, rays.origins + rays.directions]).double().numpy()
        return np.minimum(ends.min(0), -1.0), np.maximum(ends.max(0), 1.0)

    def local(self, frames: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the directions (..., 3) of pixels (...), which broadcast, in the camera's axes, with z = -1."""
        if self.bent is None:
            return camera_directions(columns, rows, self.intrinsics[frames], self.pixel_centre)
        x, y = self.bent[self.camera[frames], rows, columns].unbind(-1)
        return torch.stack([x, y, -torch.ones_like(x)], -1)

    def rays(self, frames: Tensor, rows: Tensor, columns: Tensor) -> Rays:
        """Return the rays of pixels (R,)."""
        local = self.local(frames, rows, columns)
        told = (self.poses, self.near, self.far, self.times)
        poses, near, far, times = (one.index_select(0, frames) for one in told)  # five times as fast as [frames]
        origins, directions = world_rays(poses, local)
        views = directions / directions.norm(dim=1, keepdim=True)
        if self.ndc:
            focal = self.focal[frames]
            origins, directions = to_ndc(origins, directions, self.size[0], self.size[1], focal[:, 0], focal[:, 1])
            near, far = torch.zeros_like(near), torch.ones_like(far)
        return Rays(origins, directions, near, far, views, frames, times, local)

    def whole(self, frame: int) -> Rays:
        """Return the rays of all pixels of a frame, row after row."""
        device = self.poses.device
        rows, columns = torch.meshgrid(*(torch.arange(side, device=device) for side in self.size), indexing="ij")
        return self.rays(torch.full((rows.numel(),), frame, device=device), rows.flatten(), columns.flatten())
