"""Fitting a scene, rendering it, and what the framework costs: ours against the plain NeRF, as published.

The peer of ``psnr`` and ``render`` is written out below in PyTorch alone, as NeRF's code has it (arXiv:2003.08934):
two networks of 8 x 256, 64 + 128 samples a ray, 1,024 rays of one image a step, Adam at 5e-4. Ours is
``+experiment=nerf_fast``, composed, prepared and fitted as the command line does. The peer of ``overhead`` is a bare
loop around the model of ``+experiment=nerf``. All see the same stage of the embedded world.

    python benchmarks/nerf.py [--threads 2] [--scene-seed 0] [--seconds 300] [--parts psnr,render,overhead,gpu]
                              [overrides of nerf_fast, such as scale.epochs=2]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import io
import json
import logging
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported, as the command line does

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from lightning import Callback, LightningModule, Trainer, seed_everything
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

import transferbench
from transferbench import schema
from transferbench.build import build
from transferbench.callbacks.progress import Progress
from transferbench.cli.plan import plan
from transferbench.cli.usage import conf_dir
from transferbench.data.scenes.folder import read_scene
from transferbench.data.scenes.scene import Scene
from transferbench.features.extract import frozen
from transferbench.nerf.bundle import Rays
from transferbench.nerf.quality import psnr
from transferbench.outputs import RunFolder
from transferbench.run import Prepared, fit, prepare, quieten
from transferbench.tasks.viewing import on
from transferbench.world.studio import open_scene

PARTS = ("psnr", "render", "overhead", "gpu")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TARGET, GPU_TARGET = 28.0, 30.0
"""Decibels that are to be reached."""
COARSE, FINE, NET_CHUNK = 64, 128, 32768
"""Samples of the plain NeRF's passes, and the points that its networks see at a time."""
LOOKS, LOOKED_AT = 12, 1000
"""Looks at the plain NeRF within its budget, and the pixels of the first test view that each is at."""
CHUNKS = (1024, 4096)
"""Rays that are rendered at a time."""


class Point(NamedTuple):
    """What a fit had come to after ``seconds``, without those spent on looking."""

    seconds: float
    steps: int
    rays: int
    psnr: float


# The plain NeRF.


class Images(NamedTuple):
    """``origins`` (N, 3), ``directions`` and ``colours`` (N, H, W, 3) of N images on white, all on one device."""

    origins: Tensor
    directions: Tensor
    colours: Tensor
    near: float
    far: float


def images_of(scene: Scene) -> Images:
    """Return the rays and colours of a scene; they go through the middle of pixels, as its cameras say."""
    rows, columns = np.meshgrid(np.arange(scene.height) + 0.5, np.arange(scene.width) + 0.5, indexing="ij")
    fx, fy, cx, cy = scene.intrinsics[0]
    local = np.stack([(columns - cx) / fx, -(rows - cy) / fy, -np.ones_like(rows)], -1)
    directions = np.einsum("nij,hwj->nhwi", scene.poses[:, :3, :3], local)
    pixels, alpha = scene.images[..., :3] / 255, scene.images[..., 3:] / 255
    arrays = (scene.poses[:, :3, 3], directions, pixels * alpha + 1 - alpha)
    bounds = np.asarray(scene.near).min(), np.asarray(scene.far).max()
    origins, directions, colours = (torch.tensor(part, dtype=torch.float32, device=DEVICE) for part in arrays)
    return Images(origins, directions, colours, float(bounds[0]), float(bounds[1]))


def encoded(values: Tensor, frequencies: int) -> Tensor:
    """Return ``values`` (..., 3), then sines and cosines of 2^k times them (..., 3 + 6 frequencies)."""
    waves = [wave(2.0**power * values) for power in range(frequencies) for wave in (torch.sin, torch.cos)]
    return torch.cat([values, *waves], -1)


