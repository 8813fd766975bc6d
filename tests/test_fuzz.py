"""Mutated command lines, files of configuration, folders, images and checkpoints: a sentence or a right result.

Never a traceback, a hang, or code run from a file. 1,000 cases here, 10,000 with the slow tests.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import transferbench
from transferbench import cli
from transferbench.data.images import UnreadableImage, read_image
from transferbench.data.labelled import read_splits
from transferbench.errors import UserError
from transferbench.outputs import RunFolder

Case = Callable[[random.Random, Path], str]
SHARES = {"command lines": 0.35, "files": 0.15, "folders": 0.1, "images": 0.3, "checkpoints": 0.1}
SECONDS = 60
NASTY = (
    "", "null", "~", "-1", "0", "1e999", "nan", "hot", "[", "[]", "{}", "{a: 1}", "[1, [2]]", "true", "1.5", "'", '"',
    "${scale}", "${nowhere}", "${oc.env:HOME}", "../..", "/dev/null", "\\", "é", "a" * 5000, "!!python/name:os.system",
)  # fmt: skip


@contextmanager
def in_time(seconds: int = SECONDS) -> Iterator[None]:
    def too_long(*_: Any) -> None:
        raise TimeoutError(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def typo(draws: random.Random, word: str) -> str:
    at = draws.randrange(len(word) + 1)
    kind = draws.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + draws.choice("abcxyz_.=[]{}$~+ ") + word[at:]
    if kind == 2:
        return word[:at] + word[at:].swapcase()
    return word[:at] + word[at : at + 1] * 3 + word[at:]


def keys_of(node: Any, path: str = "") -> list[str]:
    if not isinstance(node, dict):
        return [path]
    inner = [key for name, child in node.items() for key in keys_of(child, f"{path}.{name}" if path else str(name))]
    return [*inner, *([path] if path else [])]


def mutated_words(draws: random.Random, base: list[str], keys: list[str]) -> list[str]:
    words = list(base)
    for _ in range(draws.choice((1, 1, 2, 3))):
        key = draws.choice(keys)
        kind = draws.randrange(6)
        if kind == 0:
            at = draws.randrange(len(words))
            words[at] = typo(draws, words[at])
        elif kind == 1:
            words.append(f"{key}={draws.choice(NASTY)}")
        elif kind == 2:
            words.append(f"{draws.choice(('+', '++', '~', ''))}{typo(draws, key)}={draws.choice(NASTY)}")
        elif kind == 3:
            words.append("~" + key)
        elif kind == 4:
            words.append(
                f"{draws.choice(cli.usage.GROUPS)}={draws.choice(('trex', 'world', 'ddp', 'nothing', 'null'))}"
            )
        else:
            words.insert(
                draws.randrange(len(words)), draws.choice(("--cfg", "job", "-m", "--info", "x", "=", "--", "-"))
            )
    return [word for word in words if word not in {"--info", "--resolve"}]


def answer(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """Return the kind of answer the command line gives; anything but a sentence or a result fails."""
    capsys.readouterr()
    try:
        code = cli.command(["transferbench", *words])
    except SystemExit as stop:  # argparse, on flags it does not know
        code = 1 if isinstance(stop.code, str) or stop.code is None else int(stop.code)
    except Exception as error:
        raise AssertionError(f"{words}: {error!r}") from error
    err = capsys.readouterr().err
    assert "Traceback" not in err, (words, err)
    assert code in {0, 1, 2}, (words, code)
    assert code == 0 or err.strip(), words
    return f"exit {code}"


@pytest.fixture
def only_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs stop where training would begin."""
    monkeypatch.chdir(Path.cwd())  # to be restored: the cases work in a folder of their own
    import transferbench.run

    def prepared(config: dict[str, Any], path: Path, digest: str, started: float) -> None:
        transferbench.run.prepare(config, RunFolder(path, digest))

    monkeypatch.setattr(transferbench.run, "run", prepared)


