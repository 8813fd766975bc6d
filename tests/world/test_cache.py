"""The world on disk: complete, the same however it was rendered, continued after an interruption, repaired."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from transferbench.errors import RunFailed, UserError
from transferbench.world import cache, painter
from transferbench.world.cache import World, open_world, world_digest

LEMMAS = ("dog", "teapot")


def small_world(**options: int) -> World:
    return open_world(progress=False, train_images=3, val_images=2, lemmas=LEMMAS, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield


def contents(world: World) -> dict[str, bytes]:
    return {str(path.relative_to(world.images)): path.read_bytes() for path in sorted(world.images.rglob("*.jpg"))}


def test_pictures_and_taxonomy_lie_where_the_world_says() -> None:
    world = small_world(workers=2)
    assert world.seconds > 0
    assert len(world.leaves) == 2
    assert list(world.leaves) == sorted(world.leaves)
    assert {world.names[wnid] for wnid in world.leaves} == {"dog", "teapot"}
    expected = {f"{s}/{w}/{i:04d}.jpg" for s, n in (("train", 3), ("val", 2)) for w in world.leaves for i in range(n)}
    assert set(contents(world)) == expected
    assert sorted(path.name for path in (world.images / "train").iterdir()) == list(world.leaves)
    with Image.open(world.images / "train" / world.leaves[0] / "0000.jpg") as image:
        assert image.size == (64, 64)
        assert image.mode == "RGB"
    assert (world.wordnet / "data.noun").is_file()
    assert (world.wordnet / "index.noun").is_file()


def test_the_world_is_found_again_and_depends_on_the_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = small_world(workers=2)
    assert small_world().seconds == 0.0
    other = small_world(seed=1, workers=1)
    assert other.digest == world_digest(1, 3, 2) != first.digest
    assert contents(other) != contents(first)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert contents(small_world(workers=1)) == contents(first)  # whatever the number of workers


def test_an_interrupted_rendering_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    paint = cache._painted_by
    answered = []

    def interrupted(free: object, task: painter.Task) -> painter.Task:
        if len(answered) == 2:
            raise KeyboardInterrupt
        answered.append(task)
        return paint(free, task)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "_painted_by", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small_world(workers=1)
    times = {path: path.stat().st_mtime_ns for path in Path(answered[0].folder).iterdir()}
    assert len(times) == answered[0].count
    monkeypatch.setattr(cache, "_painted_by", paint)
    world = small_world(workers=1)
    assert len(contents(world)) == 10
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_lost_pictures_are_rendered_again(caplog: pytest.LogCaptureFixture) -> None:
    world = small_world(workers=1)
    before = contents(world)
    (world.images / "val" / world.leaves[1] / "0001.jpg").unlink()
    with caplog.at_level(logging.WARNING):
        assert small_world(workers=1).seconds > 0
    assert "1 folders of pictures are missing or broken" in caplog.text
    assert contents(world) == before


def test_an_unknown_concept_is_named() -> None:
    with pytest.raises(UserError, match="no leaf concept 'unicorn'"):
        open_world(progress=False, lemmas=("unicorn",))
    with pytest.raises(UserError, match="no leaf concept 'animal'"):
        open_world(progress=False, lemmas=("animal",))


def test_a_dying_painter_is_reported(tmp_path: Path) -> None:
    task = painter.Task("unicorn", "train", 1, 0, str(tmp_path / "unicorn"))
    with pytest.raises(RunFailed, match="renders unicorn ended with code 1"):
        list(cache._painting([task], 1))
    assert not (tmp_path / "unicorn").exists()


def test_every_source_of_the_digest_exists() -> None:
    for pattern in cache.SOURCES:
        assert list(cache.PACKAGE.glob(pattern)), pattern


def test_the_digest_covers_what_painters_import() -> None:
    covered = {path for pattern in cache.SOURCES for path in cache.PACKAGE.glob(pattern)}
    world = set((cache.PACKAGE / "world").glob("*.py")) - covered
    assert {path.name for path in world} >= {"__init__.py", "cache.py", "contact_sheet.py"}
    for path in covered:
        if path.suffix == ".py":
            for other in world:
                assert f"world.{other.stem} import" not in path.read_text(), f"{path.name} depends on {other.name}"
