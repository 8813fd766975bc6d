"""Fixtures for all tests, and guards that fail a test which leaks state into the next one."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["WANDB_MODE"] = "offline"
torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that changes the environment or leaves threads; give every test the same random state."""
    environment = dict(os.environ)
    threads = set(threading.enumerate())
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  libraries draw from it
    torch.manual_seed(0)
    yield
    ignored = ("PYTEST_CURRENT_TEST", "PL_GLOBAL_SEED", "PL_SEED_WORKERS", "KMP_", "OMP_", "TORCH", "PYTORCH_")
    now = {k: v for k, v in os.environ.items() if not k.startswith(ignored)}
    before = {k: v for k, v in environment.items() if not k.startswith(ignored)}
    os.environ.clear()
    os.environ.update(environment)
    assert now == before, "the test changed the environment"
    left = [t for t in threading.enumerate() if t not in threads and not t.daemon and t.is_alive()]
    assert not left, f"the test left threads running: {left}"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is missing."""
    named = os.environ.get("TRANSFERBENCH_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder}: no test data there; set TRANSFERBENCH_TEST_DATA")
    return folder
