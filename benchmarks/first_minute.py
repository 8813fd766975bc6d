"""Where the first minute goes: from typing the command of the main job to its 1st, 10th and 100th step.

Each run is a fresh process with warm caches, ended after the last step that is measured. The peer is a process that
imports torch, torchvision and Lightning and does nothing else: no job that trains with these starts sooner.

    python benchmarks/first_minute.py [--repeats 3] [--steps 100] [overrides, such as scale.workers=4]
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

COMMAND = ("+experiment=trex",)
PEER = "import torch, torchvision, lightning"
STAGES: dict[str, list[tuple[str, str | None, str | None]]] = {
    "transferbench.cli.application": [("carry_out", "imports of the command line", None)],
    "transferbench.cli.plan": [("plan", "composition by Hydra", "check of the configuration")],
    "transferbench.run": [
        ("run", "imports of the run", None),
        ("prepare", None, "network, task, trainer"),
        ("fit", "run folder, loggers", None),
    ],
    "transferbench.data.module": [("ImageData.setup", "data module, protocol", "images listed")],
}
"""A module's functions, each with the stage that ends when it is called and the one that ends when it returns."""


class Inside:
    """What a measured process notes: when stages end, and how long modules take to import without what they import."""

    def __init__(self, record: Path, started: float, last: int) -> None:
        self.record, self.last = record, last
        self.ends: dict[str, float] = {"Python itself": time.time() - started}
        self.importing: dict[str, float] = {"Python itself": 0.0}
        self.started = started
        self.packages: defaultdict[str, float] = defaultdict(float)
        self.steps: list[float] = []
        self._inner: list[float] = []

    def end(self, stage: str | None) -> None:
        """Note that ``stage`` ends now, the first time."""
        if stage is not None and stage not in self.ends:
            self.ends[stage] = time.time() - self.started
            self.importing[stage] = sum(self.packages.values())

    def watch(self, loader: type, method: str) -> None:
        """Time what ``loader`` loads, and let the stages of a module end where they do."""
        load = getattr(loader, method)

        def timed(this: Any, subject: Any) -> Any:
            name = subject.__name__ if isinstance(subject, ModuleType) else subject.name
            began = time.perf_counter()
            self._inner.append(0.0)
            try:
                made = load(this, subject)
            finally:
                spent = time.perf_counter() - began
                self.packages[name.split(".")[0]] += spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent
            if name in STAGES:
                self.enter(subject)
            return made

        setattr(loader, method, timed)

    def enter(self, module: ModuleType) -> None:
        """Wrap the functions of ``module`` that begin or end a stage."""
        for path, before, after in STAGES[module.__name__]:
            owner, _, name = path.rpartition(".")
            target = getattr(module, owner) if owner else module
            setattr(target, name, self.around(getattr(target, name), before, after))
        if module.__name__ == "transferbench.run":
            module.make_trainer = self.with_steps(module.make_trainer)  # type: ignore[attr-defined]

    def around(self, function: Callable[..., Any], before: str | None, after: str | None) -> Callable[..., Any]:
        """Return ``function``, ending a stage when it is called and one when it returns."""

        @functools.wraps(function)
        def noted(*arguments: Any, **options: Any) -> Any:
            self.end(before)
            result = function(*arguments, **options)
            self.end(after)
            return result

        return noted

    def with_steps(self, make_trainer: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``make_trainer`` whose trainers note every step."""
        from lightning import Callback

        inside = self

        class Steps(Callback):
            """Note when batches arrive and steps end; the last one ends the process."""

            def on_train_start(self, *_: object) -> None:
                inside.end("trainer set up")

            def on_train_batch_start(self, *_: object) -> None:
                inside.end("first batch loaded")

            def on_train_batch_end(self, trainer: object, task: object, outputs: object, batch: Any, _: int) -> None:
                inside.steps.append(time.time() - inside.started)
                inside.end("first step")
                if len(inside.steps) == inside.last:
                    inside.write(len(batch[-1]))
                    os._exit(0)

        def made(*arguments: Any, **options: Any) -> Any:
            trainer = make_trainer(*arguments, **options)
            trainer.callbacks.append(Steps())
            return trainer

        return made

    def write(self, images: int) -> None:
        """Write what was noted, for steps of ``images``."""
        keys = ("ends", "importing", "packages", "steps")
        self.record.write_text(json.dumps({key: getattr(self, key) for key in keys} | {"images": images}))


def measure(inside: Path, overrides: list[str], steps: int) -> dict[str, Any]:
    """Return what a fresh process notes until it has trained for ``steps``."""
    record = inside / "record.json"
    words = [sys.executable, __file__, "--inside", str(record), "--steps", str(steps)]
    run = [*COMMAND, f"outputs={inside / 'outputs'}", *overrides]
    environment = {**os.environ, "FIRST_MINUTE": repr(time.time())}
    subprocess.run([*words, *run], env=environment, check=True, stdout=subprocess.DEVNULL)
    noted: dict[str, Any] = json.loads(record.read_text())
    return noted


def peer() -> float:
    """Return the seconds that the bare imports take in a fresh process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", PEER], check=True)
    return time.perf_counter() - began


def show(runs: list[dict[str, Any]], peers: list[float]) -> None:
    """Print the medians over runs."""
    median = statistics.median
    print(f"{'until':32s} {'s':>6s} {'stage':>6s} {'imports':>8s}")
    before = 0.0, 0.0
    for stage in runs[0]["ends"]:
        end, importing = (median(run[key][stage] for run in runs) for key in ("ends", "importing"))
        print(f"{stage:32s} {end:6.2f} {end - before[0]:6.2f} {importing - before[1]:8.2f}")
        before = end, importing
    for number in (10, 100):
        if number <= len(runs[0]["steps"]):
            print(f"step {number:<27d} {median(run['steps'][number - 1] for run in runs):6.2f}")
    rates = [run["images"] / median(b - a for a, b in zip(run["steps"][10:], run["steps"][11:])) for run in runs]
    print(f"then {median(rates):.0f} images/s (median step)")
    packages = {name for run in runs for name in run["packages"]}
    spent = {name: median(run["packages"].get(name, 0.0) for run in runs) for name in packages}
    largest = sorted(spent, key=lambda name: -spent[name])[:12]
    print("imports, own time of a package's modules: " + ", ".join(f"{name} {spent[name]:.2f}" for name in largest))
    ratio = median(run["steps"][0] / bare for run, bare in zip(runs, peers))
    print(f"peer: {PEER} takes {median(peers):.2f} s; the first step ends after {ratio:.2f} times that")


def main() -> None:
    """Measure ``--repeats`` runs, one by one with the peer, after one that warms the caches; print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given, overrides = parser.parse_known_args()
    if given.inside is not None:
        inside = Inside(given.inside, float(os.environ["FIRST_MINUTE"]), given.steps)
        for loader, method in (
            (SourceFileLoader, "exec_module"),
            (ExtensionFileLoader, "create_module"),
            (ExtensionFileLoader, "exec_module"),
        ):
            inside.watch(loader, method)
        sys.argv = ["transferbench", *overrides]
        from transferbench.cli import main as command

        command()
        return
    runs, peers = [], []
    with tempfile.TemporaryDirectory() as place:
        for repeat in range(given.repeats + 1):
            folder = Path(place, str(repeat))
            folder.mkdir()
            peers.append(peer())
            runs.append(measure(folder, overrides, given.steps if repeat else 1))
    print(f"python -m transferbench {' '.join([*COMMAND, *overrides])}, {given.repeats} runs after a warm one, medians")
    show(runs[1:], peers[1:])


if __name__ == "__main__":
    main()
