from __future__ import annotations

import multiprocessing
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from transferbench.errors import RunFailed, UserError
from transferbench.features.rows import StoredRows, decode, disk_dtype, encode
from transferbench.probes.bank import is_mapped
from transferbench.probes.ncm import class_means

STORAGES = ("float32", "float16", "bfloat16")


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(scale=30, size=(23, 7)).astype(np.float32)


def stored(path, x, storage):
    path.write_bytes(encode(x, storage).tobytes())
    return StoredRows(path, storage, *x.shape)


@pytest.mark.parametrize("storage", STORAGES)
def test_numbers_are_rounded_as_torch_rounds_them(numbers, storage):
    found = decode(encode(numbers, storage), storage)
    expected = torch.from_numpy(numbers).to(getattr(torch, storage)).float().numpy()
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    assert encode(numbers, storage).itemsize == getattr(torch, storage).itemsize


@pytest.mark.parametrize(("storage", "number"), [("float16", 65520), ("float16", -65520), ("bfloat16", 3.4e38)])
def test_a_number_too_large_for_its_type_is_said(storage, number):
    with pytest.raises(RunFailed, match=f"does not fit {storage}; store the features as .*float32"):
        encode(np.array([[1, number]], np.float32), storage)
    encode(np.array([[1, number * 0.99]], np.float32), storage)


def test_an_unknown_type_is_refused():
    with pytest.raises(UserError, match="dtype=float8: expected one of float32, float16, bfloat16"):
        disk_dtype("float8")


@pytest.mark.parametrize("storage", STORAGES)
def test_rows_are_taken_like_those_of_an_array(tmp_path, numbers, storage):
    rows = stored(tmp_path / "x", numbers, storage)
    whole = decode(encode(numbers, storage), storage)
    assert (rows.shape, len(rows), rows.ndim, rows.dtype) == ((23, 7), 23, 2, np.float32)
    for index in (3, -1, slice(2, 9), slice(None, None, -2), np.array([4, 4, 0]), whole[:, 0] > 0, np.array([], int)):
        found = rows[index]
        np.testing.assert_array_equal(found, whole[index])
        assert found.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(rows), whole)
    np.testing.assert_array_equal(np.concatenate([part for _, part in rows.chunks(4)]), whole)
    np.testing.assert_array_equal(np.stack(list(rows)), whole)
    assert [where.stop - where.start for where, _ in rows.chunks(8)] == [8, 8, 7]


@pytest.mark.parametrize("storage", STORAGES)
def test_the_map_is_of_the_files_own_precision(tmp_path, numbers, storage):
    rows = stored(tmp_path / "x", numbers, storage)
    mapped = torch.from_numpy(np.array(rows.mapped)) if storage != "bfloat16" else rows.mapped
    assert mapped.dtype == getattr(torch, storage)
    np.testing.assert_array_equal(mapped.float().numpy(), rows[:])
    assert storage == "bfloat16" or is_mapped(rows.mapped)


@pytest.mark.parametrize("storage", STORAGES)
def test_probes_take_the_map(tmp_path, numbers, storage):
    rows, labels = stored(tmp_path / "x", numbers, storage), np.arange(23) % 3
    found, expected = (class_means(x, labels).means for x in (rows.mapped, rows[:]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_float32_is_not_copied_and_not_writable(tmp_path, numbers):
    rows = stored(tmp_path / "x", numbers, "float32")
    first, second = np.asarray(rows), rows[:5]
    assert np.shares_memory(first, second)
    assert is_mapped(first)
    for x in (first, second, rows.mapped):
        with pytest.raises(ValueError, match="read-only"):
            x[0, 0] = 1


def test_rows_travel_as_a_path(tmp_path):
    rows = stored(tmp_path / "x", np.ones((500, 200), np.float32), "bfloat16")
    sent = pickle.dumps(rows)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent)[:], np.ones((500, 200)))


def _means_in_little_memory(path: Path, storage: str, count: int, width: int, answer: Path) -> None:
    """Fail to load all rows, then take sums and class means in parts, with 112 MiB more than the process has now."""
    torch.set_num_threads(1)
    used = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + 112 * 2**20,) * 2)
    rows = StoredRows(path, storage, count, width)
    with pytest.raises(MemoryError):
        np.array(rows[:])
    parts = [part.sum(axis=0, dtype=np.float64) for _, part in rows.chunks(2000)]
    means = class_means(rows.mapped, np.arange(count) % 3).means
    answer.write_bytes(np.stack([np.sum(parts, axis=0), *means.astype(np.float64)]).tobytes())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("storage", ["float32", "bfloat16"])
def test_a_file_larger_than_memory_is_read_in_parts(tmp_path, storage):
    block = np.random.default_rng(0).normal(size=(1000, 128)).astype(np.float32)
    count = 360_000  # 176 MiB as float32
    with (tmp_path / "x").open("wb") as file:
        for _ in range(count // 1000):
            file.write(encode(block, storage).tobytes())
    child = multiprocessing.get_context("fork").Process(
        target=_means_in_little_memory, args=(tmp_path / "x", storage, count, 128, tmp_path / "answer")
    )
    child.start()
    child.join(60)
    assert child.exitcode == 0
    found = np.frombuffer((tmp_path / "answer").read_bytes()).reshape(4, 128)
    same = decode(encode(block, storage), storage)
    np.testing.assert_allclose(found[0], count // 1000 * same.sum(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-3)
    expected = class_means(np.concatenate([same] * 3), np.arange(3000) % 3).means  # 1000 = 1 mod 3: a whole period
    np.testing.assert_allclose(found[1:], expected, atol=1e-5)
