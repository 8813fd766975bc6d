"""The job on levels: the world, the real counts beside the published lists, folders of images, wrong inputs."""

import csv
import logging
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from transferbench.concepts import wordnet as wordnet_module
from transferbench.concepts.levels import draw_levels
from transferbench.concepts.lists import imagenet1k
from transferbench.concepts.wordnet import open_wordnet
from transferbench.data.cog import read_level
from transferbench.errors import UserError
from transferbench.jobs import level_pages
from transferbench.jobs.levels import CogLevels
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy, write_wordnet


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The world's taxonomy as a folder that stands for a user's own, and its leaves' wnids."""
    concepts = read_taxonomy()
    folder = tmp_path_factory.mktemp("wordnet")
    write_wordnet(concepts, folder)
    ids = concept_ids(concepts)
    return folder, sorted(ids[leaf.lemma] for leaf in leaves(concepts))


@pytest.fixture
def own(tree, tmp_path):
    """A user's own benchmark: counts of 60 classes, 8 seen ones; keyword arguments of the job."""
    wordnet, wnids = tree
    rng = np.random.default_rng(0)
    counts = {wnid: int(rng.integers(4, 12)) for wnid in rng.permutation(wnids)[:60]}
    rows = "".join(f"{wnid},{count}\n" for wnid, count in counts.items())
    (tmp_path / "counts.csv").write_text(f"wnid,images\n{rows}")
    sizes = {"levels": 3, "per_level": 10, "min_images": 6, "test_images": 2, "max_train": 7}
    return {"counts": str(tmp_path / "counts.csv"), "seen": sorted(counts)[:8], "wordnet": str(wordnet),
            "drop_subtrees": [], **sizes}  # fmt: skip


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(level_pages, "_figures", lambda *_: [])


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "classes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_world_as_it_is(tmp_path, tree):
    """Without a setting: the levels that the world's own draw has, but for the ties at the cuts."""
    outcome = CogLevels().carry_out(tmp_path, seed=3)
    levels = [lines(tmp_path / f"level_{level}.txt") for level in range(1, 6)]
    draw = draw_levels(open_wordnet(tree[0]), tree[1])
    assert [len(level) for level in levels] == [20] * 5
    for ours, theirs in zip(levels, draw.levels):
        assert ours == sorted(set(ours)) and not set(ours) & set(draw.seen)
        assert sorted(row["similarity"] for row in rows_of(tmp_path) if row["wnid"] in ours) == sorted(
            f"{draw.similarity[wnid]:.9g}" for wnid in theirs
        )
    assert {row["nearest_seen"] for row in rows_of(tmp_path)} <= set(draw.seen)
    assert outcome.metrics["levels/left/source"] == 190 and outcome.metrics["levels/left/leaves"] == 112
    assert outcome.metrics["levels/level_1/train_images"] == 2400 and "levels/differ" not in outcome.metrics
    assert {path.name for path in tmp_path.iterdir()} == {
        "classes.csv", "concepts.html", "figures", *(f"level_{level}.txt" for level in range(1, 6))
    }  # fmt: skip
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["similarity.png"]  # all have 150 images
    assert [listing.title for listing in outcome.printed] == ["Filters", "Levels"]
    assert "5 levels with 100 concepts, of 112 that the filters left of 190; 20 are seen." in outcome.said


def test_a_users_own_pair(tmp_path, own):
    outcome = CogLevels(**own).carry_out(tmp_path / "run", seed=1)
    levels = {level: lines(tmp_path / "run" / f"level_{level}.txt") for level in (1, 2, 3)}
    rows = {row["wnid"]: row for row in rows_of(tmp_path / "run")}
    assert sorted(rows) == sorted(wnid for level in levels.values() for wnid in level) and len(rows) == 30
    for level, wnids in levels.items():
        for label, wnid in enumerate(wnids):
            row, images = rows[wnid], int(rows[wnid]["images"])
            assert (row["level"], row["label"], row["test"]) == (str(level), str(label), "2")
            assert images >= 6 and int(row["train"]) == min(images - 2, 7)
    least, most = (
        [fold(float(rows[wnid]["similarity"]) for wnid in levels[level]) for level in (1, 2, 3)] for fold in (min, max)
    )
    assert least[0] >= most[1] and least[1] >= most[2]
    assert (tmp_path / "run" / "figures" / "images.png").exists()
    assert outcome.metrics["levels/level_2/train_images"] == sum(int(rows[wnid]["train"]) for wnid in levels[2])


