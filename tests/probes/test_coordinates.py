from __future__ import annotations

import pytest
import torch

from transferbench.probes.coordinates import Held, Point, Read
from transferbench.probes.span import find_span

COUNT, WIDTH, CLASSES = 23, 9, 4


@pytest.fixture
def rows():
    return torch.randn(COUNT, WIDTH, generator=torch.Generator().manual_seed(0)) + 3


@pytest.fixture
def kinds(rows):
    span = find_span(iter([rows]), COUNT, narrow=False)

    def blocks(start, stop):
        return iter(rows[start:stop].split(5))

    return Held.of(span, blocks, COUNT), Read(span, blocks, 0, COUNT)


def coordinates(seed, dtype=torch.float64):
    return torch.randn(WIDTH + 1, CLASSES, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_read_rows_give_what_held_rows_give(kinds, dtype, tolerance):
    held, read = kinds
    points = [coordinates(1, dtype), coordinates(2, dtype)]
    seen = []

    def function(where, a, b):
        seen.append((where, a.dtype))
        return a * b.exp()

    expected = held.pull([held.place(v) for v in points], function)
    assert seen == [(slice(0, COUNT), dtype)]
    found = read.pull([read.place(v) for v in points], function)
    assert [where for where, _ in seen[1:]] == [slice(i, min(i + 5, COUNT)) for i in range(0, COUNT, 5)]
    assert found.dtype == expected.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_many_logits_are_worked_on_a_part_at_a_time(kinds, monkeypatch):
    held, _ = kinds
    points = [held.place(coordinates(1)), Point(coordinates(2))]
    whole = held.pull(points, lambda rows, a, b: a * b.exp())
    monkeypatch.setattr("transferbench.probes.coordinates._NUMBERS", 10 * CLASSES + 3)
    seen = []

    def function(rows, a, b):
        seen.append((rows.start, rows.stop))
        return a * b.exp()

    torch.testing.assert_close(held.pull(points, function), whole)
    held.visit(points, function)
    assert seen == [(0, 10), (10, 20), (20, 23)] * 2


def test_pulling_is_the_transpose_of_placing(kinds):
    for rows in kinds:
        v, residual = coordinates(1), torch.randn(COUNT, CLASSES, dtype=torch.float64)
        pulled = rows.pull([Point(coordinates(2))], lambda where, _, residual=residual: residual[where])
        torch.testing.assert_close((pulled * v).sum(), (rows.logits(v) * residual).sum())


@pytest.mark.parametrize(("start", "stop"), [(0, 7), (7, 20), (12, 13), (20, 23)])
def test_a_part_is_those_rows(kinds, start, stop):
    v = coordinates(3)
    whole = kinds[0].logits(v)
    for rows in kinds:
        part = rows.part(start, stop)
        assert part.count == stop - start
        torch.testing.assert_close(part.logits(v), whole[start:stop])
        seen = []
        part.visit([Point(v)], lambda where, z, seen=seen: seen.extend(range(where.start, where.stop)))
        assert seen == list(range(stop - start))
    torch.testing.assert_close(kinds[1].part(5, 20).part(2, 9).logits(v), whole[7:14])


def test_a_step_moves_coordinates_and_logits_alike(kinds):
    for rows in kinds:
        a, b = coordinates(4), coordinates(5)
        moved = rows.place(a).ahead(rows.place(b), 0.25)
        torch.testing.assert_close(moved.v, a + b / 4)
        torch.testing.assert_close(rows.logits(a + b / 4), rows.logits(a) + rows.logits(b) / 4)
        assert (moved.z is None) == isinstance(rows, Read)
        if moved.z is not None:
            torch.testing.assert_close(moved.z, rows.logits(moved.v))
            assert moved.single().z.dtype == torch.float32


def test_rough_rows_are_the_same_to_single_precision(kinds):
    held, read = kinds
    rough, v = held.rough(), coordinates(6)
    assert rough.rough() is rough
    assert read.rough() is read
    exact, rounded = held.place(v), rough.place(v)
    assert rounded.z.dtype == torch.float64
    assert 0 < float((rounded.z - exact.z).abs().max()) < 1e-5
    torch.testing.assert_close(rough.part(3, 9).place(v).z, rounded.z[3:9])
    expected, found = (rows.pull([rows.place(v)], lambda _, z: z.exp()) for rows in (held, rough))
    assert found.dtype == torch.float64
    assert 0 < float((found - expected).abs().max()) < 1e-3


def test_logits_lie_class_by_class(kinds):
    for rows in (kinds[0], kinds[0].rough()):
        assert rows.place(coordinates(7)).z.T.is_contiguous()
