"""Held-out images and captions look for each other: does the right one come first?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from transferbench.features.extract import refuse_non_finite
from transferbench.probes.matching import CUTS, rank_scores, ranks_of_vectors
from transferbench.tasks.examination import BATCH, Examined, HeldOut


def examine_retrieval(head: Any, data: Any, held: HeldOut, device: str) -> Examined:
    """Rank all held-out captions for every image and all held-out images for every caption.

    ``captions/retrieval_image_to_text_r1``, ``_r5`` and ``_r10`` are the fractions of images that have a caption of
    theirs among the first 1, 5 and 10; ``..._median_rank`` and ``..._mean_rank`` count from 1;
    ``captions/retrieval_text_to_image_...`` say the same of captions and their image. Images that could not be read are
    left out with their captions.

    Args:
        head: has ``embed_images`` and ``embed_text``, both to vectors of length 1.
        data: a ``CaptionData``.
        held: the maps of its held-out images.
        device: where the head is.
    """
    captions = [data.test_records.captions[row] for row in held.rows]
    texts = [caption for several in captions for caption in several]
    sizes = torch.tensor([len(several) for several in captions], device=device)
    images = torch.arange(len(captions), device=device)
    image_of = images.repeat_interleave(sizes)
    seen = torch.cat([head.embed_images(maps.to(device)) for maps in torch.split(held.maps, BATCH)])
    read = embed_captions(head, data.encoder, texts, device)
    for vectors in (seen, read):
        refuse_non_finite(vectors.cpu().numpy())
    found = {
        "image_to_text": ranks_of_vectors(seen, read, images, image_of),
        "text_to_image": ranks_of_vectors(read, seen, image_of, images),
    }
    metrics = {
        f"captions/retrieval_{way}_{name}": score
        for way, places in found.items()
        for name, score in rank_scores(places).items()
    }
    return Examined(metrics, [_said(captions)])


def embed_captions(head: Any, encoder: Any, texts: Sequence[str], device: str) -> Tensor:
    """Return the vectors (M, E) of ``texts`` on ``device``; equal ones are encoded once and have equal vectors.

    ``encoder`` is the data's ``CaptionEncoder``.
    """
    place = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    distinct, vectors = list(place), []
    for start in range(0, len(distinct), BATCH):
        rows = [encoder(text, torch.zeros(0), -1).tokens for text in distinct[start : start + BATCH]]
        vectors.append(head.embed_text(torch.stack(rows).to(device)))
    return torch.cat(vectors)[[place[text] for text in texts]]


def _said(captions: Sequence[Sequence[str]]) -> str:
    """Say what was searched, what chance would find, and how many captions fit several images word for word."""
    count, total = len(captions), sum(map(len, captions))
    times = Counter(text for several in captions for text in set(several))
    shared = sum(times[text] > 1 for several in captions for text in several)
    by_chance = ", ".join(f"{min(100.0, 100 * cut / count):.2f}\u00a0% within {cut}" for cut in CUTS)
    said = f"Retrieval among {count:,} held-out images and {total:,} captions: by chance {by_chance}, at most"
    if not shared:
        return f"{said}."
    return f"{said}; {shared:,} of the captions stand beside several images, of which one alone counts as right."
