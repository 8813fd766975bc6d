"""Classes that were never trained on, told from images by their names alone."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.features.extract import Pictures, batches, refuse_non_finite
from transferbench.probes.matching import class_weights, ranks_of_vectors
from transferbench.tasks.examination import BATCH, Examined
from transferbench.tasks.retrieval import embed_captions
from transferbench.text.prompts import fill, first_name

log = logging.getLogger(__name__)

TOP = 5
SHOWN = 3
"""Classes that a warning names."""


def examine_zero_shot(
    task: Any, data: Any, sets: Mapping[str, Any], prompts: Sequence[str], device: str, names: Mapping[str, str]
) -> Examined:
    """Classify the test images of every set by the class whose prompts lie closest (CLIP, arXiv:2103.00020, 3.1).

    ``captions/zero_shot/<set>/top1`` is the accuracy; ``.../top5`` stands beside it for more than five classes. Of
    equally close classes the one with the lowest index is answered. Sets with several labels an image are left out.

    Args:
        task: has ``maps`` of images, and a ``head`` with ``embed_images`` and ``embed_text``.
        data: a ``CaptionData``, of which the encoder, the tokeniser and the centre crop are used.
        sets: ``Splits`` by name, of which all test images are used.
        prompts: templates, as of ``read_prompts``.
        device: where the task is.
        names: readable names by class; a class without one is called as in its set.

    Raises:
        UserError: none of a set's images could be read.
    """
    examined = Examined(facts=[_said(prompts)] if sets else [])
    for name, splits in sets.items():
        images = splits.test
        if images.multi_label:
            examined |= Examined(facts=[f"{name}: several labels an image, so no zero-shot classification."])
            continue
        called = [first_name(names.get(one, one)) for one in images.classes]
        doubts = [f"{name}: {doubt}" for doubt in _doubts(called, data, prompts)]
        for doubt in doubts:
            log.warning("zero-shot classification on %s", doubt)
        columns = name_weights(task.head, data.encoder, called, prompts, device)
        vectors, labels = _embedded(task, data, name, images, device)
        found = ranks_of_vectors(vectors, columns.T, labels, torch.arange(len(called), device=device))
        metrics = {f"captions/zero_shot/{name}/top1": float((found == 1).double().mean())}
        if len(called) > TOP:
            metrics[f"captions/zero_shot/{name}/top{TOP}"] = float((found <= TOP).double().mean())
        chance = f"chance {100 / len(called):.2f}\u00a0%"
        said = f"{name}: zero-shot on {len(found):,} images of {len(called):,} classes, {chance}."
        examined |= Examined(metrics, [said, *doubts])
    return examined


def name_weights(head: Any, encoder: Any, names: Sequence[str], prompts: Sequence[str], device: str) -> Tensor:
    """Return a direction for each of ``names``, columns (E, C) of length 1; equal names have equal ones."""
    place = {name: index for index, name in enumerate(dict.fromkeys(names))}
    texts = [fill(template, name) for template in prompts for name in place]
    vectors = embed_captions(head, encoder, texts, device)
    columns = class_weights(vectors.view(len(prompts), len(place), -1))
    refuse_non_finite(columns.cpu().numpy())
    return columns[:, [place[name] for name in names]]


def _embedded(task: Any, data: Any, name: str, images: Any, device: str) -> tuple[Tensor, Tensor]:
    """Return the vectors (N, E) of the readable images of a set, and their labels (N,)."""
    vectors, rows = [], []
    for where, pictures in batches(Pictures(images, data.centre), BATCH):
        vectors.append(task.head.embed_images(task.maps(pictures.to(device))))
        rows.append(where.numpy())
    if not rows:
        raise UserError(f"none of the {len(images)} images of {name} could be read; expected at least one")
    joined = torch.cat(vectors)
    refuse_non_finite(joined.cpu().numpy())
    labels = np.asarray(images.labels, dtype=np.int64)[np.concatenate(rows)]
    return joined, torch.from_numpy(labels).to(device)


def _doubts(names: Sequence[str], data: Any, prompts: Sequence[str]) -> list[str]:
    """Return a sentence for each reason why some classes, called ``names``, cannot be told by their prompts."""
    tokeniser, room = data.tokeniser, data.encoder.length - 2  # start and end
    counts = Counter(names)
    longest = {name: max(len(tokeniser.encode(fill(one, name)).ids) for one in prompts) for name in counts}
    twice = [name for name, count in counts.items() if count > 1]
    unknown = [name for name in counts if not tokeniser.decode(tokeniser.encode(name).ids)]
    ids = [name for name in counts if re.fullmatch(r"n\d{8}", name)]
    cut = [name for name, tokens in longest.items() if tokens > room]
    reasons = {
        "several classes are called alike, of which only the first can be answered": twice,
        "the tokeniser knows no piece of these names": unknown,
        "WordNet's ids are no names": ids,
        f"prompts are cut to the data's length of {room + 2} tokens": cut,
    }
    return [f"{reason} ({_listed(found)})." for reason, found in reasons.items() if found]


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + rest


def _said(prompts: Sequence[str]) -> str:
    """Say what classes are told by."""
    if len(prompts) == 1:
        return f"Zero-shot classes are told by the prompt '{prompts[0]}'."
    return f"Zero-shot classes are told by the mean of {len(prompts)} prompts, '{prompts[0]}' to '{prompts[-1]}'."
