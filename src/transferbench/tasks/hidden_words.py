"""Words hidden in held-out captions: are they guessed, better than from the text alone, and by looking at the thing?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transferbench.features.extract import evenly_spaced
from transferbench.tasks.examination import BATCH, Examined, HeldOut
from transferbench.text.masking import mask_every_word
from transferbench.text.words import split_words

TOP = 5
SHOWN, WORDS = 6, 3
"""Images that a report shows, and words of each."""
KINDS = ("noun", "adjective", "verb")


@dataclass(frozen=True)
class Hidden:
    """M hidden words: which held-out image and caption, what stood there, what was guessed, where was looked."""

    image: NDArray[np.int64]
    caption: list[str]
    target: NDArray[np.int64]
    guesses: NDArray[np.int64]
    """(M, K') concepts, best first."""
    blind: NDArray[np.int64]
    attention: NDArray[np.float32]
    """(M, h, w)."""
    elsewhere: NDArray[np.float32]
    """(M, h, w), of the same caption beside another image."""


def examine_words(head: Any, data: Any, held: HeldOut, device: str) -> Examined:
    """Hide every concept of every held-out caption, one at a time, and let ``head`` guess it.

    ``captions/masked_top1`` is the accuracy on nouns, the words that name visible things; ``..._blind`` that of the
    language model alone; then top-5, and both for adjectives and verbs. ``captions/pointing`` is the share of the
    attention that falls on the named object, ``captions/pointing_chance`` that of the same caption's attention on
    another image, on captions that name two objects or more.
    """
    hidden = hide_all(head, data, held, device)
    if hidden is None:
        return Examined(facts=["No held-out caption holds a concept."])
    kinds = np.array(data.vocabulary.tags)[hidden.target]
    metrics: dict[str, float] = {}
    for kind in KINDS:
        chosen = kinds == kind
        name = "" if kind == "noun" else f"_{kind}"
        if not chosen.any():
            continue
        metrics[f"captions/masked_count{name}"] = float(chosen.sum())
        for model, guesses in (("", hidden.guesses), ("_blind", hidden.blind)):
            right = guesses[chosen] == hidden.target[chosen, None]
            metrics[f"captions/masked_top1{name}{model}"] = float(right[:, 0].mean())
            metrics[f"captions/masked_top5{name}{model}"] = float(right.any(1).mean())
    metrics |= pointing(hidden, data, held)
    return Examined(metrics, words=shown_words(hidden, kinds, data, held))


def hide_all(head: Any, data: Any, held: HeldOut, device: str) -> Hidden | None:
    """Return the guesses for every concept of every caption of the ``held`` images; None where no caption has one."""
    rows: list[tuple[int, str]] = [
        (at, caption) for at, row in enumerate(held.rows) for caption in data.test_records.captions[row]
    ]
    found: list[dict[str, Any]] = []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        encoded = [data.encoder(caption, torch.zeros(0), at) for at, caption in part]
        tokens, words, concepts = (torch.stack([e[i] for e in encoded]) for i in range(3))
        masked = mask_every_word(tokens, words, concepts, data.tokeniser.mask)
        source = np.array([at for at, _ in part])[masked.row.numpy()]
        for piece in filter(len, torch.split(torch.arange(len(source)), 4 * BATCH)):
            found.append(_guess(head, held.maps, masked, piece, source, device))
            found[-1]["caption"] = [part[int(row)][1] for row in masked.row[piece]]
    if not found:
        return None
    return Hidden(**{key: _joined([one[key] for one in found]) for key in found[0]})


def _guess(
    head: Any, maps: Tensor, masked: Any, piece: Tensor, source: NDArray[np.int64], device: str
) -> dict[str, Any]:
    image = source[piece.numpy()]
    tokens, position = masked.tokens[piece].to(device), masked.position[piece].to(device)
    here, elsewhere = (
        head.word_scores(maps[which].to(device), tokens, position) for which in (image, (image + 1) % len(maps))
    )
    return {
        "image": image,
        "target": masked.target[piece].numpy(),
        "guesses": _ranked(here.logits),
        "blind": _ranked(here.blind),
        "attention": here.attention.float().cpu().numpy(),
        "elsewhere": elsewhere.attention.float().cpu().numpy(),
    }


def _ranked(scores: Tensor) -> NDArray[np.int64]:
    return scores.topk(min(TOP, scores.shape[1]), dim=1).indices.cpu().numpy()


def _joined(pieces: Sequence[Any]) -> Any:
    if isinstance(pieces[0], list):
        return [item for piece in pieces for item in piece]
    return np.concatenate(pieces)


def pointing(hidden: Hidden, data: Any, held: HeldOut) -> dict[str, float]:
    """Return the share of attention on the named objects, and that of the attention on another image."""
    records = data.test_records
    if records.boxes is None:
        return {}
    tag_of = {concept: tag for tag, name in enumerate(records.tag_names) if (concept := _concept(data, name)) >= 0}
    several = {caption: _named(data, caption, set(tag_of)) >= 2 for caption in set(hidden.caption)}
    shares: list[tuple[float, float]] = []
    known: dict[tuple[int, int], NDArray[np.float32]] = {}  # an object is named by several captions
    for i, target in enumerate(hidden.target.tolist()):
        row = held.rows[hidden.image[i]]
        boxes = [box for box in records.boxes[row] if tag_of.get(target) == box.tag]
        if boxes and several[hidden.caption[i]]:
            if (row, target) not in known:
                known[row, target] = coverage(boxes, _size(records, row), hidden.attention.shape[1:])
            covered = known[row, target]
            shares.append((float((hidden.attention[i] * covered).sum()), float((hidden.elsewhere[i] * covered).sum())))
    if not shares:
        return {}
    own, other = np.array(shares).mean(0)
    return {"captions/pointing": own, "captions/pointing_chance": other, "captions/pointing_count": float(len(shares))}


def _concept(data: Any, name: str) -> int:
    """Return the concept of a category's name, by its last word ("fire truck": "truck"); -1 for none."""
    found: list[int] = data.vocabulary.find(name.split())
    return found[-1] if found else -1


def _named(data: Any, caption: str, concepts: set[int]) -> int:
    """Return how many different objects a caption names."""
    return len({concept for concept in data.vocabulary.find(split_words(caption)) if concept in concepts})


def _size(records: Any, row: int) -> tuple[int, int]:
    known = (0, 0) if records.sizes is None else records.sizes[row]
    return known if known != (0, 0) else records.images.image(row).size


def coverage(boxes: Sequence[Any], size: tuple[int, int], grid: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the share of each cell of the centre square's ``grid`` (h, w) that the union of ``boxes`` covers.

    Boxes are in pixels of an image of ``size`` (width, height), of which the network saw the centre square. The union
    is found on 16 x 16 points a cell.
    """
    side, fine = min(size), 16
    left, top = (size[0] - side) / 2, (size[1] - side) / 2
    y, x = (((np.arange(n * fine) + 0.5) / (n * fine) * side) for n in grid)
    inside = np.zeros((len(y), len(x)), bool)
    for box in boxes:
        rows = (y + top >= box.top) & (y + top < box.bottom)
        columns = (x + left >= box.left) & (x + left < box.right)
        inside |= rows[:, None] & columns[None]
    share: NDArray[np.float32] = inside.reshape(grid[0], fine, grid[1], fine).mean((1, 3)).astype(np.float32)
    return share


def shown_words(hidden: Hidden, kinds: NDArray[np.str_], data: Any, held: HeldOut) -> list[dict[str, Any]]:
    """Return some nouns of one caption of each of a few images, with what was guessed and where was looked."""
    names, nouns = data.vocabulary.words, np.flatnonzero(kinds == "noun")
    shown: list[dict[str, Any]] = []
    for image in evenly_spaced(len(held.rows), SHOWN):
        mine = nouns[hidden.image[nouns] == image].tolist()
        if not mine:
            continue
        picture = data.centre(data.test_records.images.image(held.rows[image])).permute(1, 2, 0).numpy()
        for i in [i for i in mine if hidden.caption[i] == hidden.caption[mine[0]]][:WORDS]:
            guesses, blind = ([names[guess] for guess in found[i]] for found in (hidden.guesses, hidden.blind))
            word = {"caption": hidden.caption[i], "word": names[hidden.target[i]], "guesses": guesses, "blind": blind}
            shown.append({"picture": picture, "attention": hidden.attention[i], **word})
    return shown
