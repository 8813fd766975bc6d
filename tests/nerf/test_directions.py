"""Spherical harmonics: orthonormal, of the right parity, and scipy's."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import sph_harm_y

from transferbench.nerf.directions import harmonics


def sphere(count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Directions (N, 3) and weights (N,) of a quadrature that is exact for polynomials of low degree."""
    z, share = np.polynomial.legendre.leggauss(count)
    angle = 2 * np.pi * np.arange(2 * count) / (2 * count)
    ring = np.sqrt(1 - z**2)
    points = np.stack(
        [ring[:, None] * np.cos(angle), ring[:, None] * np.sin(angle), np.broadcast_to(z[:, None], (count, 2 * count))],
        -1,
    )
    return torch.from_numpy(points.reshape(-1, 3)), torch.from_numpy(share).repeat_interleave(2 * count) * np.pi / count


def test_they_are_orthonormal() -> None:
    points, share = sphere()
    values = harmonics(points)
    gram = values.T @ (share[:, None] * values)
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-12)


def test_degrees_stand_in_their_order() -> None:
    points, _ = sphere(5)
    values, opposite = harmonics(points), harmonics(-points)
    for degree in range(4):
        part = slice(degree**2, (degree + 1) ** 2)
        torch.testing.assert_close(opposite[:, part], (-1) ** degree * values[:, part])
    theta, phi = np.arccos(points[:, 2].numpy()), np.arctan2(points[:, 1].numpy(), points[:, 0].numpy())
    for degree in range(4):  # each degree spans what scipy's does: their kernels are equal
        ours = values[:, degree**2 : (degree + 1) ** 2].numpy()
        theirs = np.stack([sph_harm_y(degree, order, theta, phi) for order in range(-degree, degree + 1)], -1)
        np.testing.assert_allclose(ours @ ours.T, (theirs @ theirs.conj().T).real, atol=1e-12)
        assert np.abs(np.abs(ours[:, degree]) - np.abs(theirs[:, degree].real)).max() < 1e-12  # order 0


def test_any_shape_and_type() -> None:
    assert harmonics(torch.zeros(2, 5, 3)).shape == (2, 5, 16)
    assert harmonics(torch.zeros(4, 3, dtype=torch.float64)).dtype == torch.float64
