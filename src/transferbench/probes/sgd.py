"""Logistic regression by SGD, for training sets that L-BFGS does not manage.

The recipe of ImageNet-CoG (Sariyildiz et al., arXiv:2012.05649) and of t-ReX's large sets (arXiv:2206.15369).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transferbench.errors import RunFailed, UserError
from transferbench.probes.bank import Bank, FeatureRows
from transferbench.probes.linear_heads import Heads
from transferbench.probes.scaling import Norm, Standard
from transferbench.probes.search import Search, Values, tpe_batched
from transferbench.probes.splits import Short, tuning_parts

log = logging.getLogger(__name__)

SPACE: Mapping[str, tuple[float, float]] = {"lr": (1e-1, 1e2), "weight_decay": (1e-12, 1e-4)}
"""Where the published search looks, uniformly in the logarithm."""


@dataclass(frozen=True)
class Recipe:
    """How one linear classifier is trained; the defaults are the published ones."""

    epochs: int = 100
    batch_size: int = 1024
    """Clipped to the size of the training set; the last batch of an epoch holds what is left over."""
    momentum: float = 0.9
    norm: Norm = "l2"
    lag: bool = True
    """Let the cosine lag by one epoch (``multipliers``)."""


PUBLISHED = Recipe()


def multipliers(epochs: int, *, lag: bool = True) -> list[float]:
    """Return the factor of the learning rate in each epoch: half a cosine from 1 towards 0.

    The published classifiers set the rate after an epoch by the index of the one just finished, so that epochs 0 and 1
    both run at the full rate and the last of 100 at 0.000987 of it. That is the default, because the reported
    accuracies rest on it; without ``lag`` each epoch has the factor of its own index.
    """
    return [(1 + math.cos(math.pi * max(epoch - lag, 0) / epochs)) / 2 for epoch in range(epochs)]


@dataclass(frozen=True)
class SGDProbe:
    """A fitted linear classifier, with all that is done to features before it sees them."""

    weight: Tensor
    """(C, D), on the CPU."""
    bias: Tensor
    """(C,)"""
    classes: NDArray[np.int64]
    """(C,) the label that each row of ``weight`` answers, ascending."""
    norm: Norm
    scale: Standard | None
    """The training features' mean and deviation; None unless ``norm`` is ``standard``."""
    lr: float
    weight_decay: float
    search: Search | None = None
    """The trials that chose ``lr`` and ``weight_decay``; None when they were given."""

    def scores(self, x: FeatureRows, device: str | torch.device = "cpu") -> NDArray[np.float32]:
        """Return the logits (M, C) of ``x`` (M, D), columns as in ``classes``."""
        return np.concatenate([logits.cpu().numpy() for logits in self._logits(x, device)])

    def predict(self, x: FeatureRows, device: str | torch.device = "cpu") -> NDArray[np.int64]:
        """Return the label (M,) of each row of ``x`` (M, D); the logits are never held all at once."""
        best = [logits.argmax(dim=1).cpu().numpy() for logits in self._logits(x, device)]
        return np.asarray(self.classes[np.concatenate(best)])

    def _logits(self, x: FeatureRows, device: str | torch.device) -> Iterator[Tensor]:
        bank = Bank(x, unit=self.norm == "l2", device=device, room=0)
        scale = _Scaler(self.scale, bank.device)
        weight, bias = self.weight.to(bank.device), self.bias.to(bank.device)
        for rows, _ in bank.in_order(torch.arange(bank.count)):
            yield torch.addmm(bias, scale(rows), weight.T)


class _Scaler:
    """``Standard`` on a device; without one, what leaves rows as they are."""

    def __init__(self, standard: Standard | None, device: torch.device) -> None:
        self.on = standard is not None
        if standard is not None:
            self.mean, self.std = (torch.from_numpy(v).to(device) for v in (standard.mean, standard.std))

    def __call__(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) / self.std if self.on else rows