def resolved_keys(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], list[str]]:
    capsys.readouterr()
    assert cli.command(["transferbench", *words, "--cfg", "job"]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    return config, keys_of(config)


def bytes_of(draws: random.Random, data: bytes) -> bytes:
    """Return ``data`` with bytes flipped, cut off, doubled, or replaced by noise."""
    changed = bytearray(data)
    for _ in range(draws.choice((1, 1, 3, 20))):
        at = draws.randrange(max(1, len(changed)))
        kind = draws.randrange(5)
        if kind == 0 and changed:
            changed[at % len(changed)] ^= 1 << draws.randrange(8)
        elif kind == 1:
            changed = changed[:at]
        elif kind == 2:
            changed[at:at] = draws.randbytes(draws.randrange(1, 64))
        elif kind == 3:
            changed[at : at + draws.randrange(1, 256)] = b"\0" * draws.randrange(1, 256)
        else:
            changed = changed + changed[:at]
    return bytes(changed)


def image_case(draws: random.Random, place: Path) -> str:
    mode = draws.choice(("RGB", "L", "P", "RGBA", "CMYK", "1", "I;16"))
    kinds = {"CMYK": ("JPEG", "TIFF"), "I;16": ("PNG", "TIFF"), "RGBA": ("PNG", "WEBP", "TIFF")}
    noise = np.random.default_rng(draws.randrange(2**32))
    shape = (draws.randrange(1, 40), draws.randrange(1, 40))
    if mode == "I;16":
        image = Image.fromarray(noise.integers(0, 65535, shape, np.uint16))
    else:
        image = Image.fromarray(noise.integers(0, 255, (*shape, 3), np.uint8)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, draws.choice(kinds.get(mode, ("PNG", "GIF", "BMP", "TIFF"))))
    file = place / "image"
    file.write_bytes(bytes_of(draws, buffer.getvalue()))
    try:
        read = read_image(file)
    except UnreadableImage as error:
        assert error.reason
        return "unreadable"
    assert read.mode == "RGB" and min(read.size) > 0
    np.asarray(read)
    return "read"


def folder_case(draws: random.Random, place: Path) -> str:
    root = place / "tree" / "root"
    shutil.rmtree(root.parent, ignore_errors=True)
    for split in draws.choice((("train", "val"), ("train", "test"), ("train",), (".",))):
        for name in ("a", "b", "ü x"):
            (root / split / name).mkdir(parents=True)
            for index in range(draws.randrange(2, 5)):
                (root / split / name / f"{index}.png").write_bytes(b"x")
    for _ in range(draws.randrange(4)):
        folders = [path for path in (root, *sorted(root.rglob("*"))) if path.is_dir() and not path.is_symlink()]
        if folders:
            mutate_folder(draws, draws.choice(folders))
    try:
        splits = read_splits(root)
    except UserError as error:
        assert "data.root" in str(error) or str(root) in str(error)
        return "refused"
    assert len(splits.train) > 0 and len(splits.test) > 0
    assert splits.train.classes == splits.test.classes
    assert len(splits.train.classes) >= 2
    return "read"


def mutate_folder(draws: random.Random, folder: Path) -> None:
    kind = draws.randrange(7)
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    if kind == 0:
        shutil.rmtree(folder)
    elif kind == 1:
        shutil.rmtree(folder)
        folder.write_bytes(b"a file in place of a folder")
    elif kind == 2 and not (new := folder / draws.choice(("new", ".hidden", "train", "val", "0.txt"))).exists():
        new.mkdir()
    elif kind == 3 and not os.path.lexists(folder / "loop"):  # also where what it led to is gone
        (folder / "loop").symlink_to(folder)
    elif kind == 4 and files:
        draws.choice(files).unlink()
    elif kind == 5 and files:
        draws.choice(files).rename(folder / f"x{draws.choice(('.txt', '', '.JPEG', '.png.part'))}")
    elif kind == 6 and not (other := folder.with_name(draws.choice(("valid", "validation", "A", "é")))).exists():
        folder.rename(other)


def spread(count: int) -> dict[str, int]:
    return {kind: round(count * share) for kind, share in SHARES.items()}


def run_cases(
    count: int, photos: Path, tiny: tuple[str, ...], place: Path,
    capsys: pytest.CaptureFixture[str], seed: int,
) -> Counter[str]:  # fmt: skip
    """Run ``count`` cases and return how many ended in which way."""
    (place / "photos").symlink_to(photos)
    os.chdir(place)  # relative paths: a mutation must not depend on how long the path of this place is
    draws, found, number = random.Random(seed), Counter[str](), spread(count)
    base = ["+experiment=trex", "data=folder", "data.root=photos", *tiny, "outputs=o", "run=a"]
    config, keys = resolved_keys(base, capsys)
    executed = place / "executed"
    cases: dict[str, Case] = {"images": image_case, "folders": folder_case}

    def command_case(draws: random.Random, _: Path) -> str:
        return answer(capsys, mutated_words(draws, base, keys))

    def file_case(draws: random.Random, place: Path) -> str:
        text = yaml.safe_dump({"defaults": ["trex"], **{k: config[k] for k in ("head", "crops", "task", "seed")}})
        text = f"# @package _global_\n{text.replace('hidden_layers', draws.choice(('hidden_layers', 'hidenlayers')))}"
        lines = text.splitlines()
        for _ in range(draws.randrange(1, 4)):
            at = draws.randrange(1, len(lines))
            lines[at] = draws.choice((typo(draws, lines[at]), lines[at] + draws.choice(NASTY), "", f"x: {lines[at]}",
                                      f"_target_: os.system\n{lines[at]}"))  # fmt: skip
        (place / "conf" / "experiment").mkdir(parents=True, exist_ok=True)
        (place / "conf" / "experiment" / "mine.yaml").write_text("\n".join(lines))
        return answer(capsys, ["--config-dir", "conf", "+experiment=mine", *base[1:]])

    whole = checkpoint()

    def checkpoint_case(draws: random.Random, place: Path) -> str:
        file = place / "x.ckpt"
        file.write_bytes(hostile(executed) if draws.random() < 0.05 else bytes_of(draws, whole))
        try:
            network = transferbench.load(file)
        except UserError as error:
            assert str(file) in str(error) or "is refused" in str(error)
            return "refused"
        assert tuple(network(torch.zeros(1, 3, 32, 32)).shape) == (1, network.backbone.width)
        return "loaded"

    cases |= {"command lines": command_case, "files": file_case, "checkpoints": checkpoint_case}
    wrong = []
    for kind, case in cases.items():
        for index in range(number[kind]):
            try:
                with in_time():
                    found[f"{kind}: {case(draws, place)}"] += 1
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                wrong.append(f"case {index} of {kind}: {error!r:.600} at {last.filename}:{last.lineno}")
    assert not wrong, "\n".join([f"{len(wrong)} cases, seed {seed}", *wrong[:20]])
    assert not executed.exists()
    left = [file for file in (place / "o").rglob("*") if file.is_file()]
    of_sweeps = {"multirun.yaml", "sweep.csv", "sweep.html", "tradeoff.png"}  # -m among the words: a sweep did begin
    assert not [file for file in left if file.name not in of_sweeps and file.parent.name != "jobs"], left
    return found


def hostile(executed: Path) -> bytes:
    class Hostile:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(executed),))

    buffer = io.BytesIO()
    torch.save({"state_dict": {}, "transferbench": Hostile()}, buffer)
    return buffer.getvalue()


