"""Asking for things in words: what words become, what is scored, and how well perfect features do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from transferbench import cli
from transferbench.errors import UserError
from transferbench.features.dense import TeacherMaps
from transferbench.nerf.cameras import look_at
from transferbench.nerf.editing import CANONICAL
from transferbench.tasks import scene_words
from transferbench.tasks.scene_retrieval import FORMS
from transferbench.tasks.scene_words import Asked, asked_of, examine_words, refuse_reduction

SIZE, FRAMES, WIDTH = 24, 6, 16
TRAIN, TEST = (0, 1, 2), (3, 4, 5)
NAMES = ("box", "disc", "disc", "ant")
CODES = (0, 1, 2, 2, 3)
"""The axis along which each label's features lie; axes from 4 are the canonical words', from 8 other words'."""
AXES = {"box": 1, "disc": 2, "ant": 3} | {word: 4 + place for place, word in enumerate(CANONICAL)}


def scene(**changed: Any) -> Any:
    """A square that moves and two discs of one name; the second disc is in odd frames alone, an ant nowhere large."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((FRAMES, SIZE, SIZE), np.uint8)
    for frame in range(FRAMES):
        labels[frame, 2 : 8 + frame % 3, 1 + frame : 8 + frame] = 1
        labels[frame][(rows - 17) ** 2 + (columns - 6) ** 2 < 16] = 2
        if frame % 2:
            labels[frame][(rows - 15) ** 2 + (columns - 17) ** 2 < 25] = 3
        labels[frame, 22:24, 21:24] = 4
    labels[5][labels[5] == 1] = 0
    images = np.zeros((FRAMES, SIZE, SIZE, 4), np.uint8)
    images[..., :3] = np.array([(90, 90, 90), (250, 30, 30), (30, 250, 30), (30, 200, 60), (0, 0, 0)], np.uint8)[labels]
    images[..., 3] = 255
    images[:, :, -1, 3] = 0
    given = {"images": images, "labels": labels, "label_names": NAMES, "labelled": None}
    given |= {"train": TRAIN, "val": (), "test": TEST, **changed}
    return SimpleNamespace(**given, held_out=given["test"] or given["val"])


class Words:
    """Knows every word's axis; a word that it does not know has one that nothing else lies along."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, texts: Any) -> Tensor:
        self.read += texts
        axes = [next((axis for word, axis in AXES.items() if word in text), WIDTH - 1) for text in texts]
        return torch.eye(WIDTH)[axes]

    def knows(self, text: str) -> bool:
        return text.isascii()


class Task(nn.Module):
    """Renders what it is told to."""

    def __init__(self, made: Any, asked: Asked, noise: float = 0.35) -> None:
        super().__init__()
        codes = np.eye(WIDTH, dtype=np.float32)[np.array(CODES)][
            made.labels if made.labels is not None else scene().labels
        ]
        self.made, self.asked, self.rendered = made, asked, []
        self.maps = TeacherMaps(np.ascontiguousarray(np.moveaxis(codes, -1, 1)), (SIZE, SIZE))
        student = codes + np.random.default_rng(1).normal(0, noise, codes.shape)
        self.student = (student / np.linalg.norm(student, axis=-1, keepdims=True)).astype(np.float32)
        self.views = SimpleNamespace(size=(SIZE, SIZE))

    def student_map(self, frame: int) -> tuple[np.ndarray, None]:
        self.rendered.append(frame)
        return self.student[frame], None

    def truth(self, frame: int) -> Tensor:
        return torch.from_numpy(self.made.images[frame, ..., :3]) / 255


def told(made: Any, *own: str) -> Asked:
    found = asked_of(Words(), made.label_names, own, ["a photo of a {}."])
    assert found is not None
    return found


def examined(made: Any, task: Task) -> Any:
    return examine_words(task, SimpleNamespace(scene=made), "cpu")


def share(made: Any, labels: tuple[int, ...], frames: tuple[int, ...]) -> float:
    """The share of a kind among the pixels that show something, the mean over views."""
    return float(np.mean([np.isin(made.labels[f], labels)[:, :-1].mean() for f in frames]))


def test_words_that_are_the_features_of_things_find_them_all() -> None:
    made = scene()
    task = Task(made, told(made))
    found = examined(made, task)
    assert found.metrics["field/teacher/map_words"] == found.metrics["field/teacher_bilinear/map_words"] == 1.0
    assert found.metrics["field/teacher_bilateral/map_words"] > 0.97
    assert 0.5 < found.metrics["field/student/map_words"] < 1.0
    named = {f"field/{form}/ap_words/{name}" for form in FORMS for name in ("box", "disc")}
    assert set(found.metrics) == named | {f"field/{form}/map_words" for form in FORMS}, "an ant is too small"
    assert sorted(task.rendered) == [3, 4, 5], "each view is rendered once"
    chance = (share(made, (1,), (3, 4)) + share(made, (2, 3), TEST)) / 2
    assert f"would reach {100 * chance:.2f}\u00a0%" in found.facts[0]
    assert "2 names" in found.facts[0] and "'a photo of a {}.'" in found.facts[0]
    assert "concepts" not in found.facts[0]
    unlearned = task.asked._replace(unknown=("ant", "disc"))
    assert (
        "Not among the concepts of the teacher's captions: 'ant', 'disc'."
        in examined(made, Task(made, unlearned)).facts[0]
    )


