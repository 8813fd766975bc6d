from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer
from PIL import Image
from torch import nn

from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import FolderImages, ImageSet
from transferbench.errors import RunFailed, UserError
from transferbench.features.extract import extract
from transferbench.features.store import FeatureStore
from transferbench.storage import locked

CROP = CentreCrop(8, 6)
FORK = multiprocessing.get_context("fork")


def entry_in(folder: Path) -> Path:
    (found,) = (place for place in folder.iterdir() if place.is_dir())
    return found


def run_in_child(target, *arguments, count=1):
    """Run ``target`` in forked processes at once; return their exit codes."""
    children = [FORK.Process(target=_single_threaded, args=(target, *arguments)) for _ in range(count)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    return [child.exitcode for child in children]


def _single_threaded(target, *arguments):
    torch.set_num_threads(1)
    target(*arguments)


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "store")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-3), ("bfloat16", 1e-2)])
@pytest.mark.usefixtures("small_shards")
def test_features_are_those_of_extract(tmp_path, tallying, pictures, dtype, tolerance):
    images, store = pictures(37), FeatureStore(tmp_path / "store", dtype)
    expected = extract(tallying, images, CROP)
    found = store.features(tallying, images, CROP, batch_size=7)
    assert found.x.shape == (37, 5)
    assert (entry_in(store.folder) / "x.bin").stat().st_size == 37 * 5 * (4 if dtype == "float32" else 2)
    np.testing.assert_allclose(found.x[:], expected.x, rtol=tolerance)
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_array_equal(found.positions, expected.positions)
    loaded = found.in_memory()
    assert loaded.x.dtype == np.float32
    np.testing.assert_array_equal(loaded.x, found.x[:])


def test_a_second_call_runs_no_backbone(tallying, pictures, store, caplog):
    first = store.features(tallying, pictures(20), CROP)
    again = store.features(tallying.train(), pictures(20), CROP, batch_size=3)
    assert tallying.seen == 20
    np.testing.assert_array_equal(first.x[:], again.x[:])
    assert not caplog.records
    facts = json.loads((entry_in(store.folder) / "meta.json").read_text())
    assert (facts["images"], facts["readable"], facts["width"], facts["storage"]) == (20, 20, 5, "float32")
    assert facts["parts"]["transform"].startswith("CentreCrop(resize=8, size=6")
    assert {place.name for place in entry_in(store.folder).iterdir()} == {"meta.json", "x.bin"}


def test_other_weights_have_other_features(tallying, pictures, store):
    first = store.features(tallying, pictures(20), CROP).x[:].copy()
    nn.init.constant_(tallying.body[0].bias, 3)
    assert not np.allclose(store.features(tallying, pictures(20), CROP).x[:], first)
    assert tallying.seen == 40


def test_half_precision_of_the_arithmetic_is_another_entry(tallying, pictures, store):
    full = store.features(tallying, pictures(20), CROP).x[:]
    half = store.features(tallying, pictures(20), CROP, precision="bf16-mixed").x[:]
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(half, full, atol=0.02)


def test_a_trainer_with_one_device_gives_the_device(tallying, pictures, store):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", devices=1, **quiet)
    found = store.features(tallying, pictures(9), CROP, trainer=trainer)
    np.testing.assert_array_equal(found.x[:], extract(tallying, pictures(9), CROP).x)


def stop_at(network, batch, stop):
    """Call ``stop`` when the network is shown its ``batch``-th batch."""
    batches = iter(range(1, 10**6))
    network.before = lambda images: stop() if next(batches) == batch else None


class Stopped(Exception):
    pass


def _stop():
    raise Stopped


def _kill():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("small_shards")
def test_an_interrupted_extraction_goes_on(tallying, pictures, store, caplog):
    images = pictures(57)
    stop_at(tallying, 8, _stop)
    with pytest.raises(Stopped):
        store.features(tallying, images, CROP, batch_size=4)
    assert tallying.seen == 28  # images 0 to 27, of which two whole shards are written
    tallying.before = lambda images: None
    found = store.features(tallying, images, CROP, batch_size=4)
    assert tallying.seen == 28 + 37
    assert "going on after 20 of 57 images" in caplog.text
    np.testing.assert_allclose(found.x[:], extract(tallying, images, CROP).x, atol=1e-6)


