"""A small WordNet, written as index files."""

from __future__ import annotations

from pathlib import Path

import pytest

LEMMAS = {
    "noun": "dog cat man child bat bus wave ride stop sign street building box glass woman photo",
    "verb": "ride run stop sit eat hold stand stop sign build bat go",
    "adj": "red old small big",
    "adv": "quickly",
}
HEADER = "  1 This software and database is being provided to you\n"


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    """A folder with all the files that the tagger reads."""
    folder = tmp_path / "wordnet"
    folder.mkdir()
    for part, lemmas in LEMMAS.items():
        lines = [f"{lemma} {part[0]} 1 1 @ 1 0 00000001  \n" for lemma in sorted(lemmas.split())]
        (folder / f"index.{part}").write_text(HEADER + "".join(lines))
    (folder / "noun.exc").write_text("children child\nmen man\nwomen woman\nbroken\n")
    (folder / "verb.exc").write_text("ate eat\nran run\nsat sit\nwent go\n")
    counts = "ride%1:04:00:: 1 2\nride%2:38:00:: 1 30\nstop%2:30:00:: 1 9\nstop%1:11:00:: 1 4\nsign%1:10:00:: 1 5\n"
    (folder / "cntlist.rev").write_text(counts + "sign%2:32:00:: 1 1\nbad line\n")
    return folder
