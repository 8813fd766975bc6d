"""What every reader ends in: poses, bounds and lenses are checked, images read, and a Scene put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from transferbench.data.scenes.calibration import Calibration, check_lens
from transferbench.data.scenes.gallery import Gallery
from transferbench.data.scenes.poses import check_bounds, check_poses
from transferbench.data.scenes.reading import frame_names
from transferbench.data.scenes.scene import Floats, Scene
from transferbench.data.scenes.sizing import Sizing
from transferbench.data.scenes.splits import Split, train_needed
from transferbench.errors import UserError


class Draft:
    """A scene whose poses are sound and whose images are measured, but not yet read.

    Attributes:
        names: of the frames.
        gallery: the images; cameras are for its ``original`` size, and masks are read by it.

    Args:
        root: the scene's folder.
        source: the file that lists the frames, for errors.
        files: the images, one a frame.
        poses: (N, 4, 4).
        split: of the frames.
        sizing: of the images.

    Raises:
        UserError: fewer than two frames, two of one name, none to fit, a pose that is no rotation and position, an
            image that cannot be opened or has another size.
    """

    def __init__(
        self, root: Path, source: Path, files: Sequence[Path], poses: Floats, split: Split, sizing: Sizing
    ) -> None:
        self.name, self.source, self.poses = root.name, source, poses
        self.names = frame_names(root, source, files)
        self.split = train_needed(split, source)
        check_poses(source, self.names, poses)
        self.gallery = Gallery(files, sizing)

    def finished(self, cameras: Sequence[Calibration], bounds: ArrayLike | None = None) -> Scene:
        """Read the images and return the scene, its box, masks and the like still to be filled in.

        Args:
            cameras: one a frame, for images of the size as stored.
            bounds: near and far, (2,) of all frames or (N, 2) of each; None where the format does not say.

        Raises:
            UserError: near is not before far, the lenses are of two kinds or cannot be inverted all over the images, or
                an image cannot be decoded.
        """
        ends = None if bounds is None else np.array(np.broadcast_to(bounds, (len(cameras), 2)), float)
        if ends is not None:
            check_bounds(self.source, self.names, ends[:, 0], ends[:, 1])
        if len({camera.fisheye for camera in cameras}) > 1:
            raise UserError(f"{self.source}: some frames have a fisheye and others have not; read them as two scenes.")
        intrinsics = np.array([camera.intrinsics for camera in cameras])
        distortion, fisheye = np.array([camera.distortion for camera in cameras]), cameras[0].fisheye
        check_lens(self.source, self.names, intrinsics, distortion, fisheye, self.gallery.original)
        images = self.gallery.images()
        return Scene(
            name=self.name,
            names=self.names,
            images=images,
            poses=self.poses,
            intrinsics=self.gallery.scaled(intrinsics),
            distortion=distortion,
            fisheye=fisheye,
            near=None if ends is None else ends[:, 0],
            far=None if ends is None else ends[:, 1],
            background="white" if images.shape[-1] == 4 else None,
            **self.split._asdict(),
        )