@pytest.mark.usefixtures("small_shards")
def test_a_killed_process_leaves_what_it_had(tallying, pictures, store):
    images = pictures(57)
    stop_at(tallying, 3, _kill)
    for life in (1, 2):

        def run():
            store.features(tallying, images, CROP, batch_size=10)

        assert run_in_child(run) == [-signal.SIGKILL]
        assert tallying.seen == 20 * life  # two shards, and dead at the third
    tallying.before = lambda images: None
    found = store.features(tallying, images, CROP)
    assert tallying.seen == 57
    np.testing.assert_allclose(found.x[:], extract(tallying, images, CROP).x, atol=1e-6)


def test_two_processes_share_one_extraction(tallying, pictures, store):
    images = pictures(600)

    def run():
        found = store.features(tallying, images, CROP, batch_size=50)
        assert np.isfinite(found.x[:]).all()

    assert run_in_child(run, count=3) == [0, 0, 0]
    assert tallying.seen == 600
    np.testing.assert_allclose(
        store.features(tallying, images, CROP).x[:], extract(tallying, images, CROP).x, atol=1e-6
    )


def cut_rows(entry):
    os.truncate(entry / "x.bin", 33 * 20)


def lengthen_rows(entry):
    with (entry / "x.bin").open("ab") as file:
        file.write(b"\0" * 7)


def flip_a_bit(entry):
    data = bytearray((entry / "x.bin").read_bytes())
    data[25 * 20 + 3] ^= 1
    (entry / "x.bin").write_bytes(data)


def remove_rows(entry):
    (entry / "x.bin").unlink()


def cut_meta(entry):
    text = (entry / "meta.json").read_text()
    (entry / "meta.json").write_text(text[: len(text) // 2])


def change_meta(entry):
    text = (entry / "meta.json").read_text()
    (entry / "meta.json").write_text(text.replace('"readable": 57', '"readable": 56'))


def empty_meta(entry):
    (entry / "meta.json").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "again", "said"),
    [
        (cut_rows, 27, "its x.bin has 660 bytes, not 1140"),
        (lengthen_rows, 0, "its x.bin has 1147 bytes, not 1140"),
        (flip_a_bit, 10, "its x.bin has changed in 1 of 6 parts"),
        (remove_rows, 57, "its x.bin has 0 bytes, not 1140"),
        (cut_meta, 57, "its meta.json is damaged"),
        (change_meta, 57, "its meta.json is damaged"),
        (empty_meta, 57, "its meta.json is damaged"),
    ],
)
@pytest.mark.usefixtures("small_shards")
def test_what_is_damaged_is_made_again(tallying, pictures, store, caplog, damage, again, said):
    expected = store.features(tallying, pictures(57), CROP).x[:].copy()
    damage(entry_in(store.folder))
    found = store.features(tallying, pictures(57), CROP)
    assert tallying.seen == 57 + again
    assert said in caplog.text
    np.testing.assert_allclose(found.x[:], expected, atol=1e-6)
    caplog.clear()
    store.features(tallying, pictures(57), CROP)
    assert not caplog.records


def test_an_entry_of_other_features_is_not_taken(tallying, pictures, store, caplog):
    store.features(tallying, pictures(20), CROP)
    first = entry_in(store.folder)
    (store.folder / "aside").mkdir()
    first.rename(store.folder / "aside" / "entry")
    expected = extract(tallying, pictures(21), CROP).x
    store.features(tallying, pictures(21), CROP)
    (second,) = (place for place in store.folder.iterdir() if place.is_dir() and place.name != "aside")
    for name in ("meta.json", "x.bin"):
        (store.folder / "aside" / "entry" / name).replace(second / name)
    np.testing.assert_allclose(store.features(tallying, pictures(21), CROP).x[:], expected, atol=1e-6)
    assert "it stands for other features" in caplog.text


