"""Information content of the nodes of a concept graph: how much it says that something is a ``c``, in nats.

``IC(c) = -ln p(c)``. What ``p`` counts is a choice: nodes of the graph, images, or words of a corpus.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from transferbench.concepts.graph import ConceptGraph, Floats
from transferbench.errors import UserError

UNHEARD_OF = 1e300
"""The content of what never occurs, as in NLTK: so large that it decides, and still a number."""

Content = Callable[[ConceptGraph], Floats]
"""From a graph of N nodes to their content ``(N,)``."""


def structural(graph: ConceptGraph) -> Floats:
    """``p(c)`` is the share of the graph's nodes at or below ``c`` (ImageNet-CoG, ICCV 2021): a leaf has ``ln N``."""
    content: Floats = np.log(len(graph)) - np.log(graph.counts)
    return content


def from_images(images: Mapping[str, float]) -> Content:
    """``p(c)`` is the share of the images at or below ``c``; a wnid that is not named has none of its own.

    Raises:
        UserError: of the graph's concepts, none has an image (when the content is asked for).
    """

    def content(graph: ConceptGraph) -> Floats:
        own = np.array([float(images.get(node, 0.0)) for node in graph.nodes])
        if own.sum() <= 0:
            raise UserError(
                "information content from images: none of the concepts has an image; take the structural one"
            )
        return _negative_log(graph.totals(own) / own.sum())

    return content


def from_corpus(path: Path) -> Content:
    """``p(c)`` is the share of a corpus's nouns at or below ``c``, from a file of counts such as ``ic-brown.dat``.

    The format is that of WordNet::Similarity and of NLTK's ``wordnet_ic``: a header, then ``<offset>n <count>`` a
    line, with ``ROOT`` behind it for a root. The counts are summed up the hypernyms already; verbs are passed over.

    Raises:
        UserError: the file is missing or in another format, or (when the content is asked for) of another WordNet.
    """
    counts, total = _read_counts(path)

    def content(graph: ConceptGraph) -> Floats:
        for node, parents in zip(graph.nodes, graph.parents):
            if not parents and not counts.get(node):
                raise UserError(
                    f"{path}: it has no count for {node}, the root of the concepts; "
                    "expected a file of the same WordNet (ImageNet's is 3.0)"
                )
        return _negative_log(np.array([counts.get(node, 0.0) for node in graph.nodes]) / total)

    return content


def _negative_log(shares: Floats) -> Floats:
    content = np.full(len(shares), UNHEARD_OF)
    np.log(shares, out=content, where=shares > 0)
    content[shares > 0] *= -1
    return content


def _read_counts(path: Path) -> tuple[dict[str, float], float]:
    """The count of every noun synset of the file by its wnid, and the sum over the roots."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read it ({error}); expected a file such as ic-brown.dat") from None
    counts: dict[str, float] = {}
    total = 0.0
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split()
        try:
            offset, kind, count = int(fields[0][:-1]), fields[0][-1], float(fields[1])
            sound = kind in "nv" and 0 <= count < math.inf and fields[2:] in ([], ["ROOT"])
        except (ValueError, IndexError):
            sound = False
        if not sound:
            raise UserError(f"{path}, line {number}: found {line[:60]!r}, expected '<offset>n <count>', perhaps 'ROOT'")
        if kind == "n":
            counts[f"n{offset:08d}"] = count
            total += count if len(fields) == 3 else 0.0
    if not total:
        raise UserError(f"{path}: no root with a count among its nouns; expected a file such as ic-brown.dat")
    return counts, total
