"""Some concepts and all their ancestors as a graph, and the sweeps over it that similarities are made of."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from transferbench.concepts.wordnet import WordNet
from transferbench.errors import UserError

FAR = 2**15
"""A distance at least this large: there is no way, for the two share no subsumer."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Table = NDArray[np.unsignedinteger]
Own = Mapping[int, tuple[list[int], int | list[int]]]  # a node: positions in its line of a table, and what they hold


class ConceptGraph:
    """The given concepts and their ancestors; a node subsumes itself and all below it.

    Nodes are numbered from shallow to deep (by the longest path to a root), equally deep ones from the last synset name
    to the first: parents come before their children.

    Args:
        wordnet: the taxonomy.
        concepts: wnids; repeated ones count once.

    Attributes:
        nodes: wnids by number.
        parents: the numbers of each node's hypernyms.
        subsumers: the numbers of each node's subsumers.
        counts: ``(N,)``: nodes at or below each node.
        max_depth: edges on each node's longest path to a root.
        min_depth: edges on each node's shortest path to a root.
        name_rank: each node's rank by synset name, the last name first.

    Raises:
        UserError: no concepts, or one is not in ``wordnet``.
    """

    def __init__(self, wordnet: WordNet, concepts: Iterable[str]) -> None:
        names = {node: wordnet.synset_name(node) for node in _with_ancestors(wordnet, concepts)}
        by_name = sorted(names, key=names.__getitem__, reverse=True)
        rank = {node: place for place, node in enumerate(by_name)}
        self.nodes: tuple[str, ...] = tuple(sorted(by_name, key=wordnet.max_depth))
        self._number = {node: number for number, node in enumerate(self.nodes)}
        self.name_rank: Ints = np.array([rank[node] for node in self.nodes], dtype=np.int64)
        self.parents = [[self._number[parent] for parent in wordnet.parents(node)] for node in self.nodes]
        self.max_depth: Ints = np.array([wordnet.max_depth(node) for node in self.nodes], dtype=np.int64)
        self.min_depth: Ints = np.zeros(len(self.nodes), dtype=np.int64)
        self.subsumers: list[set[int]] = []
        for number, parents in enumerate(self.parents):
            self.subsumers.append({number}.union(*(self.subsumers[parent] for parent in parents)))
            self.min_depth[number] = min((self.min_depth[parent] + 1 for parent in parents), default=0)
        self.counts: Ints = np.bincount([above for subsumers in self.subsumers for above in subsumers])

    def __len__(self) -> int:
        return len(self.nodes)

    def __contains__(self, wnid: object) -> bool:
        return wnid in self._number

    def number(self, wnid: str) -> int:
        """The number of a node; UserError where it is none."""
        try:
            return self._number[wnid]
        except KeyError:
            raise UserError(
                f"{wnid}: not in the graph of the similarity ({len(self)} nodes); "
                "expected one of its concepts or of their ancestors"
            ) from None

    def numbers(self, wnids: Sequence[str]) -> Ints:
        """``(len(wnids),)`` numbers."""
        return np.array([self.number(wnid) for wnid in wnids], dtype=np.int64)

    def totals(self, weights: Floats) -> Floats:
        """``(N,)``: the sum of ``weights`` ``(N,)`` over the nodes at or below each node, every one taken once."""
        spread = np.repeat(weights, [len(subsumers) for subsumers in self.subsumers])
        flat = [above for subsumers in self.subsumers for above in subsumers]
        return np.bincount(flat, weights=spread, minlength=len(self)).astype(np.float64)

    def at_or_above(self, numbers: Ints) -> Ints:
        """The ascending numbers of all subsumers of ``numbers``: the lines of a table for them."""
        return np.array(sorted(set().union(*(self.subsumers[number] for number in numbers.tolist()))), dtype=np.int64)

    def subsumer_table(self, lines: Ints, columns: Ints, rank: Ints) -> Table:
        """``(len(lines), len(columns))``: 1 + the largest ``rank`` ``(N,)`` of a common subsumer, 0 for none.

        ``lines`` comes from ``at_or_above``. The common subsumers of ``a`` and ``b`` are those of ``a``'s parents and
        ``b``, and ``a`` if it subsumes ``b``: one sweep downwards finds the best of each.
        """
        table = np.zeros((len(lines), len(columns)), dtype=np.min_scalar_type(len(self)))
        subsumed: dict[int, list[int]] = {}
        for position, column in enumerate(columns.tolist()):
            for number in self.subsumers[column]:
                subsumed.setdefault(number, []).append(position)
        own = {number: (positions, int(rank[number]) + 1) for number, positions in subsumed.items()}
        self._sweep(table, lines, own, np.maximum)
        return table

    def distance_table(self, lines: Ints, columns: Ints) -> Table:
        """``(len(lines), len(columns))``: edges on the shortest way over a common subsumer, ``FAR`` or more for none.

        ``lines`` comes from ``at_or_above``.
        """
        table = np.full((len(lines), len(columns)), FAR, dtype=np.uint16)
        upward: dict[int, tuple[list[int], list[int]]] = {}
        for position, column in enumerate(columns.tolist()):
            for number, edges in self._edges_up(column).items():
                positions, distances = upward.setdefault(number, ([], []))
                positions.append(position)
                distances.append(edges)
        self._sweep(table, lines, upward, np.minimum, step=1)
        return table

    def _edges_up(self, start: int) -> dict[int, int]:
        """Edges on the shortest way from a node up to each of its subsumers."""
        found, level = {start: 0}, [start]
        while level:
            above = dict.fromkeys(parent for number in level for parent in self.parents[number] if parent not in found)
            found |= dict.fromkeys(above, found[level[0]] + 1)
            level = list(above)
        return found

    def _sweep(self, table: Table, lines: Ints, own: Own, merge: np.ufunc, step: int = 0) -> None:
        """Fill a table downwards: a line takes its parents' (plus ``step``) and its ``own`` values, merged."""
        place: dict[int, int] = {}
        for line, number in enumerate(lines.tolist()):
            place[number] = line
            for parent in self.parents[number]:
                upper = table[place[parent]]
                merge(table[line], upper + np.uint16(step) if step else upper, out=table[line])
            if number in own:
                positions, values = own[number]
                table[line, positions] = merge(table[line, positions], values)


def _with_ancestors(wordnet: WordNet, concepts: Iterable[str]) -> set[str]:
    todo = list(concepts)
    if not todo:
        raise UserError("similarity: found no concepts, expected at least one wnid")
    nodes: set[str] = set()
    while todo:
        node = todo.pop()
        if node not in nodes:
            nodes.add(node)
            todo.extend(wordnet.parents(node))
    return nodes