def test_words_that_say_nothing_of_the_features_are_at_chance() -> None:
    made = scene()
    right = told(made)
    wrong = right._replace(vectors={name: torch.eye(WIDTH)[10 + k] for k, name in enumerate(right.vectors)})
    metrics = examined(made, Task(made, wrong)).metrics
    assert metrics["field/teacher/ap_words/box"] == pytest.approx(share(made, (1,), (3, 4)))
    assert metrics["field/teacher/ap_words/disc"] == pytest.approx(share(made, (2, 3), TEST))
    swapped = right._replace(vectors={**right.vectors, "box": right.vectors["disc"], "disc": right.vectors["box"]})
    assert examined(made, Task(made, swapped)).metrics["field/teacher/map_words"] < 0.15


def test_precisions_are_those_of_scikit_learn_by_lerf_s_formula() -> None:
    made = scene()
    rng = np.random.default_rng(3)
    drawn = rng.normal(size=(3 + len(CANONICAL), WIDTH))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors = {name: torch.tensor(one).float() for name, one in zip(("box", "disc", "ant"), drawn)}
    task = Task(made, Asked(vectors, torch.tensor(drawn[3:]).float(), ("{}",)))
    metrics = examined(made, task).metrics
    means = []
    for name, labels in (("box", (1,)), ("disc", (2, 3))):
        found = []
        for frame in TEST if name == "disc" else TEST[:2]:
            features = task.student[frame].astype(np.float64)
            own = np.exp(10 * features @ vectors[name].numpy().astype(np.float64))
            pairs = [own / (own + np.exp(10 * features @ other)) for other in drawn[3:]]
            visible = made.images[frame, ..., 3] > 0
            truth = np.isin(made.labels[frame], labels)
            found.append(average_precision_score(truth[visible], np.min(pairs, 0)[visible]))
        means.append(np.mean(found))
        assert metrics[f"field/student/ap_words/{name}"] == pytest.approx(means[-1], abs=1e-5)
    assert metrics["field/student/map_words"] == pytest.approx(np.mean(means), abs=1e-5)


def test_own_words_are_shown_without_a_score() -> None:
    made = scene()
    found = examined(made, Task(made, told(made, "red ball", "disc")))
    assert not [key for key in found.metrics if "ball" in key]
    rows = {panel["title"]: [caption for caption, _ in panel["pictures"]] for panel in found.panels}
    assert list(rows) == ["Asking for box", "Asking for disc", "Asking for red ball"]
    assert rows["Asking for disc"][-1] == "truth" and len(rows["Asking for disc"]) == 5
    assert rows["Asking for red ball"][0] == "view" and len(rows["Asking for red ball"]) == 4
    assert "teacher, 0.50 to 1.00" in rows["Asking for disc"], "elsewhere nothing is like it, nor like another word"
    assert "teacher, 0.50 to 0.50" in rows["Asking for red ball"]
    assert all(one.shape == (SIZE, SIZE, 3) for panel in found.panels for _, one in panel["pictures"])
    teacher = found.panels[0]["pictures"][1][1].astype(int).sum(-1)
    box = made.labels[3] == 1
    assert teacher[box].min() > teacher[:, :-1][~box[:, :-1]].max() > teacher[:, -1].max(), "black where nothing is"


def test_own_words_that_are_names_are_shown_however_many_names_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_words, "SHOWN", 0)
    made = scene()
    found = examined(made, Task(made, told(made, "disc", "ant")))
    assert [panel["title"] for panel in found.panels] == ["Asking for disc"], "no view shows enough of an ant"


def test_without_masks_own_words_are_shown() -> None:
    made = scene(labels=None, label_names=())
    found = examined(made, Task(made, told(made, "fox")))
    assert found.metrics == {} and "no score" in found.facts[0]
    assert [panel["title"] for panel in found.panels] == ["Asking for fox"]
    unseen = scene(test=())
    assert examined(unseen, Task(unseen, told(unseen, "fox"))).panels == []


def test_views_that_nobody_annotated_are_not_asked() -> None:
    made = scene(labelled=np.arange(FRAMES) != 3)
    task = Task(made, told(made))
    assert "2 held-out views" in examined(made, task).facts[0] and task.rendered == [4, 5]


def test_a_word_is_the_mean_of_its_prompts(caplog: pytest.LogCaptureFixture) -> None:
    words = Words()
    found = asked_of(words, ("box", "disc", "disc"), ("box", "\u72d0, fox"), ["a {}", "an ant on a {}"])
    assert found is not None and list(found.vectors) == ["box", "disc", "\u72d0, fox"] and found.width == WIDTH
    assert {"a box", "an ant on a \u72d0", "a texture"} <= set(words.read)
    assert_allclose(found.vectors["box"].numpy(), np.eye(WIDTH)[1])
    both = (np.eye(WIDTH)[3] + np.eye(WIDTH)[WIDTH - 1]) / math.sqrt(2)  # an ant comes before what it is on
    assert_allclose(found.vectors["\u72d0, fox"].numpy(), both, atol=1e-6)
    assert found.negatives.shape == (len(CANONICAL), WIDTH)
    assert_allclose(found.negatives.norm(dim=1).numpy(), 1, atol=1e-6)
    assert found.unknown == ("\u72d0, fox",) and "teacher's captions: '\u72d0, fox'" in caplog.text


