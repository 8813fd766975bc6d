"""A field knows the scene that it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from transferbench.errors import UserError
from transferbench.models.placing import Placed
from transferbench.nerf.cameras import look_at
from transferbench.nerf.placement import signature


def ring(count: int = 6, height: float = 0.8, turned: float = 0.0) -> NDArray[np.float64]:
    angles = np.linspace(0, np.pi, count) + turned
    return np.stack([look_at((3 * np.cos(a), 3 * np.sin(a), height), (0, 0, 0)) for a in angles])


def met(model: Placed, poses: NDArray[np.float64], projected: bool = False) -> None:
    model.recognise(torch.as_tensor(signature(poses, 0.5, projected), dtype=torch.float32), "made")


def test_the_same_cameras_are_recognised_after_loading() -> None:
    first, second = Placed(), Placed()
    met(first, ring())
    second.load_state_dict(first.state_dict())
    met(second, ring())
    near = ring()
    near[:, :3, 3] *= 1 + 1e-6  # as another machine's linear algebra might have it
    met(second, near)


@pytest.mark.parametrize(
    "other", [ring(5), ring(height=1.2), ring(turned=0.3)], ids=["fewer", "higher", "from another side"]
)
def test_other_cameras_are_another_scene(other: NDArray[np.float64]) -> None:
    model = Placed()
    met(model, ring())
    with pytest.raises(UserError, match=r"made: this field was fitted to another scene.*data\.root"):
        met(model, other)
    met(model, ring())


def test_other_coordinates_are_refused() -> None:
    model = Placed()
    met(model, ring())
    with pytest.raises(UserError, match=r"read in another way.*task\.ndc"):
        met(model, ring(), projected=True)


def test_cameras_that_all_stand_in_one_place_have_a_signature() -> None:
    poses = np.repeat(np.eye(4)[None], 3, 0)
    assert np.isfinite(signature(poses)).all() and signature(poses).any()


def test_other_units_are_refused() -> None:
    model, twice = Placed(), ring()
    met(model, ring())
    twice[:, :3, 3] *= 2
    with pytest.raises(UserError, match="read in another way"):
        met(model, twice)
