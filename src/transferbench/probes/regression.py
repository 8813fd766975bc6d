"""Fits of logistic regression to some rows of features, held in memory or read, and their values on others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transferbench.errors import UserError
from transferbench.probes.aggregate import top1
from transferbench.probes.bank import CHUNK, Bank, FeatureRows, free_bytes, rows_of
from transferbench.probes.coordinates import Blocks, Held, Read, Rows
from transferbench.probes.newton import Solution
from transferbench.probes.path import Path
from transferbench.probes.scaling import Norm, Scaling, fit_scaling
from transferbench.probes.softmax import Softmax
from transferbench.probes.span import Span, find_span
from transferbench.probes.splits import Parts

_ROUGHER = 10  # times the tolerance, for fits that only choose C
_SINGLE = 1e-6  # the smallest tolerance of such fits for which float32 is good enough


def scaled_blocks(x: FeatureRows, positions: NDArray[np.int64], scaling: Scaling, device: torch.device) -> Blocks:
    """Return what gives the rows ``positions`` of ``x`` scaled, some thousand at a time."""

    def blocks(first: int, last: int) -> Iterator[Tensor]:
        for start in range(first, max(last, first + 1), CHUNK):
            where = positions[start : min(start + CHUNK, last)]
            joined = len(where) > 0 and bool((np.diff(where) == 1).all())
            rows = rows_of(x, slice(int(where[0]), int(where[-1]) + 1) if joined else where)
            yield torch.from_numpy(scaling(rows.float().cpu().numpy())).to(device)

    return blocks


@dataclass(frozen=True)
class Data:
    """Features, their class indices, and how they are to be fitted."""

    x: FeatureRows
    index: NDArray[np.int64]
    classes: NDArray[np.int64]
    norm: Norm
    device: torch.device
    room: int | None
    steps: int
    tolerance: float

    def scaling(self, positions: NDArray[np.int64]) -> Scaling:
        """Return the scaling of features that the rows ``positions`` ask for."""
        if self.norm != "standard":
            return fit_scaling(np.empty((0, 0), dtype=np.float32), self.norm)
        keep = None if len(positions) == len(self.x) else positions
        return Bank(self.x, keep=keep, unit=False, room=0).moments(torch.arange(len(positions)))

    def rows(self, positions: NDArray[np.int64], scaling: Scaling, span: Span | None = None) -> Rows:
        """Return the rows ``positions``, in memory if there is room, in the coordinates of ``span`` or of their own."""
        count, width = len(positions), int(self.x.shape[1])
        blocks = scaled_blocks(self.x, positions, scaling, self.device)
        room = free_bytes(self.device) if self.room is None else self.room
        axes = min(count, width) if span is None else span.axes.shape[1]
        held = count * (4 * (axes + 1 + width) + 40 * len(self.classes)) <= room
        if span is None:
            span = find_span(blocks(0, count), count, narrow=held and count < width)
        return Held.of(span, blocks, count) if held else Read(span, blocks, 0, count)

    def path(self, rows: Rows, positions: NDArray[np.int64], tolerance: float) -> Path:
        """Return the fits to ``rows``, which are the rows ``positions``."""
        labels = torch.from_numpy(self.index[positions]).to(self.device)
        return Path(Softmax(rows, labels, len(self.classes)), tolerance=tolerance, steps=self.steps)

    def solve(self, path: Path, cost: float) -> Solution:
        """Return the fit for scikit-learn's C.

        Its two-class regression penalises the difference of both classes' weights alone, at half our penalty.
        """
        return path.solve(cost / 2 if len(self.classes) == 2 else cost)


class Tuning:
    """Fits to one part of the features for several C, valued on another."""

    def __init__(self, data: Data, parts: Parts) -> None:
        if not len(parts.held):
            raise UserError(
                "logistic regression chooses C on held-out training images, but every class has a single one; "
                "give one value, for example transfer.costs=[0.01]"
            )
        self.data, self.early = data, 0
        fitted, held = parts.fitted, parts.held
        self.scaling, self.answers = data.scaling(fitted), data.index[held]
        self.order = np.concatenate([fitted, held])
        self.whole = np.array_equal(np.sort(self.order), parts.final)
        if self.whole:  # then what is rotated here serves the last fit, too
            self.rows = data.rows(self.order, self.scaling)
            to_fit, self.held = self.rows.part(0, len(fitted)), self.rows.part(len(fitted), len(self.order))
        else:
            self.rows = to_fit = data.rows(fitted, self.scaling)
            self.held = data.rows(held, self.scaling, self.rows.span)
        tolerance = _ROUGHER * data.tolerance
        if tolerance >= _SINGLE:
            to_fit, self.held = to_fit.rough(), self.held.rough()
        self.path = data.path(to_fit, fitted, tolerance)

    def accuracy(self, cost: float) -> float:
        """Return top-1 on the held-out part for C = ``cost``."""
        found = self.data.solve(self.path, cost)
        self.early += not found.converged
        logits = self.held.logits(found.point.v)
        return top1(logits.argmax(dim=1).cpu().numpy(), self.answers)
