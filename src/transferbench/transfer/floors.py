"""Scores that any representation should beat: colours, coarse pixels, and the same network untrained."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import transferbench
from transferbench.data.image_set import Splits
from transferbench.features.calibrate import calibrate_batch_norm
from transferbench.features.extract import Pictures, batches, evenly_spaced
from transferbench.features.floors import PICTURE_FLOORS, describe
from transferbench.probes.names import SEEN
from transferbench.storage import cache_dir, digest_of, locked, write_text
from transferbench.transfer.probing import SetScore
from transferbench.transfer.protocol import Protocol, join, solver_of
from transferbench.transfer.result import TransferResult

log = logging.getLogger(__name__)

RANDOM_BACKBONE = "random_backbone"
CALIBRATION_IMAGES = 512
CALIBRATION_BATCH = 128
PACKAGE = Path(transferbench.__file__).parent
PICTURES_SOURCE = ("data/images.py", "data/image_set.py", "features", "probes", "transfer")
"""The code that the scores of pictures come from, relative to ``PACKAGE`` ..."""
NETWORK_SOURCE = ("data/evaluation.py", "data/multicrop.py", "models")
"""... and what those of an untrained backbone come from besides."""

Results = dict[str, TransferResult]


def floors(
    protocol: Protocol,
    sets: Mapping[str, Splits],
    make_backbone: Callable[[], nn.Module],
    key: str,
    seed: int,
    device: str = "cpu",
) -> Results:
    """Return the results of the protocol's floors on ``sets`` (of ``all_sets``).

    ``make_backbone`` makes an untrained backbone and is called only when its scores are not in the cache; ``key``
    stands for it there and must change when its architecture does. The scores of the picture floors are shared by all
    backbones. ``seconds`` is the time spent here: 0 for what was in the cache.
    """
    pictures = [floor for floor in PICTURE_FLOORS if floor in protocol.floors]
    settings = protocol.probe_settings()
    depends = (transferbench.__version__, _source(*PICTURES_SOURCE), _data(sets), settings, seed)
    network = (key, _source(*NETWORK_SOURCE), protocol.resize, protocol.size, protocol.precision)
    found: Results = {}
    if pictures:
        digest = digest_of("pictures", pictures, *depends)
        found |= _cached(digest, sets, lambda: picture_floors(protocol, sets, seed, pictures, device))
    if RANDOM_BACKBONE in protocol.floors:
        found |= _cached(
            digest_of(RANDOM_BACKBONE, *depends, network),
            sets,
            lambda: {RANDOM_BACKBONE: random_floor(protocol, sets, make_backbone, seed, device)},
        )
    return found


def picture_floors(
    protocol: Protocol,
    sets: Mapping[str, Splits],
    seed: int,
    names: Sequence[str] = tuple(PICTURE_FLOORS),
    device: str = "cpu",
) -> Results:
    """Return the results of the features ``names`` that need no network, every picture read once.

    Each set is fitted by the solver that fits the model's features of it.
    """
    descriptors = {name: PICTURE_FLOORS[name] for name in names}
    found: dict[str, dict[str, SetScore]] = {floor: {} for floor in names}
    seconds = dict.fromkeys(names, 0.0)
    for name, splits in sets.items():
        start = time.perf_counter()
        train, test = describe(splits.train, descriptors), describe(splits.test, descriptors)
        shared = (time.perf_counter() - start) / len(names)
        for floor in names:
            start = time.perf_counter()
            found[floor][name] = protocol.score(train[floor], test[floor], seed, device, solver_of(name))
            seconds[floor] += shared + time.perf_counter() - start
    return {floor: join(scores, seconds[floor]) for floor, scores in found.items()}


def random_floor(
    protocol: Protocol, sets: Mapping[str, Splits], make_backbone: Callable[[], nn.Module], seed: int, device: str
) -> TransferResult:
    """Return the result of an untrained backbone drawn from ``seed``.

    Its batch normalisations, if any, get the statistics of up to 512 training images of ``seen`` (or of the first
    set). Torch's default generator is left where it was.
    """
    start = time.perf_counter()
    backbone = _drawn(make_backbone, seed)
    images = (sets[SEEN] if SEEN in sets else next(iter(sets.values()))).train
    positions = evenly_spaced(len(images), CALIBRATION_IMAGES)
    count = len(positions)
    size = math.ceil(count / math.ceil(count / CALIBRATION_BATCH))  # equal batches: each counts the same
    pictures = batches(Pictures(images, protocol.transform(backbone), positions), size, protocol.workers)
    calibrate_batch_norm(backbone, (batch for _, batch in pictures), device)
    result = replace(protocol, features=None).evaluate(backbone, sets, seed, device)
    return replace(result, seconds=time.perf_counter() - start, neighbours=())


def _drawn(make_backbone: Callable[[], nn.Module], seed: int) -> nn.Module:
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        return make_backbone()
    finally:
        torch.default_generator.set_state(state)


def _source(*places: str) -> str:
    """Return a digest of the code in ``places``, files and folders of the package."""
    files = [file for place in places for file in sorted((PACKAGE / place).rglob("*.py")) or [PACKAGE / place]]
    return digest_of(*(file.read_bytes() for file in files))


def _data(sets: Mapping[str, Splits]) -> list[list[str]]:
    return [[name, splits.train.digest(), splits.test.digest()] for name, splits in sets.items()]


def _cached(digest: str, sets: Mapping[str, Splits], compute: Callable[[], Results]) -> Results:
    """Return the results stored under ``digest``, or compute and store them; a second process waits for the first."""
    path = cache_dir() / "floors" / f"{digest}.json"
    with locked(path.with_suffix(".lock")):
        if path.exists():
            try:
                return _read(path, sets)
            except (ValueError, TypeError, AttributeError, OSError) as error:
                log.warning("%s is damaged (%s): the floors are computed again", path, error)
        results = compute()
        write_text(path, json.dumps({floor: result.plain() for floor, result in results.items()}, indent=1))
    return results


def _read(path: Path, sets: Mapping[str, Splits]) -> Results:
    stored = json.loads(path.read_text(encoding="utf-8"))
    results = {floor: TransferResult.from_plain(plain) for floor, plain in stored.items()}
    if not results or any(set(result.scores) != set(sets) for result in results.values()):
        raise ValueError(f"expected scores for {', '.join(sets)}")
    return {floor: replace(result, seconds=0.0) for floor, result in results.items()}
