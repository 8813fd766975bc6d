"""Multi-crop, from a JPEG file to its crops, on one core: ours against two public pipelines, as ratios in one run.

python benchmarks/multicrop.py [--images 64] [--repeats 7] [--json FILE]

The peers are the transforms of the reference's table (arXiv:2206.15369) by torchvision on PIL images, and lightly's
DINO transform (2 + 8 crops), where lightly is installed (uv pip install --no-deps lightly).
Times are this process's seconds of CPU, one thread: other jobs on the machine do not count. A ratio is the median over
the repeats of peer / ours, the two measured one after the other.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from rich.console import Console
from rich.table import Table
from torchvision import transforms

from transferbench.data.images import read_image
from transferbench.data.multicrop import MultiCrop
from transferbench.world.contact_sheet import picture
from transferbench.world.shapes import SHAPES

Work = Callable[[Path], object]

BYTES = 110_000
"""Of a JPEG file, about: the mean of ImageNet's training images."""

PEER = "torchvision on PIL"
LIGHTLY = "lightly DINO, 2 + 8"


class PillowBlur:
    """Blur by Pillow's Gaussian, at random: its radius is uniform in [0.1, 2]."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def __call__(self, image: Image.Image) -> Image.Image:
        if random.random() >= self.probability:
            return image
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


def peer(large: int, small: int) -> Work:
    """Return the reference's pipeline by torchvision, the image decoded once by PIL."""

    def one(size: int, scale: tuple[float, float], blur: float, solarise: float) -> transforms.Compose:
        return transforms.Compose(
            [
                transforms.RandomResizedCrop(size, scale, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.RandomHorizontalFlip(),
                transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
                transforms.RandomGrayscale(0.2),
                PillowBlur(blur),
                transforms.RandomSolarize(128, solarise),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    crops = [one(large, (0.25, 1.0), 0.2, 0.2)] + [one(small, (0.05, 0.25), 0.5, 0.0)] * 8

    def work(path: Path) -> object:
        image = decoded(path)
        return [crop(image) for crop in crops]

    return work


def lightly() -> Work | None:
    """Return lightly's DINO transform, or nothing where lightly is missing."""
    try:
        transform = import_module("lightly.transforms.dino_transform").DINOTransform()
    except ImportError:
        return None
    return lambda path: transform(decoded(path))


def ours(large: int, small: int) -> MultiCrop:
    """Return the crops of ``conf/crops/trex.yaml``."""
    return MultiCrop(
        {
            "global": {"count": 1, "size": large, "scale": (0.25, 1.0), "blur": 0.2, "solarise": 0.2},
            "local": {"count": 8, "size": small, "scale": (0.05, 0.25), "blur": 0.5},
        }
    )


def decoded(path: Path) -> Image.Image:
    """Read an image as torchvision's ``ImageFolder`` does."""
    with path.open("rb") as file:
        return Image.open(file).convert("RGB")


def write_photos(folder: Path, count: int) -> list[Path]:
    """Write world pictures enlarged to 500x375, with noise, as JPEGs of about ``BYTES`` (the quality is searched)."""
    paths = []
    for index, name in zip(range(count), sorted(SHAPES) * count):
        large = np.asarray(picture(name, index, 128).resize((500, 500), Image.Resampling.BICUBIC))[62:437]
        noise = np.random.default_rng(index).normal(0, 8, large.shape)
        image = Image.fromarray((large + noise).clip(0, 255).astype(np.uint8))
        files = (jpeg(image, quality) for quality in range(98, 30, -1))
        paths.append(folder / f"{index}.jpg")
        paths[-1].write_bytes(next(file for file in files if len(file) <= BYTES))
    return paths


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Return the bytes of a JPEG file, chroma at half the resolution."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def write_world(folder: Path, count: int) -> list[Path]:
    """Write world pictures of 64x64 as the world's cache holds them."""
    paths = [folder / f"{index}.jpg" for index in range(count)]
    for index, (path, name) in enumerate(zip(paths, sorted(SHAPES) * count)):
        picture(name, index, 64).save(path, quality=92, subsampling=0)
    return paths


def seconds(work: Work, paths: Sequence[Path]) -> float:
    """Return the seconds of CPU that one image takes."""
    begin = time.process_time()
    for path in paths:
        work(path)
    return (time.process_time() - begin) / len(paths)


def measure(title: str, works: dict[str, Work], paths: Sequence[Path], repeats: int) -> dict[str, Any]:
    """Time all works in turn, ``repeats`` times; the first round, which warms up, is dropped."""
    rounds = [{name: seconds(work, paths) for name, work in works.items()} for _ in range(repeats + 1)][1:]
    size = statistics.mean(path.stat().st_size for path in paths)
    rows = {
        name: {
            "images_per_second": statistics.median(1 / one[name] for one in rounds),
            **{
                f"times_{other}": statistics.median(one[other] / one[name] for one in rounds)
                for other in (PEER, LIGHTLY)
                if other in works
            },
        }
        for name in works
    }
    return {"title": f"{title}, {size / 1000:.0f} KB a file", "rows": rows}


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    found = {}
    for package in ("torch", "torchvision", "pillow", "numpy", "lightly"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        **found,
    }


def show(result: dict[str, Any], console: Console) -> None:
    """Print one table."""
    table = Table(title=result["title"], title_justify="left")
    table.add_column("one core")
    table.add_column("images/s", justify="right")
    others = [name for name in (PEER, LIGHTLY) if name in result["rows"]]
    for other in others:
        table.add_column(f"times {other}", justify="right")
    for name, row in result["rows"].items():
        ratios = [f"{row[f'times_{other}']:.2f}" for other in others]
        table.add_row(name, f"{row['images_per_second']:.0f}", *ratios)
    console.print(table)


def main() -> None:
    """Measure, print and, if asked for, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    torch.manual_seed(0)
    console, results = Console(), []
    about = machine()
    console.print(", ".join(f"{key} {value}" for key, value in about.items()), highlight=False)
    for title, write, large, small in (
        ("500x375, 1x224 + 8x96", write_photos, 224, 96),
        ("64x64, 1x48 + 8x24", write_world, 48, 24),
    ):
        crops = ours(large, small)
        works: dict[str, Work] = {
            "decoding alone": decoded,
            "ours, whole crops": lambda path, crops=crops: crops(read_image(path)),  # type: ignore[misc]
            "ours, cut for a batch": lambda path, crops=crops: crops.cut(read_image(path)),  # type: ignore[misc]
            PEER: peer(large, small),
        }
        other = lightly() if large == 224 else None
        if other is not None:
            works[LIGHTLY] = other
        elif large == 224:
            console.print("lightly is not installed and left out; uv pip install --no-deps lightly adds it.")
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(title, works, write(Path(folder), options.images), options.repeats))
        show(results[-1], console)
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
