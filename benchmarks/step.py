"""One training step of t-ReX on resident crops: ours against the plain one of the same network, as a ratio.

``plain`` is what one writes first: float32, contiguous images, one pass a crop. ``grouped`` takes one pass a size. Ours
adds channels-last and the autocast of the scale (bfloat16 on a CPU; float16 and bfloat16 on a GPU). Every variant does
the same work: forward, online class means, momentum encoder, backward, SGD.

    python benchmarks/step.py [--threads 2] [--repeats 5]
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.heads.classification import Head, class_mean_head
from transferbench.models.backbone import Backbone, resnet_small, torchvision_backbone
from transferbench.optim.groups import decay_groups
from transferbench.optim.momentum import MomentumEncoder
from transferbench.tasks.supervised import stack_by_size

CASES = {  # name -> network, images a step, global and local size, classes: the world's scale and the paper's
    "resnet_small, 64 x (48 + 8 x 24)": (resnet_small, 64, 48, 24, 20),
    "resnet50, 8 x (224 + 8 x 96)": (lambda: torchvision_backbone("resnet50"), 8, 224, 96, 1000),
}
Passes = Callable[[nn.Module, Sequence[Tensor]], Tensor]


def one_a_crop(backbone: nn.Module, crops: Sequence[Tensor]) -> Tensor:
    """Return features (crops x B, width), one pass a crop."""
    return torch.cat([backbone(crop) for crop in crops])


def one_a_size(backbone: nn.Module, crops: Sequence[Tensor]) -> Tensor:
    """Return features (crops x B, width), one pass a size."""
    return torch.cat([backbone(same_size) for same_size in stack_by_size(crops)])


class Step:
    """A network, its momentum encoder and its optimiser, and one step of training."""

    def __init__(
        self, backbone: nn.Module, head: Head, passes: Passes, layout: torch.memory_format, dtype: str
    ) -> None:
        self.backbone, self.head = backbone.to(memory_format=layout), head
        self.slow = MomentumEncoder(self.backbone, head.projector, 0.999)
        self.passes, self.layout = passes, layout
        self.dtype = getattr(torch, dtype)
        device = next(backbone.parameters()).device.type
        self.autocast = torch.autocast(device, self.dtype, enabled=dtype != "float32")
        self.scaler = torch.amp.GradScaler(device, enabled=dtype == "float16")
        self.optimizer = torch.optim.SGD(decay_groups([backbone, head.projector], 1e-4), lr=0.01, momentum=0.9)

    def __call__(self, crops: Sequence[Tensor], labels: Tensor) -> None:
        """Train on crops, each (B, 3, S, S) uint8, and labels (B,)."""
        crops = [crop.contiguous(memory_format=self.layout) for crop in crops]
        with self.autocast:
            logits = self.head(self.passes(self.backbone, crops))
            loss = F.cross_entropy(logits, labels.repeat(len(crops)))
            self.slow.update(self.backbone, self.head.projector)
            if self.head.memory is not None:
                self.head.memory.push(self.slow(crops[0]), labels)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()


def seconds(step: Step, crops: Sequence[Tensor], labels: Tensor, count: int) -> float:
    """Return the time of one step."""
    begin = time.perf_counter()
    for _ in range(count):
        step(crops, labels)
    if crops[0].is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) / count


def variants(backbone: nn.Module, head: Head, device: str) -> dict[str, Step]:
    """Return the ways to do a step, from the plain one to ours, each with a copy of the same network."""
    low = {"bfloat16": torch.channels_last} | ({"float16": torch.channels_last} if device == "cuda" else {})
    ways = {
        "plain float32": (one_a_crop, torch.contiguous_format, "float32"),
        "grouped float32": (one_a_size, torch.contiguous_format, "float32"),
        "grouped float32 channels-last": (one_a_size, torch.channels_last, "float32"),
        **{f"ours, {dtype}": (one_a_size, layout, dtype) for dtype, layout in low.items()},
    }
    return {
        name: Step(copy.deepcopy(backbone), copy.deepcopy(head), passes, layout, dtype)
        for name, (passes, layout, dtype) in ways.items()
    }


def main() -> None:
    """Print images/s of every variant and its ratio to the plain one, medians over interleaved repeats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name, (make, images, big, small, classes) in CASES.items():
        torch.manual_seed(0)
        images *= 8 if device == "cuda" else 1
        backbone: Backbone = make().to(device).train()  # type: ignore[no-untyped-call]
        head = class_mean_head(width=backbone.width, classes=classes).to(device).train()
        crops = [
            torch.randint(0, 256, (images, 3, s, s), dtype=torch.uint8, device=device) for s in [big] + [small] * 8
        ]
        labels = torch.randint(classes, (images,), device=device)
        steps = variants(backbone, head, device)
        times: dict[str, list[float]] = {way: [] for way in steps}
        count = 20 if device == "cuda" else max(1, 24 * 64 * 48 * 48 // (images * big * big * 8))
        for step, _ in itertools.product(steps.values(), range(2)):
            seconds(step, crops, labels, 1)  # warm
        for _, (way, step) in itertools.product(range(given.repeats), steps.items()):
            times[way].append(seconds(step, crops, labels, count))
        print(f"{name}, {device}, {given.threads} threads, torch {torch.__version__}")
        plain = times["plain float32"]
        for way, spent in times.items():
            ratio = statistics.median(p / s for p, s in zip(plain, spent))
            print(f"  {way:32s} {images / statistics.median(spent):8.1f} images/s   {ratio:.2f} x plain")


if __name__ == "__main__":
    main()
