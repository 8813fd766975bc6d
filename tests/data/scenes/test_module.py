"""A scene as a data module: what it reads, which views it watches, what it says of itself, how it is taken up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import transferbench.data.world as world_data
from transferbench.data.scenes import world
from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.rays import Draw
from transferbench.data.scenes.scene import Scene
from transferbench.data.scenes.world import WorldScene
from transferbench.data.world import WorldData
from transferbench.errors import UserError
from transferbench.world.cache import World
from transferbench.world.studio import open_scene
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy, write_wordnet


def scene(**changed: Any) -> Scene:
    count = 12
    given = {
        "name": "made",
        "names": tuple(f"f{k}" for k in range(count)),
        "images": np.random.default_rng(0).integers(0, 255, (count, 4, 6, 3), dtype=np.uint8),
        "poses": np.repeat(np.eye(4)[None], count, 0),
        "intrinsics": np.tile([5.0, 5, 3, 2], (count, 1)),
        "distortion": np.zeros((count, 6)),
        "train": tuple(range(5)),
        "val": (5, 6, 7, 8, 9),
        "test": (10, 11),
    }
    return Scene(**{**given, **changed})


class Made(SceneData):
    def __init__(self, made: Scene, **options: Any) -> None:
        super().__init__(None, Draw(rays=16), **{"epoch_steps": 4, **options})
        self.made, self.times = made, 0

    def read(self) -> Scene:
        self.times += 1
        return self.made


def ready(made: Scene | None = None, **options: Any) -> Made:
    data = Made(scene() if made is None else made, **options)
    data.setup()
    return data


def trainer(epoch: int = 0, done: int = 0, steps: int = 4) -> Any:
    progress = SimpleNamespace(current=SimpleNamespace(ready=done))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    return SimpleNamespace(current_epoch=epoch, fit_loop=loop, num_training_batches=steps)


def test_a_scene_is_read_once_and_not_before_it_is_asked_for() -> None:
    data = Made(scene())
    with pytest.raises(RuntimeError, match="setup"):
        _ = data.scene
    data.setup()
    data.setup("fit")
    assert data.times == 1 and data.scene.name == "made"


def test_watched_views_are_evenly_spaced_in_the_validation_split() -> None:
    assert ready(watched=3).val_dataloader() == [5, 7, 9]
    assert ready(watched=99).val_dataloader() == [5, 6, 7, 8, 9]
    assert ready(watched=0).val_dataloader() == []
    assert ready(scene(val=()), watched=2).val_dataloader() == [10, 11]
    assert ready(scene(val=(), test=()), watched=2).val_dataloader() == []


def test_draws_are_taken_up_in_the_middle_of_an_epoch() -> None:
    data = ready()
    data.trainer = trainer()
    first = [*(loader := data.train_dataloader()), *loader]
    assert len(first) == 8 and first[0].frames.max() < 5
    data.trainer = trainer(epoch=1, done=3)
    again = ready()
    again.trainer = trainer(epoch=1)
    again.load_state_dict(data.state_dict())
    loader = again.train_dataloader()
    loader.sampler.set_epoch(1)  # as Lightning does
    assert torch.equal(next(iter(loader)).rows, first[7].rows)
    assert len(list(again.train_dataloader())) == 4, "once"
    data.trainer = trainer(epoch=1, done=4)
    assert data.state_dict() == {"batches_done": 0}, "a whole epoch leaves nothing to skip"
    assert ready().state_dict() == {"batches_done": 0}


def test_its_digest_follows_the_images_the_cameras_and_the_splits() -> None:
    found = {ready().digest()}
    for changed in (
        {"images": scene().images + 1},
        {"poses": scene().poses * 2},
        {"distortion": scene().distortion + 0.1},
        {"train": (0, 1)},
    ):
        found.add(ready(scene(**changed)).digest())
    assert len(found) == 5 and ready().digest() in found
    assert ready().kept() == {"scene": {"name": "scene", "digest": ready().digest()}}


def test_there_are_no_classes_and_nothing_to_probe() -> None:
    data = ready()
    assert data.offered == {"classes": 0} and data.evaluation_sets() == {} and data.classes == ()
    assert data.render_seconds == 0
    data.check_batch(1)
    with pytest.raises(UserError, match="no frame to fit"):
        ready(scene(train=())).check_batch(1)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(UserError, match=r"data\.root is not set"):
        SceneData(None, Draw(rays=4)).setup()
    with pytest.raises(UserError, match="no such folder"):
        SceneData("/nowhere/at/all", Draw(rays=4)).setup()
    with pytest.raises(UserError, match=r"expected scale\.epoch_steps=1"):
        SceneData(None, Draw(rays=4), epoch_steps=0)


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch, own_cache: None) -> None:
    """The world's scenes with few views and concepts."""
    few = {
        "stage": {"lemmas": ("barrel", "cactus", "mug"), "objects": 3, "train": 2, "val": 1, "test": 2},
        "kitchen": {"frames": 20},
    }
    monkeypatch.setattr(
        world, "open_scene", lambda kind, *rest, **more: open_scene(kind, *rest, **{**more, **few[kind]})
    )


