"""Pretraining of a backbone from images and their captions: one task for every head that learns from text."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

from transferbench.errors import UserError
from transferbench.optim.groups import rated_groups
from transferbench.optim.schedule import warmup_cosine_squared
from transferbench.tasks.examination import Examined, examine
from transferbench.tasks.pretraining import Pretraining, seeded
from transferbench.text.batch import CaptionBatch
from transferbench.text.prompts import read_prompts

Contexts: TypeAlias = tuple[AbstractContextManager[None], AbstractContextManager[None]]
Batch: TypeAlias = tuple[list[Tensor], CaptionBatch]
VALIDATION_SEED = 0
log = logging.getLogger(__name__)


class Head(Protocol):
    """What this task needs of a head: losses by name, whose sum is minimised."""

    def __call__(self, maps: Tensor, text: CaptionBatch) -> dict[str, Tensor]:
        """Return scalar losses of maps ``(B, C, h, w)`` and their captions."""


def _first_and_again(net: nn.Module) -> Contexts:
    """Return the contexts of activations that are computed, and of the same computed again."""
    return nullcontext(), _unmoved(net)


@contextmanager
def _unmoved(net: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch norms as they are: what is computed again has been counted."""
    norms = [one for one in net.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    momenta = [one.momentum for one in norms]
    try:
        for one in norms:
            one.momentum = 0.0
        yield
    finally:
        for one, momentum in zip(norms, momenta):
            one.momentum = momentum


class Captions(Pretraining):
    """Train a backbone through a head that reads captions (ICMLM, VirTex, CLIP, tag prediction).

    Batches are ``(crops, text)``: one crop an image, uint8 ``(B, 3, H, W)`` in a list, and a ``CaptionBatch``.

    Args:
        backbone: images to maps, ``feature_map``, and to features that should be the mean of that map (``pools_map``).
        head: maps and captions to losses.
        optimizer: makes the optimiser, called with parameter groups and ``lr=``.
        lr: peak learning rate of the backbone; not scaled with the batch.
        head_lr: peak learning rate of everything else.
        weight_decay: of all parameters whose name does not match ``no_decay``.
        no_decay: a regular expression, matched at the start of ``backbone.<name>`` and ``head.<name>``.
        warmup_epochs: of linear warm-up from 0; fractions count.
        micro_batch: images that the backbone sees at a time in a step; the others' activations are computed again when
            the gradient needs them, so that of each image in the batch only its map is kept (gradient caching,
            arXiv:2101.06983). None for all at once.
        channels_last: memory format of images and convolutions.
        prompts: by which classes are told where the head compares images with words: the name of a list, or a file
            (``text.prompts.read_prompts``).

    Raises:
        UserError: the backbone's features are not those of its map, or a number is out of range.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        optimizer: Callable[..., Optimizer],
        lr: float = 0.2,
        head_lr: float = 0.001,
        weight_decay: float = 1e-4,
        no_decay: str = r".*(norm.*|bias)$",
        warmup_epochs: float = 0.0,
        micro_batch: int | None = None,
        channels_last: bool = True,
        prompts: str = "photo",
    ) -> None:
        super().__init__(backbone, channels_last, warmup_epochs)
        net: Any = backbone
        if net.map_width != net.width:
            raise UserError(
                f"model: the map has {net.map_width} channels and the features are {net.width} numbers; "
                "captions train a network that pools its map: for torchvision's VGG say model.trunk=true"
            )
        if not net.pools_map:
            log.warning(
                "model: its features are not the mean of its map; what makes them of it (a class token, a pooling by "
                "attention) is not trained by captions"
            )
        if micro_batch is not None and micro_batch < 1:
            raise UserError(f"task.micro_batch={micro_batch}: expected 1 or more, or null")
        self.head: Any = head
        self.prompts = prompts
        self.optimizer, self.lr, self.head_lr = optimizer, lr, head_lr
        self.weight_decay, self.no_decay, self.micro_batch = weight_decay, no_decay, micro_batch

    def maps(self, images: Tensor) -> Tensor:
        """Return feature maps ``(B, C, h, w)`` of images ``(B, 3, H, W)``."""
        images = images.contiguous(memory_format=self.layout)
        net: Any = self.backbone
        if self.micro_batch is None or not torch.is_grad_enabled():
            found: Tensor = net.feature_map(images)
            return found
        pieces = torch.split(images, self.micro_batch)
        once = functools.partial(_first_and_again, net)
        return torch.cat([checkpoint(net.feature_map, p, use_reentrant=False, context_fn=once) for p in pieces])

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the sum of the head's losses."""
        crops, text = batch
        losses = self.head(self.maps(crops[0]), text)
        loss = torch.stack(list(losses.values())).sum()
        self.watch(loss)
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()})
        self.log_dict({"train/loss": loss.detach(), "train/lr": self.current_lr()})
        if hasattr(self.head, "logit_scale"):
            self.log("train/logit_scale", self.head.logit_scale.detach().exp())
        return loss

    def optimizer_step(self, *given: Any, **options: Any) -> None:
        """Make a step, and keep a head's temperature in its range."""
        super().optimizer_step(*given, **options)
        if hasattr(self.head, "clamp_scale"):
            self.head.clamp_scale()

    def validation_step(self, batch: Batch, index: int) -> None:
        """Average the losses over the held-out images; what is random in them is the same every time."""
        crops, text = batch
        known = text.indices >= 0
        if not known.any():
            return
        with seeded(VALIDATION_SEED + index, self.device):
            losses = self.head(self.maps(crops[0][known]), CaptionBatch(*(field[known] for field in text)))
        losses["loss"] = torch.stack(list(losses.values())).sum()
        named = {f"val/{name}": value for name, value in losses.items()}
        self.log_dict(named, batch_size=int(known.sum()), sync_dist=self.trainer.world_size > 1)

    def rates(self, steps: int, warmup_steps: int) -> NDArray[np.float64]:
        """Return the factors of the learning rates: linear warm-up from 0, then a squared cosine."""
        return warmup_cosine_squared(steps, warmup_steps)

    def optimiser(self) -> Optimizer:
        """Return the optimiser over backbone and head."""
        parts: Mapping[str, nn.Module] = {"backbone": self.backbone, "head": self.head}
        rates = {"backbone": self.lr, "head": self.head_lr}
        groups = rated_groups(parts, rates, self.weight_decay, self.no_decay)
        return self.optimizer(groups, lr=self.lr)

    def check_data(self, data: Any) -> None:
        """Refuse, before training, data without captions, tokens that a language model does not read, wrong prompts.

        Raises:
            UserError: for one of these.
        """
        if not hasattr(data, "encoder"):
            raise UserError(f"data: {data.name} has no captions to learn from; choose data such as data=world_captions")
        language = getattr(self.head, "language", None)
        if hasattr(language, "check_tokeniser"):
            language.check_tokeniser(data.tokeniser.digest())  # type: ignore[union-attr]
        read_prompts(self.prompts)

    def examine(self, data: Any, sets: Mapping[str, Any], device: str) -> Examined:
        """Measure on the held-out captions of ``data``, and on ``sets``, what the head can do (``examination``)."""
        return examine(self, data, sets, device)