def test_the_seed_decides_ties_and_nothing_else(tmp_path, own, no_figures):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        CogLevels(**own).carry_out(tmp_path / name, seed)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).glob("*.*")} for name in "abc"]
    assert files[0] == files[1]
    ranked = [sorted(row["similarity"] for row in rows_of(tmp_path / name)) for name in "abc"]
    assert ranked[0] == ranked[2] and files[0] != files[2]


def images_below(root: Path, counts: dict[str, int]) -> None:
    for wnid, count in counts.items():
        (root / wnid).mkdir(parents=True)
        for number in range(count):
            (root / wnid / f"{wnid}_{number}.JPEG").touch()
        (root / wnid / "list.txt").touch()


def test_a_folder_of_images_gives_the_split_too(tmp_path, own, no_figures):
    """Its images are counted, and drawn class by class: the same ones that the reader of the levels draws."""
    with Path(own["counts"]).open(newline="") as file:
        counts = {row["wnid"]: int(row["images"]) for row in csv.DictReader(file)}
    root = tmp_path / "imagenet21k"
    images_below(root, counts)
    (root / "tars").mkdir()
    run = tmp_path / "cog"
    given = {**own, "counts": None, "root": str(root), "levels": 2}
    CogLevels(**given).carry_out(run, seed=5)
    assert {row["wnid"]: int(row["images"]) for row in rows_of(run)}.items() <= counts.items()
    for level in (1, 2):
        train, test = (lines(run / f"level_{level}_{part}.txt") for part in ("train", "test"))
        wnids = lines(run / f"level_{level}.txt")
        assert not set(train) & set(test) and train == sorted(train) and len(test) == 2 * len(wnids)
        for wnid in wnids:
            chosen = [sum(name.startswith(f"{wnid}/") for name in part) for part in (train, test)]
            assert chosen == [min(counts[wnid] - 2, 7), 2]
        assert all((root / name).is_file() for name in [*train, *test])
    CogLevels(**given).carry_out(tmp_path / "again", seed=6)
    assert lines(tmp_path / "again" / "level_1_test.txt") != lines(run / "level_1_test.txt")


def test_the_split_is_the_one_that_the_data_sets_draw(tmp_path, tree, no_figures):
    """50 test and at most 1300 training images: ``data.cog`` reads these very lists from the run folder."""
    images_below(tmp_path / "imagenet21k", dict.fromkeys(tree[1][:12], 60))
    job = CogLevels(
        root=str(tmp_path / "imagenet21k"), seen=tree[1][:2], wordnet=str(tree[0]), levels=2, per_level=5,
        min_images=60, drop_subtrees=[],
    )  # fmt: skip
    job.carry_out(tmp_path / "cog", seed=9)
    for level in (1, 2):
        splits = read_level(tmp_path, level, seed=9)
        assert list(splits.test.names) == lines(tmp_path / "cog" / f"level_{level}_test.txt")
        assert list(splits.train.names) == lines(tmp_path / "cog" / f"level_{level}_train.txt")


def test_published_levels_are_compared_and_taken(tmp_path, own, no_figures):
    CogLevels(**own).carry_out(tmp_path / "first", seed=1)
    published = tmp_path / "published"
    published.mkdir()
    levels = [lines(tmp_path / "first" / f"level_{level}.txt") for level in (1, 2, 3)]
    ranked = {row["wnid"]: float(row["similarity"]) for row in rows_of(tmp_path / "first")}
    outcome = CogLevels(**own, published=str(tmp_path / "first")).carry_out(tmp_path / "same", seed=1)
    assert outcome.metrics["levels/differ"] == 0.0
    assert "Beside the published levels 1, 2 and 3, 0 of 30 concepts differ." in outcome.said

    middle = sorted(levels[1], key=ranked.__getitem__)[4]  # dropped by hand there
    (published / "level_2.txt").write_text("".join(f"{wnid}\n" for wnid in levels[1] if wnid != middle))
    outcome = CogLevels(**own, published=str(published)).carry_out(tmp_path / "other", seed=1)
    assert outcome.metrics["levels/level_2/differ"] == 1.0 and outcome.metrics["levels/differ"] == 1.0
    assert "Beside the published level 2, 1 of 10 concepts differ." in outcome.said

    (published / "cog_levels_mapping_file.pkl").write_bytes(pickle.dumps(levels[::-1]))
    taken = CogLevels(
        **own, published=str(published / "cog_levels_mapping_file.pkl"), levels_from="published"
    ).carry_out(tmp_path / "taken", seed=1)
    assert lines(tmp_path / "taken" / "level_1.txt") == levels[2]
    assert taken.metrics["levels/ties_at_cuts"] == 0.0 and "differ" not in taken.said


