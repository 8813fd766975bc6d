"""A crew of painter processes that share the chunks of an album."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

from transferbench.errors import RunFailed
from transferbench.world.album_painter import ANSWER, Chunk

SOURCE = Path(__file__).parents[2]  # what a painter finds the package in
Painter = subprocess.Popen[str]


def paint_chunks(folder: Path, chunks: Sequence[Chunk], workers: int, done: Callable[[Chunk], None]) -> None:
    """Have ``workers`` painters share the chunks, and call ``done`` with each that is finished."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "transferbench.world.album_painter", str(folder)]
    painters: list[Painter] = []
    try:
        for _ in range(workers):
            painter = subprocess.Popen(
                command,
                text=True,
                env=environment,
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            painters.append(painter)
        _share(painters, chunks, done)
    finally:
        for painter in painters:
            painter.communicate()


def _share(painters: Sequence[Painter], chunks: Sequence[Chunk], done: Callable[[Chunk], None]) -> None:
    """Hand out the chunks to all painters; when something goes wrong, stop them."""
    shares = [chunks[worker :: len(painters)] for worker in range(len(painters))]
    with ThreadPoolExecutor(len(painters)) as pool:
        futures = [pool.submit(_watch, painter, share, done) for painter, share in zip(painters, shares)]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            for painter in painters:
                painter.terminate()
            raise


def _watch(painter: Painter, chunks: Sequence[Chunk], done: Callable[[Chunk], None]) -> None:
    """Hand ``chunks`` to a painter, one after the other; raises RunFailed when it dies."""
    for chunk in chunks:
        answer = ""
        if painter.stdin is not None and painter.stdout is not None:
            with suppress(BrokenPipeError):
                painter.stdin.write(chunk.line())
                painter.stdin.flush()
            answer = painter.stdout.readline()
        if answer != ANSWER:
            code = painter.wait()
            raise RunFailed(f"the process that renders the album ended with code {code}; its error is above")
        done(chunk)
