"""Where the concepts of levels come from: an ImageNet-21K folder, a file of counts, or the embedded world."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transferbench.concepts.levels import draw_levels
from transferbench.concepts.lists import IMAGENET1K, check_known, listing, read_counts, read_levels, read_seen
from transferbench.concepts.selection import PERSON
from transferbench.concepts.wordnet import WordNet, open_wordnet
from transferbench.data.labelled import EXTENSIONS
from transferbench.errors import UserError
from transferbench.world.cache import TRAIN_IMAGES, VAL_IMAGES
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy, write_wordnet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sizes:
    """The numbers of a benchmark.

    Attributes:
        per_level: concepts a level.
        min_images: a concept with fewer is dropped.
        test_images: a concept's test images; all others are training images ...
        max_train: ... up to this number.
        drop_subtrees: concepts dropped with all below them.
    """

    per_level: int
    min_images: int
    test_images: int
    max_train: int
    drop_subtrees: tuple[str, ...]

    def changed(
        self,
        per_level: int | None,
        min_images: int | None,
        test_images: int | None,
        max_train: int | None,
        drop_subtrees: tuple[str, ...] | None,
    ) -> Sizes:
        """Return these numbers with the given ones in their places."""
        return Sizes(
            per_level=self.per_level if per_level is None else per_level,
            min_images=self.min_images if min_images is None else min_images,
            test_images=self.test_images if test_images is None else test_images,
            max_train=self.max_train if max_train is None else max_train,
            drop_subtrees=self.drop_subtrees if drop_subtrees is None else drop_subtrees,
        )

    def check(self, levels: int) -> None:
        """See that the numbers make sense together.

        Raises:
            UserError: they do not.
        """
        if min(levels, self.per_level, self.test_images, self.max_train) < 1:
            raise UserError(
                f"found task.levels={levels}, per_level={self.per_level}, test_images={self.test_images}, "
                f"max_train={self.max_train}; expected numbers of at least 1"
            )
        if self.min_images <= self.test_images:
            raise UserError(
                f"task.min_images={self.min_images}: a class with {self.min_images} images cannot give "
                f"task.test_images={self.test_images} test images and one to train on; raise the one or lower the other"
            )


COG = Sizes(per_level=1000, min_images=782, test_images=50, max_train=1300, drop_subtrees=(PERSON,))
"""ImageNet-CoG (ICCV 2021): 732 to 1300 training images."""
WORLD = Sizes(20, TRAIN_IMAGES + VAL_IMAGES, VAL_IMAGES, TRAIN_IMAGES, ())


@dataclass(frozen=True)
class Source:
    """The concepts to choose from, in a taxonomy.

    Attributes:
        name: for the report.
        wordnet: the taxonomy.
        images: the number of images by wnid.
        seen: the seen concepts.
        root: the folder that holds a folder of images a wnid, None where the numbers are all there is.
        sizes: the numbers to take where none are given.
    """

    name: str
    wordnet: WordNet
    images: Mapping[str, int]
    seen: tuple[str, ...]
    root: Path | None
    sizes: Sizes


def open_source(counts: str | None, root: str | None, seen: str | Sequence[str] | None, wordnet: str | None) -> Source:
    """Open the source that the settings name, the embedded world where they name none.

    Raises:
        UserError: two sources, a file that is missing or broken, a wnid that WordNet lacks, or no WordNet.
    """
    if counts and root:
        raise UserError(f"found task.counts={counts} and task.root={root}; name one of them")
    if not counts and not root:
        return _world(seen, wordnet)
    folder = Path(root).expanduser() if root else None
    images = count_images(folder) if folder else read_counts(Path(str(counts)).expanduser())
    name = f"{root or counts}"
    chosen = read_seen(IMAGENET1K if seen is None else seen)
    taxonomy = open_wordnet(Path(wordnet) if wordnet else None)
    check_known(images, taxonomy, name)
    check_known(chosen, taxonomy, "task.seen")
    return Source(name, taxonomy, images, chosen, folder, COG)


def _world(seen: str | Sequence[str] | None, wordnet: str | None) -> Source:
    """The world's concepts with the numbers of images it renders of each; the seen ones are those of its draw 0."""
    if wordnet:
        raise UserError(f"task.wordnet={wordnet}: the embedded world has its own; name task.counts or task.root too")
    name, concepts = "the embedded world", read_taxonomy()
    ids = concept_ids(concepts)
    with tempfile.TemporaryDirectory() as place:
        write_wordnet(concepts, Path(place))
        taxonomy = open_wordnet(Path(place))
    taxonomy.source = name  # the folder is gone
    drawn_from = [ids[leaf.lemma] for leaf in leaves(concepts)]
    images = dict.fromkeys(ids.values(), 0) | dict.fromkeys(drawn_from, TRAIN_IMAGES + VAL_IMAGES)
    chosen = draw_levels(taxonomy, drawn_from).seen if seen is None else read_seen(seen)
    check_known(chosen, taxonomy, "task.seen")
    return Source(name, taxonomy, images, chosen, None, WORLD)


def count_images(root: Path) -> dict[str, int]:
    """The number of images in every folder of ``root`` whose name is a wnid; hidden files are passed over.

    Raises:
        UserError: there is no such folder, or none in it.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; set task.root to a folder that holds a folder of images a wnid")
    names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and re.fullmatch(r"n\d{8}", entry.name))
    if not names:
        raise UserError(f"{root}: no folder with a wnid such as n01322508 as its name; expected one a class")
    return {
        name: sum(
            file.lower().endswith(EXTENSIONS) and not file.startswith(".")
            for _, _, files in os.walk(root / name)
            for file in files
        )
        for name in names
    }


def find_published(
    published: str | None, counts: str | None, images: Mapping[str, int], levels: int
) -> dict[int, tuple[str, ...]]:
    """The published levels that are named, or else those of the first ``levels`` that lie beside the file of counts.

    Raises:
        UserError: those named are missing, broken, more than ``levels``, or of other concepts than the source's.
    """
    if published:
        place = Path(published).expanduser()
        named = read_levels(place)
        for level, wnids in named.items():
            if level > levels:
                raise UserError(
                    f"{place}: found a level {level}, but task.levels={levels}; set task.levels={max(named)}"
                )
            strange = [wnid for wnid in wnids if wnid not in images]
            if strange:
                raise UserError(
                    f"{place}: {len(strange)} of the {len(wnids)} concepts of level {level} are not in the source "
                    f"({listing(strange)}); expected levels of the same benchmark"
                )
        return named
    beside = Path(counts).expanduser().parent if counts else None
    if beside is None or not any(beside.glob("level_*.txt")):
        return {}
    found = read_levels(beside)
    if any(wnid not in images for wnids in found.values() for wnid in wnids):
        log.warning("the levels in %s are of other concepts: not compared with; name others by task.published=", beside)
        return {}
    return {level: wnids for level, wnids in found.items() if level <= levels}