@pytest.mark.parametrize(
    ("mangled", "again"),
    [
        (lambda text: text[:-5], 37),  # the process died while it wrote the line
        (lambda text: text + b"[]\nnull\n{}\n", 27),
        (lambda text: text + b"\x00\xff", 27),
        (lambda text: text.replace(b'"crc": ', b'"crc": 1'), 57),
        (lambda text: text.replace(b'"unreadable": []', b'"unreadable": [3]'), 57),
    ],
)
@pytest.mark.usefixtures("small_shards")
def test_lines_of_a_journal_that_are_not_whole_do_not_count(tallying, pictures, store, mangled, again):
    stop_at(tallying, 4, _stop)
    with pytest.raises(Stopped):
        store.features(tallying, pictures(57), CROP, batch_size=10)
    journal = entry_in(store.folder) / "journal-0.jsonl"
    journal.write_bytes(mangled(journal.read_bytes()))
    tallying.before = lambda images: None
    found = store.features(tallying, pictures(57), CROP, batch_size=10)
    assert tallying.seen == 30 + again
    np.testing.assert_allclose(found.x[:], extract(tallying, pictures(57), CROP).x, atol=1e-6)


@pytest.mark.usefixtures("small_shards")
def test_rows_that_never_reached_the_disk_are_made_again(tallying, pictures, store):
    stop_at(tallying, 4, _stop)
    with pytest.raises(Stopped):
        store.features(tallying, pictures(57), CROP, batch_size=10)
    entry = entry_in(store.folder)
    os.truncate(entry / "x.bin", 15 * 20)  # the journal tells of images 0 to 29
    tallying.before = lambda images: None
    found = store.features(tallying, pictures(57), CROP, batch_size=10)
    assert tallying.seen == 30 + 47
    np.testing.assert_allclose(found.x[:], extract(tallying, pictures(57), CROP).x, atol=1e-6)


@pytest.fixture
def holed(tmp_path):
    """45 pictures; those of ``HOLES`` cannot be read."""
    folder = tmp_path / "holed"
    folder.mkdir()
    for i in range(45):
        Image.new("RGB", (8, 8), (5 * i, 250 - 5 * i, 7 * i % 256)).save(folder / f"{i}.png")
    for i in HOLES:
        (folder / f"{i}.png").write_bytes(b"not an image")
    return FolderImages(folder, [f"{i}.png" for i in range(45)], np.arange(45) % 3, ("a", "b", "c"))


HOLES = [10, 11, 13, *range(20, 30), 39, 44]


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (7, 0), (256, 1)])
@pytest.mark.usefixtures("small_shards")
def test_unreadable_images_leave_no_gaps(tallying, holed, store, caplog, batch_size, workers):
    expected = extract(tallying, holed, CROP)
    found = store.features(tallying, holed, CROP, batch_size=batch_size, workers=workers)
    assert found.positions.tolist() == [i for i in range(45) if i not in HOLES] == expected.positions.tolist()
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_allclose(found.x[:], expected.x, atol=1e-6)
    caplog.clear()
    again = store.features(tallying, holed, CROP)
    assert "15 of 45 images could not be read and are left out" in caplog.text
    np.testing.assert_array_equal(again.x[:], found.x[:])
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("byte", "kept"), [(3, 0), (10 * 20, 10), (30 * 20 - 1, 10)])
@pytest.mark.usefixtures("small_shards")
def test_damage_in_rows_that_were_moved(tallying, holed, store, byte, kept):
    expected = store.features(tallying, holed, CROP)
    data = entry_in(store.folder) / "x.bin"
    changed = bytearray(data.read_bytes())
    changed[byte] ^= 1
    rows, seen = expected.x[:].copy(), tallying.seen
    data.write_bytes(changed)
    found = store.features(tallying, holed, CROP)
    assert tallying.seen - seen == 30 - kept
    assert found.positions.tolist() == expected.positions.tolist()
    np.testing.assert_allclose(found.x[:], rows, atol=1e-6)