def checkpoint() -> bytes:
    """Return a checkpoint as a run leaves it, of a small network."""
    from transferbench.checkpoint import snapshot
    from transferbench.parts import build_parts

    config = {
        "model": {"_target_": "transferbench.models.backbone.resnet_small", "width": 4, "layers": [1, 1]},
        "head": {"_target_": "transferbench.heads.classification.linear_head", "_partial_": True},
    }
    parts = build_parts(config, {"classes": 3})
    weights = {f"{name}.{k}": v for name, part in vars(parts).items() for k, v in part.state_dict().items()}
    buffer = io.BytesIO()
    torch.save({"state_dict": weights, "transferbench": snapshot(config, "abc", "abc"), "global_step": 1}, buffer)
    return buffer.getvalue()


@pytest.mark.usefixtures("only_prepared", "own_cache")
def test_a_thousand_mutations_end_in_a_sentence_or_a_result(
    photos: Path, tiny: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_cases(1000, photos, tiny, tmp_path, capsys, seed=1)
    assert sum(found.values()) == 1000
    with capsys.disabled():
        sys.stdout.write(f"\nfuzz: {dict(sorted(found.items()))}\n")


@pytest.mark.slow
@pytest.mark.usefixtures("only_prepared", "own_cache")
def test_ten_thousand_mutations_end_in_a_sentence_or_a_result(
    photos: Path, tiny: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_cases(10_000, photos, tiny, tmp_path, capsys, seed=int(os.environ.get("FUZZ_SEED", "2")))
    with capsys.disabled():
        sys.stdout.write(f"\nfuzz: {dict(sorted(found.items()))}\n")
