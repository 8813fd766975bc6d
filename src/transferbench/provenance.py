"""Where a result comes from: seconds by name, versions, the commit."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import transferbench


class Clock:
    """Seconds spent by name, and since ``started`` (seconds since the epoch)."""

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
        """Return the seconds since the start, without what is there for every later run: rendering and floors."""
        apart = self.seconds.get("rendering", 0.0) + self.seconds.get("floors", 0.0)
        return time.time() - self.started - apart


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
