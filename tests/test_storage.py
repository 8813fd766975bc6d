"""Files appear whole or not at all; digests and locks."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from transferbench.storage import atomic_path, cache_dir, digest_of, locked, write_text


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a" / "x.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [file.name for file in target.parent.iterdir()] == ["x.txt"]


def test_digests_follow_values_and_not_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of(b"x") != digest_of("x")
    assert len(digest_of()) == 16


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "transferbench"
    assert cache_dir().is_dir()


def _append(path: Path, name: str) -> None:
    with locked(path.with_suffix(".lock")):
        for _ in range(200):
            with path.open("a") as file:
                file.write(name)


def test_a_lock_keeps_processes_apart(tmp_path: Path) -> None:
    path = tmp_path / "x"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append, args=(path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert path.read_text() in {"a" * 200 + "b" * 200, "b" * 200 + "a" * 200}
