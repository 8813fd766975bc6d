import sys
from pathlib import Path

import pytest

from transferbench.errors import UserError
from transferbench.text.pretrained import pretrained_tokeniser
from transferbench.text.tokeniser import Tokeniser
from transferbench.text.words import split_words

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "##s", "ride", "##r", "'", "s", ".", "t", "-"]


def save(folder: Path, special: dict[str, str]) -> str:
    """Write a WordPiece tokeniser as the transformers library saves one."""
    transformers = pytest.importorskip("transformers", reason="the transformers library is not installed")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    backend = Tokenizer(models.WordPiece({p: i for i, p in enumerate(PIECES)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    backend.enable_truncation(4)
    backend.enable_padding(length=9)
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
    return str(folder)


BERT = {name + "_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def test_a_wordpiece_tokeniser_keeps_its_ids_and_knows_the_words(tmp_path: Path) -> None:
    tokeniser = pretrained_tokeniser(save(tmp_path, BERT))
    assert (tokeniser.kind, tokeniser.size) == ("pretrained", len(PIECES))
    assert (tokeniser.pad, tokeniser.start, tokeniser.end, tokeniser.mask) == (0, 2, 3, 4)
    encoded = tokeniser.encode("A dog's riders.  DOGS t-s")
    assert [tokeniser.piece(i) for i in encoded.ids] == [
        "a", "dog", "'", "s", "ride", "##r", "##s", ".", "dog", "##s", "t", "-", "s",
    ]  # fmt: skip
    assert encoded.words == [0, 1, 2, 2, 3, 3, 3, 4, 5, 5, 6, 6, 6]
    assert split_words("A dog's riders.  DOGS t-s")[6] == "t-s"
    assert tokeniser.encode("") == ([], [])
    assert tokeniser.encode("zebra 🙂") == ([1, 1], [0, 1])


def test_saved_it_needs_the_library_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokeniser = pretrained_tokeniser(save(tmp_path, BERT))
    monkeypatch.setitem(sys.modules, "transformers", None)
    again = Tokeniser.from_json(tokeniser.to_json())
    assert again.digest() == tokeniser.digest()
    assert again.encode("a dog rides") == tokeniser.encode("a dog rides")
    assert again.mask == 4


def test_padding_is_never_a_token_of_the_text(tmp_path: Path) -> None:
    without = {name: token for name, token in BERT.items() if name != "pad_token"}
    assert pretrained_tokeniser(save(tmp_path / "free", without)).pad == 0  # no text has the piece [PAD]
    with pytest.raises(UserError, match="no start or no end token"):
        pretrained_tokeniser(save(tmp_path / "bare", {"unk_token": "[UNK]"}))


def test_the_library_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'transferbench\[captions\]'"):
        pretrained_tokeniser("bert-base-uncased")


def test_a_folder_without_a_tokeniser_is_told(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the transformers library is not installed")
    with pytest.raises(UserError, match="cannot load it"):
        pretrained_tokeniser(str(tmp_path))
