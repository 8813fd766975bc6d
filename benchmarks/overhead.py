"""What the framework costs: ``Trainer.fit`` of the task, callbacks and curves, over a bare loop of the same step.

Both train the small network of the world's scale on resident crops; the peer is torch alone.

    python benchmarks/overhead.py [--threads 2] [--repeats 5] [--steps 60]
"""

from __future__ import annotations

import argparse
import copy
import functools
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from transferbench.callbacks.checkpoints import Checkpoints
from transferbench.callbacks.loggers import MetricsFile
from transferbench.callbacks.progress import Progress
from transferbench.heads.classification import class_mean_head
from transferbench.models.backbone import resnet_small
from transferbench.tasks.supervised import Supervised

Batch = tuple[list[Tensor], Tensor]
IMAGES = 64


def resident(batch: Batch, steps: int) -> DataLoader[Batch]:
    """Return a loader that gives the same ``batch`` ``steps`` times: no loading is measured."""
    return DataLoader(range(steps * IMAGES), batch_size=IMAGES, collate_fn=lambda _: batch)  # type: ignore[arg-type]


class Timer(Callback):
    """The time from the end of the first batch to that of the last one."""

    first = last = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Note the time."""
        self.last = time.perf_counter()
        self.first = self.last if batch_idx == 0 else self.first


def make_task() -> Supervised:
    """Return t-ReX at the world's scale."""
    torch.manual_seed(0)
    backbone = resnet_small()
    head = class_mean_head(width=256, classes=20, hidden_width=512, bottleneck=128, memory=512, momentum=0.99)
    return Supervised(backbone, head, functools.partial(torch.optim.SGD, momentum=0.9), warmup_epochs=0)


def framework(task: Supervised, batch: Batch, steps: int) -> float:
    """Return the seconds a step takes in ``Trainer.fit``, with the callbacks and the logger of a run."""
    clock = Timer()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        Trainer(
            max_epochs=1,
            accelerator="cpu",
            devices=1,
            precision="bf16-mixed",
            logger=MetricsFile(folder / "metrics.csv"),
            callbacks=[Checkpoints(folder / "checkpoints", {}), Progress(), clock],
            enable_model_summary=False,
            log_every_n_steps=10,
            default_root_dir=folder,
            use_distributed_sampler=False,
        ).fit(task, resident(batch, steps))
    return (clock.last - clock.first) / (steps - 1)


def bare(task: Supervised, batch: Batch, steps: int) -> float:
    """Return the seconds a step takes in a loop that does the same with torch alone."""
    (crops, labels), head, slow = batch, task.head, task.momentum_encoder
    if head.memory is None or slow is None:
        raise ValueError("the benchmark is of a head with a memory and a momentum encoder")
    optimizer = torch.optim.SGD([*task.backbone.parameters(), *head.projector.parameters()], lr=0.01, momentum=0.9)
    first = 0.0
    for index in range(steps):
        with torch.autocast("cpu", torch.bfloat16):
            laid = [crop.contiguous(memory_format=torch.channels_last) for crop in crops]
            features = torch.cat([task.backbone(laid[0]), task.backbone(torch.cat(laid[1:]))])
            loss = F.cross_entropy(head(features), labels.repeat(len(laid)))
            slow.update(task.backbone, head.projector)
            head.memory.push(slow(laid[0]), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        first = time.perf_counter() if index == 0 else first
    return (time.perf_counter() - first) / (steps - 1)


def main() -> None:
    """Print the median time of a step in both, and the overhead in percent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    crops = [torch.randint(0, 256, (64, 3, s, s), dtype=torch.uint8) for s in (48, *[24] * 8)]
    batch = (crops, torch.randint(20, (64,)))
    task = make_task()
    pairs = [
        (framework(copy.deepcopy(task), batch, given.steps), bare(copy.deepcopy(task), batch, given.steps))
        for _ in range(given.repeats)
    ]
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    extra = statistics.median(100 * (one / other - 1) for one, other in pairs)
    print(f"resnet_small, 64 x (48 + 8 x 24), bfloat16, {given.threads} threads, torch {torch.__version__}")
    print(
        f"  a step: {1000 * ours:.1f} ms in Trainer.fit, {1000 * theirs:.1f} ms in a bare loop; overhead {extra:.1f} %"
    )


if __name__ == "__main__":
    main()