def test_the_official_split_is_taken_with_the_official_levels(tmp_path, own, no_figures):
    CogLevels(**own).carry_out(tmp_path / "first", seed=1)
    levels = [lines(tmp_path / "first" / f"level_{level}.txt") for level in (1, 2, 3)]
    official = tmp_path / "official"
    official.mkdir()
    (official / "cog_levels_mapping_file.pkl").write_bytes(pickle.dumps(levels))
    split = {
        wnid: {"train": np.array([f"/{wnid}/b.JPEG", f"/{wnid}/a.JPEG"]), "test": np.array([f"{wnid}/c.JPEG"])}
        for level in levels for wnid in level
    }  # fmt: skip
    file = official / "cog_concepts_split_file.pkl"
    file.write_bytes(pickle.dumps(split))
    job = CogLevels(**own, published=str(official), levels_from="published")
    outcome = job.carry_out(tmp_path / "taken", seed=1)
    assert outcome.metrics["levels/level_2/train_images"] == 20.0
    assert lines(tmp_path / "taken" / "level_2_test.txt") == [f"{wnid}/c.JPEG" for wnid in levels[1]]
    assert lines(tmp_path / "taken" / "level_2_train.txt")[:2] == [f"{levels[1][0]}/{name}.JPEG" for name in "ab"]
    assert {(row["train"], row["test"]) for row in rows_of(tmp_path / "taken")} == {("2", "1")}
    file.write_bytes(pickle.dumps({levels[0][0]: split[levels[0][0]]}))
    with pytest.raises(UserError, match=f"no train images of concept {levels[0][1]}; expected the split of the same"):
        job.carry_out(tmp_path / "broken", seed=1)
    assert not (tmp_path / "broken").exists()


def test_left_out_is_written_as_a_drop_list(tmp_path, own, no_figures):
    CogLevels(**own).carry_out(tmp_path / "first", seed=1)
    similarity = {row["wnid"]: float(row["similarity"]) for row in rows_of(tmp_path / "first") if row["level"] == "1"}
    ordered = sorted(similarity, key=similarity.__getitem__)
    inside = next(w for w in ordered if similarity[ordered[0]] < similarity[w] < similarity[ordered[-1]])
    published = tmp_path / "published"
    published.mkdir()
    (published / "level_1.txt").write_text("".join(f"{wnid}\n" for wnid in ordered if wnid != inside))
    CogLevels(**own, published=str(published)).carry_out(tmp_path / "run", seed=1)
    assert inside in [line.split()[0] for line in lines(tmp_path / "run" / "left_out.txt")]
    again = CogLevels(**own, published=str(published), drop=str(tmp_path / "run" / "left_out.txt"))
    outcome = again.carry_out(tmp_path / "again", seed=1)
    assert inside not in lines(tmp_path / "again" / "level_1.txt")
    assert outcome.metrics["levels/left/not_dropped"] < outcome.metrics["levels/left/enough_images"]


def test_the_page_of_concepts(tmp_path, own, no_figures):
    CogLevels(**own).carry_out(tmp_path, seed=1)
    page = (tmp_path / "concepts.html").read_text()
    rows = re.findall(r'<tr data-level="(\d)"><th scope="row">(.*?)</th>(.*)</tr>', page)
    assert len(rows) == 30 and [level for level, _, _ in rows] == sorted(level for level, _, _ in rows)
    first = rows_of(tmp_path)
    best = max((row for row in first if row["level"] == "1"), key=lambda row: float(row["similarity"]))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", rows[0][2])
    assert cells[1] == "1" and cells[2] == f"{float(best['similarity']):.4f}" and len(cells) == 6
    wordnet = open_wordnet(Path(own["wordnet"]))
    assert rows[0][1] == ", ".join(wordnet.names(cells[0])) and cells[5] == wordnet.definition(cells[0])
    assert "<script>" in page and "http" not in page.replace("http://www.w3.org", "")