@pytest.mark.usefixtures("small_shards")
def test_a_process_that_dies_while_gaps_are_closed(tallying, holed, store, monkeypatch):
    expected = extract(tallying, holed, CROP)
    with monkeypatch.context() as during, pytest.raises(Stopped):
        during.setattr(os, "ftruncate", lambda file, size: _stop())
        store.features(tallying, holed, CROP)
    np.testing.assert_allclose(store.features(tallying, holed, CROP).x[:], expected.x, atol=1e-6)


def test_no_readable_image_is_an_error_each_time(tallying, tmp_path, store):
    images = FolderImages(tmp_path, ["1.png", "2.png"], [0, 1], ("a", "b"))
    for _ in range(2):
        with pytest.raises(UserError, match="none of the 2 images could be read"):
            store.features(tallying, images, CROP)
    with pytest.raises(UserError, match="the set holds no image"):
        store.features(tallying, FolderImages(tmp_path, [], [], ()), CROP)


@pytest.mark.usefixtures("small_shards")
def test_features_that_are_not_finite_are_never_stored(tallying, pictures, store):
    broken = Broken(tallying, float("nan"))
    for seen in (30, 40):  # the first two shards stay, the third is computed again
        with pytest.raises(RunFailed, match="not finite"):
            store.features(broken, pictures(57), CROP, batch_size=10)
        assert tallying.seen == seen
        assert not (entry_in(store.folder) / "meta.json").exists()


class Broken(nn.Module):
    """Gives one number of its own in the batches that end with the 30th and with the 40th picture."""

    def __init__(self, network, number):
        super().__init__()
        self.network = network
        self.shown, self.number = np.zeros(1, int), np.array(number)

    def forward(self, images):
        x = self.network(images)
        self.shown += len(images)
        if self.shown[0] in (30, 40):
            x[4, 2] = float(self.number)
        return x


def test_a_feature_too_large_for_half_precision(tallying, pictures, tmp_path):
    nn.init.constant_(tallying.body[0].bias, 1e6)
    with pytest.raises(RunFailed, match=r"does not fit float16; store the features as bfloat16 or float32"):
        FeatureStore(tmp_path / "store", "float16").features(tallying, pictures(5), CROP)
    assert FeatureStore(tmp_path / "store", "bfloat16").features(tallying, pictures(5), CROP).x[:].max() > 65504


class Shaped(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, images):
        return torch.ones(len(images), *self.shape)


@pytest.mark.parametrize("shape", [(5, 2), (), (0,)])
def test_what_is_no_vector_an_image_is_refused(pictures, store, shape):
    with pytest.raises(UserError, match=rf"shape {re.escape(str((4, *shape)))}; expected \(B, D\), a vector an image"):
        store.features(Shaped(*shape), pictures(4), CROP)


def test_unknown_words_are_refused(tallying, pictures, store, tmp_path):
    with pytest.raises(UserError, match="dtype=int8"):
        FeatureStore(tmp_path, "int8")
    with pytest.raises(UserError, match="precision=8-bit"):
        store.features(tallying, pictures(4), CROP, precision="8-bit")


def failing(number, after=0):
    """Return what ``os`` function to put in place of a real one that fails with ``number`` after some calls."""

    def made(real):
        calls = iter(range(10**6))

        def call(*arguments):
            if next(calls) >= after:
                raise OSError(number, os.strerror(number))
            return real(*arguments)

        return call

    return made


def test_a_disk_too_small_is_found_at_once(tallying, pictures, store, monkeypatch):
    said = r"features of 300 images take 0.0 MiB as float32, [0-9.]+ MiB are free there \(No space left on device\)"
    with monkeypatch.context() as full, pytest.raises(RunFailed, match=said):
        full.setattr(os, "posix_fallocate", failing(errno.ENOSPC)(os.posix_fallocate))
        store.features(tallying, pictures(300), CROP, batch_size=100)
    assert tallying.seen == 100
    assert not (entry_in(store.folder) / "x.bin").exists()
    assert len(store.features(tallying, pictures(300), CROP).x) == 300


