"""Levels as files: a list of wnids each, the sizes of the classes, and which images train and which test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferbench.concepts.agreement import Agreement
from transferbench.concepts.selection import Step
from transferbench.data.class_split import REST, split_per_class
from transferbench.data.cog import SPLIT
from transferbench.data.labelled import read_folder
from transferbench.errors import UserError
from transferbench.jobs.level_source import Sizes, Source
from transferbench.storage import write_text
from transferbench.unpickle import unpickle

PARTS = ("train", "test")


@dataclass(frozen=True)
class Selection:
    """Levels, and how they came about.

    Attributes:
        source: what the concepts were chosen from.
        sizes: the numbers that were asked for.
        seed: decided the ties and decides the splits.
        measure: of the similarity.
        steps: what each filter left.
        similarity: of every candidate to the seen concepts.
        nearest: the seen concept each is most similar to.
        levels: sorted wnids of each level; a concept's label is its rank there.
        ties_at_cuts: ends of levels at which equally similar concepts fall on both sides.
        agreements: with published levels, where there are any.
        left_out: candidates that those must have left out by hand.
    """

    source: Source
    sizes: Sizes
    seed: int
    measure: str
    steps: Sequence[Step]
    similarity: Mapping[str, float]
    nearest: Mapping[str, str]
    levels: Mapping[int, Sequence[str]]
    ties_at_cuts: int
    agreements: Sequence[Agreement]
    left_out: Sequence[str]

    def name(self, wnid: str) -> str:
        """The first name of a concept."""
        return self.source.wordnet.names(wnid)[0]


def write_levels(selection: Selection, folder: Path, official: Path | None = None) -> dict[str, tuple[int, int]]:
    """Write ``level_<k>.txt``, ``classes.csv``, and ``level_<k>_{train,test}.txt`` where the images have names.

    Args:
        selection: the levels.
        folder: the run folder.
        official: the folder of the official pickles, whose split is taken where it is there.

    Returns:
        the numbers of training and test images by wnid.

    Raises:
        UserError: the official split is broken or of other concepts, or a class has too few images for the split.
    """
    split = _official_split(official) if official and (official / SPLIT).exists() else None
    files: dict[str, str] = {}
    for level, wnids in selection.levels.items():
        files[f"level_{level}"] = _lines(wnids)
        for part, names in _split(selection, wnids, split).items():
            files[f"level_{level}_{part}"] = _lines(names)
    if selection.left_out:
        files["left_out"] = _lines([f"{wnid}  {selection.name(wnid)}" for wnid in selection.left_out])
    for name, text in files.items():
        write_text(folder / f"{name}.txt", text)
    sizes = {wnid: _sizes(selection, wnid, split) for wnids in selection.levels.values() for wnid in wnids}
    write_text(folder / "classes.csv", _classes(selection, sizes))
    return sizes


def _sizes(selection: Selection, wnid: str, split: Mapping[str, Any] | None) -> tuple[int, int]:
    """Training and test images of a class: what the test leaves, up to the most, or what the official split says."""
    if split is not None:
        return len(split[wnid]["train"]), len(split[wnid]["test"])
    test = selection.sizes.test_images
    return min(selection.source.images[wnid] - test, selection.sizes.max_train), test


def _lines(items: Sequence[str]) -> str:
    return "".join(f"{item}\n" for item in items)


def _classes(selection: Selection, sizes: Mapping[str, tuple[int, int]]) -> str:
    """Return the classes of all levels as CSV."""
    rows = ["wnid,level,label,similarity,nearest_seen,images,train,test"]
    for level, wnids in selection.levels.items():
        for label, wnid in enumerate(wnids):
            cells = (level, label, f"{selection.similarity[wnid]:.9g}", selection.nearest[wnid])
            rows.append(",".join(map(str, (wnid, *cells, selection.source.images[wnid], *sizes[wnid]))))
    return _lines(rows)


def _split(selection: Selection, wnids: Sequence[str], official: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Return the paths of each part of a level, none where the images have no names.

    Without an official split they are drawn: a class's draw depends on the seed, on its wnid and on its images alone.
    """
    root, sizes = selection.source.root, selection.sizes
    if official is not None:
        return {part: _official_paths(official, wnids, part) for part in PARTS}
    if root is None:
        return {}
    found = read_folder(root, wnids)
    parts = split_per_class(
        found.labels, found.classes, {"test": sizes.test_images}, selection.seed, root, sizes.max_train
    )
    return {part: [found.name(int(place)) for place in parts[key]] for part, key in zip(PARTS, (REST, "test"))}


def _official_split(folder: Path) -> Mapping[str, Any]:
    content = unpickle(folder / SPLIT)
    if not isinstance(content, dict):
        raise UserError(
            f"{folder / SPLIT}: found a {type(content).__name__}, expected a dict of wnid to train and test"
        )
    return content


def _official_paths(split: Mapping[str, Any], wnids: Sequence[str], part: str) -> list[str]:
    """Return the sorted paths of a part of a level, relative to the folder of ImageNet-21K."""
    paths: list[str] = []
    for wnid in wnids:
        listed = split[wnid].get(part) if isinstance(split.get(wnid), dict) else None
        if listed is None or not len(listed):
            raise UserError(f"{SPLIT}: no {part} images of concept {wnid}; expected the split of the same benchmark")
        paths.extend(str(path).lstrip("/") for path in listed)
    return sorted(paths)
