"""What the framework costs when a network learns from captions: ``Trainer.fit`` over a bare loop of the same step.

VirTex writes captions in both directions (Lookahead around SGD, gradients clipped at 10), CLIP tells them apart
(AdamW). Both train the small network of the world's scale on resident crops; the peer is torch alone. In
``Trainer.fit`` are the bar, the curves every 10 steps, and a checkpoint at the end: a run has one every 93 steps.

    python benchmarks/captions.py [--device cpu] [--threads 2] [--repeats 5] [--steps 60]
"""

from __future__ import annotations

import argparse
import copy
import functools
import io
import logging
import math
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported, as the command line does

import torch
from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from transferbench.callbacks.checkpoints import Checkpoints
from transferbench.callbacks.loggers import MetricsFile
from transferbench.callbacks.progress import Progress
from transferbench.heads.contrastive import clip_head
from transferbench.heads.virtex import virtex
from transferbench.models.backbone import resnet_small
from transferbench.models.text_encoder import TextEncoder
from transferbench.optim.lookahead import Lookahead
from transferbench.optim.schedule import warmup_cosine_squared
from transferbench.tasks.captions import Captions
from transferbench.text.batch import CaptionBatch

Batch = tuple[list[Tensor], CaptionBatch]
IMAGES, SIDE, TOKENS, LENGTH, WIDTH = 64, 96, 200, 24, 256
CLIP_NORM = {"VirTex": 10.0, "CLIP": None}
"""Where the norm of all gradients is cut off."""


def make_batch(device: str) -> Batch:
    """Return noise with captions of 8 to 24 random tokens: start, pieces, end, padding."""
    torch.manual_seed(0)
    lengths, place = torch.randint(8, LENGTH + 1, (IMAGES, 1)), torch.arange(LENGTH)
    pieces = torch.randint(4, TOKENS, (IMAGES, LENGTH))
    tokens = pieces.where(place > 0, 1).where(place < lengths - 1, 2).where(place < lengths, 0)
    words = (place - 1).expand_as(tokens).where(tokens > 3, -1)
    text = CaptionBatch(tokens, words, torch.full_like(words, -1), torch.zeros(IMAGES, 0), torch.arange(IMAGES))
    crops = torch.randint(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8)
    return [crops.to(device)], CaptionBatch(*(field.to(device) for field in text))


def make_tasks() -> dict[str, Captions]:
    """Return VirTex and CLIP at the world's scale."""
    torch.manual_seed(0)
    writer = virtex(
        width=WIDTH, tokens=TOKENS, textual="transdec_postnorm::L1_H128_A4_F512", pretext="bicaptioning", length=LENGTH
    )
    teller = clip_head(
        width=WIDTH,
        tokens=TOKENS,
        text=TextEncoder(size=TOKENS, width=128, layers=2, heads=4, length=LENGTH, embedding=128),
    )
    slow = functools.partial(Lookahead, inner=functools.partial(torch.optim.SGD, momentum=0.9))
    adam = functools.partial(torch.optim.AdamW, betas=(0.9, 0.98))
    free = r".*textual.(embedding|transformer).*(norm.*|bias)"
    return {
        "VirTex": Captions(resnet_small(last_stride=1), writer, slow, lr=0.01, head_lr=0.001, no_decay=free),
        "CLIP": Captions(resnet_small(last_stride=1), teller, adam, lr=0.001, head_lr=0.001, weight_decay=0.05),
    }


def now(device: str) -> float:
    """Return the time at which ``device`` has done all that it was asked for."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


class Timer(Callback):
    """The time from the end of the first batch to that of the fit, its checkpoint included."""

    def __init__(self, device: str) -> None:
        self.device, self.first, self.last = device, 0.0, 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Note the time of the first."""
        if batch_idx == 0:
            self.first = now(self.device)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the time."""
        self.last = now(self.device)


def on_screen() -> Progress:
    """Return the bar as a terminal gets it, drawn into memory."""
    bar = Progress()
    bar.console = Console(file=io.StringIO(), force_terminal=True)
    return bar


def framework(name: str, task: Captions, batch: Batch, steps: int, device: str) -> float:
    """Return the steps a second of ``Trainer.fit``, with the callbacks and the logger of a run."""
    clock = Timer(device)
    loader: DataLoader[Any] = DataLoader(
        range(steps * IMAGES),  # type: ignore[arg-type]
        batch_size=IMAGES,
        collate_fn=lambda _: batch,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        Trainer(
            max_epochs=1,
            accelerator=device,
            devices=1,
            precision="bf16-mixed",
            gradient_clip_val=CLIP_NORM[name],
            logger=MetricsFile(folder / "metrics.csv"),
            callbacks=[Checkpoints(folder / "checkpoints", {}), on_screen(), clock],
            enable_model_summary=False,
            log_every_n_steps=10,
            default_root_dir=folder,
            use_distributed_sampler=False,
        ).fit(task, loader)
    return (steps - 1) / (clock.last - clock.first)


def bare(name: str, task: Captions, batch: Batch, steps: int, device: str) -> float:
    """Return the steps a second of a loop that does the same with torch alone: no curves, no checkpoint.

    Its autocast is torch's as it comes, which casts a weight that a step uses twice once; Lightning's casts it twice.
    """
    task.to(device)
    crops, text = batch
    net: Any = task.backbone
    head, optimizer = task.head, task.optimiser()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    peaks, factors = [group["lr"] for group in optimizer.param_groups], warmup_cosine_squared(steps, 0)
    first = 0.0
    for step in range(steps):
        for group, peak in zip(optimizer.param_groups, peaks):
            group["lr"] = peak * float(factors[step])
        with torch.autocast(device, torch.bfloat16):
            maps = net.feature_map(crops[0].contiguous(memory_format=torch.channels_last))
            losses = head(maps, text)
            loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if (most := CLIP_NORM[name]) is not None:
            nn.utils.clip_grad_norm_(weights, most)
        optimizer.step()
        if name == "CLIP":
            with torch.no_grad():
                head.logit_scale.clamp_(0, math.log(100))
        first = now(device) if step == 0 else first
    return (steps - 1) / (now(device) - first)


def main() -> None:
    """Print the median steps a second of both, and the overhead in percent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    batch, tasks = make_batch(given.device), make_tasks()
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for repeat in range(given.repeats):
        for name, task in tasks.items():
            ways = (framework, bare) if repeat % 2 == 0 else (bare, framework)
            found = {way: way(name, copy.deepcopy(task), batch, given.steps, given.device) for way in ways}
            rates[name].append((found[framework], found[bare]))
    print(
        f"resnet_small, {IMAGES} x {SIDE} px, captions of up to {LENGTH} of {TOKENS} tokens, bfloat16, {given.device},"
    )
    print(f"{given.threads} threads, torch {torch.__version__}; medians of {given.repeats} x {given.steps} steps")
    print(f"  {'':8s} {'Trainer.fit':>16s} {'bare loop':>16s} {'overhead':>10s}   least to most")
    for name, pairs in rates.items():
        ours, theirs = (statistics.median(column) for column in zip(*pairs))
        extra = sorted(100 * (plain / fit - 1) for fit, plain in pairs)
        print(
            f"  {name:8s} {ours:8.2f} steps/s {theirs:8.2f} steps/s {statistics.median(extra):8.1f} %"
            f"   {extra[0]:.1f} to {extra[-1]:.1f} %"
        )


if __name__ == "__main__":
    main()