class PlainNetwork(nn.Module):
    """Eight layers of 256 with the position again behind the fifth; one of 128 for the colour: 595,844 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.ModuleList(nn.Linear(width, 256) for width in (63, 256, 256, 256, 256, 319, 256, 256))
        self.sigma, self.feature = nn.Linear(256, 1), nn.Linear(256, 256)
        self.view, self.rgb = nn.Linear(256 + 27, 128), nn.Linear(128, 3)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def hidden(self, points: Tensor) -> Tensor:
        """Return the trunk's activations (N, 256) at ``points`` (N, 3)."""
        position = encoded(points, 10)
        found = position
        for number, layer in enumerate(self.trunk):
            found = F.relu(layer(found))
            if number == 4:
                found = torch.cat([position, found], -1)
        return found

    def density(self, points: Tensor) -> Tensor:
        """Return densities (N,) at ``points`` (N, 3)."""
        return F.relu(self.sigma(self.hidden(points)))[:, 0]

    def forward(self, points: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return densities (N,) and colours (N, 3) at ``points``, seen along unit ``views`` (N, 3)."""
        hidden = self.hidden(points)
        seen = F.relu(self.view(torch.cat([self.feature(hidden), encoded(views, 4)], -1)))
        return F.relu(self.sigma(hidden))[:, 0], self.rgb(seen).sigmoid()


class PlainNeRF(nn.Module):
    """A coarse and a fine network, rendered on white."""

    def __init__(self, near: float, far: float) -> None:
        super().__init__()
        self.coarse, self.fine = PlainNetwork(), PlainNetwork()
        self.near, self.far = near, far

    def forward(self, origins: Tensor, directions: Tensor) -> list[Tensor]:
        """Return the colours (R, 3) of both passes, the fine one last; with jitter in training."""
        z = torch.linspace(self.near, self.far, COARSE, device=origins.device).expand(len(origins), COARSE)
        if self.training:
            middle = (z[:, 1:] + z[:, :-1]) / 2
            low, high = torch.cat([z[:, :1], middle], 1), torch.cat([middle, z[:, -1:]], 1)
            z = low + (high - low) * torch.rand_like(z)
        first, weights = self.rendered(self.coarse, origins, directions, z)
        more = drawn((z[:, 1:] + z[:, :-1]) / 2, weights[:, 1:-1].detach(), FINE, self.training)
        z = torch.cat([z, more], 1).sort(1).values
        return [first, self.rendered(self.fine, origins, directions, z)[0]]

    def rendered(self, net: nn.Module, origins: Tensor, directions: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the colours (R, 3) and weights (R, S) of samples at the ray parameters ``z`` (R, S)."""
        points = origins[:, None] + z[..., None] * directions[:, None]
        views = F.normalize(directions, dim=1)[:, None].expand_as(points).reshape(-1, 3)
        some = zip(*(torch.split(part, NET_CHUNK) for part in (points.reshape(-1, 3), views)))
        density, colour = (torch.cat(parts) for parts in zip(*(net(*chunk) for chunk in some)))
        lengths = torch.cat([z[:, 1:] - z[:, :-1], torch.full_like(z[:, :1], 1e10)], 1)
        alpha = 1 - torch.exp(-density.view_as(z) * lengths * directions.norm(dim=1, keepdim=True))
        clear = torch.cumprod(torch.cat([torch.ones_like(z[:, :1]), 1 - alpha + 1e-10], 1), 1)[:, :-1]
        weights = alpha * clear
        shown = (weights[..., None] * colour.view(*z.shape, 3)).sum(1)
        return shown + 1 - weights.sum(1, keepdim=True), weights

    @torch.no_grad()
    def render(self, origins: Tensor, directions: Tensor, chunk: int = CHUNKS[-1]) -> Tensor:
        """Return the colours (R, 3) of any number of rays."""
        parts = zip(torch.split(origins, chunk), torch.split(directions, chunk))
        return torch.cat([self(*part)[-1] for part in parts])


def drawn(edges: Tensor, weights: Tensor, count: int, jitter: bool) -> Tensor:
    """Return ``count`` draws (R, count) between ``edges`` (R, S + 1) by the ``weights`` (R, S) of the intervals."""
    shares = (weights + 1e-5) / (weights + 1e-5).sum(1, keepdim=True)
    below = torch.cat([torch.zeros_like(shares[:, :1]), shares.cumsum(1)], 1)
    even = torch.linspace(0, 1, count, device=edges.device).expand(len(edges), count)
    at = (torch.rand_like(even) if jitter else even).contiguous()
    right = torch.searchsorted(below, at, right=True)
    ends = torch.stack([(right - 1).clamp(min=0), right.clamp(max=below.shape[1] - 1)])
    (low, high), (start, end) = (torch.stack([of.gather(1, one) for one in ends]) for of in (below, edges))
    width = torch.where(high - low < 1e-5, torch.ones_like(low), high - low)
    found: Tensor = start + (at - low) / width * (end - start)
    return found


def fit_plain(scene: Scene, budget: float, rays: int) -> tuple[PlainNeRF, list[Point]]:
    """Fit the plain NeRF for ``budget`` seconds, ``rays`` of one image a step; return it and its curve."""
    torch.manual_seed(0)
    images, area = images_of(scene), scene.height * scene.width
    model = PlainNeRF(images.near, images.far).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4, eps=1e-7)
    pixels = torch.randperm(area, generator=torch.Generator().manual_seed(0))[:LOOKED_AT].to(DEVICE)
    points: list[Point] = []
    spent, step = 0.0, 0
    while spent < budget:
        start = now()
        frame = scene.train[int(torch.randint(len(scene.train), ()))]
        chosen = torch.randperm(area, device=DEVICE)[:rays]
        directions, truth = (part[frame].reshape(-1, 3)[chosen] for part in (images.directions, images.colours))
        passes = model(images.origins[frame].expand_as(directions), directions)
        loss = torch.stack([F.mse_loss(colour, truth) for colour in passes]).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        step += 1
        optimizer.param_groups[0]["lr"] = 5e-4 * 0.1 ** (step / 500_000)
        spent += now() - start
        if spent >= budget * (len(points) + 1) / LOOKS or spent >= budget:
            found = look(model, images, scene.test[0], pixels)
            points.append(Point(spent, step, step * len(chosen), found))
    return model, points


