"""Lin similarity of concepts over a taxonomy, with structural information content (as ImageNet-CoG, ICCV 2021).

The graph is the given concepts and all their ancestors. ``p(c)`` is the share of its nodes at or below ``c``,
``IC(c) = -ln p(c)``, and ``Lin(a, b) = 2 IC(s) / (IC(a) + IC(b))`` where ``s`` is the deepest common subsumer of ``a``
and ``b``: the one with the longest path to the root, among equally deep ones the first by synset name (as NLTK orders
them). A node subsumes itself. This choice of ``s``, not that of largest IC, reproduces the published CoG levels.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from transferbench.concepts.wordnet import WordNet
from transferbench.errors import UserError

_BLOCK = 1024  # columns at a time: bounds the table of subsumers to (nodes, 1024) small integers
_STRIP = 256  # rows at a time: the working set of the arithmetic stays in the cache
_ROWS = 4096  # rows at a time in to_set

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class LinSimilarity:
    """Lin similarity within the graph of some concepts and their ancestors.

    Nodes are numbered from shallow to deep, equally deep ones from the last name to the first: parents come before
    their children, and of several common subsumers the one with the largest number is the LCS.

    Args:
        wordnet: the taxonomy.
        concepts: wnids; repeated ones count once.

    Raises:
        UserError: no concepts, or one is not in ``wordnet``.
    """

    def __init__(self, wordnet: WordNet, concepts: Iterable[str]) -> None:
        nodes = sorted(_with_ancestors(wordnet, concepts), key=wordnet.synset_name, reverse=True)
        nodes.sort(key=wordnet.max_depth)
        self.nodes: tuple[str, ...] = tuple(nodes)
        self._number = {node: number for number, node in enumerate(nodes)}
        self._parents = [[self._number[parent] for parent in wordnet.parents(node)] for node in nodes]
        self._subsumers: list[set[int]] = []  # of every node, itself included
        for number, parents in enumerate(self._parents):
            self._subsumers.append({number}.union(*(self._subsumers[parent] for parent in parents)))
        self._counts = np.bincount([above for subsumers in self._subsumers for above in subsumers])
        self._ic = np.log(len(nodes)) - np.log(self._counts)

    def __len__(self) -> int:
        return len(self.nodes)

    def __contains__(self, wnid: object) -> bool:
        return wnid in self._number

    def count(self, wnid: str) -> int:
        """Nodes of the graph at or below ``wnid``."""
        return int(self._counts[self._find(wnid)])

    def ic(self, wnid: str) -> float:
        """Information content in nats: 0 for a root above all, ``ln(len(self))`` for a leaf."""
        return float(self._ic[self._find(wnid)])

    def subsumer(self, a: str, b: str) -> str | None:
        """The deepest common subsumer of two nodes, None where they share none (a taxonomy of several trees)."""
        common = self._subsumers[self._find(a)] & self._subsumers[self._find(b)]
        return self.nodes[max(common)] if common else None

    def pair(self, a: str, b: str) -> float:
        """Lin similarity of two nodes in [0, 1]; 1 for a node and itself (a root too, whose IC is 0)."""
        return float(self.matrix([a], [b])[0, 0])

    def matrix(self, rows: Sequence[str], columns: Sequence[str]) -> Floats:
        """``(len(rows), len(columns))`` Lin similarities; nodes of the graph, repeated or not, in any order."""
        row, column = self._numbers(rows), self._numbers(columns)
        above = np.array(sorted(set().union(*(self._subsumers[number] for number in row.tolist()))), dtype=np.int64)
        places = np.searchsorted(above, row)
        shared = np.append(0.0, 2.0 * self._ic)  # by 1 + number of the subsumer; 0: no common subsumer
        result = np.empty((len(row), len(column)))
        for left in range(0, len(column), _BLOCK):
            block = slice(left, left + _BLOCK)
            deepest = self._deepest_subsumers(above, column[block])
            for top in range(0, len(row), _STRIP):
                strip = slice(top, top + _STRIP)
                total = self._ic[row[strip], None] + self._ic[column[block]]
                lin = shared[deepest[places[strip]]]
                # a sum of zero is the root beside itself: 0 / 0, taken as 1
                result[strip, block] = np.divide(lin, total, out=np.ones_like(lin), where=total > 0)
        return result

    def to_set(self, rows: Sequence[str], seen: Sequence[str]) -> tuple[Floats, Ints]:
        """Similarity of every row to a set: the largest over its members.

        Returns:
            ``(len(rows),)`` similarities, and the position in ``seen`` of the member (the first among equals).
        """
        if not len(seen):
            raise UserError("Lin similarity to a set: the set is empty, expected at least one wnid")
        similarity, nearest = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), _ROWS):
            block = slice(start, start + _ROWS)
            lin = self.matrix(rows[block], seen)
            nearest[block] = lin.argmax(axis=1)
            similarity[block] = lin.max(axis=1)
        return similarity, nearest

    def _deepest_subsumers(self, above: Ints, columns: Ints) -> NDArray[np.unsignedinteger]:
        """``(len(above), len(columns))``: 1 + number of the deepest common subsumer, 0 for none.

        ``above`` is ascending and holds every node's parents. The common subsumers of ``a`` and ``b`` are those of
        ``a``'s parents and ``b``, and ``a`` if it subsumes ``b``: one sweep downwards finds the largest number of each.
        """
        table = np.zeros((len(above), len(columns)), dtype=np.min_scalar_type(len(self.nodes)))
        subsumed: dict[int, list[int]] = {}
        for position, column in enumerate(columns.tolist()):
            for number in self._subsumers[column]:
                subsumed.setdefault(number, []).append(position)
        place: dict[int, int] = {}
        for line, number in enumerate(above.tolist()):
            place[number] = line
            for parent in self._parents[number]:
                np.maximum(table[line], table[place[parent]], out=table[line])
            if number in subsumed:
                table[line, subsumed[number]] = number + 1
        return table

    def _numbers(self, wnids: Sequence[str]) -> Ints:
        return np.array([self._find(wnid) for wnid in wnids], dtype=np.int64)

    def _find(self, wnid: str) -> int:
        try:
            return self._number[wnid]
        except KeyError:
            raise UserError(
                f"{wnid}: not in the graph of the similarity ({len(self)} nodes); "
                "expected one of its concepts or of their ancestors"
            ) from None


def _with_ancestors(wordnet: WordNet, concepts: Iterable[str]) -> set[str]:
    todo = list(concepts)
    if not todo:
        raise UserError("Lin similarity: found no concepts, expected at least one wnid")
    nodes: set[str] = set()
    while todo:
        node = todo.pop()
        if node not in nodes:
            nodes.add(node)
            todo.extend(wordnet.parents(node))
    return nodes
