"""Fitting a radiance field to the posed images of one scene (NeRF, arXiv:2003.08934)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from transferbench.errors import RunFailed, UserError
from transferbench.nerf.bundle import Rays
from transferbench.nerf.quality import psnr
from transferbench.nerf.rendering import Rendered
from transferbench.tasks.pretraining import Pretraining
from transferbench.tasks.viewing import Viewing, on

log = logging.getLogger(__name__)

SUSPICIOUS = 300
"""Steps after which pictures of one colour mean that the fit has collapsed."""
MANY, SECONDS = 500_000, 5e-5
"""Pixels of an image above which a warning is given, and about how long one takes on a CPU (``benchmarks/nerf.py``)."""
LOOK = 10
"""Steps between two records of the loss."""
FLAT = 0.004
"""Spread of the colours of a batch, of 1, below which it counts as one colour."""
COLLAPSED = (
    "the field has collapsed at step {step}: all that it renders has one colour, and the images have not; start from "
    "the middle of the images (scale.precrop_steps=500), take more rays (scale.rays) or a lower rate (scale.field_lr), "
    "or try another seed"
)


class FieldFitting(Viewing, Pretraining):
    """Make rendered colours equal those of the pixels.

    Batches are ``Pixels``: frames, rows and columns (R,), and colours (R, 3 or 4) uint8.

    Args:
        backbone: the scene's model (``models.hierarchical``, ``models.marched``, ``models.neuraldiff``).
        head: not used.
        optimizer: makes the optimiser, called with parameters and ``lr=``.
        lr: at the first step.
        decay: what the rate is multiplied by, in all, until the last step; it falls exponentially.
        decay_steps: steps in which it falls that far; None for those of the run.
        loss: squared or huber (with a bend at 0.1) distance of colours.
        background: what rays end on in training, and transparent images are put on: the scene's own, or random colours,
            which tell the empty from the white or the black. Judged is always on the scene's own.
        pixel_centre: where in a pixel its ray goes through.
        ndc: normalised device coordinates for forward-facing scenes.
        compile: ``torch.compile`` the model's fields, in place, so that checkpoints keep their names.
    """

    unit = "rays"
    """Of what is counted while it trains."""
    counted: int | None = None
    """How many of them the last step took."""

    def __init__(
        self,
        backbone: Any,
        head: None = None,
        *,
        optimizer: Callable[..., Optimizer],
        lr: float = 5e-4,
        decay: float = 0.1,
        decay_steps: int | None = None,
        loss: Literal["squared", "huber"] = "squared",
        background: Literal["scene", "random"] = "scene",
        pixel_centre: float = 0.5,
        ndc: bool = False,
        compile: bool = False,
    ) -> None:
        Pretraining.__init__(self, backbone, False, 0)
        if loss not in ("squared", "huber") or background not in ("scene", "random"):
            raise UserError(
                f"task: found loss={loss}, background={background}; expected squared or huber, and scene or random"
            )
        self.head, self.looked_after = head, 0
        self.optimizer, self.lr, self.decay, self.decay_steps = optimizer, lr, decay, decay_steps
        self.loss, self.background, self.pixel_centre, self.ndc = loss, background, pixel_centre, ndc
        self.compiled = compile

    def check_data(self, data: Any) -> None:
        """Take over the scene, and warn of views that take long."""
        super().check_data(data)
        height, width = self.views.size
        if not torch.cuda.is_available() and height * width > MANY:
            log.warning(
                "%s has images of %d x %d pixels: a view takes about %d s on a CPU; type data.size=480 for less",
                data.name, width, height, height * width * SECONDS,
            )  # fmt: skip

    def on_fit_start(self) -> None:
        """Compile the fields, for any number of points."""
        if self.compiled:
            for name in self.backbone.featured:
                getattr(self.backbone, name).compile(dynamic=True)

    def training_step(self, batch: Any, _: int) -> Tensor:
        """Return the loss of the rays that the model can afford, its own passes summed."""
        frames, rows, columns, pixels = batch
        rays = self.views.rays(frames, rows, columns)
        count: int = self.backbone.affordable(rays)
        self.counted = count
        background = self.drawn_background(count)
        truth = on(pixels[:count], background)
        passes: list[Rendered] = self.backbone(rays[:count], background)
        loss = self.objective(passes, truth, rays[:count])
        self.watch(loss)
        if self.global_step % LOOK == 0:
            colour = passes[-1].colour.detach()
            self.refuse_collapse(colour, truth)
            if self.background == "random":  # which would hide that nothing else is there
                behind = (1 - passes[-1].opacity.detach())[:, None] * background
                self.refuse_collapse(colour - behind, on(pixels[:count], torch.zeros(3)))
            error = F.mse_loss(colour, truth)
            self.log_dict(
                {"train/loss": loss.detach(), "train/psnr": -10 * error.log10(), "train/lr": self.current_lr()}
            )
        return loss

    def objective(self, passes: list[Rendered], truth: Tensor, rays: Rays) -> Tensor:
        """Return the summed distances of the passes' colours from the ``truth`` (R, 3) (NeRF, eq. 6)."""
        if self.loss == "huber":
            return torch.stack([F.smooth_l1_loss(one.colour, truth, beta=0.1) for one in passes]).sum()
        return torch.stack([F.mse_loss(one.colour, truth) for one in passes]).sum()

    def drawn_background(self, count: int) -> Tensor:
        """Return what ``count`` rays of a training step end on."""
        own = self.own_background.to(self.device)
        if self.background == "random":
            return torch.rand(count, 3, device=self.device)
        return own.expand(count, 3)

    def refuse_collapse(self, colour: Tensor, truth: Tensor) -> None:
        """Raise ``RunFailed`` where ``colour`` (R, 3) is one while the ``truth`` is not, after the first steps."""
        if self.global_step >= SUSPICIOUS and float(colour.std(0).max()) < FLAT < float(truth.std(0).max()) / 4:
            raise RunFailed(COLLAPSED.format(step=self.global_step))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Let the model look after itself between steps: now, for a checkpoint is written as soon as a step ends."""
        if self.global_step != self.looked_after:
            self.looked_after = self.global_step
            self.backbone.after_step(self.global_step)

    def validation_step(self, frame: int, _: int) -> None:
        """Compare a whole view."""
        truth = self.truth(int(frame))
        value = psnr(self.view(int(frame)).colour.clamp(0, 1).view_as(truth), truth)
        self.log("val/psnr", value, batch_size=1)

    def rates(self, steps: int, warmup_steps: int) -> NDArray[np.float64]:
        """Return rates that fall exponentially."""
        return self.lr * self.decay ** (np.arange(steps) / (self.decay_steps or max(steps, 1)))

    def optimiser(self) -> Optimizer:
        """Return the optimiser over the field."""
        return self.optimizer([p for p in self.backbone.parameters() if p.requires_grad], lr=1.0)

    def examine(self, data: Any, sets: Mapping[str, Any], device: str) -> Any:
        """Judge the test views."""
        from transferbench.tasks.field_examination import examine_field

        return examine_field(self, data, device)
