"""The evaluation of a frozen backbone: one extraction a set, then probes on its features (t-ReX, arXiv:2206.15369)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from torch import nn

from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import ImageSet, Splits
from transferbench.data.labelled import read_splits
from transferbench.errors import UserError
from transferbench.features.extract import Features, Precision, Transform, extract
from transferbench.probes.aggregate import top1
from transferbench.probes.knn import knn_predict
from transferbench.probes.logreg import fit_logreg
from transferbench.probes.names import PROBES, SEEN
from transferbench.probes.ncm import ncm_predict
from transferbench.probes.scaling import Norm
from transferbench.transfer.neighbours import Neighbours, find_neighbours
from transferbench.transfer.result import TransferResult

log = logging.getLogger(__name__)


class SetScore(NamedTuple):
    """What the probes found on one set."""

    scores: dict[str, float]
    test_count: int
    cost: float | None
    stopped_early: int


@dataclass(frozen=True)
class Protocol:
    """Which probes a representation is measured with, and on pictures of which size.

    The defaults of the probes are DINO's for nearest neighbours (k = 20, temperature 0.07) and t-ReX's 20 % held-out
    part for the choice of C; ``norm`` scales features for logistic regression alone (``probes.scaling``).
    """

    probes: Sequence[str] = PROBES
    costs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    holdout: float = 0.2
    neighbours: int = 20
    temperature: float = 0.07
    norm: Norm = "standard"
    resize: int = 224
    """Length in pixels that the shorter side of a picture is brought to ..."""
    size: int = 224
    """... before the centre square of this side is cut out."""
    batch_size: int = 256
    workers: int = 0
    precision: Precision = "32-true"
    folders: Mapping[str, str] | None = None
    """More labelled folders to evaluate on, by the name their metrics carry."""

    def __post_init__(self) -> None:
        precisions, norms = get_args(Precision), get_args(Norm)
        sound = {
            "probes": (set(self.probes) <= set(PROBES) and len(self.probes) > 0, f"some of {', '.join(PROBES)}"),
            "costs": (len(self.costs) > 0 and min(self.costs) > 0, "positive numbers, such as [0.001, 0.01, 0.1]"),
            "holdout": (0 < self.holdout < 1, "a fraction between 0 and 1, such as 0.2"),
            "neighbours": (self.neighbours >= 1, "at least 1"),
            "temperature": (self.temperature > 0, "a positive number, such as 0.07"),
            "norm": (self.norm in norms, f"one of {', '.join(norms)}"),
            "precision": (self.precision in precisions, f"one of {', '.join(precisions)}"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
        }
        for key, (holds, expected) in sound.items():
            if not holds:
                raise UserError(f"transfer.{key}={getattr(self, key)}: expected {expected}")
        CentreCrop(self.resize, self.size)  # its complaint, too, comes before any training
        for name, folder in (self.folders or {}).items():
            if not Path(folder).expanduser().is_dir():
                raise UserError(f"transfer.folders.{name}={folder}: no such folder; expected one of class folders")

    @property
    def transform(self) -> Transform:
        """The evaluation's picture transform, without chance."""
        return CentreCrop(self.resize, self.size)

    def probe_settings(self) -> dict[str, Any]:
        """Return the plain values that scores of given features depend on."""
        return {
            "probes": sorted(self.probes),
            "costs": sorted(self.costs),
            "holdout": self.holdout,
            "neighbours": self.neighbours,
            "temperature": self.temperature,
            "norm": self.norm,
        }

    def all_sets(self, sets: Mapping[str, Splits]) -> dict[str, Splits]:
        """Return ``sets`` and this protocol's own ``folders``, listed: all that ``evaluate`` is to be given.

        Raises ``UserError`` for a folder that is not one of class folders with images, or a name given twice.
        """
        extra = dict(self.folders or {})
        twice = sorted(set(extra) & set(sets))
        if twice:
            raise UserError(f"transfer.folders.{twice[0]}: the data has a set of this name; expected another name")
        return {**sets, **{name: _read_folder(name, folder) for name, folder in extra.items()}}

    def extract(self, backbone: nn.Module, images: ImageSet, device: str = "cpu") -> Features:
        """Return ``backbone``'s features of ``images`` as this protocol cuts, batches and computes them."""
        return extract(
            backbone,
            images,
            self.transform,
            batch_size=self.batch_size,
            workers=self.workers,
            device=device,
            precision=self.precision,
        )

    def score(self, train: Features, test: Features, seed: int, device: str = "cpu") -> SetScore:
        """Return the accuracies on ``test`` of the probes fitted to ``train``; ``seed`` draws the held-out part."""
        scores: dict[str, float] = {}
        cost, early = None, 0
        if "knn" in self.probes:
            nearest = knn_predict(
                train.x, train.y, test.x, k=self.neighbours, temperature=self.temperature, device=device
            )
            scores["knn/top1"] = top1(nearest, test.y)
        if "ncm" in self.probes:
            scores["ncm/top1"] = top1(ncm_predict(train.x, train.y, test.x), test.y)
        if "logreg" in self.probes:
            probe = fit_logreg(train.x, train.y, costs=self.costs, holdout=self.holdout, norm=self.norm, seed=seed)
            scores["logreg/top1"] = top1(probe.predict(test.x), test.y)
            cost, early = probe.cost, probe.stopped_early
        return SetScore(scores, len(test.y), cost, early)

    def evaluate(
        self, backbone: nn.Module, sets: Mapping[str, Splits], seed: int, device: str = "cpu"
    ) -> TransferResult:
        """Measure ``backbone`` on ``sets`` (of ``all_sets``), each image read once, one set in memory at a time.

        Keeps the nearest training pictures of some test pictures of ``seen`` and of the last of ``sets``. The
        backbone's mode and device are left as they were. Raises ``UserError`` for a set that cannot be evaluated and
        ``RunFailed`` for features that are not finite.
        """
        start = time.perf_counter()
        shown = {SEEN, *list(sets)[-1:]}
        found: dict[str, SetScore] = {}
        neighbours: tuple[Neighbours, ...] = ()
        for name, splits in sets.items():
            train, test = (self.extract(backbone, images, device) for images in (splits.train, splits.test))
            found[name] = self.score(train, test, seed, device)
            if name in shown:
                neighbours += find_neighbours(name, splits, train, test)
            log.info("transfer to %s: %s", name, ", ".join(f"{k} {v:.3f}" for k, v in found[name].scores.items()))
        return join(found, time.perf_counter() - start, neighbours)


def _read_folder(name: str, folder: str) -> Splits:
    try:
        return read_splits(folder)
    except UserError as error:
        setting = f"transfer.folders.{name}"  # and not the one that the reader's sentences name
        raise UserError(f"{setting}: {error}".replace("data.root=", f"{setting}=")) from None


def join(found: Mapping[str, SetScore], seconds: float, neighbours: tuple[Neighbours, ...] = ()) -> TransferResult:
    """Return the result over the sets ``found``, and say once how many fits ran out of iterations."""
    early = sum(score.stopped_early for score in found.values())
    if early:
        log.warning("%d fits of logistic regression ended at the limit of iterations before they had converged", early)
    return TransferResult(
        scores={name: score.scores for name, score in found.items()},
        test_counts={name: score.test_count for name, score in found.items()},
        chosen={name: score.cost for name, score in found.items() if score.cost is not None},
        seconds=seconds,
        stopped_early=early,
        neighbours=neighbours,
    )
