"""Finding objects from a click: where it is clicked, what is scored, and how well perfect features do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from transferbench.features.dense import TeacherMaps, oracle_maps
from transferbench.nerf.rendering import Rendered
from transferbench.tasks import scene_retrieval
from transferbench.tasks.scene_retrieval import FORMS, SMALLEST, clicks, coloured, examine_retrieval, precision

SIZE, FRAMES = 24, 6
TRAIN, TEST = (0, 1, 2), (3, 4, 5)


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
    given = {"images": images, "labels": labels, "label_names": ("box", "disc", "disc", "ant"), "labelled": None}
    given |= {"train": TRAIN, "val": (), "test": TEST, **changed}
    return SimpleNamespace(**given, held_out=given["test"] or given["val"])


class Task(nn.Module):
    """Renders what it is told to."""

    def __init__(self, made: Any, maps: TeacherMaps, student: np.ndarray) -> None:
        super().__init__()
        self.made, self.maps, self.student = made, maps, student
        self.views, self.asked = SimpleNamespace(size=(SIZE, SIZE)), []

    def student_map(self, frame: int) -> tuple[np.ndarray, Rendered | None]:
        self.asked.append(frame)
        return self.student[frame], None

    def truth(self, frame: int) -> Tensor:
        return torch.from_numpy(self.made.images[frame, ..., :3]) / 255


def task_of(made: Any) -> Task:
    """The teacher is an oracle; so is the student, with noise."""
    maps = oracle_maps(made.labels, 16)
    noise = np.random.default_rng(1).normal(0, 0.35, (FRAMES, SIZE, SIZE, 16))
    student = maps.maps.transpose(0, 2, 3, 1) + noise
    student = (student / np.linalg.norm(student, axis=-1, keepdims=True)).astype(np.float32)
    return Task(made, maps, student)


def merged(made: Any) -> Any:
    """The same with one label for both discs, as an oracle's features need it."""
    made.labels[made.labels == 3] = 2
    made.label_names = ("box", "disc", "gone", "ant")
    return made


def test_clicks_lie_within_the_largest_view_of_a_thing() -> None:
    made = scene()
    found = {click.name: click for click in clicks(made)}
    assert set(found) == {"box", "disc"}, "an ant is too small to be clicked on"
    assert (found["box"].labels, found["box"].frame) == ((1,), 2)
    assert (found["disc"].labels, found["disc"].frame) == ((2, 3), 1), "the larger disc is in frame 1 alone"
    for click in found.values():
        patch = made.labels[click.frame, click.row :, click.column :][: click.side, : click.side]
        assert patch.shape == (click.side, click.side) and len(np.unique(patch)) == 1 and patch[0, 0] in click.labels
        assert click.side % 2 == 1
    assert found["disc"].side == 5 and (found["disc"].row, found["disc"].column) == (13, 15)


@pytest.mark.parametrize("thickness", [1, 2, 3, 5])
def test_clicks_on_thin_things_are_small(thickness: int) -> None:
    labels = np.zeros((1, SIZE, SIZE), np.uint8)
    labels[0, :thickness, :] = 1  # along the border
    (click,) = clicks(scene(labels=labels, label_names=("bar",), train=(0,)))
    assert click.row + click.side <= thickness and click.column + click.side <= SIZE


def test_clicks_are_made_in_annotated_views_alone() -> None:
    made = scene(labelled=np.arange(FRAMES) != 2)
    assert all(click.frame != 2 for click in clicks(made))
    assert clicks(scene(labelled=np.zeros(FRAMES, bool))) == []


def test_perfect_features_find_everything() -> None:
    made = merged(scene())
    task = task_of(made)
    found = examine_retrieval(task, SimpleNamespace(scene=made), "cpu")
    assert found.metrics["field/teacher/map"] == found.metrics["field/teacher_bilinear/map"] == 1.0
    assert found.metrics["field/teacher_bilateral/map"] > 0.97
    assert 0.7 < found.metrics["field/student/map"] < 1.0
    assert {f"field/{form}/ap/box" for form in FORMS} <= set(found.metrics)
    assert "2 kinds of things" in found.facts[0] and "3 held-out views" in found.facts[0]
    assert sorted(task.asked) == [1, 2, 3, 4, 5], "each view is rendered once, and none that nobody asks for"


