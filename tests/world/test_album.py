"""The album on disk: COCO files that hold, masks that decode, no unseen word, continued and repaired like the world."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferbench.concepts.levels import draw_levels
from transferbench.concepts.wordnet import open_wordnet
from transferbench.errors import RunFailed, UserError
from transferbench.storage import digest_of
from transferbench.world import album, crew
from transferbench.world.album import ALBUM_SOURCES, Album, open_album, spoken
from transferbench.world.album_painter import Chunk, Plan, photograph, run_lengths
from transferbench.world.cache import PACKAGE
from transferbench.world.cache import contents as sources
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy, write_wordnet

CONCEPTS = read_taxonomy()
IDS = concept_ids(CONCEPTS)
NAMES = {IDS[lemma]: lemma.replace("_", " ") for lemma in ("fox", "mug", "kite", "teddy_bear")}


def small_album(**options: Any) -> Album:
    return open_album(NAMES, progress=False, **{"pictures": 8, "held_out": 3, "captions": 3, "workers": 1, **options})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(album, "CHUNK", 4)
    yield


def contents(made: Album) -> dict[str, bytes]:
    return {str(p.relative_to(made.folder)): p.read_bytes() for p in sorted(made.folder.rglob("*")) if p.is_file()}


def read(made: Album, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.folder / "annotations" / name).read_text())
    return found


def decoded(segmentation: dict[str, Any]) -> np.ndarray:
    height, width = segmentation["size"]
    flat, value = [], 0
    for run in segmentation["counts"]:
        flat += [value] * run
        value = 1 - value
    assert len(flat) == height * width
    return np.array([[flat[x * height + y] for x in range(width)] for y in range(height)], bool)


def test_the_album_is_in_coco_form() -> None:
    made = small_album()
    assert made.seconds > 0
    assert made.contaminated == ()
    ids: list[int] = []
    for split, number in (("train", 8), ("val", 3)):
        captions, instances = read(made, f"captions_{split}.json"), read(made, f"instances_{split}.json")
        assert captions["images"] == instances["images"]
        assert len(captions["images"]) == number
        ids += [image["id"] for image in captions["images"]]
        for image in captions["images"]:
            with Image.open(made.folder / split / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"]) == (96, 96)
        assert {a["image_id"] for a in captions["annotations"]} == {image["id"] for image in captions["images"]}
        assert len(captions["annotations"]) == 3 * number
        assert len({a["id"] for a in captions["annotations"]}) == 3 * number
        assert {a["image_id"] for a in instances["annotations"]} == {image["id"] for image in captions["images"]}
        for one in instances["annotations"]:
            assert set(one) == {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"}
            mask = decoded(one["segmentation"])
            rows, columns = np.nonzero(mask)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert one["bbox"] == box
            assert one["area"] == mask.sum()
            assert 0.018 <= mask.mean() <= 0.15
        assert [(c["id"], c["name"]) for c in instances["categories"]] == [
            (1, "fox"), (2, "kite"), (3, "mug"), (4, "teddy"),
        ]  # fmt: skip
        assert instances["categories"][0]["supercategory"] == "canine"
    assert len(set(ids)) == 11


def test_captions_name_what_instances_hold() -> None:
    made = small_album()
    instances = read(made, "instances_train.json")
    names = {c["id"]: c["name"] for c in instances["categories"]}
    held: dict[int, list[str]] = {}
    for one in instances["annotations"]:
        held.setdefault(one["image_id"], []).append(names[one["category_id"]])
    for caption in read(made, "captions_train.json")["annotations"]:
        said = spoken([caption["caption"]], names.values())
        assert said
        assert set(said) <= set(held[caption["image_id"]])


def test_the_album_is_found_again_and_is_the_same_however_it_was_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = small_album(workers=2)
    assert small_album().seconds == 0.0
    assert small_album(draw_seed=1, pictures=4, held_out=1).digest != first.digest
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    watch, answered = crew._watch, []

    def interrupted(painter: Any, chunks: Any, done: Any) -> None:
        def once(chunk: Chunk) -> None:
            answered.append(chunk)
            raise KeyboardInterrupt

        watch(painter, chunks, once)

    monkeypatch.setattr(crew, "_watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small_album()
    folder = tmp_path / "elsewhere" / "transferbench" / "album" / first.digest
    assert len(answered) == 1
    assert not (folder / "done.json").exists()
    kept = (folder / answered[0].record).stat().st_mtime_ns
    monkeypatch.setattr(crew, "_watch", watch)
    continued = small_album()
    assert contents(continued) == contents(first)
    assert (folder / answered[0].record).stat().st_mtime_ns == kept


def test_a_broken_album_is_mended(caplog: pytest.LogCaptureFixture) -> None:
    made = small_album()
    before = contents(made)
    (made.folder / "train" / "000000000002.jpg").write_bytes(b"broken")
    (made.folder / "annotations" / "captions_val.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert small_album().seconds > 0
    assert "missing or broken; rendering them again" in caplog.text
    assert contents(made) == before
    (made.folder / "done.json").write_text("{")
    assert small_album().seconds > 0
    assert contents(made) == before


def test_pictures_depend_on_seeds_names_split_and_number() -> None:
    plan = Plan({"fox": "fox", "mug": "mug"}, ("bear",), 0, 0, 3, 96)
    first, again = photograph(plan, "train", 0), photograph(plan, "train", 0)
    assert np.array_equal(first[0], again[0])
    assert first[2] == again[2]
    for other, split, index in (
        (Plan(plan.names, plan.unseen, 1, 0, 3, 96), "train", 0),
        (Plan(plan.names, plan.unseen, 0, 1, 3, 96), "train", 0),
        (plan, "val", 0),
        (plan, "train", 1),
    ):
        assert not np.array_equal(photograph(other, split, index)[0], first[0])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_draw_names_an_unseen_concept(seed: int, tmp_path: Path) -> None:
    write_wordnet(CONCEPTS, tmp_path)
    lemma_of = {wnid: lemma for lemma, wnid in IDS.items()}
    of_pictures = [leaf.lemma for leaf in leaves(CONCEPTS)]
    seen = {lemma_of[w] for w in draw_levels(open_wordnet(tmp_path), [IDS[x] for x in of_pictures], seed=seed).seen}
    unseen = tuple(lemma.replace("_", " ") for lemma in of_pictures if lemma not in seen)
    plan = Plan({lemma: lemma.replace("_", " ") for lemma in sorted(seen)}, unseen, 0, seed, 20, 64)
    captions = [caption for index in range(12) for caption in photograph(plan, "train", index)[2]]
    assert spoken(captions, unseen) == ()
    own = {word for lemma in seen for word in lemma.split("_")}
    assert spoken(captions, {word for name in unseen for word in name.split()} - own) == ()


def test_spoken_names_are_whole_words() -> None:
    names = ("fox", "mouse", "hot air balloon", "cat", "ant")
    assert spoken(["A plant.", "Two foxes and an ice-cream."], names) == ("fox",)
    assert spoken(["A Hot air balloon!", "Mice"], names) == ("hot air balloon", "mouse")
    assert spoken(["A hot.", "Air balloon."], names) == ()


def test_run_lengths_go_down_the_columns() -> None:
    mask = np.array([[0, 1], [0, 1], [1, 0]], bool)
    assert run_lengths(mask) == [2, 3, 1]
    assert run_lengths(np.ones((2, 2), bool)) == [0, 4]
    assert run_lengths(np.zeros((2, 2), bool)) == [4]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(UserError, match="n99999999"):
        open_album({"n99999999": "unicorn"}, progress=False)
    with pytest.raises(UserError, match=f"{IDS['animal']} .animal."):
        open_album({IDS["animal"]: "animal"}, progress=False)
    with pytest.raises(UserError, match="captions=0"):
        small_album(captions=0)


def test_a_dying_painter_is_reported(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"names": 1}')
    with pytest.raises(RunFailed, match="renders the album ended with code 1"):
        crew.paint_chunks(tmp_path, [Chunk("train", 0, 1, 1)], 1, lambda _: None)


def test_a_painter_that_died_between_chunks_is_reported(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"], text=True, stdin=-1, stdout=-1)
    dead.wait()
    with pytest.raises(RunFailed, match="renders the album ended with code 0"):
        crew._share([dead], [Chunk("train", 0, 1, 1)], lambda _: None)
    dead.communicate()


def test_every_source_of_the_digest_exists_and_none_is_forgotten() -> None:
    for pattern in album.ALBUM_SOURCES:
        assert list(PACKAGE.glob(pattern)), pattern
    covered = {path for pattern in album.ALBUM_SOURCES for path in PACKAGE.glob(pattern)}
    left = set((PACKAGE / "world").glob("*.py")) - covered
    for path in covered:
        if path.suffix == ".py":
            for other in left:
                assert f"world.{other.stem} import" not in path.read_text(), f"{path.name} depends on {other.name}"


def test_the_album_is_frozen() -> None:
    """Measured numbers are of these pictures and captions: who changes them measures again."""
    assert digest_of(*sources(ALBUM_SOURCES)) == "565f483a928acdd7"