@pytest.mark.usefixtures("small_world")
def test_a_stage_of_the_world_comes_through_the_reader() -> None:
    data = WorldScene(size=20, progress=False, pixels=Draw(rays=8), epoch_steps=2, watched=1)
    data.setup()
    made = data.scene
    assert (len(made), made.height, made.width) == (5, 20, 20) and made.images.shape[-1] == 4
    assert (made.train, made.val, made.test) == ((0, 1), (2,), (3, 4)) and made.background == "white"
    assert made.labels is not None and len(made.label_names) == 3 and made.box is not None
    assert data.render_seconds > 0 and data.name == "stage_0"
    without = data.without(1)
    assert set(without) == {3, 4} and all(path.is_file() for path in without.values())
    with Image.open(without[3]) as image:
        difference = (np.asarray(image) != made.images[3]).any(-1)
    assert (difference | (made.labels[3] != 1)).all(), "wherever the object was something else is"
    assert data.without(9) == {}
    again = WorldScene(size=20, progress=False, pixels=Draw(rays=8))
    again.setup()
    assert again.render_seconds == 0 and again.digest() == data.digest()


def test_things_are_of_the_concepts_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def stop(*_: object, lemmas: Any, **__: object) -> None:
        asked.append(lemmas)
        raise UserError("enough")

    monkeypatch.setattr(world, "open_scene", stop)
    names: dict[str, str] = {}
    given: dict[str, Any] = {"all": None, "seen": world.seen_lemmas(), "chosen": ["fox", "mug"]}
    for name, lemmas in given.items():
        data = WorldScene(scene_seed=3, pixels=Draw(rays=8), concepts=lemmas if name == "chosen" else name)
        with pytest.raises(UserError, match="enough"):
            data.setup()
        names[name] = data.name
    other = WorldScene(scene_seed=3, pixels=Draw(rays=8), concepts=["fox", "crab"]).name
    assert (names["all"], names["seen"]) == ("stage_3", "stage_seen_3") and len({*names.values(), other}) == 4
    assert asked == [None, given["seen"], ("fox", "mug")]
    with pytest.raises(UserError, match=r"data\.concepts=fox: expected all, seen, or lemmas"):
        WorldScene(pixels=Draw(rays=8), concepts="fox")  # type: ignore[arg-type]


def test_what_is_seen_is_what_models_of_the_world_are_trained_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same draw, of concepts whose ids are made from the taxonomy alone."""
    concepts = read_taxonomy()
    ids = concept_ids(concepts)
    names = {ids[concept.lemma]: concept.lemma for concept in concepts}

    def unrendered(*_: object) -> World:
        write_wordnet(concepts, tmp_path)
        return World(tmp_path, tmp_path, tuple(sorted(ids[leaf.lemma] for leaf in leaves(concepts))), {}, "", 0.0)

    monkeypatch.setattr(world_data, "open_world", unrendered)
    monkeypatch.setattr(WorldData, "_of", lambda self, wnids: wnids)
    data = WorldData(None, 1, 8, 8)
    data.read()
    seen = {names[wnid] for wnid in data.draw.seen}
    assert len(seen) == 20 and seen == set(world.seen_lemmas()) and "fox" in seen


@pytest.mark.usefixtures("small_world")
def test_a_kitchen_of_the_world_moves(tmp_path: Path) -> None:
    data = WorldScene("kitchen", size=32, progress=False, pixels=Draw(rays=8), epoch_steps=2)
    data.setup()
    assert data.scene.times is not None and len(data.scene) == 20 and data.scene.images.shape[-1] == 3
    assert data.without(1) == {} and data.name == "kitchen_0"
