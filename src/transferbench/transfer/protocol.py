"""The evaluation of a frozen backbone: one extraction a set, then probes on its features (t-ReX, arXiv:2206.15369)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from torch import nn

from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import ImageSet, Splits
from transferbench.data.labelled import read_splits
from transferbench.data.target_table import TARGETS
from transferbench.data.targets import Missing, expand_names, read_targets
from transferbench.errors import RunFailed, UserError
from transferbench.features.extract import Precision, Transform, extract
from transferbench.features.rows import Storage
from transferbench.features.store import FeatureStore
from transferbench.probes.names import SEEN
from transferbench.probes.splits import tuning_parts
from transferbench.transfer.neighbours import Neighbours, find_neighbours
from transferbench.transfer.probing import AnyFeatures, Probing, SetScore, Solver, is_seed
from transferbench.transfer.result import TransferResult

log = logging.getLogger(__name__)

PIXELS = 224
FLOORS = ("pixels", "colour_histogram", "random_backbone")


@dataclass(frozen=True)
class Protocol(Probing):
    """What a representation is evaluated on, on pictures of which size, and with which probes (``Probing``)."""

    resize: int | None = None
    """Length in pixels that the shorter side of a picture is brought to; None: what the model wants, else 224 ..."""
    size: int | None = None
    """... before the centre square of this side is cut out; None likewise."""
    batch_size: int = 256
    workers: int = 0
    precision: Precision = "32-true"
    datasets: Sequence[str] = ()
    """Names of known data sets (``data.target_table``), or of groups of them."""
    root: str | None = None
    """The folder below which these lie."""
    strict: bool = True
    """Whether a data set that differs from its publication is refused; else it is told."""
    missing: Missing = "error"
    """What becomes of data sets that are not there: ``error`` or ``skip``."""
    split_seed: int = 0
    """Of the splits of data sets that have no official one."""
    folders: Mapping[str, str] | None = None
    """More labelled folders to evaluate on, by the name their metrics carry."""
    floors: Sequence[str] = FLOORS
    """What is measured beside the model; none for a benchmark at size."""
    features: str | None = None
    """A folder to keep features in, so that they are extracted once; None keeps them in memory."""
    storage: Storage = "float32"
    """How they are kept there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        sound = {
            "precision": (self.precision in get_args(Precision), f"one of {', '.join(get_args(Precision))}"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "floors": (set(self.floors) <= set(FLOORS), f"some of {', '.join(FLOORS)}"),
            "storage": (self.storage in get_args(Storage), f"one of {', '.join(get_args(Storage))}"),
            "split_seed": (is_seed(self.split_seed), "a whole number from 0 to 2**32 - 1"),
        }
        for key, (holds, expected) in sound.items():
            if not holds:
                raise UserError(f"transfer.{key}={getattr(self, key)}: expected {expected}")
        CentreCrop(self.resize or PIXELS, self.size or self.resize or PIXELS)  # its complaint, too, comes first
        expand_names(self.datasets)
        for name, folder in (self.folders or {}).items():
            if not Path(folder).expanduser().is_dir():
                raise UserError(f"transfer.folders.{name}={folder}: no such folder; expected one of class folders")
        place = Path(self.features or ".").expanduser()
        there = next(one for one in (place, *place.parents, Path()) if one.exists())
        if not there.is_dir():
            raise UserError(
                f"transfer.features={self.features}: {there} is a file; expected a folder to keep features in"
            )

    def transform(self, backbone: nn.Module) -> Transform:
        """Return the picture transform for ``backbone``, without chance."""
        resize = self.resize or getattr(backbone, "resize", None) or PIXELS
        return CentreCrop(resize, self.size or getattr(backbone, "size", None) or resize)

    def all_sets(self, sets: Mapping[str, Splits]) -> dict[str, Splits]:
        """Return ``sets`` and this protocol's own, listed: all that ``evaluate`` is to be given.

        Raises ``UserError`` for a data set that is missing or not as published, a folder that is not one of class
        folders with images, a class with fewer images than few-shot fits draw, or a name given twice.
        """
        targets = read_targets(self.datasets, self.root, self.strict, self.missing, self.split_seed)
        own = {name: target.splits for name, target in targets.items()}
        extra = dict(self.folders or {})
        twice = sorted((set(extra) & ({*sets} | {*own})) | ({*sets} & {*own}))
        if twice:
            where = f"transfer.folders.{twice[0]}" if twice[0] in extra else f"transfer.datasets: {twice[0]}"
            raise UserError(f"{where}: there is a set of this name already; expected another name")
        found = {**sets, **own, **{name: _read_folder(name, folder) for name, folder in extra.items()}}
        if not found:
            raise UserError("nothing to evaluate on is there; name data sets, such as transfer.datasets=[digits]")
        for name, splits in found.items():
            if self.shots and not splits.train.multi_label:
                self._check_shots(name, splits.train)
        return found

    def _check_shots(self, name: str, images: ImageSet) -> None:
        """Draw the largest few-shot training set once, before hours have gone into features."""
        how: dict[str, Any] = {"shots": max(self.shots), "faithful": self.faithful, "short": self.short}
        try:
            tuning_parts(images.labels, self.holdout, **how)
        except UserError as error:
            raise UserError(f"{name}: transfer.{error}".replace("short=all", "transfer.short=all")) from None

    def extract(self, backbone: nn.Module, images: ImageSet, device: str = "cpu", trainer: Any = None) -> AnyFeatures:
        """Return ``backbone``'s features of ``images`` as this protocol cuts, batches, computes and keeps them."""
        how = {"batch_size": self.batch_size, "workers": self.workers, "precision": self.precision}
        if self.features is None:
            return extract(backbone, images, self.transform(backbone), device=device, **how)  # type: ignore[arg-type]
        store = FeatureStore(self.features, self.storage)
        return store.features(backbone, images, self.transform(backbone), device=device, trainer=trainer, **how)  # type: ignore[arg-type]

    def share_extraction(self, backbone: nn.Module, sets: Mapping[str, Splits], trainer: Any) -> None:
        """Fill the folder of features for ``sets``, the work shared out over all devices of a Lightning ``trainer``.

        Every one of its processes makes this call. Raises ``UserError`` where features are not kept.
        """
        if self.features is None:
            raise UserError("several devices share the extraction through a folder; set transfer.features=FOLDER")
        for splits in sets.values():
            for images in (splits.train, splits.test):
                self.extract(backbone, images, trainer=trainer)

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
            with _said_of(name):
                train, test = (self.extract(backbone, images, device) for images in (splits.train, splits.test))
                found[name] = self.score(train, test, seed, device, solver_of(name))
            if name in shown and not splits.train.multi_label:
                neighbours += find_neighbours(name, splits, train, test)
            told = ", ".join(f"{k} {v:.3f}" for k, v in found[name].scores.items() if k.endswith(("/top1", "/map")))
            log.info("transfer to %s: %s", name, told)
        return join(found, time.perf_counter() - start, neighbours)


@contextmanager
def _said_of(name: str) -> Iterator[None]:
    """Put the name of the set in front of an error's sentence."""
    try:
        yield
    except (UserError, RunFailed) as error:
        raise type(error)(f"{name}: {error}") from None


def solver_of(name: str) -> Solver:
    """Return the solver of the published protocol for the set ``name``, L-BFGS's place for a set of the user's."""
    return TARGETS[name].solver if name in TARGETS else "lbfgs"


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
