"""Where a result comes from: seconds by name, versions, the commit."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import transferbench

APART = ("rendering", "floors")
"""What is done once and kept for later runs with the same images and seed: no part of a run's own time."""


def run_seconds(timings: Mapping[str, float]) -> float:
    """Return the seconds of all parts of a run but those that stand ``APART``."""
    return sum(value for name, value in timings.items() if name not in APART)


def apart(timings: Mapping[str, float]) -> dict[str, float]:
    """Return the parts that stand ``APART``, those without the time of being looked up."""
    return {name: timings[name] for name in APART if timings.get(name, 0.0) >= 0.05}


class Clock:
    """Seconds spent by name; ``started`` (seconds since the epoch) is when the first of them began."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of the block to ``name``."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begin

    def total(self) -> float:
        """Return the seconds of the run: ``run_seconds``."""
        return run_seconds(self.seconds)


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    libraries = {name: version(name) for name in ("torch", "torchvision", "lightning")}
    return {"transferbench": transferbench.__version__, "python": python_version(), **libraries}


def commit() -> str:
    """Return the commit of the checkout the package runs from, ``unknown`` outside one."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        told = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return told.stdout.strip() or "unknown"