def look(model: PlainNeRF, images: Images, frame: int, pixels: Tensor) -> float:
    """Return the PSNR of some ``pixels`` of one image."""
    directions, truth = (part[frame].reshape(-1, 3)[pixels] for part in (images.directions, images.colours))
    shown = model.eval().render(images.origins[frame].expand_as(directions), directions).clamp(0, 1)
    model.train()
    return psnr(shown[None], truth[None])


# Ours.


class Watch(Callback):
    """Look at all test views every so many seconds of training, and count these without the looks.

    Args:
        data: the scene's data module.
        every: seconds; None to look at nothing.
        target: decibels at which to stop.
        budget: seconds after which to stop at the latest.
    """

    def __init__(self, data: Any, every: float | None, target: float = math.inf, budget: float = math.inf) -> None:
        self.data, self.every, self.target, self.budget = data, every, target, budget
        self.points: list[Point] = []
        self.rays, self.looking, self.began = 0, 0.0, 0.0
        self.first = self.last = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self.began = now()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count the rays that the step will render, of those that were drawn."""
        backbone: Any = pl_module.backbone
        self.rays += backbone.affordable(batch[0])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Look, when it is time."""
        self.first = self.first or now()
        last = self.points[-1].seconds if self.points else 0.0
        if self.every is not None and self.seconds() >= last + self.every:
            self.look(pl_module, trainer.global_step)
            if self.points[-1].psnr >= self.target or self.points[-1].seconds >= self.budget:
                trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what came out."""
        self.last = now()
        if self.every is not None and [one.steps for one in self.points[-1:]] != [trainer.global_step]:
            self.look(pl_module, trainer.global_step)

    def seconds(self) -> float:
        """Return the seconds of training."""
        return now() - self.began - self.looking

    def look(self, task: Any, step: int) -> None:
        """Add the mean PSNR of the test views."""
        spent, start = self.seconds(), now()
        with frozen(task), torch.no_grad():
            values = []
            for frame in self.data.scene.test:
                truth = task.truth(frame)
                values.append(psnr(task.view(frame).colour.clamp(0, 1).view_as(truth), truth))
        self.points.append(Point(spent, step, self.rays, statistics.mean(values)))
        self.looking += now() - start


def prepared_run(experiment: str, words: Sequence[str], folder: Path) -> tuple[Prepared, list[Any], RunFolder]:
    """Return what the command line would fit, without validation, its loggers, and its folder, which is created."""
    schema.register()
    silent = ["+trainer.limit_val_batches=0", f"outputs={folder}", f"run=bench_{time.time_ns()}"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        job = plan(compose("config", overrides=[f"+experiment={experiment}", *silent, *words]))[-1]
    place = RunFolder(job.folder, job.digest)
    quieten()
    seed_everything(job.config["seed"], verbose=False)
    prepared = prepare(job.config, place)
    place.claim(job.config)
    for one in prepared.trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(one, Progress):  # the bar as a terminal gets it, drawn into memory
            one.console = Console(file=io.StringIO(), force_terminal=True)
    return prepared, build(job.config["logger"])(folder=place.path, config=job.config), place


def fit_ours(
    experiment: str, words: Sequence[str], folder: Path, every: float | None, **limits: Any
) -> tuple[Prepared, list[Point], Path]:
    """Fit an experiment through the Trainer; return it with its curve and its folder. ``limits`` are of ``Watch``."""
    prepared, loggers, place = prepared_run(experiment, words, folder)
    watch = Watch(prepared.data, every, **limits)
    prepared.trainer.callbacks.append(watch)  # type: ignore[attr-defined]
    fit(prepared, loggers)
    place.release()
    return prepared, watch.points, place.path


# What is printed.


def now() -> float:
    """Return the time at which the device has done all that it was asked for."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def machine() -> str:
    """Return what this runs on."""
    if DEVICE == "cuda":
        return torch.cuda.get_device_name()
    listed = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", listed.read_text()) if listed.is_file() else None
    return f"{os.cpu_count()} cores of {model[1] if model else platform.processor() or platform.machine()}"


