"""Left becomes right in the caption of an image that was flipped."""

from __future__ import annotations

import re

_OTHER = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "right": "left", "Right": "Left", "RIGHT": "LEFT"}
_SIDE = "|".join(_OTHER)
_ANYWHERE = re.compile(_SIDE)
_WORDS = re.compile(rf"\b(?:{_SIDE})(?=(?:most|wards?|hand|handed|side)?\b)")


def swap_sides(text: str, faithful: bool = False) -> str:
    """Return ``text`` with left and right exchanged; twice gives ``text`` back.

    Whole words are exchanged, also before -most, -ward(s), -hand(ed) and -side. The meaning is not looked at: "has
    left" becomes "has right".

    Args:
        text: a caption; lower case, Title Case and UPPER CASE are kept, other mixtures are left alone.
        faithful: exchange inside words too, as VirTex's code does ("a bright kite" -> "a bleft kite").
    """
    return (_ANYWHERE if faithful else _WORDS).sub(lambda found: _OTHER[found.group()], text)
