"""Tokenisers of the transformers library, by name, behind the project's own interface."""

from __future__ import annotations

from typing import Any

from transferbench.errors import UserError
from transferbench.text.tokeniser import SpecialIds, Tokeniser


def pretrained_tokeniser(name: str) -> Tokeniser:
    """Return the tokeniser that belongs to a published language model, such as ``bert-base-uncased``.

    Captions are normalised (lower case, no accents) before it sees them, word by word. Saved as JSON it is complete:
    reading it back needs neither the name nor the library.

    Args:
        name: a name on the Hugging Face hub, or a folder that holds such a tokeniser.

    Raises:
        UserError: the library is missing, there is no such tokeniser, or it lacks what a caption needs.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise UserError(
            f"tokeniser '{name}' comes from the transformers library, which is not installed; "
            "type: pip install 'transferbench[captions]'"
        ) from None
    try:
        found = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # hub, network, file and parser errors of several libraries
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"tokeniser '{name}': the transformers library cannot load it ({reason}); expected bpe, byte_bpe, a name "
            "on the Hugging Face hub or a folder with a tokenizer.json"
        ) from None
    return wrap_tokeniser(found, name)


def wrap_tokeniser(found: Any, name: str) -> Tokeniser:
    """Return ``found``, a tokeniser of the transformers library, behind the project's interface.

    Raises:
        UserError: it has no fast version, or no start, end or padding token of its own.
    """
    from tokenizers import Tokenizer

    inner = getattr(found, "backend_tokenizer", None)
    if not isinstance(inner, Tokenizer):
        raise UserError(f"tokeniser '{name}' has no fast version, which tells the word of each piece; choose another")
    backend = Tokenizer.from_str(inner.to_str())
    backend.no_padding()
    backend.no_truncation()
    start = found.cls_token_id if found.cls_token_id is not None else found.bos_token_id
    end = found.sep_token_id if found.sep_token_id is not None else found.eos_token_id
    if start is None or end is None:
        raise UserError(f"tokeniser '{name}' has no start or no end token; choose one as BERT's or CLIP's")
    special = SpecialIds(_padding(found.pad_token_id, end, backend, name), start, end, found.mask_token_id, None)
    if found.unk_token_id not in (None, start, end):
        special = SpecialIds(special.pad, start, end, special.mask, found.unk_token_id)
    return Tokeniser(backend, "pretrained", special)


def _padding(pad: int | None, end: int, backend: Any, name: str) -> int:
    """Return the padding id, or 0 as in CLIP where that is missing or the end token, if no text has the piece 0."""
    if pad is not None and pad != end:
        return pad
    piece = backend.id_to_token(0)
    if 0 in backend.encode([piece, f" {piece}"], is_pretokenized=True, add_special_tokens=False).ids:
        raise UserError(f"tokeniser '{name}' has no padding token; choose one as BERT's or CLIP's")
    return 0
