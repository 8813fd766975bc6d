"""Run a frozen backbone over an image set, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from transferbench.data.image_set import ImageSet
from transferbench.data.images import UnreadableImage
from transferbench.distributed import outlive_sigterm
from transferbench.errors import RunFailed, UserError

log = logging.getLogger(__name__)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Transform = Callable[[Image], Tensor]
"""From an RGB picture to a ``(3, S, S)`` uint8 tensor, the same size for every picture."""
Take = Callable[[NDArray[np.int64], NDArray[np.float32]], None]
"""What is done with the positions (B,) of a batch in its image set and its features (B, D)."""
Load = Callable[[Sequence[range]], Iterable[tuple[Tensor, Tensor]]]
"""From the positions of some images to batches of positions (B,) and pictures (B, 3, S, S)."""


@dataclass(frozen=True)
class Features:
    """The features of the readable images of a set, in its order."""

    x: NDArray[np.float32]
    """(N, D)"""
    y: NDArray[np.int64]
    """The labels in the set: (N,) class indices, or (N, C) of a set with several labels an image."""
    positions: NDArray[np.int64]
    """(N,) where each row stands in the image set: ``range(N)`` unless images were unreadable."""


class Pictures(Dataset[tuple[int, Tensor | None]]):
    """The transformed pictures of an image set as ``(position, tensor)``; an unreadable one gives None."""

    def __init__(self, images: ImageSet, transform: Transform, positions: NDArray[np.int64] | None = None) -> None:
        self.images = images
        self.transform = transform
        self.positions = np.arange(len(images)) if positions is None else positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> tuple[int, Tensor | None]:
        position = int(self.positions[index])
        try:
            return position, self.transform(self.images.image(position))
        except UnreadableImage as error:
            log.warning("left out of the evaluation: %s", error)
            return position, None


def _stack(samples: list[tuple[int, Tensor | None]]) -> tuple[Tensor, Tensor] | None:
    readable = [(position, picture) for position, picture in samples if picture is not None]
    if not readable:
        return None
    return torch.tensor([p for p, _ in readable]), torch.stack([picture for _, picture in readable])


def batches(pictures: Pictures, batch_size: int, workers: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ``(positions (B,), pictures (B, 3, S, S) uint8)`` in order, without the unreadable images.

    The loader has a generator of its own, so that an evaluation leaves torch's default one where training needs it.
    """
    loader = DataLoader(
        pictures,
        batch_size,
        num_workers=workers,
        collate_fn=_stack,
        worker_init_fn=outlive_sigterm,
        generator=torch.Generator().manual_seed(0),
    )
    return (batch for batch in loader if batch is not None)


def evenly_spaced(length: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` positions spread evenly over ``range(length)``."""
    return np.linspace(0, length - 1, min(length, most)).round().astype(np.int64)


@contextmanager
def frozen(backbone: nn.Module, device: str | torch.device | None = None) -> Iterator[None]:
    """Put ``backbone`` in evaluation mode on ``device``; afterwards every module has its mode and device again.

    Without ``device`` it may be moved by others meanwhile.
    """
    modes = {module: module.training for module in backbone.modules()}
    first = next(chain(backbone.parameters(), backbone.buffers()), None)
    home = torch.device("cpu") if first is None else first.device
    try:
        backbone.eval()
        if device is not None:
            backbone.to(device)
        yield
    finally:
        backbone.to(home)
        for module, training in modes.items():
            module.training = training


def autocast(device: str | torch.device, precision: Precision) -> torch.autocast:
    """Return the autocast context of Lightning's word for a precision; ``32-true`` gives one that does nothing.

    Raises ``UserError`` for another word.
    """
    if precision not in get_args(Precision):
        raise UserError(f"precision={precision}: expected one of {', '.join(get_args(Precision))}")
    dtype = torch.float16 if precision == "16-mixed" else torch.bfloat16
    return torch.autocast(torch.device(device).type, dtype, enabled=precision != "32-true")


def extract(
    backbone: nn.Module,
    images: ImageSet,
    transform: Transform,
    *,
    batch_size: int = 256,
    workers: int = 0,
    device: str | torch.device = "cpu",
    precision: Precision = "32-true",
    positions: NDArray[np.int64] | None = None,
) -> Features:
    """Return ``backbone``'s features (N, D) of ``images``, in evaluation mode, each picture read once.

    ``workers`` decode beside this process; 0 decodes in it, which is faster for a few thousand small pictures.
    ``positions`` (P,) takes these images alone. Unreadable images are left out with a warning. Raises ``UserError``
    when no image could be read and ``RunFailed`` when a feature is not finite.
    """
    rows: list[NDArray[np.float32]] = []
    read: list[NDArray[np.int64]] = []

    def keep(where: NDArray[np.int64], features: NDArray[np.float32]) -> None:
        read.append(where)
        rows.append(features)

    loader = batches(Pictures(images, transform, positions), batch_size, workers)
    run_backbone(backbone, loader, keep, device=device, precision=precision)
    return collect(images, rows, read)


def run_backbone(
    backbone: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    take: Take,
    *,
    device: str | torch.device = "cpu",
    precision: Precision = "32-true",
) -> None:
    """Give ``take`` the positions and the features of one of ``loader``'s batches after the other.

    The backbone runs in evaluation mode on ``device``; afterwards it is what and where it was.
    """
    # frozen is the outermost: a module moved inside inference_mode could not be trained any more
    with frozen(backbone, device), torch.inference_mode(), autocast(device, precision):
        for where, pictures in loader:
            take(where.numpy(), features_of(backbone, pictures.to(device)))


def features_of(backbone: nn.Module, pictures: Tensor) -> NDArray[np.float32]:
    """Return the features (B, D) of ``pictures`` (B, 3, S, S), which are on the backbone's device."""
    features: Tensor = backbone(pictures.contiguous(memory_format=torch.channels_last))
    return features.float().cpu().numpy()


def collect(images: ImageSet, rows: list[NDArray[np.float32]], positions: list[NDArray[np.int64]]) -> Features:
    """Join batches of features (B, D) and of positions (B,) in ``images``, and give them their labels.

    Raises ``UserError`` without any row and ``RunFailed`` for a feature that is not finite.
    """
    if not rows:
        raise UserError(f"none of the {len(images)} images could be read; expected at least one")
    x, where = np.concatenate(rows), np.concatenate(positions)
    refuse_non_finite(x)
    return Features(x, np.asarray(images.labels, dtype=np.int64)[where], where)


def refuse_non_finite(x: NDArray[np.float32]) -> None:
    """Raise ``RunFailed`` if a feature is NaN or infinite."""
    if not np.isfinite(x).all():
        raise RunFailed("the backbone's features hold values that are not finite: its training has diverged")
