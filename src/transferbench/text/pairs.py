"""Byte-pair encoding learnt from captions with the ``tokenizers`` library."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from transferbench.errors import UserError
from transferbench.text.words import split_spaced, split_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model

SPECIAL = ("<unk>", "[SOS]", "[EOS]", "[MASK]")  # VirTex's, with these ids
BYTE_SPECIAL = ("<|startoftext|>", "<|endoftext|>")  # CLIP's, the last two ids
END_OF_WORD = "</w>"
PRIVATE = 0xE000  # where Unicode leaves characters to everyone's use
_PARALLEL = "TOKENIZERS_PARALLELISM"


def train_character_pairs(captions: Iterable[str], size: int) -> Tokenizer:
    """Learn ``size`` pieces over characters; a blank before a word is the character ``▁``.

    Raises:
        UserError: as ``train_tokeniser``.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE(unk_token=SPECIAL[0]))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    trainer = trainers.BpeTrainer(vocab_size=max(size, 0), special_tokens=list(SPECIAL), show_progress=False)
    with _one_thread():
        backend.train_from_iterator((split_spaced(caption) for caption in captions), trainer)
    found = backend.get_vocab_size()
    if found > size:
        raise UserError(
            f"tokeniser size {size}: the characters of the captions and {len(SPECIAL)} special tokens alone are "
            f"{found}; set a size of at least {found}"
        )
    if found < size:
        raise _too_large(size, found)
    return backend


def train_byte_pairs(captions: Iterable[str], size: int) -> Tokenizer:
    """Learn ``size`` pieces over bytes; the last piece of a word ends in ``</w>``.

    Raises:
        UserError: as ``train_tokeniser``.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())  # CLIP's order: "!" is 0
    letters = [*alphabet, *(letter + END_OF_WORD for letter in alphabet)]
    fixed = len(letters) + len(BYTE_SPECIAL)
    if size < fixed:
        raise UserError(f"tokeniser size {size}: byte_bpe has {fixed} ids before any joined piece; set at least that")
    # The library numbers letters with a suffix as it meets them, in an order that changes from process to process and
    # decides between equally frequent pairs. So the last letter of a word is a character of its own while it learns.
    last = {letter: chr(PRIVATE + index) for index, letter in enumerate(alphabet)}
    named = {character: letter + END_OF_WORD for letter, character in last.items()}
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str

    @cache
    def spelled(word: str) -> str:
        letters = "".join(piece for piece, _ in spell(word))
        return letters[:-1] + last[letters[-1]]

    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=[*alphabet, *named], show_progress=False)
    learner = Tokenizer(models.BPE())
    with _one_thread():
        learner.train_from_iterator(([spelled(word) for word in split_words(caption)] for caption in captions), trainer)
    vocabulary = {letter: index for index, letter in enumerate(letters)}
    merges: list[tuple[str, str]] = []
    for pair in json.loads(learner.to_str())["model"]["merges"]:
        left, right = (piece[:-1] + named.get(piece[-1], piece[-1]) for piece in pair)
        if len(vocabulary) == size - len(BYTE_SPECIAL):
            break
        merges.append((left, right))
        vocabulary.setdefault(left + right, len(vocabulary))
    if (found := len(vocabulary) + len(BYTE_SPECIAL)) < size:
        raise _too_large(size, found)
    vocabulary |= {name: len(vocabulary) + index for index, name in enumerate(BYTE_SPECIAL)}
    model = models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix=END_OF_WORD)
    return _byte_level(model)


def _byte_level(model: Model) -> Tokenizer:
    """A tokeniser that reads words as bytes; ``Ġ`` is how the library writes the byte of a blank."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers

    backend = Tokenizer(model)
    backend.normalizer = normalizers.Strip()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.Sequence([decoders.Replace(END_OF_WORD, "Ġ"), decoders.Fuse(), decoders.ByteLevel()])
    return backend


def _too_large(size: int, found: int) -> UserError:
    return UserError(
        f"tokeniser size {size}: these captions fill {found} at most; set a size of at most {found}, "
        "or give more captions"
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep the library from starting threads: it warns, in every worker, about processes forked after that."""
    before = os.environ.get(_PARALLEL)
    os.environ[_PARALLEL] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLEL]
        else:
            os.environ[_PARALLEL] = before
