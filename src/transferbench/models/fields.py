"""What a field is: density, colour and features of points, and how a branch of features joins one (N3F)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.nerf.editing import distance, erased, selected


class FieldValues(NamedTuple):
    """What a field says of N points: ``density`` (N,) per unit of length, ``colour`` (N, 3) in [0, 1].

    ``features`` (N, C) are there where the field has a branch for them; ``latent`` (N, L) are activations that such a
    branch may read.
    """

    density: Tensor
    colour: Tensor
    features: Tensor | None = None
    latent: Tensor | None = None


class OwnField(nn.Module):
    """Any callable of points (..., 3) and unit directions (..., 3) that returns density (...) and colour (..., 3).

    A module's parameters are fitted with it.
    """

    latent = 0
    """It has no activations that a branch could read; one that reads points alone can join it (``GridBranch``)."""
    view_dependent = False

    def __init__(self, function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.function = function

    def forward(self, points: Tensor, directions: Tensor, noise: float = 0.0) -> FieldValues:
        """Return what is at ``points``; ``noise`` is for fields that know their raw density."""
        return FieldValues(*self.function(points, directions))

    def density(self, points: Tensor, directions: Tensor) -> Tensor:
        """Return the density (...)."""
        return self.function(points, directions)[0]


class Branch(nn.Module):
    """Raw features from a field's activations: one linear layer, behind another one where ``between`` says how wide.

    N3F's released form reads the layer that knows the viewing direction (``view_dependent`` of ``with_features``); its
    other form puts a linear layer of half the width between (arXiv:2209.03494).
    """

    def __init__(self, latent: int, channels: int, between: int = 0) -> None:
        super().__init__()
        if latent < 1:
            raise UserError("model.branch: this field has no activations for a branch to read; choose model=n3f")
        layers = (
            [nn.Linear(latent, between), nn.Linear(between, channels)] if between else [nn.Linear(latent, channels)]
        )
        self.layers = nn.Sequential(*layers)
        self.channels = channels

    def forward(self, points: Tensor, latent: Tensor) -> Tensor:
        """Return raw features (N, channels)."""
        found: Tensor = self.layers(latent)
        return found


class GridBranch(nn.Module):
    """Raw features from a grid of their own and a small network: smooth, and the same from every side.

    It reads points in [0, 1]: a model that has them so is ``models.marched.Marched``.

    Args:
        latent: not read.
        channels: of the features.
        grid: features of a point (``models.hash_grid.HashGrid``), coarse enough to be smooth.
        width: of the hidden layer.
    """

    unit_cube = True

    def __init__(self, latent: int, channels: int, grid: Callable[[], Any], width: int = 64) -> None:
        super().__init__()
        self.grid = grid()
        self.channels = channels
        self.net = nn.Sequential(nn.Linear(self.grid.width, width), nn.ReLU(), nn.Linear(width, channels))

    def forward(self, points: Tensor, latent: Tensor) -> Tensor:
        """Return raw features (N, channels) of ``points`` (N, 3)."""
        flat: Tensor = self.net(self.grid(points.reshape(-1, 3)))
        return flat.view(*points.shape[:-1], self.channels)


class Edit(NamedTuple):
    """What is taken out of a field: what is nearer to a unit ``query`` (C,) than ``threshold``, or all but that.

    Distances are those of unit vectors, in [0, 2]. ``mode`` is remove or extract; ``squash`` takes the hyperbolic
    tangent of raw features first, as rendering does and N3F's editing does not.
    """

    query: Tensor
    threshold: float
    mode: Literal["remove", "extract"] = "remove"
    squash: bool = True

    def gone(self, raw: Tensor) -> Tensor:
        """Return which of the ``raw`` features (..., C) are taken out (...)."""
        features = torch.tanh(raw) if self.squash else raw
        return selected(distance(features, self.query), self.threshold, self.mode)


class FeaturedField(nn.Module):
    """A ``field`` with a ``branch`` of features, of which an ``edit`` takes something out.

    The field gets no gradient at all while it is ``held``, and none from the features where they are ``apart``.
    """

    edit: Edit | None = None
    least = 1e-2
    """Density below which no edit looks at features, the point being empty anyway."""

    def __init__(self, field: Any, branch: nn.Module) -> None:
        super().__init__()
        self.field, self.branch = field, branch
        self.held, self.apart = False, False

    def forward(self, points: Tensor, *where: Any, **named: Any) -> Any:
        """Return what the field says of ``points`` (..., 3) and all else that it is asked with, raw features included.

        A field of several streams says it of each: densities (..., K), features (..., K, C).
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.held):
            values = self.field(points, *where, **named)
        latent = values.latent.detach() if self.apart and values.latent is not None else values.latent
        raw: Tensor = self.branch(points, latent)
        density = values.density if self.edit is None else erased(values.density, self.edit.gone(raw))
        return values._replace(density=density, features=raw)

    def density(self, points: Tensor, directions: Tensor) -> Tensor:
        """Return the density (N,) at ``points`` (N, 3), without what an edit has taken out."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.held):
            found: Tensor = self.field.density(points, directions)
        full = found > self.least
        if self.edit is not None and bool(full.any()):
            found = found.clone()
            found[full] = self(points[full], directions[full]).density
        return found


def with_features(base: Any, branch: Callable[..., nn.Module], view_dependent: bool = False) -> Any:
    """Return a scene's model ``base``, each field of which has a branch of features of its own.

    Args:
        base: a model whose ``featured`` names its fields (``Hierarchical``, ``Marched``, ``NeuralDiff``).
        branch: makes a branch, called with the width of the activations that it reads; one for each of the
            ``streams`` that a field may have.
        view_dependent: read activations that know the viewing direction, as N3F was released; features then differ
            from side to side.

    Raises:
        UserError: the model has no such fields, or the branch is not for what they hand it.
    """
    if not getattr(base, "featured", ()):
        raise UserError(f"model.base: {type(base).__name__} has no fields that could get features; see model=nerf_fast")
    for name in base.featured:
        field = getattr(base, name)
        field.view_dependent = view_dependent
        made = branch(field.latent)
        if (wanted := getattr(field, "streams", 1)) != (found := getattr(made, "streams", 1)):
            wants = "a moving scene: choose model=neuraldiff_n3f" if wanted > 1 else "one that stands still: model=n3f"
            raise UserError(
                f"model.branch: found {type(made).__name__}, with features of {found} streams, on a field of {wants}"
            )
        if getattr(made, "unit_cube", False) and not getattr(base, "unit_cube", False):
            raise UserError(
                f"model.branch: a grid wants points in [0, 1], and {type(base).__name__} has them as they are; choose "
                "model=n3f_nerf, or name a run of +experiment=nerf_fast as needs.base"
            )
        setattr(base, name, FeaturedField(field, made))
    return base
