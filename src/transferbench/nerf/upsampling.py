"""From a coarse grid of features to one feature a pixel.

Cell (i, j) of a grid (C, h, w) covers the pixels from row i H / h to row (i + 1) H / h of an image (H, W).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_NUMBERS = 1 << 24  # how many floats a chunk of rows may hold: 64 MB


def bilinear(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the grid (C, h, w) at ``size`` (H, W), interpolated between the middles of cells and level beyond them."""
    return F.interpolate(grid[None], size, mode="bilinear", align_corners=False)[0]


def nearest(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the grid (C, h, w) at ``size`` (H, W): row i takes row floor(i h / H), so that unit vectors stay so."""
    rows = _sources(grid.shape[1], size[0], grid.device)
    columns = _sources(grid.shape[2], size[1], grid.device)
    return grid[:, rows[:, None], columns]


def joint_bilateral(
    grid: Tensor, guide: Tensor, radius: int = 2, sigma_space: float = 1.0, sigma_colour: float = 0.1
) -> Tensor:
    """Return the grid (C, h, w) at the size of the image ``guide`` (3, H, W), its edges following those of the image.

    Every pixel averages the cells within ``radius`` cells of its own, in rows and in columns. A cell's weight falls
    with the distance of its middle from the pixel (``sigma_space``, in cells) and with the distance of its mean colour
    from the pixel's (``sigma_colour``, in the units of the guide), both as a Gaussian's (Kopf et al., SIGGRAPH 2007).
    Averages are shorter than what they average: scale unit features again. Raises ValueError for a radius below 0 or a
    sigma that is not positive.
    """
    if radius < 0 or sigma_space <= 0 or sigma_colour <= 0:
        raise ValueError(
            f"radius {radius}, sigma_space {sigma_space}, sigma_colour {sigma_colour}: expected a radius of at least 0 "
            "and positive sigmas"
        )
    height, width = guide.shape[1:]
    colours = F.adaptive_avg_pool2d(guide[None], (grid.shape[1], grid.shape[2]))[0]  # (3, h, w): means over the cells
    offsets = torch.arange(-radius, radius + 1, device=grid.device)
    step = max(1, _NUMBERS // (width * (grid.shape[0] + 8 * len(offsets) ** 2)))
    rows = torch.arange(height, device=grid.device)
    parts = [
        _rows_of_bilateral(grid, guide, colours, rows[start : start + step], offsets, (sigma_space, sigma_colour))
        for start in range(0, height, step)
    ]
    return torch.cat(parts, dim=1)


def _rows_of_bilateral(
    grid: Tensor, guide: Tensor, colours: Tensor, rows: Tensor, offsets: Tensor, sigmas: tuple[float, float]
) -> Tensor:
    """Return (C, len(rows), W): the given pixel ``rows`` of ``joint_bilateral``; a window has K by K cells."""
    (channels, h, w), (height, width) = grid.shape, guide.shape[1:]
    columns = torch.arange(width, device=grid.device)
    i = (rows * h // height)[:, None] + offsets  # (rows, K) rows of cells
    j = (columns * w // width)[:, None] + offsets  # (W, K) columns of cells
    down = (i - ((rows + 0.5) * (h / height) - 0.5)[:, None]).square().masked_fill((i < 0) | (i >= h), torch.inf)
    right = (j - ((columns + 0.5) * (w / width) - 0.5)[:, None]).square().masked_fill((j < 0) | (j >= w), torch.inf)
    apart = (down[:, None, :, None] + right[None, :, None, :]).flatten(2)  # (rows, W, K * K), in cells
    cells = (i.clamp(0, h - 1)[:, None, :, None] * w + j.clamp(0, w - 1)[None, :, None, :]).flatten(2)
    unlike = sum((of[cells] - own[..., None]).square() for of, own in zip(colours.flatten(1), guide[:, rows]))
    # a softmax of the exponents: a small sigma never makes all weights vanish
    weights = (-apart / (2 * sigmas[0] ** 2) - unlike / (2 * sigmas[1] ** 2)).softmax(-1)
    table = grid.flatten(1).T.contiguous()  # (h * w, C)
    summed = F.embedding_bag(
        cells.flatten(0, 1), table, mode="sum", per_sample_weights=weights.flatten(0, 1).to(table.dtype)
    )
    return summed.T.reshape(channels, len(rows), width)


def _sources(coarse: int, fine: int, device: torch.device) -> Tensor:
    return torch.arange(fine, device=device) * coarse // fine
