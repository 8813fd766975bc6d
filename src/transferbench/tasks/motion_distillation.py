"""Fusing 2-D features into the streams of a moving scene (N3F on NeuralDiff, arXiv:2209.03494, section 4.3)."""

from __future__ import annotations

from transferbench.tasks.distillation import FeatureDistillation
from transferbench.tasks.neuraldiff import NeuralDiffFitting


class MotionDistillation(FeatureDistillation, NeuralDiffFitting):
    """Make the features that all streams render together equal a teacher's, beside NeuralDiff's own loss.

    Args:
        backbone: ``models.neuraldiff.NeuralDiff`` with a branch for each stream (``models.streams.StreamBranch``).
        head: not used.
        teacher: as of ``FeatureDistillation``, like all that has to do with features.
        **options: those of ``FeatureDistillation`` and of ``NeuralDiffFitting``.
    """
