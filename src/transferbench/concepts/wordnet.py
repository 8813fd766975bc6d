"""WordNet's nouns, read straight from its database files (format: the manual page wndb(5WN)).

A concept is named by its wnid, as in ImageNet: ``"n"`` and the eight-digit byte offset of its synset in ``data.noun``.
ImageNet's wnids are those of WordNet 3.0.
"""

import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from transferbench.errors import UserError

_INSTALL = (
    "install WordNet 3.0 with `apt-get install wordnet-base` or `python -m nltk.downloader wordnet`, "
    "or set WORDNET_DIR to a folder that holds data.noun and index.noun"
)
_SYSTEM = Path("/usr/share/wordnet")  # Debian's wordnet-base
_NLTK_SYSTEM = ("/usr/share", "/usr/local/share", "/usr/lib", "/usr/local/lib")  # as in nltk.data
_EXAMPLE = re.compile(r';\s*"')  # a gloss is `definition; "an example"; "another"`


class WordNet:
    """The noun synsets of one WordNet database; build it with :func:`open_wordnet`.

    Args:
        nouns: the bytes of ``data.noun``.
        index: the bytes of ``index.noun`` (orders the senses of a lemma).
        source: where they come from, for messages.

    Raises:
        UserError: ``nouns`` is truncated or garbled; names the file and the line.
    """

    def __init__(self, nouns: bytes, index: bytes, source: str) -> None:
        self.source = source
        self._nouns = nouns
        self._parents = _parse_parents(nouns, f"{source}/data.noun")
        self._senses = {line[: line.find(b" ")]: line for line in index.split(b"\n")}
        self._depths: dict[str, int] = {}

    @property
    def wnids(self) -> tuple[str, ...]:
        """All wnids, in the order of the file (ascending)."""
        return tuple(self._parents)

    def __contains__(self, wnid: object) -> bool:
        return wnid in self._parents

    def __len__(self) -> int:
        return len(self._parents)

    def names(self, wnid: str) -> tuple[str, ...]:
        """The synset's words in WordNet's order, readable: ``("tiger cat",)``."""
        return tuple(word.replace("_", " ") for word in self._words(wnid))

    def synset_name(self, wnid: str) -> str:
        """NLTK's name of the synset: first lemma in lower case, part of speech, sense number (``"quince.n.02"``).

        Raises:
            UserError: ``index.noun`` does not list the synset under its first lemma.
        """
        lemma = self._words(wnid)[0].lower()
        fields = self._senses.get(lemma.encode(), b"").split()
        senses = fields[-int(fields[2]) :] if len(fields) > 6 and fields[2].isdigit() else []
        if wnid[1:].encode() not in senses:
            raise UserError(
                f"{self.source}/index.noun: no sense {wnid[1:]} under '{lemma}', which data.noun has; {_INSTALL}"
            )
        return f"{lemma}.n.{senses.index(wnid[1:].encode()) + 1:02d}"

    def definition(self, wnid: str) -> str:
        """The synset's gloss without its examples."""
        gloss = self._line(wnid).partition("|")[2].strip()
        return _EXAMPLE.split(gloss, maxsplit=1)[0].strip("; ")

    def parents(self, wnid: str) -> tuple[str, ...]:
        """Hypernyms and instance hypernyms, in the order of the file."""
        try:
            return self._parents[wnid]
        except KeyError:
            raise UserError(
                f"{wnid}: no such noun synset in {self.source} ({len(self)} synsets); "
                "ImageNet's ids are those of WordNet 3.0"
            ) from None

    def ancestors(self, wnid: str) -> frozenset[str]:
        """All hypernyms of hypernyms up to the root, the synset itself not included."""
        found: set[str] = set()
        todo = list(self.parents(wnid))
        while todo:
            ancestor = todo.pop()
            if ancestor not in found:
                found.add(ancestor)
                todo.extend(self._parents[ancestor])
        return frozenset(found)

    def max_depth(self, wnid: str) -> int:
        """Edges on the longest path to a root; 0 for a root.

        Raises:
            UserError: the synset stands below a cycle.
        """
        self.parents(wnid)
        path = [wnid]
        on_path = {wnid}
        while path:
            node = path[-1]
            pending = [parent for parent in self._parents[node] if parent not in self._depths]
            if not pending:
                self._depths[node] = max((self._depths[parent] + 1 for parent in self._parents[node]), default=0)
                on_path.discard(path.pop())
            elif pending[0] in on_path:
                raise UserError(
                    f"{self.source}/data.noun: synset {pending[0]} is its own ancestor; expected a graph without cycles"
                )
            else:
                path.append(pending[0])
                on_path.add(pending[0])
        return self._depths[wnid]

    def _line(self, wnid: str) -> str:
        self.parents(wnid)
        start = int(wnid[1:])
        return self._nouns[start : self._nouns.find(b"\n", start)].decode("utf-8", "replace")

    def _words(self, wnid: str) -> list[str]:
        fields = self._line(wnid).split(" ")
        return fields[4 : 4 + 2 * int(fields[3], 16) : 2]


