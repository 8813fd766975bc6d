import pytest
from PIL import Image

from transferbench.data import world as module_under_test
from transferbench.data.multicrop import MultiCrop
from transferbench.data.world import WorldData
from transferbench.errors import UserError
from transferbench.world.cache import World
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy, write_wordnet

CROPS = MultiCrop({"global": {"count": 1, "size": 12, "scale": [0.25, 1]}})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The embedded world's taxonomy with blank pictures."""
    folder = tmp_path_factory.mktemp("world")
    concepts = read_taxonomy()
    ids = concept_ids(concepts)
    write_wordnet(concepts, folder / "wordnet")
    wnids = tuple(sorted(ids[concept.lemma] for concept in leaves(concepts)))
    Image.new("RGB", (8, 8)).save(folder / "blank.jpg")
    for wnid in wnids:
        for split, count in (("train", 3), ("val", 1)):
            (folder / "images" / split / wnid).mkdir(parents=True)
            for index in range(count):
                (folder / "images" / split / wnid / f"{index}.jpg").symlink_to(folder / "blank.jpg")
    names = {ids[concept.lemma]: concept.name for concept in concepts}
    return World(folder / "images", folder / "wordnet", wnids, names, "0123456789abcdef", 1.5)


def data(world: World, monkeypatch: pytest.MonkeyPatch, **options: object) -> WorldData:
    monkeypatch.setattr(module_under_test, "open_world", lambda *_: world)
    found = WorldData(CROPS, 4, 10, 8, workers=0, **options)  # type: ignore[arg-type]
    found.setup()
    return found


def test_seen_concepts_and_levels(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = data(world, monkeypatch)
    assert seen.name == "world"
    assert seen.classes == seen.draw.seen
    assert len(seen.classes) == 20
    assert seen.class_names == tuple(world.names[wnid] for wnid in seen.classes)
    assert (len(seen.splits.train), len(seen.splits.test)) == (60, 20)
    assert seen.render_seconds == 1.5
    sets = seen.evaluation_sets()
    assert list(sets) == ["seen", "level_1", "level_2", "level_3", "level_4", "level_5"]
    classes = [splits.train.classes for splits in sets.values()]
    assert classes == [seen.draw.seen, *seen.draw.levels]
    assert len({wnid for each in classes for wnid in each}) == 120
    assert all(splits.test.classes == splits.train.classes for splits in sets.values())
    assert len(list(seen.train_dataloader())) == 15


def test_all_concepts_share_the_draw_of_the_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, everything = data(world, monkeypatch), data(world, monkeypatch, concepts="all")
    assert everything.name == "world_all"
    assert everything.classes == world.leaves
    assert everything.evaluation_sets().keys() == seen.evaluation_sets().keys()
    assert everything.evaluation_sets()["level_3"].test.names == seen.evaluation_sets()["level_3"].test.names
    assert everything.evaluation_sets()["seen"].train.classes == seen.classes


def test_digest_follows_the_draw(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data(world, monkeypatch)
    assert data(world, monkeypatch, seed=1).digest() == first.digest()
    other = data(world, monkeypatch, draw_seed=1)
    assert other.draw.seen != first.draw.seen
    assert len({first.digest(), other.digest(), data(world, monkeypatch, concepts="all").digest()}) == 3


def test_mistakes_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"data.concepts is 'unseen'; expected seen or all"):
        data(world, monkeypatch, concepts="unseen")
