"""A run that is killed and started again ends like one that was left alone."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from transferbench.outputs import checkpoints_in

Launch = Callable[..., int]
SEVERAL = ("callbacks.checkpoints.every_steps=1", "callbacks.checkpoints.keep=99", "run=a", "~transfer")


def end(folder: Path) -> dict[str, Any]:
    """Return all that the last checkpoint carries over: weights, optimiser, schedule, random states."""
    content = torch.load(checkpoints_in(folder / "checkpoints")[-1], weights_only=True)
    kept = {key: content[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch")}
    return flat({**kept, "random": content["transferbench"]["random"]})


def flat(node: Any, path: str = "") -> dict[str, Any]:
    if isinstance(node, (dict, list, tuple)) and node:
        items = node.items() if isinstance(node, dict) else enumerate(node)
        return {k: v for name, child in items for k, v in flat(child, f"{path}/{name}").items()}
    return {path: node}


def assert_same(one: Path, other: Path) -> None:
    first, second = end(one), end(other)
    assert set(first) == set(second)
    for key, value in first.items():
        same = torch.equal(value, second[key]) if isinstance(value, torch.Tensor) else value == second[key]
        assert same, key
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()


def cut_back(whole: Path, to: Path, step: int) -> Path:
    """Copy a finished run as it stood when the checkpoint of ``step`` was its newest."""
    shutil.copytree(whole, to)
    for file in [*to.glob("*.*"), *checkpoints_in(to / "checkpoints")]:
        if file.name not in {"config.yaml", "metrics.csv"} and int(re.sub(r"\D", "", file.name) or step + 1) > step:
            file.unlink()
    return to


@pytest.mark.parametrize("workers", [0, 1])
def test_every_checkpoint_leads_to_the_same_end(launch: Launch, tmp_path: Path, workers: int) -> None:
    more = (*SEVERAL, f"scale.workers={workers}")
    assert launch(tmp_path / "whole", *more) == 0
    whole = tmp_path / "whole" / "trex" / "a"
    steps = [int(file.stem[5:]) for file in checkpoints_in(whole / "checkpoints")]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]  # four batches an epoch
    for step in (2, 4, 7) if workers == 0 else (5,):
        again = cut_back(whole, tmp_path / f"from{step}" / "trex" / "a", step)
        assert launch(tmp_path / f"from{step}", *more) == 0
        assert_same(whole, again)


def test_accumulated_gradients_are_never_cut_in_half(launch: Launch, tmp_path: Path) -> None:
    more = (*SEVERAL, "trainer.accumulate_grad_batches=2", "scale.batch_size=4", "scale.epochs=1")
    assert launch(tmp_path / "whole", *more) == 0
    whole = tmp_path / "whole" / "trex" / "a"
    again = cut_back(whole, tmp_path / "half" / "trex" / "a", 2)
    assert launch(tmp_path / "half", *more) == 0
    assert_same(whole, again)


def test_a_truncated_checkpoint_falls_back_to_the_one_before(
    launch: Launch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert launch(tmp_path / "whole", *SEVERAL) == 0
    whole = tmp_path / "whole" / "trex" / "a"
    again = cut_back(whole, tmp_path / "half" / "trex" / "a", 6)
    newest = checkpoints_in(again / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert launch(tmp_path / "half", *SEVERAL) == 0
    assert "trying the one before" in caplog.text
    assert_same(whole, again)


def test_dropout_goes_on_with_the_same_random_numbers(launch: Launch, tmp_path: Path) -> None:
    more = (*SEVERAL, "model=timm", "model.name=resnet10t", "+model.drop_path=0.5", "+model.channels=[8,8,8,8]")
    assert launch(tmp_path / "whole", *more, tiny_model=False) == 0
    whole = tmp_path / "whole" / "trex" / "a"
    again = cut_back(whole, tmp_path / "half" / "trex" / "a", 3)
    assert launch(tmp_path / "half", *more, tiny_model=False) == 0
    assert_same(whole, again)


def start(photos: Path, tiny: tuple[str, ...], outputs: Path, *more: str) -> subprocess.Popen[bytes]:
    words = ["+experiment=trex", "data=folder", f"data.root={photos}", *tiny, f"outputs={outputs}", "run=a", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums depend on it, to the bit
    return subprocess.Popen(
        [sys.executable, "-m", "transferbench", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for(found: Callable[[], Any], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not found() and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.usefixtures("own_cache")
def test_a_signal_leaves_a_checkpoint_and_143(
    photos: Path, tiny: tuple[str, ...], tmp_path: Path, number: signal.Signals
) -> None:
    more = ("~transfer", "scale.epochs=4000", "callbacks.checkpoints.every_epochs=4000", "~callbacks.knn")
    tiny = tuple(word for word in tiny if not word.startswith("callbacks.knn"))
    process = start(photos, tiny, tmp_path, *more)
    folder = tmp_path / "trex" / "a"
    wait_for(lambda: (folder / "metrics.csv").exists(), process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err.decode()
    assert b"Traceback" not in err
    assert b"with run=a goes on from there" in err
    assert len(checkpoints_in(folder / "checkpoints")) == 1
    assert not list((folder / "checkpoints").glob("*.part"))


@pytest.mark.usefixtures("own_cache")
def test_sigterm_to_the_whole_job_does_not_kill_the_loading_processes(
    photos: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    more = ("~transfer", "scale.epochs=4000", "callbacks.knn.every_epochs=4000", "scale.workers=1")
    process = start(photos, tiny, tmp_path, *more)
    folder = tmp_path / "trex" / "a"
    wait_for(lambda: (folder / "metrics.csv").exists(), process)
    os.killpg(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err.decode()
    assert checkpoints_in(folder / "checkpoints")


def kill_at_random(
    photos: Path, tiny: tuple[str, ...], tmp_path: Path, launch: Launch, kills: int, seed: int, more: tuple[str, ...]
) -> None:
    """Kill a run ``kills`` times, let it end, and compare it with one that was left alone."""
    more = (*more, "callbacks.knn.every_epochs=1000")
    tiny = tuple(word for word in tiny if not word.startswith("callbacks.knn"))
    assert launch(tmp_path / "whole", "run=a", *more) == 0
    draws, codes = random.Random(seed), list[int]()
    folder = tmp_path / "killed" / "trex" / "a"
    for kill in range(kills):
        process = start(photos, tiny, tmp_path / "killed", *more)
        before = len((folder / "metrics.csv").read_bytes()) if (folder / "metrics.csv").exists() else 0
        wait_for(lambda: (folder / "metrics.csv").exists() and
                 (folder / "metrics.csv").stat().st_size != before, process)  # fmt: skip  # noqa: B023
        pause, number = draws.uniform(0, 1.5), draws.choice((signal.SIGKILL, signal.SIGTERM))
        time.sleep(pause)
        process.send_signal(number)
        process.communicate(timeout=60)
        sys.stdout.write(f"seed {seed}, kill {kill}: {number.name} after {pause:.3f} s, rc {process.returncode}\n")
        codes.append(process.returncode)
    assert set(codes) <= {143, -9, 0}
    assert codes[0] != 0, "the run ended before it could be killed"
    assert launch(tmp_path / "killed", "run=a", *more) == 0
    assert_same(tmp_path / "whole" / "trex" / "a", folder)


def test_two_kills_leave_no_trace(photos: Path, tiny: tuple[str, ...], tmp_path: Path, launch: Launch) -> None:
    more = ("scale.epochs=24", "callbacks.checkpoints.every_steps=3", "scale.workers=1", "~transfer")
    kill_at_random(photos, tiny, tmp_path, launch, kills=2, seed=1, more=more)


@pytest.mark.slow
def test_twenty_kills_leave_no_trace(photos: Path, tiny: tuple[str, ...], tmp_path: Path, launch: Launch) -> None:
    more = ("scale.epochs=120", "callbacks.checkpoints.every_steps=3", "scale.workers=1", "~transfer")
    kill_at_random(photos, tiny, tmp_path, launch, kills=20, seed=2, more=more)