@dataclass(frozen=True)
class _Problem:
    """Features and their class indices (N,), both on one device."""

    bank: Bank
    labels: Tensor
    classes: int
    recipe: Recipe
    seed: int

    @torch.no_grad()
    def fit(self, positions: Tensor, points: Sequence[Values]) -> tuple[Heads, Standard | None]:
        """Return one classifier for each of ``points``, trained on the rows ``positions``.

        Start and batches follow from the seed alone: they are the same for every point.
        """
        recipe, generator = self.recipe, torch.Generator().manual_seed(self.seed)
        standard = self.bank.moments(positions) if recipe.norm == "standard" else None
        scale = _Scaler(standard, self.bank.device)
        heads = Heads(points, self.classes, self.bank.width, generator, self.bank.device)
        batch = min(recipe.batch_size, len(positions))
        for factor in multipliers(recipe.epochs, lag=recipe.lag):
            for rows, where in self.bank.shuffled(positions, batch, generator):
                heads.step(scale(rows), self.labels[where], factor, recipe.momentum)
            if not heads.sound().any():
                break
        return heads, standard

    @torch.no_grad()
    def accuracies(self, fitted: Tensor, held: Tensor, points: Sequence[Values]) -> list[float]:
        """Return top-1 on the rows ``held`` of a classifier trained on ``fitted``, for each of ``points``.

        The accuracy is the one after the last epoch; NaN for a training that diverged.
        """
        heads, standard = self.fit(fitted, points)
        scale = _Scaler(standard, self.bank.device)
        hits = torch.zeros(len(points), dtype=torch.int64, device=self.bank.device)
        for rows, where in self.bank.in_order(held):
            hits += (heads.logits(scale(rows)).argmax(dim=2) == self.labels[where][:, None]).sum(dim=0)
        counted = zip(hits.tolist(), heads.sound().tolist())
        return [hit / len(held) if sound else math.nan for hit, sound in counted]

    def probe(self, positions: Tensor, point: Values, classes: NDArray[np.int64], search: Search | None) -> SGDProbe:
        """Return the classifier of ``point`` trained on the rows ``positions``; raise ``RunFailed`` if it diverged."""
        heads, standard = self.fit(positions, [point])
        lr, decay = point["lr"], point["weight_decay"]
        if not heads.sound().all():
            raise RunFailed(
                f"the linear classifier with lr {lr:.3g} and weight decay {decay:.3g} diverged: its weights are not "
                "finite; a smaller learning rate may help"
            )
        weight, bias = heads.weight[0].cpu(), heads.bias[0].cpu()
        return SGDProbe(weight, bias, classes, self.recipe.norm, standard, lr, decay, search)


def _problem(
    x: FeatureRows,
    y: NDArray[np.int64],
    keep: NDArray[np.int64] | None,
    recipe: Recipe,
    seed: int,
    device: str | torch.device,
    room: int | None,
) -> tuple[_Problem, NDArray[np.int64]]:
    """Return the rows ``keep`` of ``x`` and ``y`` as one problem over all classes of ``y``, and those classes (C,)."""
    if len(x) != len(y):
        raise ValueError(f"expected one label a row, found {len(x)} rows and {len(y)} labels")
    if recipe.epochs < 1 or recipe.batch_size < 1:
        raise UserError(f"epochs={recipe.epochs}, batch_size={recipe.batch_size}: expected at least 1 of each")
    classes, index = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise UserError("a linear classifier needs training images of at least two classes, found one")
    bank = Bank(x, keep=keep, unit=recipe.norm == "l2", device=device, room=room)
    if bank.held is None:
        log.info(
            "%d x %d features do not fit on %s: they are read anew in every epoch", bank.count, bank.width, bank.device
        )
    labels = torch.from_numpy(index if keep is None else index[keep]).to(bank.device)
    return _Problem(bank, labels, len(classes), recipe, seed), classes


def fit_sgd(
    x: FeatureRows,
    y: NDArray[np.int64],
    *,
    lr: float,
    weight_decay: float,
    seed: int = 0,
    recipe: Recipe = PUBLISHED,
    device: str | torch.device = "cpu",
    room: int | None = None,
) -> SGDProbe:
    """Fit a linear classifier to ``x`` (N, D), ``y`` (N,) with these settings; ``search_sgd`` says what the rest means.

    Raises ``RunFailed`` when the training diverges and ``UserError`` for fewer than two classes.
    """
    problem, classes = _problem(x, y, None, recipe, seed, device, room)
    return problem.probe(torch.arange(len(y)), {"lr": lr, "weight_decay": weight_decay}, classes, None)


def search_sgd(
    x: FeatureRows,
    y: NDArray[np.int64],
    *,
    seed: int = 0,
    trials: int = 30,
    holdout: float = 0.2,
    shots: int | None = None,
    short: Short = "refuse",
    faithful: bool = False,
    parallel: int = 1,
    space: Mapping[str, tuple[float, float]] = SPACE,
    recipe: Recipe = PUBLISHED,
    device: str | torch.device = "cpu",
    room: int | None = None,
) -> SGDProbe:
    """Fit a linear classifier to ``x`` (N, D), ``y`` (N,), its learning rate and weight decay found by TPE.

    ``trials`` points of ``space`` are trained on one part of the images and valued by the top-1 of their last epoch on
    a class-wise held-out part, one split for all; a training that diverged counts as the worst. The best point is
    trained once more, on all images. ``tuning_parts`` says what ``shots``, ``short`` and ``faithful`` do. ``parallel``
    trains that many of the search's random first points at once, which changes their order of summation and nothing
    else. ``room`` is how many bytes of features are held at once (``bank.Bank``). Everything follows from ``seed``.
    Raises ``UserError`` for what cannot be split or searched, ``RunFailed`` when the last training diverges.
    """
    parts = tuning_parts(y, holdout, seed, shots=shots, faithful=faithful, short=short)
    if not len(parts.held):
        raise UserError("the search needs held-out training images, but every class has a single one; expected two")
    keep = None if shots is None else np.unique(np.concatenate(parts))
    problem, classes = _problem(x, y, keep, recipe, seed, device, room)
    fitted, held, final = (torch.from_numpy(part if keep is None else np.searchsorted(keep, part)) for part in parts)
    search = tpe_batched(
        lambda points: problem.accuracies(fitted, held, points),
        space,
        trials,
        seed,
        multivariate=True,
        parallel=parallel,
    )
    return problem.probe(final, search.best, classes, search)
