"""The tree of the world's concepts: read from ``taxonomy.txt`` and written as WordNet database files (wndb(5WN))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transferbench.errors import UserError
from transferbench.storage import write_text

SOURCE = Path(__file__).with_name("taxonomy.txt")
LEXICOGRAPHER_FILE = "03"  # noun.Tops
OFFSET_DIGITS = 8
HEADER = """\
  1 The concepts of the embedded world of transferbench, in the format of
  2 the database files of WordNet 3.0, described in wndb(5WN).
  3 Offsets of synsets are byte offsets in the file data.noun.
"""


@dataclass(frozen=True)
class Concept:
    """A node of the tree; ``lemma`` is unique, ``parent`` the lemma of its hypernym (None for the root)."""

    lemma: str
    definition: str
    parent: str | None

    @property
    def name(self) -> str:
        """The lemma as people read it."""
        return self.lemma.replace("_", " ")


def read_taxonomy(path: Path = SOURCE) -> tuple[Concept, ...]:
    """Return the concepts of a file in its order, so that parents stand before their children.

    A line is ``lemma: definition``, indented by two spaces a level; blank lines and those that begin with ``#`` are
    skipped. Raises UserError for a line that is none of this, a second root, or a lemma that stands twice.
    """
    concepts: list[Concept] = []
    line_of: dict[str, int] = {}
    above: list[str] = []  # the lemmas on the way from the root to the last line
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        level, lemma, definition = _parsed(line, f"{path}, line {number}")
        if level > len(above) or (level == 0 and concepts):
            reason = "a second root" if level == 0 else "indented by more than two spaces below the line above"
            raise UserError(f"{path}, line {number}: {lemma} is {reason}; every concept but the first has a parent")
        if lemma in line_of:
            raise UserError(f"{path}, line {number}: {lemma} stands already in line {line_of[lemma]}; rename one")
        line_of[lemma] = number
        concepts.append(Concept(lemma, definition, above[level - 1] if level else None))
        above = [*above[:level], lemma]
    if not concepts:
        raise UserError(f"{path}: no concept found; expected lines like 'dog: a domestic canine'")
    return tuple(concepts)


def _parsed(line: str, place: str) -> tuple[int, str, str]:
    """Return the level, the lemma and the definition of a line."""
    lemma, colon, definition = line.strip().partition(":")
    indent = len(line) - len(line.lstrip(" "))
    if not colon or not definition.strip() or not lemma.replace("_", "").isalnum() or indent % 2:
        raise UserError(f"{place}: found {line!r}, expected 'lemma: definition' indented by two spaces a level")
    return indent // 2, lemma, definition.strip()


def leaves(concepts: Sequence[Concept]) -> tuple[Concept, ...]:
    """Return the concepts without children, in the given order."""
    parents = {concept.parent for concept in concepts}
    return tuple(concept for concept in concepts if concept.lemma not in parents)


def concept_ids(concepts: Sequence[Concept]) -> dict[str, str]:
    """Return the id of each lemma: "n" and the byte offset of its synset in ``data.noun``, in 8 digits."""
    blank = {concept.lemma: 0 for concept in concepts}
    position, ids = len(HEADER.encode()), {}
    for concept in concepts:
        ids[concept.lemma] = f"n{position:0{OFFSET_DIGITS}d}"
        position += len(_synset(concept, concepts, blank).encode())
    return ids


def write_wordnet(concepts: Sequence[Concept], folder: Path) -> None:
    """Write ``data.noun`` and ``index.noun`` into ``folder``."""
    offsets = {lemma: int(wnid[1:]) for lemma, wnid in concept_ids(concepts).items()}
    write_text(folder / "data.noun", HEADER + "".join(_synset(c, concepts, offsets) for c in concepts))
    lines = [_index_line(concept, concepts, offsets) for concept in sorted(concepts, key=lambda c: c.lemma)]
    write_text(folder / "index.noun", HEADER + "".join(lines))


def _synset(concept: Concept, concepts: Sequence[Concept], offsets: dict[str, int]) -> str:
    """Return the line of ``data.noun``: offset, file, type, words, pointers (@ hypernym, ~ hyponym), gloss."""
    related = [("@", concept.parent)] if concept.parent else []
    related += [("~", other.lemma) for other in concepts if other.parent == concept.lemma]
    pointers = "".join(f"{symbol} {offsets[lemma]:0{OFFSET_DIGITS}d} n 0000 " for symbol, lemma in related)
    offset = f"{offsets[concept.lemma]:0{OFFSET_DIGITS}d}"
    head = f"{offset} {LEXICOGRAPHER_FILE} n 01 {concept.lemma} 0 {len(related):03d}"
    return f"{head} {pointers}| {concept.definition}  \n"


def _index_line(concept: Concept, concepts: Sequence[Concept], offsets: dict[str, int]) -> str:
    """Return the line of ``index.noun``: lemma, type, synsets, kinds of pointers, senses, tagged senses, offset."""
    has_children = any(other.parent == concept.lemma for other in concepts)
    symbols = ["@"] * (concept.parent is not None) + ["~"] * has_children
    middle = " ".join([str(len(symbols)), *symbols])
    return f"{concept.lemma} n 1 {middle} 1 0 {offsets[concept.lemma]:0{OFFSET_DIGITS}d}  \n"
