"""Levels of unseen concepts by their similarity to the seen ones, as ImageNet-CoG (ICCV 2021) chose its five."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from transferbench.concepts.agreement import compare_levels, left_out
from transferbench.concepts.content import Content, from_corpus, from_images, structural
from transferbench.concepts.levels import level_slices, rank
from transferbench.concepts.lists import check_known, listing, read_drops
from transferbench.concepts.selection import Rules, Step, check_enough, select
from transferbench.concepts.similarity import Measure, Similarity, Subsumer
from transferbench.errors import UserError
from transferbench.jobs.level_files import Selection, write_levels
from transferbench.jobs.level_pages import outcome_of
from transferbench.jobs.level_source import find_published, open_source
from transferbench.report.outcome import Outcome


class CogLevels:
    """Filter the concepts of a source, rank them by similarity to the seen ones, and cut out levels with equal gaps.

    The source is a folder of ImageNet-21K (``root``, a folder a wnid) or a CSV file of its sizes (``counts``, columns
    ``wnid,images``); where neither is named, the embedded world.

    Args:
        counts: the file of counts.
        root: the folder of images.
        seen: ``imagenet1k``, a file with a wnid a line, a folder with a folder a wnid, or wnids; None for ImageNet-1K,
            or for the world's seen concepts.
        wordnet: a folder with ``data.noun`` and ``index.noun``; None for the WordNet that is installed.
        levels: number of levels, the first the closest.
        per_level: concepts a level; None for 1000, or for 20 of the world.
        min_images: drop a concept with fewer images; None for 782, or for the 150 of the world.
        test_images: test images a concept; None for 50, or for 30 of the world.
        max_train: training images a concept at most; None for 1300, or for 120 of the world.
        drop_seen_ancestors: drop what lies above a seen concept.
        drop_subtrees: drop these concepts and all below them; None for person, n00007846, or for nothing of the world.
        leaves_only: drop what has a narrower concept in the source.
        drop: choices made by hand: a file with a wnid a line, ``cog`` for those of ImageNet-CoG that are known by name,
            or several of these.
        published: published levels: a folder of ``level_<k>.txt`` or of the official pickles, or a pickle of lists;
            None for those beside the file of counts.
        levels_from: take the levels of the ``ranking``, compared with the published ones if there are any, or take the
            ``published`` ones.
        measure: ``lin``, ``resnik``, ``jcn``, ``path`` or ``wup``.
        information: the content behind the first three: ``structural``, ``images``, or a file of corpus counts
            (``ic-brown.dat``).
        subsumer: the common subsumer they use, ``deepest`` or ``informative``.

    Raises:
        UserError: an input is missing or wrong, or too few concepts are left.
    """

    def __init__(
        self,
        counts: str | None = None,
        root: str | None = None,
        seen: str | Sequence[str] | None = None,
        wordnet: str | None = None,
        levels: int = 5,
        per_level: int | None = None,
        min_images: int | None = None,
        test_images: int | None = None,
        max_train: int | None = None,
        drop_seen_ancestors: bool = True,
        drop_subtrees: Sequence[str] | None = None,
        leaves_only: bool = True,
        drop: str | Sequence[str] | None = None,
        published: str | None = None,
        levels_from: Literal["ranking", "published"] = "ranking",
        measure: Measure = "lin",
        information: str = "structural",
        subsumer: Subsumer = "deepest",
    ) -> None:
        self.source = open_source(counts, root, seen, wordnet)
        subtrees = None if drop_subtrees is None else tuple(drop_subtrees)
        self.sizes = self.source.sizes.changed(per_level, min_images, test_images, max_train, subtrees)
        self.sizes.check(levels)
        self.levels, self.levels_from = levels, levels_from
        self.steps = self._filtered(drop_seen_ancestors, leaves_only, self._drops(drop))
        self.published = find_published(published, counts, self.source.images, levels)
        self._check_levels()
        self.split_from = Path(published).expanduser() if published and levels_from == "published" else None
        graph = [*self.source.images, *self.source.seen]
        self.similarity = Similarity(self.source.wordnet, graph, measure, self._content(information), subsumer)

    def _filtered(self, drop_seen_ancestors: bool, leaves_only: bool, drops: set[str]) -> list[Step]:
        subtrees, wordnet = self.sizes.drop_subtrees, self.source.wordnet
        check_known(subtrees, wordnet, "task.drop_subtrees")
        rules = Rules(drop_seen_ancestors, subtrees, leaves_only, self.sizes.min_images, drops)
        return select(wordnet, self.source.images, self.source.seen, rules)

    def _drops(self, drop: str | Sequence[str] | None) -> set[str]:
        named = [] if drop is None else [drop] if isinstance(drop, str) else list(drop)
        dropped = {wnid for one in named for wnid in read_drops(one)}
        check_known(sorted(dropped), self.source.wordnet, "task.drop")
        return dropped

    def _content(self, information: str) -> Content:
        if information == "structural":
            return structural
        return (
            from_images(self.source.images) if information == "images" else from_corpus(Path(information).expanduser())
        )

    def _check_levels(self) -> None:
        """See that there are the levels to take, and enough images in each of their concepts."""
        if self.levels_from == "ranking":
            return check_enough(self.steps, self.levels, self.sizes.per_level)
        if self.levels_from != "published" or not self.published:
            raise UserError(
                f"task.levels_from={self.levels_from}: expected ranking, or published with task.published=FOLDER"
            )
        missing = [str(level) for level in range(1, self.levels + 1) if level not in self.published]
        if missing:
            raise UserError(
                f"task.published: no level {', '.join(missing)} there; expected 1 to {self.levels}; set task.levels"
            )
        needed = self.sizes.test_images + 1
        wnids = [wnid for wnids in self.published.values() for wnid in wnids]
        short = [f"{wnid} ({self.source.images[wnid]})" for wnid in wnids if self.source.images[wnid] < needed]
        seen = [wnid for wnid in wnids if wnid in set(self.source.seen)]
        if short:
            raise UserError(
                f"task.published: {len(short)} concepts have fewer images than the {needed} that the split needs: "
                f"{listing(short)}; lower task.test_images"
            )
        if seen:
            raise UserError(
                f"task.published: {len(seen)} of its concepts are among the seen ones ({listing(seen)}); "
                "expected levels of unseen concepts"
            )
        return None

    def carry_out(self, folder: Path, seed: int) -> Outcome:
        """Write the levels, their splits, the table of concepts and the figures into ``folder``."""
        selection = self._select(seed)
        sizes = write_levels(selection, folder, self.split_from)
        return outcome_of(selection, sizes, folder)

    def _select(self, seed: int) -> Selection:
        """Rank the candidates and cut out the levels; the seed decides where a cut falls into a tie."""
        candidates = list(self.steps[-1].left)
        listed: Mapping[int, tuple[str, ...]] = self.published if self.levels_from == "published" else {}
        rng = np.random.default_rng(seed)
        ranked = sorted({*candidates, *(wnid for wnids in listed.values() for wnid in wnids)})
        ranking = rank(self.similarity, ranked, self.source.seen, rng)
        values = dict(zip(ranking.concepts, ranking.similarity.tolist()))
        slices = level_slices(len(ranking.concepts), self.levels, self.sizes.per_level)
        levels = listed or {level: tuple(sorted(ranking.concepts[cut])) for level, cut in enumerate(slices, start=1)}
        compared = {} if listed else self.published
        return Selection(
            source=self.source,
            sizes=self.sizes,
            seed=seed,
            measure=self.similarity.measure,
            steps=self.steps,
            similarity=values,
            nearest=dict(zip(ranking.concepts, ranking.nearest)),
            levels=levels,
            ties_at_cuts=0 if listed else ranking.ties_at_cuts(slices),
            agreements=compare_levels(levels, compared, values),
            left_out=left_out(compared, values),
        )
