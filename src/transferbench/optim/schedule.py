"""Learning rates: linear scaling with the batch, linear warm-up and half-cosine decay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError


def scaled_lr(base: float, images_per_step: int, reference: int = 256) -> float:
    """Return ``base`` scaled to a step over ``images_per_step`` images, linearly (Goyal et al. 2017)."""
    return base * images_per_step / reference


def warmup_cosine(peak: float, floor: float, steps: int, warmup_steps: int) -> NDArray[np.float64]:
    """Return the learning rate of each of ``steps`` optimiser steps, as ``(steps,)``.

    It rises linearly from 0 to ``peak`` over ``warmup_steps``, both included, then falls along half a cosine from
    ``peak`` (which thus stands twice in a row) towards ``floor``, which the step after the last would reach.

    Raises:
        UserError: if the warm-up is longer than the run.
    """
    if not 0 <= warmup_steps <= steps:
        raise UserError(f"a warm-up of {warmup_steps} steps in a run of {steps}: shorten the warm-up or train longer")
    rise = np.linspace(0.0, peak, warmup_steps)
    position = np.arange(steps - warmup_steps) / max(steps - warmup_steps, 1)
    fall = floor + 0.5 * (peak - floor) * (1 + np.cos(np.pi * position))
    return np.concatenate([rise, fall])


def warmup_cosine_squared(steps: int, warmup_steps: int) -> NDArray[np.float64]:
    """Return the factor of the learning rate at each of ``steps`` optimiser steps, as ``(steps,)`` (VirTex).

    It rises linearly from 0, which the first step has, to 1 at step ``warmup_steps``, then falls as the square of a
    quarter cosine towards 0, which the step after the last would reach.

    Raises:
        UserError: if the warm-up is longer than the run.
    """
    if not 0 <= warmup_steps <= steps:
        raise UserError(f"a warm-up of {warmup_steps} steps in a run of {steps}: shorten the warm-up or train longer")
    step = np.arange(steps)
    position = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return np.where(step < warmup_steps, step / max(warmup_steps, 1), np.cos(0.5 * np.pi * position) ** 2)
