"""What the networks of a field are given in place of bare coordinates: sines and cosines of growing frequency."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

POSITION_FREQUENCIES = 10
"""For positions and for the time code (NeRF, arXiv:2003.08934, section 5.1; NeuralDiff)."""

DIRECTION_FREQUENCIES = 4
"""For viewing directions (NeRF, section 5.1)."""


def frequencies(
    x: Tensor,
    count: int,
    pi: bool = False,
    identity: bool = True,
    order: Literal["interleaved", "grouped"] = "interleaved",
) -> Tensor:
    """Return ``x`` (..., C), its sines and its cosines at the frequencies 1, 2, 4, ..., 2^(count - 1).

    The result is (..., C * (identity + 2 * count)). The paper multiplies the frequencies by pi and leaves ``x`` itself
    out; the code that its authors and all others ran does neither, hence the defaults (arXiv:2003.08934, section 5.1).
    ``order="interleaved"`` gives x, sin x, cos x, sin 2x, cos 2x, ..., each C wide; ``"grouped"`` gives x, the sines
    of all frequencies, then the cosines. Raises ValueError for another order.
    """
    if order not in ("interleaved", "grouped"):
        raise ValueError(f"order={order!r}: expected 'interleaved' or 'grouped'")
    # powers of two are exact, so each argument is rounded once, and a cosine is no shifted sine: at 512 x the shift
    # alone would cost five decimals
    scales = 2.0 ** torch.arange(count, device=x.device, dtype=x.dtype) * (math.pi if pi else 1.0)
    angles = x[..., None, :] * scales[:, None]
    waves = torch.stack([angles.sin(), angles.cos()], dim=-2 if order == "interleaved" else -3).flatten(-3)
    return torch.cat([x, waves], dim=-1) if identity else waves


def time_code_input(index: Tensor, vocabulary: int) -> Tensor:
    """Return (..., 21) the encoding of frame numbers ``index`` (...), which a learned (21, 17) matrix turns into codes.

    Frame 0 is -1 and frame ``vocabulary - 1`` is +1 (NeuralDiff, arXiv:2110.09936; its vocabulary holds 1000 frames).
    """
    time = index.to(torch.float32) * (2.0 / max(vocabulary - 1, 1)) - 1.0
    return frequencies(time[..., None], POSITION_FREQUENCIES)
