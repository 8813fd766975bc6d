"""Fixtures for all tests, and guards that fail a test which leaks state into the next one."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported, as the command line does
os.environ.update({"OMP_NUM_THREADS": "1"} if "PYTEST_XDIST_WORKER" in os.environ else {})  # they share the cores

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from PIL import Image

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["WANDB_MODE"] = "offline"
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, os.cpu_count() or 1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Leave out of a report what cannot be sent from one process to another: halves of characters in captured logs."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "replace").decode()) for name, text in report.sections]
    return report


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


TINY = (
    "scale=trex_cifar", "scale.epochs=2", "scale.warmup_epochs=0", "scale.batch_size=8", "scale.workers=0",
    "scale.hidden_width=16", "scale.bottleneck=8", "scale.memory=32", "model.width=4", "model.layers=[1,1]",
    "callbacks.knn.every_epochs=1", "scale.precision=32-true", "trainer.log_every_n_steps=1",
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Overrides that make any experiment with crops end in a second: 8 steps on ``photos``."""
    return TINY


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of noise around colours of their own: 36 training and 18 test pictures."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        for index, colour in enumerate(((200, 60, 60), (60, 200, 60), (60, 60, 200))):
            folder = root / split / f"class{index}"
            folder.mkdir(parents=True)
            for k in range(count):
                pixels = np.clip(rng.normal(colour, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{k}.png")
    return root


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a run caches out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def launch(photos: Path, own_cache: None) -> Callable[..., int]:
    """Run an experiment on ``photos`` in this process: ``launch(outputs, *overrides, experiment="trex")``.

    ``tiny_model=False`` leaves out the overrides of the small network, for another model.
    """
    from transferbench import cli

    def launched(outputs: Path, *more: str, experiment: str = "trex", tiny_model: bool = True) -> int:
        base = [word for word in TINY if tiny_model or not word.startswith("model.")]
        words = [f"+experiment={experiment}", "data=folder", f"data.root={photos}", *base, f"outputs={outputs}", *more]
        return cli.command(["transferbench", *words])

    return launched


def _rank(number: int, port: int, place: Path, found_by: Callable[[int], Any]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=2, rank=number)
    torch.save(found_by(number), place / f"{number}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[int], Any]], list[Any]]:
    """Call a function with its rank in each of two processes of a gloo group, and return what both return."""

    def called(found_by: Callable[[int], Any]) -> list[Any]:
        place = tmp_path_factory.mktemp("ranks")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # a forked process would wait for its parent's threads for ever
        mp.start_processes(_rank, args=(port, place, found_by), nprocs=2, start_method="fork")
        torch.set_num_threads(threads)
        return [torch.load(place / f"{number}.pt", weights_only=True) for number in (0, 1)]

    return called


SHAPES = ("box", "ball")
COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


def _write_coco(root: Path, train: int = 12, val: int = 6, side: int = 48) -> Path:
    """Write pictures of two shapes side by side with three captions each; return ``root``.

    One image is missing, one caption is empty, one holds no word to hide, one id stands twice.
    """
    (root / "annotations").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        (root / f"{split}2017").mkdir()
        images, captions, instances = [], [], []
        for index in range(count):
            name = f"{index:012d}.jpg"
            shapes, colours = rng.choice(SHAPES, 2), rng.choice(list(COLOURS), 2)
            pixels = np.full((side, side, 3), 128, np.uint8)
            for place, (shape, colour) in enumerate(zip(shapes, colours)):
                left = 2 + place * side // 2
                pixels[10:26, left : left + 16] = COLOURS[colour]
                box = {"bbox": [left, 10, 16, 16], "area": 256, "iscrowd": 0, "category_id": SHAPES.index(shape) + 1}
                instances.append({"id": len(instances), "image_id": index, **box})
            if (split, index) != ("train", 3):
                Image.fromarray(pixels).save(root / f"{split}2017" / name)
            images.append({"id": index, "file_name": name, "height": side, "width": side})
            texts = [
                f"A {colours[0]} {shapes[0]} to the left of a {colours[1]} {shapes[1]}.",
                f"there is a {shapes[1]}",
            ]
            texts.append({("train", 1): "", ("train", 2): "of the and"}.get((split, index), f"a {shapes[0]} stands"))
            captions += [{"id": len(captions) + i, "image_id": index, "caption": text} for i, text in enumerate(texts)]
        captions.append(dict(captions[0]))
        files = {"captions": {"images": images, "annotations": captions}}
        names = [{"id": i, "name": shape} for i, shape in enumerate(SHAPES, start=1)]
        files["instances"] = {"images": images, "annotations": instances, "categories": names}
        for kind, content in files.items():
            (root / "annotations" / f"{kind}_{split}2017.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def coco_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tree in COCO's format with its usual flaws: ``train2017``, ``val2017``, captions, instances."""
    return _write_coco(tmp_path_factory.mktemp("coco") / "tree")


@pytest.fixture(scope="session")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with WordNet's index files for the captions of ``coco_tree``."""
    folder = tmp_path_factory.mktemp("wordnet")
    for name, lemmas in {"noun": "ball box left", "adj": "blue red", "verb": "stand"}.items():
        lines = (f"{lemma} {name[0]} 1 0 1 0 00000001\n" for lemma in lemmas.split())
        (folder / f"index.{name}").write_text("".join(lines))
    return str(folder)


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('hydra', 'omegaconf', 'lightning', 'pytorch_lightning'):
            raise ImportError(name + ' is blocked')
sys.meta_path.insert(0, Block())
"""


@pytest.fixture(scope="session")
def without_frameworks() -> Callable[[str], str]:
    """Run code in a process that can import neither Hydra, OmegaConf nor Lightning; return what it printed."""

    def run(code: str) -> str:
        told = subprocess.run([sys.executable, "-c", BLOCK + code], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        return told.stdout

    return run
