"""Byte-pair encoding learnt from captions with the ``tokenizers`` library."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from transferbench.errors import UserError
from transferbench.text.words import split_spaced, split_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model

SPECIAL = ("<unk>", "[SOS]", "[EOS]", "[MASK]")  # VirTex's, with these ids
BYTE_SPECIAL = ("<|startoftext|>", "<|endoftext|>")  # CLIP's, the last two ids
END_OF_WORD = "</w>"
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
    from tokenizers import models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())  # CLIP's order: "!" is 0
    letters = [*alphabet, *(letter + END_OF_WORD for letter in alphabet)]
    fixed = len(letters) + len(BYTE_SPECIAL)
    if size < fixed:
        raise UserError(f"tokeniser size {size}: byte_bpe has {fixed} ids before any joined piece; set at least that")
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, end_of_word_suffix=END_OF_WORD, show_progress=False
    )
    learner = _byte_level(models.BPE(end_of_word_suffix=END_OF_WORD))
    with _one_thread():
        learner.train_from_iterator((split_words(caption) for caption in captions), trainer)
    vocabulary = {letter: index for index, letter in enumerate(letters)}
    merges: list[tuple[str, str]] = []
    for left, right in json.loads(learner.to_str())["model"]["merges"]:
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