@pytest.fixture(scope="module")
def imagenet_run(tmp_path_factory, test_data):
    """The folder of two runs on the real counts, and what they found: without choices by hand, and with them."""
    counts = test_data / "cog" / "imagenet21k_counts.csv"
    if not counts.exists():
        pytest.skip(f"{counts}: not there")
    try:
        open_wordnet()
    except UserError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("levels")
    drops = ["cog", str(folder / "plain" / "left_out.txt")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(level_pages, "_figures", lambda *_: [])
        plain = CogLevels(counts=str(counts)).carry_out(folder / "plain", seed=1)
        dropped = CogLevels(counts=str(counts), drop=drops).carry_out(folder / "dropped", seed=1)
    return folder, plain, dropped


class TestImageNet:
    """The real counts, beside the published lists."""

    def test_filters(self, imagenet_run):
        left = {key: value for key, value in imagenet_run[1].metrics.items() if key.startswith("levels/left/")}
        assert list(left.values()) == [21_841, 20_842, 20_081, 17_254, 14_248, 5_216]

    def test_levels_lie_as_published(self, imagenet_run):
        folder, _, dropped = imagenet_run
        published = {1: 0.8449, 2: 0.6922, 3: 0.5745, 4: 0.4454, 5: 0.1981}
        for level, mean in published.items():
            assert dropped.metrics[f"levels/level_{level}/similarity"] == pytest.approx(mean, abs=1e-3)
            wnids = lines(folder / "dropped" / f"level_{level}.txt")
            assert wnids == sorted(set(wnids)) and len(wnids) == 1000 and not set(wnids) & set(imagenet1k())
        sizes = [int(row["train"]) for row in rows_of(folder / "dropped")]
        assert min(sizes) == 732 and max(sizes) == 1300

    def test_nothing_differs_but_choices_by_hand_and_ties(self, imagenet_run):
        """Compared with the lists beside the counts, without being asked to."""
        _, plain, dropped = imagenet_run
        (table,) = (listing for listing in plain.printed if listing.title.startswith("Agreement"))
        for level, common, missing, filtered, extra, tied, by_hand, beyond in table.rows:
            assert common + missing == 1000 and missing == extra == tied + by_hand and filtered == beyond == 0, level
        assert plain.metrics["levels/differ"] < 80
        assert dropped.metrics["levels/level_1/differ"] <= 2 and dropped.metrics["levels/level_5/differ"] <= 4
        assert dropped.metrics["levels/differ"] < 30
        (table,) = (listing for listing in dropped.printed if listing.title.startswith("Agreement"))
        assert all(row[6] == row[7] == 0 for row in table.rows)  # ties alone are left


def changed(own, **settings):
    return {**own, **settings}


def test_wrong_settings_are_said_before_work(tmp_path, own, tree, caplog):
    counts = tmp_path / "counts.csv"
    few = {"per_level": 17}
    cases = [
        ({"root": "/x"}, f"found task.counts={counts} and task.root=/x; name one of them"),
        ({"counts": str(tmp_path / "nowhere.csv")}, "nowhere.csv: cannot read it (No such file or directory)"),
        ({"wordnet": str(tmp_path)}, f"{tmp_path}: cannot read data.noun and index.noun there"),
        ({"seen": ["n99999999"]}, "task.seen: 1 of 1 wnids are no noun synsets of"),
        ({"drop_subtrees": ["n00007846"]}, "task.drop_subtrees: 1 of 1 wnids are no noun synsets"),
        (
            {"levels": 0},
            "found task.levels=0, per_level=10, test_images=2, max_train=7; expected numbers of at least 1",
        ),
        ({"test_images": 6}, "task.min_images=6: a class with 6 images cannot give task.test_images=6 test images"),
        (few, "concepts after the filter 'at least 6 images'"),
        ({"per_level": 1000}, "found 60 concepts in the source, expected at least 3000 (3 levels of 1000)"),
        ({"measure": "cosine"}, "found measure='cosine'"),
        ({"information": str(tmp_path / "ic.dat")}, "ic.dat: cannot read it"),
        ({"drop": str(tmp_path / "drop.txt")}, "drop.txt: cannot read it"),
        ({"drop": "cog"}, "task.drop: 49 of 49 wnids are no noun synsets of"),
        ({"published": str(tmp_path / "none")}, "none: cannot read it"),
        ({"levels_from": "published"}, "task.levels_from=published: expected ranking, or published with"),
        ({"levels_from": "elsewhere"}, "task.levels_from=elsewhere: expected ranking, or published with"),
    ]
    for settings, message in cases:
        with pytest.raises(UserError, match=re.escape(message)):
            CogLevels(**changed(own, **settings))
    with pytest.raises(UserError, match=r"task\.seen: 1 of 1 wnids are no noun synsets of the embedded world \(n9"):
        CogLevels(seen=["n99999999"])
    with pytest.raises(UserError, match=r"task\.wordnet=/x: the embedded world has its own"):
        CogLevels(wordnet="/x")
    with pytest.raises(UserError, match=r"/nowhere: no such folder; set task\.root"):
        CogLevels(root="/nowhere")
    with pytest.raises(UserError, match=r"no folder with a wnid such as n01322508 as its name"):
        CogLevels(root=str(tmp_path))
    assert not caplog.records


def test_no_wordnet_on_the_machine(tmp_path, own, monkeypatch):
    monkeypatch.delenv("WORDNET_DIR", raising=False)
    monkeypatch.setattr(wordnet_module, "_SYSTEM", tmp_path / "usr")
    monkeypatch.setattr(wordnet_module, "_nltk_places", lambda: iter(()))
    with pytest.raises(
        UserError, match=r"WordNet not found in .*; install WordNet 3\.0 with `apt-get install wordnet-base`"
    ):
        CogLevels(**changed(own, wordnet=None))
    CogLevels()  # the world brings its own


def test_unknown_wnids_of_the_source(tmp_path, own):
    file = tmp_path / "counts.csv"
    file.write_text(file.read_text() + "n99999998,50\nn99999999,50\n")
    with pytest.raises(UserError, match=r"counts\.csv: 2 of 62 wnids are no noun synsets of .*n99999998, n99999999"):
        CogLevels(**own)


def test_levels_of_another_benchmark(tmp_path, own, caplog, no_figures):
    CogLevels(**own).carry_out(tmp_path / "first", seed=1)
    published = tmp_path / "published"
    published.mkdir()
    for level in (1, 2, 3):
        wnids = lines(tmp_path / "first" / f"level_{level}.txt")
        (published / f"level_{level}.txt").write_text("\n".join(wnids))
    take = {"published": str(published), "levels_from": "published"}

    with pytest.raises(UserError, match=r"found a level 3, but task\.levels=2; set task\.levels=3"):
        CogLevels(**changed(own, levels=2, published=str(published)))
    with pytest.raises(UserError, match=r"no level 4 there; expected 1 to 4; set task\.levels"):
        CogLevels(**changed(own, levels=4, **take))
    with pytest.raises(UserError, match=r"task\.published: \d+ concepts have fewer images than the 12 that the split"):
        CogLevels(**changed(own, min_images=12, test_images=11, **take))
    seen = lines(published / "level_2.txt")[:2]
    with pytest.raises(UserError, match=rf"task\.published: 2 of its concepts are among the seen ones \({seen[0]}"):
        CogLevels(**changed(own, seen=seen, **take))

    (published / "level_3.txt").write_text("n02084071\nn02121620\n")
    message = r"published: 2 of the 2 concepts of level 3 are not in the source .*expected levels of the same benchmark"
    with pytest.raises(UserError, match=message):
        CogLevels(**own, published=str(published))
    (tmp_path / "level_1.txt").write_text("n02084071\n")  # beside the counts: not asked for, so only a warning
    with caplog.at_level(logging.WARNING):
        CogLevels(**own)
    assert "are of other concepts: not compared with" in caplog.text


def test_a_hostile_pickle_is_refused(tmp_path, own):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "mark",))

    file = tmp_path / "cog_levels_mapping_file.pkl"
    file.write_bytes(pickle.dumps([[Hostile()]]))
    with pytest.raises(UserError, match=r"refused, for it names .*, which could run code"):
        CogLevels(**own, published=str(file))
    assert not (tmp_path / "mark").exists()


def test_measures_and_information_are_settings(tmp_path, own, no_figures):
    orders = {}
    alike = {"measure": "jcn", "information": "images", "subsumer": "informative"}  # some as alike as can be
    for settings in ({"measure": "path"}, {"measure": "wup"}, {"information": "images"}, alike):
        name = "-".join(settings.values())
        CogLevels(**own, **settings).carry_out(tmp_path / name, seed=1)
        orders[name] = {row["wnid"]: row["similarity"] for row in rows_of(tmp_path / name)}
    assert all(len(order) == 30 for order in orders.values())
    assert len({tuple(sorted(order.values())) for order in orders.values()}) == 4
