"""Sub-word tokenisers that know which word of the caption each of their pieces belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from transferbench.errors import UserError
from transferbench.storage import digest_of
from transferbench.text.words import split_spaced

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FORMAT = 1  # of the JSON text


class Encoded(NamedTuple):
    """The pieces of one caption, without special tokens.

    ``words[i]`` is the index in ``split_words(text)`` of the word that piece ``ids[i]`` belongs to; it never falls.
    """

    ids: list[int]
    words: list[int]


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the special tokens; ``mask`` is None where there is none, ``unknown`` where every text has pieces."""

    pad: int
    start: int
    end: int
    mask: int | None
    unknown: int | None


class Tokeniser:
    """Encode captions as ids and back; made by ``train_tokeniser``, ``pretrained_tokeniser`` or ``from_json``.

    Args:
        backend: a tokeniser of the ``tokenizers`` library, fed with one word at a time (a blank before it where the
            caption has one), so that no piece ever spans two words.
        kind: ``"bpe"``, ``"byte_bpe"`` or ``"pretrained"``.
        special: the ids of the special tokens.
    """

    def __init__(self, backend: Tokenizer, kind: str, special: SpecialIds) -> None:
        self._backend = backend
        self._special = special
        self._dropped = {special.pad, special.start, special.end, special.mask, special.unknown}
        self.kind = kind
        self.size: int = backend.get_vocab_size()

    @property
    def pad(self) -> int:
        """The id that fills short captions up."""
        return self._special.pad

    @property
    def start(self) -> int:
        """The id before the first piece."""
        return self._special.start

    @property
    def end(self) -> int:
        """The id behind the last piece."""
        return self._special.end

    @property
    def hides(self) -> bool:
        """Whether there is an id that stands for a hidden piece."""
        return self._special.mask is not None

    @property
    def mask(self) -> int:
        """The id that stands for a hidden piece.

        Raises:
            UserError: this tokeniser has none.
        """
        if self._special.mask is None:
            raise UserError(
                f"a tokeniser of kind '{self.kind}' without a mask token was given; masking needs one: use kind=bpe"
            )
        return self._special.mask

    def encode(self, text: str) -> Encoded:
        """Return the pieces of ``text`` and the word each belongs to; an empty text has none."""
        return self.encode_words(split_spaced(text))

    def encode_words(self, spaced: Sequence[str]) -> Encoded:
        """Return the same of words that ``split_spaced`` gave."""
        coded = self._backend.encode(spaced, is_pretokenized=True, add_special_tokens=False)
        return Encoded(coded.ids, [word for word in coded.word_ids if word is not None])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``; padding, unknown and other special ids are dropped."""
        text: str = self._backend.decode([int(i) for i in ids if i not in self._dropped], skip_special_tokens=False)
        return text.strip()

    def piece(self, index: int) -> str:
        """Return the piece with this id, as the vocabulary writes it.

        Raises:
            UserError: there is no such id.
        """
        found: str | None = self._backend.id_to_token(int(index)) if index >= 0 else None
        if found is None:
            raise UserError(f"token id {index}: this tokeniser has the ids 0 to {self.size - 1}")
        return found

    def to_json(self) -> str:
        """Return everything as one JSON text, which :meth:`from_json` reads without any other package."""
        state = {
            "format": FORMAT,
            "kind": self.kind,
            "special": vars(self._special),
            "backend": json.loads(self._backend.to_str()),
        }
        return json.dumps(state, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Tokeniser:
        """Return the tokeniser that :meth:`to_json` wrote.

        Raises:
            UserError: ``text`` is something else, or of another format.
        """
        from tokenizers import Tokenizer

        try:
            state = json.loads(text)
            if state["format"] != FORMAT:
                raise UserError(f"a tokeniser of format {state['format']}; this version reads format {FORMAT}")
            backend = Tokenizer.from_str(json.dumps(state["backend"], ensure_ascii=False))
            return Tokeniser(backend, state["kind"], SpecialIds(**state["special"]))
        except UserError:
            raise
        except Exception as error:  # the library raises bare Exceptions
            raise UserError(f"this is no saved tokeniser ({error}); expected the text of Tokeniser.to_json()") from None

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change with the pieces, their ids or the special ids."""
        return digest_of(self.to_json())


def train_tokeniser(captions: Iterable[str], size: int, kind: str = "bpe") -> Tokeniser:
    """Learn a vocabulary of exactly ``size`` ids from ``captions``; the same captions give the same vocabulary.

    Args:
        captions: raw captions; they are normalised first.
        size: special tokens included.
        kind: ``"bpe"``: characters joined by frequency, a mark before each word, as SentencePiece in VirTex
            (arXiv:2006.06666); ids 0 padding and unknown, 1 start, 2 end, 3 mask. ``"byte_bpe"``: bytes joined by
            frequency, a mark behind each word, as in CLIP (arXiv:2103.00020): 256 bytes, 256 bytes at the end of a
            word, the joined ones, start, end; padding is 0, which no text uses; no mask token, nothing unknown.

    Raises:
        UserError: ``captions`` cannot fill ``size`` (says the largest they can), or it is too small for their alphabet.
    """
    from transferbench.text.pairs import train_byte_pairs, train_character_pairs

    if kind == "bpe":
        return Tokeniser(train_character_pairs(captions, size), kind, SpecialIds(0, 1, 2, 3, 0))
    if kind == "byte_bpe":
        return Tokeniser(train_byte_pairs(captions, size), kind, SpecialIds(0, size - 2, size - 1, None, None))
    raise UserError(f"tokeniser kind '{kind}': there are bpe and byte_bpe")
