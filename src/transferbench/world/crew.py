"""A crew of painter processes that share the chunks of an album."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from transferbench.errors import RunFailed
from transferbench.world.album_painter import ANSWER, Chunk
from transferbench.world.painters import Painter, ask, start_painter


def paint_chunks(folder: Path, chunks: Sequence[Chunk], workers: int, done: Callable[[Chunk], None]) -> None:
    """Have ``workers`` painters share the chunks, and call ``done`` with each that is finished."""
    painters: list[Painter] = []
    try:
        for _ in range(workers):
            painters.append(start_painter("transferbench.world.album_painter", str(folder)))
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
        if ask(painter, chunk.line()) != ANSWER:
            code = painter.wait()
            raise RunFailed(f"the process that renders the album ended with code {code}; its error is above")
        done(chunk)