def test_precisions_are_those_of_scikit_learn_averaged_over_views_then_kinds() -> None:
    made = scene()
    task = task_of(made)
    metrics = examine_retrieval(task, SimpleNamespace(scene=made), "cpu").metrics
    kinds = []
    for click in clicks(made):
        at = slice(click.row, click.row + click.side), slice(click.column, click.column + click.side)
        query = task.student[click.frame][at].mean((0, 1))
        query /= np.linalg.norm(query)
        found = []
        for frame in TEST:
            truth = np.isin(made.labels[frame], click.labels)
            if truth.sum() >= SMALLEST:
                near = -np.linalg.norm(task.student[frame] - query, axis=-1)
                visible = made.images[frame, ..., 3] > 0
                found.append(average_precision_score(truth[visible], near[visible]))
        kinds.append(np.mean(found))
        assert metrics[f"field/student/ap/{click.name}"] == pytest.approx(kinds[-1], abs=1e-5)
        assert len(found) == (2 if click.name == "box" else 3), "the box is not in the last view"
    assert metrics["field/student/map"] == pytest.approx(np.mean(kinds), abs=1e-5)


def test_the_clicked_view_is_never_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scene(test=(0, 1, 2, 3))
    scored: list[tuple[int, int]] = []

    def spied(scene: Any, frame: int, click: Any, distances: Tensor) -> float | None:
        scored.append((frame, click.frame))
        return precision(scene, frame, click, distances)

    monkeypatch.setattr(scene_retrieval, "precision", spied)
    examine_retrieval(task_of(made), SimpleNamespace(scene=made), "cpu")
    assert scored and all(frame != clicked for frame, clicked in scored)
    assert {frame for frame, clicked in scored if clicked == 2} == {0, 1, 3}


def test_transparent_pixels_do_not_count() -> None:
    made = scene()
    distances = torch.rand(SIZE, SIZE)
    click = clicks(made)[0]
    there = precision(made, 3, click, distances)
    distances[:, -1] = -5.0  # nearest of all, but nothing is there
    assert precision(made, 3, click, distances) == there
    opaque = scene(images=made.images[..., :3])
    assert precision(opaque, 3, click, distances) < there


def test_pictures_show_what_was_clicked_and_found() -> None:
    made = scene()
    panels = examine_retrieval(task_of(made), SimpleNamespace(scene=made), "cpu").panels
    assert [panel["title"] for panel in panels] == ["Looking for box", "Looking for disc"]
    for panel in panels:
        assert len(panel["pictures"]) == 8
        assert all(one.shape == (SIZE, SIZE, 3) and one.dtype == np.uint8 for _, one in panel["pictures"])
    clicked = dict(panels[1]["pictures"])["click on disc"]
    assert ((clicked == (255, 0, 200)).all(-1)).sum() == 25


def test_without_masks_nothing_is_looked_for() -> None:
    found = examine_retrieval(None, SimpleNamespace(scene=scene(labels=None)), "cpu")
    assert found.metrics == {} and "No masks" in found.facts[0]
    unseen = scene(test=())
    assert examine_retrieval(task_of(unseen), SimpleNamespace(scene=unseen), "cpu").metrics == {}


def test_features_as_colours_keep_what_is_alike_together() -> None:
    made = scene()
    pixels = coloured(task_of(made).maps.maps[0].transpose(1, 2, 0))
    assert pixels.shape == (SIZE, SIZE, 3) and pixels.dtype == np.uint8
    own = {label: {tuple(c) for c in pixels[made.labels[0] == label]} for label in (0, 1, 2)}
    assert all(len(found) == 1 for found in own.values()) and len(set.union(*own.values())) == 3
    assert (coloured(np.zeros((4, 4, 5))) == 0).all()
