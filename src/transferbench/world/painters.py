"""Processes that render: how one is started, and asked for a piece of work."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SOURCE = Path(__file__).parents[2]  # what a painter finds the package in
Painter = subprocess.Popen[str]


def start_painter(module: str, *arguments: str) -> Painter:
    """Start ``python -m module`` on one thread, with pipes; it lives until its standard input is closed."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        text=True,
        env=environment,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def ask(painter: Painter, line: str) -> str:
    """Return the answer of a painter to a line, "" when it is dead."""
    if painter.stdin is None or painter.stdout is None:
        return ""
    with suppress(BrokenPipeError):
        painter.stdin.write(line)
        painter.stdin.flush()
    return painter.stdout.readline()


def progress_bar(shown: bool) -> Progress:
    """Return a bar on standard error that counts pictures."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not shown)
