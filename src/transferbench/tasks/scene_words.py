"""Asking for things in words: how relevant the features of a field and of its teacher are to a text.

The teacher is a network that compares images with texts (CLIP, arXiv:2103.00020), whose dense features lie in the space
of its texts (MaskCLIP, arXiv:2112.01071); what is relevant is told as LERF does (arXiv:2303.09553, section 3.4).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.features.extract import frozen, refuse_non_finite
from transferbench.nerf.editing import CANONICAL, relevancy
from transferbench.nerf.quality import mean_average_precision
from transferbench.probes.matching import class_weights
from transferbench.tasks.examination import Examined
from transferbench.tasks.field_examination import picture, shaded
from transferbench.tasks.scene_clicks import kinds_of
from transferbench.tasks.scene_retrieval import (
    FORMS,
    SHOWN,
    averaged,
    forms_of,
    judged,
    precision,
    shows,
    stretched,
    truth_of,
    visible_of,
)
from transferbench.text.prompts import fill, first_name

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """Words in the space of a teacher's features, and what they have to beat.

    Attributes:
        vectors: by word, (E,) of length 1: the names of the scene's things, then the user's own words.
        negatives: (N, E) those of ``CANONICAL``.
        prompts: the sentences that each word was put into.
        own: the words of the user's own, which are always shown.
        unknown: the words that are not among the concepts of the captions that the teacher learned from.
    """

    vectors: dict[str, Tensor]
    negatives: Tensor
    prompts: tuple[str, ...]
    own: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.negatives.shape[1])


def asked_of(words: Any, names: Sequence[str], own: Sequence[str], prompts: Sequence[str]) -> Asked | None:
    """Return the ``names`` of a scene's things and the user's ``own`` words as a teacher's ``words`` read them.

    None where there are no ``words`` (``models.words.Words``): the teacher knows images alone. A word is the mean of
    its prompts.

    Raises:
        UserError: an own word is empty, or the teacher knows none.
    """
    if empty := [word for word in own if not first_name(word)]:
        raise UserError(f"task.ask={list(own)}: {empty[0]!r} is no word; expected such as fox or 'red ball'")
    if words is None:
        if own:
            raise UserError(f"task.ask={list(own)}: this teacher knows no words; take +experiment=n3f_words")
        return None
    every = list(dict.fromkeys([*names, *own]))
    unknown = tuple(name for name in every if not words.knows(first_name(name)))
    if unknown:
        log.warning("not among the concepts of the teacher's captions: %s", ", ".join(map(repr, unknown)))
    texts = [fill(prompt, word) for prompt in prompts for word in (*every, *CANONICAL)]
    vectors = class_weights(words(texts).view(len(prompts), len(every) + len(CANONICAL), -1)).T
    refuse_non_finite(vectors.numpy())
    return Asked(dict(zip(every, vectors)), vectors[len(every) :], tuple(prompts), tuple(own), unknown)


def refuse_reduction(dimensions: int | None, width: int) -> None:
    """Raise ``UserError`` where features would be reduced, or widened, to ``dimensions``: texts have ``width``."""
    if dimensions not in (None, width):
        raise UserError(
            f"task.dimensions={dimensions}: features that are compared with words keep the {width} dimensions of the "
            f"words; set scale.features={width}"
        )


def examine_words(task: Any, data: Any, device: str) -> Examined:
    """Ask for every name of the scene in every held-out view, of the student and of the three forms of the teacher.

    A pixel's score is its relevancy to the name; views that do not show the thing are left out, and so are transparent
    pixels. Average precisions are averaged over views, then over names: ``field/<form>/map_words``. Own words of the
    user that are no names are shown in the first view, without a score.
    """
    scene, asked = data.scene, task.asked
    frames, kinds = judged(scene), kinds_of(scene)
    views = {kind.name: [frame for frame in frames if shows(scene, frame, kind)] for kind in kinds}
    named = [name for name, places in views.items() if places]
    first = {name: views[name][0] for name in named if name in named[:SHOWN] or name in asked.own}
    first |= {word: frames[0] for word in asked.own if word not in views and frames}
    found: dict[str, dict[str, list[float | None]]] = {name: {form: [] for form in FORMS} for name in named}
    panels: dict[str, dict[str, Any]] = {}
    with frozen(task, device), torch.inference_mode():
        for frame in frames:
            there = [kind for kind in kinds if frame in views[kind.name]]
            here = [word for word, place in first.items() if place == frame]
            if not there and not here:
                continue
            maps = forms_of(task, frame)
            for kind in there:
                for form, like in relevancies(asked, kind.name, maps).items():
                    found[kind.name][form].append(precision(scene, frame, kind, -like))
            for word in here:
                panels[word] = shown(task, scene, word, frame, relevancies(asked, word, maps))
    facts = [_said(asked, len(named), len(frames), _chance(scene, views))]
    return Examined(averaged(found, "_words"), facts, panels=[panels[word] for word in first])


def relevancies(asked: Asked, word: str, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return how relevant each of the ``FORMS`` of a view's features (H, W, E) is to a word, (H, W) in (0, 1)."""
    return {form: relevancy(maps[form], asked.vectors[word], asked.negatives) for form in FORMS}


def shown(task: Any, scene: Any, word: str, frame: int, likely: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return a row of pictures: a view, where teacher and student find a word, and the truth where there is one.

    What is relevant is bright, from the least to the most of what the view shows; where it shows nothing it is black.
    """
    visible = visible_of(scene, frame)
    visible = visible if visible.any() else ~visible
    pictures = [("view", picture(task.truth(frame)))]
    for form, name in (("teacher", "teacher"), ("teacher_bilateral", "teacher, bilateral"), ("student", "student")):
        values = likely[form].numpy()[visible]
        bright = np.zeros(visible.shape)
        bright[visible] = 0.1 + 0.9 * stretched(values)
        pictures.append((f"{name}, {values.min():.2f} to {values.max():.2f}", shaded(bright)))
    kind = next((kind for kind in kinds_of(scene) if kind.name == word), None)
    if kind is not None:
        pictures.append(("truth", shaded(truth_of(scene, frame, kind).astype(float))))
    return {"title": f"Asking for {word}", "pictures": pictures}


def _chance(scene: Any, views: Mapping[str, Sequence[int]]) -> float | None:
    """Return the mean average precision of a map that says nothing: the share of what is asked for."""
    nothing = torch.zeros(scene.labels.shape[1:]) if scene.labels is not None else torch.zeros(0)
    shares = [
        mean_average_precision([precision(scene, frame, kind, nothing) for frame in views[kind.name]])
        for kind in kinds_of(scene)
    ]
    return mean_average_precision(shares)


def _said(asked: Asked, names: int, frames: int, chance: float | None) -> str:
    """Say what was asked, and what by chance would be found."""
    if chance is None:
        return "Asked in words: nothing that masks name is there to be found, so there is no score."
    unknown = ", ".join(map(repr, asked.unknown))
    unlearned = f" Not among the concepts of the teacher's captions: {unknown}." if unknown else ""
    prompt = f"'{asked.prompts[0]}'" if len(asked.prompts) == 1 else f"the mean of {len(asked.prompts)} prompts"
    return (
        f"{names} names, each asked for in words ({prompt}) in {frames} held-out views; a pixel is the more relevant "
        f"the more its features are like the name rather than like {', '.join(map(repr, CANONICAL))}. A map that says "
        f"nothing would reach {100 * chance:.2f}\u00a0%.{unlearned}"
    )