@pytest.mark.usefixtures("small_shards")
def test_a_file_system_that_cannot_reserve_room_is_written_to_all_the_same(tallying, pictures, store, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", failing(errno.EOPNOTSUPP)(os.posix_fallocate))
    found = store.features(tallying, pictures(25), CROP)
    np.testing.assert_array_equal(found.x[:], extract(tallying, pictures(25), CROP).x)


@pytest.mark.parametrize(("function", "after"), [("pwrite", 3), ("fsync", 1), ("ftruncate", 0)])
@pytest.mark.usefixtures("small_shards")
def test_a_disk_that_fills_up_later(tallying, pictures, store, monkeypatch, function, after):
    said = r"cannot be written \(No space left on device, [0-9.]+ MiB are free\); the rows written so far are kept"
    with monkeypatch.context() as full, pytest.raises(RunFailed, match=said):
        full.setattr(os, function, failing(errno.ENOSPC, after)(getattr(os, function)))
        store.features(tallying, pictures(57), CROP, batch_size=10)
    assert not (entry_in(store.folder) / "meta.json").exists()
    seen = tallying.seen
    found = store.features(tallying, pictures(57), CROP, batch_size=10)
    assert tallying.seen - seen == (27 if function == "pwrite" else 0)
    np.testing.assert_allclose(found.x[:], extract(tallying, pictures(57), CROP).x, atol=1e-6)


def test_a_real_limit_of_the_system(tallying, pictures, store):
    def run():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        with pytest.raises(RunFailed, match=r"take 0.0 MiB as float32.*File too large"):
            store.features(tallying, pictures(300), CROP)

    assert run_in_child(run) == [0]


def test_a_folder_that_cannot_be_made(tallying, pictures, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFailed, match=r"cannot be written \((Not a directory|File exists)\)"):
        FeatureStore(tmp_path / "file" / "store").features(tallying, pictures(5), CROP)


def test_a_finished_entry_is_read_from_a_folder_that_cannot_be_written(tallying, pictures, store):
    expected = store.features(tallying, pictures(20), CROP).x[:].copy()
    lock = next(store.folder.glob("*.lock"))
    lock.unlink()
    found = store.features(tallying, pictures(20), CROP)
    np.testing.assert_array_equal(found.x[:], expected)
    assert not lock.exists()  # nothing was written


class Many(ImageSet):
    """As many grey pictures as asked for, none of them in memory."""

    def __init__(self, count):
        self.labels = np.arange(count) % 5
        self.classes = tuple("abcde")

    def name(self, index):
        return str(index)

    def image(self, index):
        return Image.new("RGB", (1, 1), (index % 251,) * 3)

    def digest(self):
        return str(len(self))


class Wide(nn.Module):
    """8192 features of a picture of one pixel."""

    def forward(self, images):
        return images[:, :1, 0, 0].float() + torch.arange(8192)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_features_larger_than_memory_are_extracted_and_read(store):
    """176 MiB of features, in a process that may have 96 MiB more than it has now."""
    count = 5632

    def run():
        used = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (used + 96 * 2**20,) * 2)
        found = store.features(Wide(), Many(count), CentreCrop(1, 1), batch_size=128)
        with pytest.raises(MemoryError):
            found.x[:] + 1
        total = sum(float(part[:, 0].sum()) for _, part in found.x.chunks(500))
        assert total == sum(i % 251 for i in range(count))

    assert run_in_child(run) == [0]
    assert (entry_in(store.folder) / "x.bin").stat().st_size == count * 8192 * 4


def test_waiting_for_another_process_is_said(tallying, pictures, store, caplog):
    store.features(tallying, pictures(20), CROP)
    (lock,) = store.folder.glob("*.lock")
    (entry_in(store.folder) / "meta.json").unlink()
    with ThreadPoolExecutor(1) as pool:
        with locked(lock):
            waiting = pool.submit(store.features, tallying, pictures(20), CROP)
            while not caplog.records and not waiting.done():
                time.sleep(0.01)
            assert "another process is writing these features; waiting for it" in caplog.text
            assert not waiting.done()
        assert len(waiting.result(60).x) == 20
