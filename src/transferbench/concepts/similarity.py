"""Similarity of concepts over a taxonomy: pairs, whole matrices, and of concepts to a set.

The graph is the given concepts and all their ancestors. By default the measure is that of ImageNet-CoG (ICCV 2021):
Lin similarity ``2 IC(s) / (IC(a) + IC(b))`` with structural information content, where ``s`` is the deepest common
subsumer of ``a`` and ``b``: the one with the longest path to the root, among equally deep ones the first by synset name
(as NLTK orders them). This choice of ``s``, not that of largest content, reproduces the published levels.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

import numpy as np

from transferbench.concepts.content import Content, structural
from transferbench.concepts.graph import ConceptGraph, Floats, Ints, Table
from transferbench.concepts.measures import BY_CONTENT, path, wu_palmer
from transferbench.concepts.wordnet import WordNet
from transferbench.errors import UserError

Measure = Literal["lin", "resnik", "jcn", "path", "wup"]
Subsumer = Literal["deepest", "informative"]

_BLOCK = 1024  # columns at a time: bounds the table of subsumers to (nodes, 1024) small integers
_STRIP = 256  # rows at a time: the working set of the arithmetic stays in the cache
_ROWS = 4096  # rows at a time in to_set


class Similarity:
    """Similarity within the graph of some concepts and their ancestors.

    Args:
        wordnet: the taxonomy.
        concepts: wnids; repeated ones count once.
        measure: ``lin``, ``resnik``, ``jcn`` (Jiang-Conrath), ``path`` or ``wup`` (Wu-Palmer).
        content: the information content that the first three use.
        subsumer: which common subsumer they use, the ``deepest`` or the one of largest content, ``informative`` (as
            NLTK does). Wu-Palmer uses the one with the longest shortest path to the root, as NLTK does.

    Raises:
        UserError: no concepts, one is not in ``wordnet``, or there is no such measure or subsumer.
    """

    def __init__(
        self,
        wordnet: WordNet,
        concepts: Iterable[str],
        measure: Measure = "lin",
        content: Content = structural,
        subsumer: Subsumer = "deepest",
    ) -> None:
        if measure not in get_args(Measure) or subsumer not in get_args(Subsumer):
            raise UserError(
                f"similarity: found measure={measure!r} and subsumer={subsumer!r}; expected one of "
                f"{', '.join(get_args(Measure))} and one of {', '.join(get_args(Subsumer))}"
            )
        self.measure = measure
        self.graph = ConceptGraph(wordnet, concepts)
        self._ic = content(self.graph)
        numbers = np.arange(len(self.graph))
        self._best = numbers  # nodes, the most wanted subsumer last
        if measure == "wup":
            self._best = np.lexsort((self.graph.name_rank, self.graph.min_depth))
        elif subsumer == "informative":
            self._best = np.lexsort((numbers, self._ic))
        self._rank = np.argsort(self._best)
        self._shared = np.append(0.0, self._ic[self._best])  # by 1 + rank of the subsumer; 0: there is none

    def __len__(self) -> int:
        return len(self.graph)

    def __contains__(self, wnid: object) -> bool:
        return wnid in self.graph

    @property
    def nodes(self) -> tuple[str, ...]:
        """The graph's wnids, from shallow to deep."""
        return self.graph.nodes

    def count(self, wnid: str) -> int:
        """Nodes of the graph at or below ``wnid``."""
        return int(self.graph.counts[self.graph.number(wnid)])

    def ic(self, wnid: str) -> float:
        """Information content in nats; a structural one is 0 for a root above all and ``ln(len(self))`` for a leaf."""
        return float(self._ic[self.graph.number(wnid)])

    def subsumer(self, a: str, b: str) -> str | None:
        """The common subsumer of two nodes that the measure uses, None where they share none (several trees)."""
        number = self.graph.number(a)
        common = self.graph.subsumers[number] & self.graph.subsumers[self.graph.number(b)]
        if not common:
            return None
        best = max(common, key=self._rank.__getitem__)
        return self.nodes[number if self._prefers(number, common, best) else best]

    def _prefers(self, row: int, common: set[int], best: int) -> bool:
        """Wu-Palmer takes ``a`` itself where no other common subsumer is deeper, whatever its name."""
        return self.measure == "wup" and row in common and bool(self.graph.min_depth[row] == self.graph.min_depth[best])

    def pair(self, a: str, b: str) -> float:
        """Similarity of two nodes; Lin's lies in [0, 1] and is 1 for a node and itself (a root too, whose IC is 0)."""
        return float(self.matrix([a], [b])[0, 0])

    def matrix(self, rows: Sequence[str], columns: Sequence[str]) -> Floats:
        """``(len(rows), len(columns))`` similarities; nodes of the graph, repeated or not, in any order."""
        row, column = self.graph.numbers(rows), self.graph.numbers(columns)
        lines = self.graph.at_or_above(row)
        places = np.searchsorted(lines, row)
        result = np.empty((len(row), len(column)))
        for left in range(0, len(column), _BLOCK):
            block = slice(left, left + _BLOCK)
            if self.measure == "path":
                table = self.graph.distance_table(lines, column[block])
            else:
                table = self.graph.subsumer_table(lines, column[block], self._rank)
            for top in range(0, len(row), _STRIP):
                strip = slice(top, top + _STRIP)
                result[strip, block] = self._strip(table[places[strip]], row[strip], column[block])
        return result

    def _strip(self, table: Table, row: Ints, column: Ints) -> Floats:
        """Similarities of a few rows from their lines of the table."""
        if self.measure == "path":
            return path(table)
        if self.measure == "wup":
            return self._wu_palmer(table, row, column)
        same = row[:, None] == column
        return BY_CONTENT[self.measure](self._shared[table], self._ic[row], self._ic[column], same)

    def _wu_palmer(self, table: Table, row: Ints, column: Ints) -> Floats:
        subsumer = np.append(-1, self._best)[table]
        for line, place in self._subsuming(row, column):
            if self.graph.min_depth[subsumer[line, place]] == self.graph.min_depth[row[line]]:
                subsumer[line, place] = row[line]
        used = np.unique(subsumer[subsumer >= 0])
        depth = np.where(subsumer >= 0, self.graph.max_depth[subsumer] + 1.0, 0.0)
        if not len(used):
            return depth
        chosen = np.searchsorted(used, subsumer)
        to_row = self._edges(row, used)[np.arange(len(row))[:, None], chosen]
        to_column = self._edges(column, used)[np.arange(len(column)), chosen]
        return wu_palmer(depth, to_row, to_column)

    def _subsuming(self, row: Ints, column: Ints) -> Iterator[tuple[int, int]]:
        """Places of the pairs whose row subsumes its column."""
        lines: dict[int, list[int]] = {}
        for line, number in enumerate(row.tolist()):
            lines.setdefault(number, []).append(line)
        for place, number in enumerate(column.tolist()):
            for above in self.graph.subsumers[number] & lines.keys():
                yield from ((line, place) for line in lines[above])

    def _edges(self, numbers: Ints, others: Ints) -> Floats:
        """``(len(numbers), len(others))``: edges on the shortest way over a common subsumer."""
        lines = self.graph.at_or_above(numbers)
        table = self.graph.distance_table(lines, others)[np.searchsorted(lines, numbers)]
        return table.astype(np.float64)

    def to_set(self, rows: Sequence[str], seen: Sequence[str]) -> tuple[Floats, Ints]:
        """Similarity of every row to a set: the largest over its members.

        Returns:
            ``(len(rows),)`` similarities, and the position in ``seen`` of the member (the first among equals).
        """
        if not len(seen):
            raise UserError("similarity to a set: the set is empty, expected at least one wnid")
        similarity, nearest = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), _ROWS):
            block = slice(start, start + _ROWS)
            alike = self.matrix(rows[block], seen)
            nearest[block] = alike.argmax(axis=1)
            similarity[block] = alike.max(axis=1)
        return similarity, nearest