def test_what_words_cannot_be_told_from_is_refused() -> None:
    assert asked_of(None, NAMES, (), ("{}",)) is None
    with pytest.raises(UserError, match=r"this teacher knows no words; take \+experiment=n3f_words"):
        asked_of(None, NAMES, ("fox",), ("{}",))
    with pytest.raises(UserError, match="' ' is no word"):
        asked_of(Words(), NAMES, ("fox", " "), ("{}",))
    for fits in (None, 16):
        refuse_reduction(fits, 16)
    for dimensions in (8, 32):
        with pytest.raises(UserError, match=rf"dimensions={dimensions}: .* set scale\.features=16"):
            refuse_reduction(dimensions, 16)


def write_scene(root: Path) -> Path:
    """Write a red and a blue square on white as one of NeRF's Blender scenes, with masks."""
    for split in ("train", "val", "test"):
        frames = []
        for folder in (root / split, root / "masks" / split):
            folder.mkdir(parents=True)
        for place in range(3):
            labels = np.zeros((16, 16), np.uint8)
            labels[2:8, 1 + place : 7 + place], labels[9:15, 8:14] = 1, 2
            colours = np.array([(0, 0, 0, 0), (220, 40, 40, 255), (40, 60, 220, 255)], np.uint8)[labels]
            Image.fromarray(colours).save(root / split / f"r_{place}.png")
            Image.fromarray(labels).save(root / "masks" / split / f"r_{place}.png")
            pose = look_at((3.0, place - 1.0, 1.0), (0, 0, 0))
            frames.append({"file_path": f"./{split}/r_{place}", "transform_matrix": pose.tolist()})
        content = {"camera_angle_x": 0.69, "frames": frames}
        (root / f"transforms_{split}.json").write_text(json.dumps(content))
    (root / "objects.json").write_text(json.dumps({"labels": {"1": "box", "2": "blue ball"}}))
    return root


@pytest.mark.usefixtures("own_cache")
def test_a_field_is_asked_in_words_from_the_command_line(
    coco_tree: Path, lexicon: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = ["+experiment=clip", "data=coco_captions", f"data.root={coco_tree}", f"+data.wordnet={lexicon}"]
    clip += ["model.width=8", "scale.batch_size=6", "scale.workers=0", "scale.global_size=32", "scale.eval_size=32"]
    clip += ["scale.eval_resize=32", "scale.map=[2,2]", "scale.vocabulary=40", "scale.length=48", "scale.epochs=1"]
    clip += ["scale.warmup_epochs=0", "scale.text_width=16", "scale.text_layers=1", "scale.text_heads=2"]
    clip += ["scale.embedding=8", "trainer.precision=32-true"]
    data = ["data=scene", f"data.root={write_scene(tmp_path / 'squares')}"]
    small = ["scale.epochs=1", "scale.epoch_steps=3", "scale.rays=64", "scale.sample_budget=512"]
    grids = ["scale.grid_levels=2", "scale.grid_table=8", "scale.grid_samples=16", "scale.occupancy=8"]
    where = [f"outputs={tmp_path}", "run=a"]
    assert cli.command(["transferbench", *clip, *where]) == 0
    assert cli.command(["transferbench", "+experiment=nerf_fast", *data, *small, *grids, *where]) == 0
    needs = [f"needs.teacher={tmp_path / 'clip' / 'a'}", f"needs.base={tmp_path / 'nerf_fast' / 'a'}"]
    words = ["transferbench", "+experiment=n3f_words", *data, *small, *needs, *where, "task.teacher.grid=4"]
    assert cli.command(words) == 2
    assert "set scale.features=8" in capsys.readouterr().err
    assert cli.command([*words, "scale.features=8", "task.ask=[fox,'red box']"]) == 0
    folder = tmp_path / "n3f_words" / "a"
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    assert {f"field/{form}/map_words" for form in FORMS} | {f"field/{form}/map" for form in FORMS} <= set(metrics)
    assert {"field/student/ap_words/box", "field/student/ap_words/blue_ball"} <= set(metrics)
    page = (folder / "report.html").read_text()
    assert all(f"Asking for {word}" in page for word in ("box", "blue ball", "fox", "red box"))
    film = ["transferbench", "+experiment=render", *data, *where, "task.frames=2", "task.what=[relevance]"]
    assert cli.command([*film, f"model.path={tmp_path / 'nerf_fast' / 'a'}", "task.ask=fox", "model=checkpoint"]) == 2
    assert "has no features" in capsys.readouterr().err
    assert cli.command([*film, f"model.path={folder}", "task.ask=red box", "model=checkpoint"]) == 0
    assert len(list((tmp_path / "render" / "a" / "frames").glob("relevance_*.png"))) == 2
