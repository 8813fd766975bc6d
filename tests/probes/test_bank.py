from __future__ import annotations

import numpy as np
import pytest
import torch

from transferbench.probes import bank as module
from transferbench.probes.bank import Bank, free_bytes, is_mapped, memory_left


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(2, 3, (300, 8)).astype(np.float32)


@pytest.fixture
def mapped(features, tmp_path):
    np.save(tmp_path / "x.npy", features)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def pass_over(bank, positions, batch=32, seed=0):
    batches = list(bank.shuffled(torch.as_tensor(positions), batch, torch.Generator().manual_seed(seed)))
    return torch.cat([rows for rows, _ in batches]), torch.cat([where for _, where in batches]), batches


@pytest.mark.parametrize("room", [None, 300 * 8 * 4, 64 * 8 * 4, 0])
@pytest.mark.parametrize("on_disk", [False, True])
def test_every_row_comes_once_and_scaled(features, mapped, room, on_disk):
    bank = Bank(mapped if on_disk else features, room=room)
    rows, where, batches = pass_over(bank, np.arange(300))
    assert sorted(where.tolist()) == list(range(300))
    np.testing.assert_allclose(rows, unit(features)[where], rtol=1e-6)
    assert [len(w) for _, w in batches] == [32] * 9 + [12]


def test_rows_in_memory_come_in_the_same_order_wherever_they_are_held(features):
    orders = [pass_over(Bank(features, room=room), np.arange(0, 300, 2))[1] for room in (None, 3000, 0)]
    assert orders[0].tolist() == orders[1].tolist() == orders[2].tolist()
    assert orders[0].tolist() != sorted(orders[0].tolist())
    assert set(orders[0].tolist()) == set(range(0, 300, 2))


def test_a_map_is_shuffled_in_blocks_and_read_in_ascending_runs(features, mapped, monkeypatch):
    read = []
    original = module.rows_of
    monkeypatch.setattr(module, "BLOCK", 10)
    monkeypatch.setattr(module, "rows_of", lambda x, which: read.append(which) or original(x, which))
    bank = Bank(mapped, room=100 * 8 * 4)
    read.clear()
    _, where, _ = pass_over(bank, np.arange(300), batch=20)
    assert len(read) == 3  # a hundred rows at a time
    for part in read:
        assert (np.diff(part) > 0).all()
        assert set(np.bincount(part // 10)) == {0, 10}  # whole blocks
    assert len({int(w) // 10 for w in where[:20]}) > 5  # and their rows are mixed
    assert pass_over(bank, np.arange(300), 20)[1].tolist() == where.tolist()
    assert pass_over(bank, np.arange(300), 20, seed=1)[1].tolist() != where.tolist()


@pytest.mark.parametrize("room", [None, 0])
def test_kept_rows_are_numbered_from_nought(features, mapped, room):
    keep = np.array([3, 50, 51, 299])
    for x in (features, mapped):
        bank = Bank(x, keep=keep, unit=False, room=room)
        assert bank.count == 4
        np.testing.assert_array_equal(bank.rows(torch.tensor([3, 0])), features[[299, 3]])
        np.testing.assert_array_equal(bank.rows(torch.tensor([2, 0, 0])), features[[51, 3, 3]])
        found = {int(w): rows for rows, where in bank.in_order(torch.arange(4)) for w, rows in zip(where, rows)}
        np.testing.assert_array_equal(found[1], features[50])


@pytest.mark.parametrize("room", [None, 0])
def test_a_row_may_be_asked_for_twice(features, room):
    bank = Bank(features, unit=False, room=room)
    np.testing.assert_array_equal(bank.rows(torch.tensor([4, 2, 2])), features[[4, 2, 2]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("room", [None, 300 * 8 * 2, 0])
def test_other_precisions(features, dtype, room):
    x = torch.from_numpy(features).to(dtype)
    bank = Bank(x, room=room)
    rows = bank.rows(torch.tensor([7, 2, 2]))
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows, torch.nn.functional.normalize(x.float(), dim=1)[[7, 2, 2]])
    if room == 300 * 8 * 2 and dtype != torch.float64:
        assert bank.held is not None
        assert bank.held.dtype == dtype


def test_half_precision_maps(features, tmp_path):
    np.save(tmp_path / "half.npy", features.astype(np.float16))
    bank = Bank(np.load(tmp_path / "half.npy", mmap_mode="r"), room=0)
    np.testing.assert_allclose(bank.rows(torch.arange(300)), unit(features), atol=2e-3)


class Stored:
    """As the feature store hands its rows out."""

    def __init__(self, mapped):
        self.mapped, self.shape = mapped, tuple(mapped.shape)

    def __len__(self):
        return len(self.mapped)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("room", [None, 300 * 8 * 2, 0])
def test_rows_on_disk_are_read_in_their_own_precision(features, dtype, room):
    stored = Stored(torch.from_numpy(features).to(dtype))
    bank = Bank(stored, room=room)
    assert is_mapped(stored)
    if room == 300 * 8 * 2:
        assert bank.held.dtype == dtype
    rows, where, _ = pass_over(bank, np.arange(300))
    torch.testing.assert_close(rows, torch.nn.functional.normalize(stored.mapped.float(), dim=1)[where])
    assert (where.tolist() == pass_over(Bank(features, room=room), np.arange(300))[1].tolist()) == (room != 0)


def test_what_lies_in_a_file_is_told(features, mapped):
    assert is_mapped(mapped)
    assert is_mapped(mapped[10:20])
    assert not is_mapped(features)
    assert not is_mapped(features[5:])
    assert not is_mapped(torch.from_numpy(features))


def test_the_source_is_not_changed_and_room_is_left(features):
    before = features.copy()
    Bank(features).held.zero_()
    np.testing.assert_array_equal(features, before)
    assert free_bytes(torch.device("cpu")) >= 0


@pytest.mark.parametrize(
    "x", [np.zeros((3, 2), np.uint16), np.zeros(3, np.float32), torch.zeros(3, 2, dtype=torch.int64)]
)
def test_other_arrays_are_refused(x):
    with pytest.raises(ValueError, match=r"floating-point features \(N, D\)"):
        Bank(x)


def test_a_containers_limit_counts(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  900 kB\nMemAvailable:  700 kB\n")
    assert memory_left(tmp_path) == 700 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.stat").write_text("anon 102400\nfile 999999\n")
    (group / "memory.max").write_text("max\n")
    assert memory_left(tmp_path) == 700 * 1024
    (group / "memory.max").write_text("512000\n")
    assert memory_left(tmp_path) == 512000 - 102400
    assert memory_left(tmp_path / "elsewhere") > 0


@pytest.mark.parametrize("room", [None, 0])
def test_moments_are_those_of_the_rows_named(features, room):
    features[:, 3] = 7
    found = Bank(features, unit=False, room=room).moments(torch.arange(40, 200))
    np.testing.assert_allclose(found.mean, features[40:200].mean(axis=0, dtype=np.float64), rtol=1e-6)
    expected = features[40:200].std(axis=0, dtype=np.float64)
    expected[3] = 1e-5
    np.testing.assert_allclose(found.std, expected, rtol=1e-5)
