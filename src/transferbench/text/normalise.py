"""The one form in which captions are read: lower case, no accents, single blanks."""

from __future__ import annotations

import unicodedata


def normalise(text: str) -> str:
    """Return ``text`` in lower case, decomposed (NFKD), without combining marks, white space collapsed to one blank.

    These are the steps of VirTex (arXiv:2006.06666), its loader of captions; applying them twice changes nothing. Lone
    halves of surrogate pairs, which broken JSON files hold and which no file can store, are dropped.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    lower = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).lower())
    kept = (c for c in lower if not unicodedata.combining(c) and not "\ud800" <= c <= "\udfff")
    return " ".join("".join(kept).split())
