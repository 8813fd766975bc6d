"""Measures of how alike two concepts of a taxonomy are, as functions of arrays.

``shared`` ``(R, C)`` is the information content of the subsumer chosen for each pair, ``row`` ``(R,)`` and ``column``
``(C,)`` that of the concepts themselves; a pair without a common subsumer shares a content of 0.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from transferbench.concepts.graph import FAR, Floats

ALIKE = 1e300
"""Jiang-Conrath's similarity of a concept to itself, as in NLTK; that of two concepts of the same content too."""


def lin(shared: Floats, row: Floats, column: Floats, same: NDArray[np.bool_]) -> Floats:
    """Lin (ICML 1998): ``2 shared / (row + column)`` in [0, 1]; 1 for a root beside a root, whose content is 0."""
    total = row[:, None] + column
    return np.divide(2.0 * shared, total, out=np.ones_like(shared), where=total > 0)


def resnik(shared: Floats, row: Floats, column: Floats, same: NDArray[np.bool_]) -> Floats:
    """Resnik (IJCAI 1995): ``shared``, in nats, unbounded."""
    return shared


def jiang_conrath(shared: Floats, row: Floats, column: Floats, same: NDArray[np.bool_]) -> Floats:
    """Jiang and Conrath (ROCLING 1997): ``1 / (row + column - 2 shared)``; 0 beside a root that says nothing."""
    apart = row[:, None] + column - 2.0 * shared
    alike = np.divide(1.0, apart, out=np.full_like(shared, ALIKE), where=apart != 0)
    alike[row == 0] = 0.0
    alike[:, column == 0] = 0.0
    alike[same] = ALIKE
    return alike


def path(edges: NDArray[np.unsignedinteger]) -> Floats:
    """The shortest way over a common subsumer: ``1 / (1 + edges)``; 0 where there is none."""
    return np.where(edges < FAR, 1.0 / (1.0 + edges), 0.0)


def wu_palmer(depth: Floats, row_edges: Floats, column_edges: Floats) -> Floats:
    """Wu and Palmer (ACL 1994): ``2 depth / (2 depth + row_edges + column_edges)``.

    ``depth`` ``(R, C)`` counts the nodes from a root down to the subsumer (0: there is none), the others the edges from
    the concepts to it.
    """
    total = 2.0 * depth + row_edges + column_edges
    return np.divide(2.0 * depth, total, out=np.zeros_like(depth), where=depth > 0)


BY_CONTENT: dict[str, Callable[[Floats, Floats, Floats, NDArray[np.bool_]], Floats]] = {
    "lin": lin,
    "resnik": resnik,
    "jcn": jiang_conrath,
}
"""The measures that look at information content, by name."""