def _parse_parents(nouns: bytes, path: str) -> dict[str, tuple[str, ...]]:
    """Map every wnid of ``data.noun`` to its hypernyms; check each line's offset, counts and pointers on the way."""
    parents: dict[str, tuple[str, ...]] = {}
    named_in: dict[bytes, int] = {}  # offsets that a line names as hypernym or hyponym -> the last such line
    lines = nouns.split(b"\n")
    position = 0
    for number, line in enumerate(lines, 1):
        if line and line[:2] != b"  ":  # the licence stands in lines that begin with two spaces
            upward, downward = _parse_line(line, position, f"{path}, line {number}")
            parents["n" + line[:8].decode()] = tuple(["n" + target.decode("ascii", "replace") for target in upward])
            named_in.update(dict.fromkeys(upward + downward, number))
        position += len(line) + 1
    if not parents:
        raise UserError(f"{path}, line 1: no synset in the file; expected WordNet's nouns; {_INSTALL}")
    if lines[-1]:
        raise UserError(f"{path}, line {len(lines)}: the file breaks off within this line; {_INSTALL}")
    for offset, number in named_in.items():
        wnid = "n" + offset.decode("ascii", "replace")
        if wnid not in parents:
            raise UserError(f"{path}, line {number}: names synset {wnid}, which the file does not have; {_INSTALL}")
    return parents


def _parse_line(line: bytes, position: int, where: str) -> tuple[list[bytes], list[bytes]]:
    """Hypernyms and hyponyms of ``offset file n w_cnt (word id)* p_cnt (symbol offset pos target)* | gloss``."""
    fields = line[: line.find(b"|")].split()
    try:
        pointers = 5 + 2 * int(fields[3], 16)
        sound = len(fields) == pointers + 4 * int(fields[pointers - 1]) and fields[2] == b"n" and pointers > 5
    except (ValueError, IndexError):
        sound = False
    if not sound:
        raise UserError(f"{where}: this is no noun synset in WordNet's format, or only a part of one; {_INSTALL}")
    if fields[0] != b"%08d" % position:
        raise UserError(
            f"{where}: this synset calls itself {fields[0].decode('ascii', 'replace')} but stands at byte "
            f"{position:08d}; the file has been changed (line ends converted?); {_INSTALL}"
        )
    upward, downward = [], []
    for symbol, target in zip(fields[pointers::4], fields[pointers + 1 :: 4]):
        if symbol in (b"@", b"@i"):
            upward.append(target)
        elif symbol in (b"~", b"~i"):
            downward.append(target)
    return upward, downward


def open_wordnet(folder: Path | None = None) -> WordNet:
    """Open the first WordNet found.

    Args:
        folder: a folder that holds ``data.noun`` and ``index.noun``, or NLTK's zip of one. None: ``WORDNET_DIR`` if
            that is set, else ``/usr/share/wordnet``, else ``corpora/wordnet`` in NLTK's data folders.

    Raises:
        UserError: there is none (says what to install), or its ``data.noun`` is damaged (names the line).
    """
    named = folder or (Path(os.environ["WORDNET_DIR"]) if os.environ.get("WORDNET_DIR") else None)
    if named is not None:
        return _read(Path(named).expanduser())
    places = [_SYSTEM, *_nltk_places()]
    for place in places:
        if place.suffix == ".zip" or (place / "data.noun").is_file():
            return _read(place)
    raise UserError(
        f"WordNet not found in {', '.join(dict.fromkeys(str(place.parent) for place in places))}; {_INSTALL}"
    )


def _nltk_places() -> Iterator[Path]:
    """The folder or zip ``corpora/wordnet`` of every NLTK data folder (NLTK's own search path); the zips that exist."""
    named = [Path(entry) for entry in os.environ.get("NLTK_DATA", "").split(os.pathsep) if entry]
    inside = [Path(sys.prefix, part) for part in ("nltk_data", "share/nltk_data", "lib/nltk_data")]
    system = [Path(root, "nltk_data") for root in _NLTK_SYSTEM]
    for root in [*named, Path.home() / "nltk_data", *inside, *system]:
        yield root / "corpora" / "wordnet"
        if (root / "corpora" / "wordnet.zip").is_file():
            yield root / "corpora" / "wordnet.zip"


def _read(place: Path) -> WordNet:
    try:
        if place.suffix == ".zip":
            with zipfile.ZipFile(place) as archive:
                nouns, index = (archive.read(f"wordnet/{name}") for name in ("data.noun", "index.noun"))
        else:
            nouns, index = ((place / name).read_bytes() for name in ("data.noun", "index.noun"))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{place}: cannot read data.noun and index.noun there ({error}); {_INSTALL}") from None
    return WordNet(nouns, index, str(place))