def heading(part: str, said: str) -> None:
    """Print what a part is about, and where it ran."""
    print(f"\n{part}: {said}")
    print(f"  {machine()}, {torch.get_num_threads()} threads, float32, torch {torch.__version__}")


def reached(points: Sequence[Point], target: float) -> float | None:
    """Return the seconds at which a fit was first seen at ``target`` dB or more, None where it was not."""
    return next((point.seconds for point in points if point.psnr >= target), None)


def extrapolated(points: Sequence[Point], target: float) -> tuple[float, float]:
    """Return the seconds to ``target`` dB and the dB a tenfold of time, by a line through the second half of a curve.

    Infinitely many where the curve does not rise.
    """
    half = points[len(points) // 2 :]
    if len({point.seconds for point in half}) < 2:
        return math.inf, 0.0
    slope, level = np.polyfit(np.log10([point.seconds for point in half]), [point.psnr for point in half], 1)
    power = (target - level) / slope if slope > 0 else math.inf
    return (10.0**power if power < 300 else math.inf), float(slope)


def number(value: float) -> str:
    """Return a number of seconds, or a ratio."""
    return f"{value:.1e}" if value >= 1e5 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def row(name: str, points: Sequence[Point], target: float) -> None:
    """Print the rates of a fit, its end, and when it was at ``target`` dB."""
    end, at = points[-1], reached(points, target)
    said = "not reached" if at is None else f"{number(at)} s"
    print(
        f"  {name:28s} {end.rays / end.seconds:10.0f} {end.steps / end.seconds:9.2f} {said:>13s}"
        f"   {end.psnr:.2f} dB after {number(end.seconds)} s, {end.steps} steps"
    )


def curve(name: str, points: Sequence[Point]) -> None:
    """Print about a dozen points of a curve."""
    chosen = points[:: max(1, len(points) // LOOKS)]
    print(f"  {name}, dB after s: " + ", ".join(f"{point.psnr:.1f} {number(point.seconds)}" for point in chosen))


COLUMNS = f"  {'':28s} {'rays/s':>10s} {'steps/s':>9s}"


def show_psnr(data: Any, plain: Sequence[Point], ours: Sequence[Point], rays: int) -> None:
    """Print both fits and their ratio."""
    scene = data.scene
    size = f"{len(scene.train)} views of {scene.width} x {scene.height} to fit, {len(scene.test)} to test"
    heading("psnr", f"seconds of fitting to {TARGET:g} dB, looks not counted; {data.name}, {size}")
    print(f"{COLUMNS} {f'to {TARGET:g} dB':>13s}   end")
    row(f"plain NeRF, {rays} rays a step", plain, TARGET)
    row("ours, nerf_fast", ours, TARGET)
    curve(f"plain ({LOOKED_AT} pixels of one test view)", plain)
    curve(f"ours (mean of {len(scene.test)} test views)", ours)
    at, last = reached(ours, TARGET), plain[-1]
    if at is None:
        print(f"  no ratio: ours did not reach {TARGET:g} dB")
        return
    measured = reached(plain, TARGET)
    if measured is not None:
        print(f"  ratio plain / ours: {number(measured / at)}, both measured")
        return
    seconds, slope = extrapolated(plain, TARGET)
    print(f"  at least {number(last.seconds / at)} times: plain had {last.psnr:.1f} dB after {number(last.seconds)} s")
    if math.isinf(seconds):
        print("  no extrapolation: the second half of plain's curve does not rise, or hardly")
        return
    print(
        f"  ratio plain / ours: {number(seconds / at)}, EXTRAPOLATED: plain at {TARGET:g} dB after {number(seconds)} s"
    )
    print("    the rule: PSNR of a NeRF grows about linearly with the logarithm of the steps; a line through the")
    print(f"    second half of its curve over log10 of the seconds rises by {slope:.2f} dB a tenfold")


# One view, in a process of its own, so that its peak of memory is nobody else's.


def memory(key: str) -> float:
    """Return ``VmRSS`` or its peak ``VmHWM`` of this process in MB, not a number where the system does not say."""
    listed = Path("/proc/self/status")
    found = re.search(rf"{key}:\s+(\d+)", listed.read_text()) if listed.is_file() else None
    return int(found[1]) / 1024 if found else math.nan


def renderer(which: str, place: Path, chunk: int) -> Callable[[int], object]:
    """Return what renders the first so many rays of the view that lies in ``place``."""
    kept: dict[str, Any] = torch.load(place / "view.pt", weights_only=True, map_location=DEVICE)
    rays = Rays(*kept["rays"])
    if which == "ours":
        field: Any = transferbench.load(kept["run"]).field
        field.to(DEVICE).chunk = chunk
        return lambda count: field.render(rays[:count], kept["background"])
    model = PlainNeRF(float(rays.near[0]), float(rays.far[0])).to(DEVICE).eval()
    if (weights := place / "plain.pt").is_file():
        model.load_state_dict(torch.load(weights, weights_only=True))
    return lambda count: model.render(rays.origins[:count], rays.directions[:count], chunk)


def inside(which: str, place: Path, chunk: int) -> None:
    """Render one view, again until two seconds have passed; print the seconds of one and the peak of memory in MB."""
    render = renderer(which, place, chunk)
    render(64)  # warm
    forget = Path("/proc/self/clear_refs")
    if os.access(forget, os.W_OK):
        forget.write_text("5")  # the peak begins anew: imports are not counted
    before = memory("VmRSS")
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
    seconds: list[float] = []
    while sum(seconds) < 2:
        start = now()
        render(sys.maxsize)
        seconds.append(now() - start)
    peak = torch.cuda.max_memory_allocated() / 2**20 if DEVICE == "cuda" else memory("VmHWM")
    print(json.dumps({"seconds": statistics.median(seconds), "peak": peak, "more": peak - before}))


def measure_render(prepared: Prepared, run: Path, place: Path, threads: int) -> None:
    """Print what one test view costs with both, by the number of rays that are rendered at a time."""
    scene, task = prepared.data.scene, prepared.task
    rays = task.to("cpu").views.whole(scene.test[0])
    content = {"rays": rays.parts(), "background": task.own_background, "run": str(run)}
    torch.save(content, place / "view.pt")
    heading("render", f"one test view of {scene.width} x {scene.height}, {len(rays)} rays, each in a fresh process")
    print(f"  {'':28s} {'rays a chunk':>12s} {'s a view':>9s} {'peak MB':>9s} {'for the view':>13s}")
    found: dict[tuple[str, int], dict[str, float]] = {}
    for which, said in (("plain", f"plain NeRF, {NET_CHUNK} points"), ("ours", "ours, nerf_fast, fitted")):
        for chunk in CHUNKS:
            words = [sys.executable, __file__, "--threads", str(threads), "--inside", which, str(place), str(chunk)]
            printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            one = found[which, chunk] = json.loads(printed.splitlines()[-1])
            print(f"  {said:28s} {chunk:12d} {one['seconds']:9.2f} {one['peak']:9.0f} {one['more']:10.0f} MB")
    ratio, less = (found["plain", CHUNKS[-1]][key] / found["ours", CHUNKS[-1]][key] for key in ("seconds", "more"))
    print(f"  plain / ours at {CHUNKS[-1]} rays: {number(ratio)} times the seconds, {less:.1f} times the memory")


# The framework.


def framework(folder: Path, words: Sequence[str]) -> float:
    """Return the steps a second of ``Trainer.fit`` behind the first step, with a run's callbacks and curves."""
    prepared, loggers, place = prepared_run("nerf", words, folder)
    watch = Watch(prepared.data, None)
    prepared.trainer.callbacks.append(watch)  # type: ignore[attr-defined]
    fit(prepared, loggers)
    place.release()
    return (prepared.trainer.global_step - 1) / (watch.last - watch.first)


def bare(folder: Path, words: Sequence[str]) -> float:
    """Return the steps a second of a loop that does the same with torch alone: no curves, no checkpoint."""
    prepared, _, place = prepared_run("nerf", words, folder)
    place.release()
    task: Any = prepared.task.to(DEVICE).train()
    batches = prepared.data.train_dataloader()
    model, optimizer, white = task.backbone, task.optimiser(), task.own_background.to(DEVICE)
    rates, first = task.rates(len(batches), 0), 0.0
    for step, batch in enumerate(batches):
        frames, rows, columns, pixels = (part.to(DEVICE) for part in batch)
        truth = on(pixels, white)
        optimizer.param_groups[0]["lr"] = float(rates[step])
        passes = model(task.views.rays(frames, rows, columns), white)
        loss = torch.stack([F.mse_loss(one.colour, truth) for one in passes]).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        first = first or now()
    return (len(batches) - 1) / (now() - first)


def measure_overhead(folder: Path, scene_seed: int, repeats: int, steps: int) -> None:
    """Print the median steps a second of both, which take turns, and the overhead in percent."""
    words = [f"data.scene_seed={scene_seed}", "scale.epochs=1", f"scale.epoch_steps={steps}"]
    pairs: list[tuple[float, float]] = []
    for repeat in range(repeats):
        ways = (framework, bare) if repeat % 2 == 0 else (bare, framework)
        found = {way: way(folder, words) for way in ways}
        pairs.append((found[framework], found[bare]))
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    extra = sorted(100 * (plain / fitted - 1) for fitted, plain in pairs)
    heading("overhead", "nerf at the world's scale: 2 networks of 4 x 64, 32 + 32 samples, 256 rays a step")
    print(f"  medians of {repeats} x {steps} steps in turns; the fit ends with a checkpoint, and has curves and a bar")
    print(f"  {'':8s} {'Trainer.fit':>16s} {'bare loop':>16s} {'overhead':>10s}   least to most")
    print(
        f"  {'nerf':8s} {ours:8.2f} steps/s {theirs:8.2f} steps/s {statistics.median(extra):8.1f} %"
        f"   {extra[0]:.1f} to {extra[-1]:.1f} %"
    )


# A GPU.


class Vanilla(nn.Module):
    """The plain network, sampled by nerfacc: a grid of 128^3, steps of 1/600 of the scene's box."""

    def __init__(self, scene: Scene, near: float) -> None:
        super().__init__()
        self.library: Any = importlib.import_module("nerfacc")
        corners = torch.tensor(np.asarray(scene.box), dtype=torch.float32)
        self.net, self.near, self.length = PlainNetwork(), near, float((corners[1] - corners[0]).max()) / 600
        self.grid = self.library.OccGridEstimator(corners.flatten(), resolution=128)

    def forward(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, int]:
        """Return the colours (R, 3) of rays on white, and of how many samples they were made."""
        views = F.normalize(directions, dim=1)

        def points(start: Tensor, end: Tensor, ray: Tensor) -> Tensor:
            return origins[ray] + (start + end)[:, None] / 2 * views[ray]

        def shown(start: Tensor, end: Tensor, ray: Tensor) -> tuple[Tensor, Tensor]:
            density, colour = self.net(points(start, end, ray), views[ray])
            return colour, density

        def density(start: Tensor, end: Tensor, ray: Tensor) -> Tensor:
            return self.net.density(points(start, end, ray))

        options = {"near_plane": self.near, "render_step_size": self.length, "stratified": self.training}
        ray, start, end = self.grid.sampling(origins, views, sigma_fn=density, **options)
        white = torch.ones(3, device=origins.device)
        found = self.library.rendering(start, end, ray, len(views), rgb_sigma_fn=shown, render_bkgd=white)
        return found[0], len(ray)

    def update(self, step: int) -> None:
        """Update the grid when its turn has come."""
        self.grid.update_every_n_steps(
            step=step, occ_eval_fn=lambda points: self.net.density(points)[:, None] * self.length, occ_thre=1e-2
        )

    @torch.no_grad()
    def test(self, images: Images, frames: Sequence[int]) -> float:
        """Return the mean PSNR of some images."""
        self.eval()
        found = []
        for frame in frames:
            rows = [self(images.origins[frame].expand_as(some), some)[0] for some in images.directions[frame]]
            found.append(psnr(torch.stack(rows).clamp(0, 1), images.colours[frame]))
        self.train()
        return statistics.mean(found)


def fit_nerfacc(scene: Scene, budget: float) -> list[Point]:
    """Return the curve of nerfacc's own recipe for it: 2^16 samples a step, a loss that is linear far out."""
    torch.manual_seed(0)
    images, sides = images_of(scene), (scene.height, scene.width)
    model = Vanilla(scene, images.near).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [25_000, 37_500, 41_667, 45_000], 0.33)
    train, count, points = torch.tensor(scene.train, device=DEVICE), 1024, [Point(0.0, 0, 0, 0.0)]
    spent, rays = 0.0, 0
    for step in range(50_000):
        start = now()
        model.update(step)
        frame = train[torch.randint(len(train), (count,), device=DEVICE)]
        row, column = (torch.randint(side, (count,), device=DEVICE) for side in sides)
        colour, samples = model(images.origins[frame], images.directions[frame, row, column])
        if samples:
            loss = F.smooth_l1_loss(colour, images.colours[frame, row, column])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        rays, count = rays + count, max(1, int(count * 2**16 / max(samples, 1)))
        spent += now() - start
        if spent >= points[-1].seconds + budget / 60:
            points.append(Point(spent, step + 1, rays, model.test(images, scene.test)))
            if points[-1].psnr >= GPU_TARGET or spent >= budget:
                break
    return points


def measure_gpu(folder: Path, scene_seed: int, budget: float) -> None:
    """Print rays/s and seconds to 30 dB at the published sizes, beside nerfacc's where it works."""
    if DEVICE != "cuda":
        print(f"\ngpu: left out, there is none here (rays/s and seconds to {GPU_TARGET:g} dB, beside nerfacc)")
        return
    heading(
        "gpu", f"seconds of fitting to {GPU_TARGET:g} dB, looks not counted, {budget:g} s at most; stage_{scene_seed}"
    )
    print(f"{COLUMNS} {f'to {GPU_TARGET:g} dB':>13s}   end")
    for experiment in ("nerf", "nerf_fast"):
        words = [f"data.scene_seed={scene_seed}", f"scale={experiment}_paper"]
        limits = {"target": GPU_TARGET, "budget": budget}
        row(f"ours, {experiment}", fit_ours(experiment, words, folder, budget / 60, **limits)[1], GPU_TARGET)
    if importlib.util.find_spec("nerfacc") is None:
        print("  nerfacc is not installed: left out (pip install nerfacc)")
        return
    try:
        row("nerfacc, 8 x 256", fit_nerfacc(read_scene(open_scene("stage", scene_seed).folder), budget), GPU_TARGET)
    except (ImportError, RuntimeError, AttributeError, IndexError) as error:  # it builds its kernels on first use
        print(f"  nerfacc does not work here: {type(error).__name__}: {error}")


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scene-seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=300, help="of fitting the plain NeRF; of each fit on a GPU")
    parser.add_argument("--every", type=float, default=2, help="seconds of fitting between looks at ours")
    parser.add_argument("--rays", type=int, default=1024, help="of a step of the plain NeRF")
    parser.add_argument("--repeats", type=int, default=5, help="of the overhead")
    parser.add_argument("--steps", type=int, default=300, help="of a repeat; a run has a checkpoint as often")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of these, with commas")
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    given, words = parser.parse_known_args()
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts: found {', '.join(sorted(unknown))}; expected some of {','.join(PARTS)}")
    torch.set_num_threads(given.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    if given.inside is not None:
        inside(given.inside[0], Path(given.inside[1]), int(given.inside[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        words = [f"data.scene_seed={given.scene_seed}", *words]
        if "psnr" in parts or "render" in parts:
            every = given.every if "psnr" in parts else None
            prepared, ours, run = fit_ours("nerf_fast", words, place, every)
        if "psnr" in parts:
            model, plain = fit_plain(prepared.data.scene, given.seconds, given.rays)
            torch.save(model.state_dict(), place / "plain.pt")
            show_psnr(prepared.data, plain, ours, given.rays)
        if "render" in parts:
            measure_render(prepared, run, place, given.threads)
        if "overhead" in parts:
            measure_overhead(place, given.scene_seed, given.repeats, given.steps)
        if "gpu" in parts:
            measure_gpu(place, given.scene_seed, given.seconds)


if __name__ == "__main__":
    main()
