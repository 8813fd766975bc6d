"""Words hidden in held-out captions: are they guessed, better than from the text alone, and by looking at the thing?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferbench.features.extract import evenly_spaced
from transferbench.tasks.examination import Examined, HeldOut, seen_picture
from transferbench.tasks.word_guesses import Hidden, hide_all
from transferbench.text.words import split_words

SHOWN, WORDS = 6, 3
"""Images that a report shows, and words of each."""
KINDS = ("noun", "adjective", "verb")


def examine_words(head: Any, data: Any, held: HeldOut, device: str) -> Examined:
    """Hide the concepts of held-out captions (``word_guesses.hide_all``), one at a time, and let ``head`` guess them.

    ``captions/masked_top1`` is the accuracy on words that name visible things: those that a category of the data is
    called by, or all nouns where there are no categories; ``..._blind`` that without the image; then top-5, and all of
    them for nouns, adjectives and verbs. ``captions/pointing`` is the share of the attention that falls on the named
    object, ``captions/pointing_chance`` that of the same caption's attention on another image, on captions that name
    two objects or more.
    """
    hidden = hide_all(head, data, held, device)
    if hidden is None:
        return Examined(facts=["No held-out caption holds a concept."])
    kinds = np.array(data.vocabulary.tags)[hidden.target]
    things = np.isin(hidden.target, list(tags_by_concept(data)))
    groups = {"": things if things.any() else kinds == "noun", **{f"_{kind}": kinds == kind for kind in KINDS}}
    metrics: dict[str, float] = {}
    for name, chosen in groups.items():
        if not chosen.any():
            continue
        metrics[f"captions/masked_count{name}"] = float(chosen.sum())
        for model, guesses in (("", hidden.guesses), ("_blind", hidden.blind)):
            right = guesses[chosen] == hidden.target[chosen, None]
            metrics[f"captions/masked_top1{name}{model}"] = float(right[:, 0].mean())
            metrics[f"captions/masked_top5{name}{model}"] = float(right.any(1).mean())
    metrics |= pointing(hidden, data, held)
    return Examined(metrics, [said_of(head)], shown_words(hidden, groups[""], data, held))


def tags_by_concept(data: Any) -> dict[int, int]:
    """Return the tag of every concept that a tag is called by."""
    names = enumerate(data.test_records.tag_names)
    return {concept: tag for tag, name in names if (concept := _concept(data, name)) >= 0}


def said_of(head: Any) -> str:
    """Return how ``head`` guesses a hidden word, and what stands for its guess without the image."""
    if hasattr(head, "language"):
        return "Text alone: a classifier of the language model's vector of the gap, trained beside the head."
    if hasattr(head, "caption_scores"):
        way = "Every word is put into the gap, and the best caption wins"
    else:
        way = "The word is guessed from the " + ("gap" if head.output == "pieces" else "image, the caption is not read")
    return f"{way}. Text alone: the same network beside the average map of all held-out images."


def pointing(hidden: Hidden, data: Any, held: HeldOut) -> dict[str, float]:
    """Return the share of attention on the named objects, and that of the attention on another image."""
    records = data.test_records
    if records.boxes is None or hidden.attention is None or hidden.elsewhere is None:
        return {}
    tag_of = tags_by_concept(data)
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


def shown_words(hidden: Hidden, chosen: NDArray[np.bool_], data: Any, held: HeldOut) -> list[dict[str, Any]]:
    """Return ``chosen`` words of one caption of each of a few images, with what was guessed and where was looked."""
    if hidden.attention is None:
        return []
    names, places = data.vocabulary.words, np.flatnonzero(chosen)
    shown: list[dict[str, Any]] = []
    for image in evenly_spaced(len(held.rows), SHOWN):
        mine = places[hidden.image[places] == image].tolist()
        if not mine:
            continue
        picture = seen_picture(data, held.rows[image])
        for i in [i for i in mine if hidden.caption[i] == hidden.caption[mine[0]]][:WORDS]:
            guesses, blind = ([names[guess] for guess in found[i]] for found in (hidden.guesses, hidden.blind))
            word = {"caption": hidden.caption[i], "word": names[hidden.target[i]], "guesses": guesses, "blind": blind}
            shown.append({"picture": picture, "attention": hidden.attention[i], **word})
    return shown
