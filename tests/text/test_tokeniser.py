import json
import os
import pickle
import random
import re

import pytest

from transferbench.errors import UserError
from transferbench.text.normalise import normalise
from transferbench.text.tokeniser import Tokeniser, train_tokeniser
from transferbench.text.words import split_words

CAPTIONS = [
    "A man riding a wave on top of a surfboard.",
    "Two dogs play in the snow, near a man's t-shirt!",
    "A cat sits on a bench; café.",
    "the quick brown fox jumps over the lazy dog",
]
STRANGE = [
    "",
    " ",
    "...!!!",
    "🙂 日本 ▁ \x00 \u200d",
    "[MASK] [SOS] [EOS] <unk> </w> <|endoftext|> <|startoftext|>",
    "Ünïcode ½ ﬁ",
    "broken \ud83d half",
    "dog " * 10_000,
    "x" * 3000,
    "!!!a! a!",
]
SIZES = {"bpe": 70, "byte_bpe": 540}


@pytest.fixture(scope="module", params=list(SIZES))
def tokeniser(request: pytest.FixtureRequest) -> Tokeniser:
    return train_tokeniser(CAPTIONS * 3, SIZES[request.param], request.param)


def text_of(tokeniser: Tokeniser, ids: list[int]) -> str:
    return "".join(tokeniser.piece(i) for i in ids).replace("▁", "").replace("</w>", "")


def test_special_ids_stand_where_the_papers_put_them() -> None:
    bpe, byte = (train_tokeniser(CAPTIONS, size, kind) for kind, size in SIZES.items())
    assert (bpe.size, bpe.pad, bpe.start, bpe.end, bpe.mask) == (70, 0, 1, 2, 3)
    assert (byte.size, byte.pad, byte.start, byte.end) == (540, 0, 538, 539)
    assert [byte.piece(i) for i in (0, 256, 538, 539)] == ["!", "!</w>", "<|startoftext|>", "<|endoftext|>"]
    with pytest.raises(UserError, match="use kind=bpe"):
        _ = byte.mask


def test_decoding_gives_the_caption_back(tokeniser: Tokeniser) -> None:
    for caption in CAPTIONS:
        ids = tokeniser.encode(caption).ids
        framed = [tokeniser.start, *ids, tokeniser.end, tokeniser.pad]
        if tokeniser.kind == "bpe":
            assert tokeniser.decode(framed) == normalise(caption)
        else:  # as CLIP's, blanks stand between all words
            assert tokeniser.decode(framed) == " ".join(split_words(caption))


@pytest.mark.parametrize("text", CAPTIONS + STRANGE)
def test_each_word_has_its_own_pieces(tokeniser: Tokeniser, text: str) -> None:
    encoded, words = tokeniser.encode(text), split_words(text)
    assert len(encoded.ids) == len(encoded.words)
    assert sorted(set(encoded.words)) == list(range(len(words)))
    assert encoded.words == sorted(encoded.words)
    assert not {tokeniser.start, tokeniser.end} & set(encoded.ids)
    for index, word in enumerate(words):
        pieces = [i for i, owner in zip(encoded.ids, encoded.words) if owner == index]
        if tokeniser.kind == "byte_bpe":
            assert tokeniser.decode(pieces) == word
        elif word != "▁":
            pattern = "".join("." if i == 0 else re.escape(text_of(tokeniser, [i])) for i in pieces)
            assert re.fullmatch(pattern, word, re.DOTALL)


def test_bytes_know_every_text_and_never_use_the_padding(tokeniser: Tokeniser) -> None:
    draw = random.Random(0)
    for _ in range(300):
        text = "".join(chr(draw.choice([33, 39, 97, draw.randrange(0xD800)])) for _ in range(6))
        encoded = tokeniser.encode(text)
        if tokeniser.kind == "byte_bpe":
            assert 0 not in encoded.ids
            assert tokeniser.decode(encoded.ids) == " ".join(split_words(text))


def test_an_unseen_character_is_unknown_and_text_never_makes_a_special_token() -> None:
    bpe = train_tokeniser(CAPTIONS, 70)
    assert bpe.encode("日").ids[-1] == 0
    assert not {1, 2, 3} & set(bpe.encode("[MASK] [SOS] [EOS]").ids)


def test_saved_and_read_back_it_is_the_same(tokeniser: Tokeniser) -> None:
    for copy in (Tokeniser.from_json(tokeniser.to_json()), pickle.loads(pickle.dumps(tokeniser))):
        assert copy.digest() == tokeniser.digest()
        assert (copy.kind, copy.size, copy.pad, copy.end) == (
            tokeniser.kind,
            tokeniser.size,
            tokeniser.pad,
            tokeniser.end,
        )
        for text in CAPTIONS + STRANGE:
            assert copy.encode(text) == tokeniser.encode(text)


def test_training_again_gives_the_same_and_other_captions_another(tokeniser: Tokeniser) -> None:
    size = tokeniser.size
    assert train_tokeniser(CAPTIONS * 3, size, tokeniser.kind).to_json() == tokeniser.to_json()
    assert train_tokeniser([*CAPTIONS * 3, "zzz xxx " * 50], size, tokeniser.kind).digest() != tokeniser.digest()


def test_the_most_frequent_pair_is_joined_first() -> None:
    bpe = train_tokeniser(["ab ab ab cd"], 4 + 5 + 1)
    assert [bpe.piece(i) for i in range(4, 10)] == ["a", "b", "c", "d", "▁", "ab"]
    byte = train_tokeniser(["ab ab ab cd"], 515, "byte_bpe")
    assert byte.piece(512) == "ab</w>"


@pytest.mark.parametrize(("kind", "small"), [("bpe", 10), ("byte_bpe", 500)])
def test_a_size_out_of_reach_names_one_that_works(kind: str, small: int) -> None:
    with pytest.raises(UserError) as error:
        train_tokeniser(CAPTIONS, 100_000, kind)
    largest = int(re.search(r"at most (\d+)", str(error.value))[1])  # type: ignore[index]
    assert train_tokeniser(CAPTIONS, largest, kind).size == largest
    with pytest.raises(UserError, match="at most"):
        train_tokeniser(CAPTIONS, largest + 1, kind)
    with pytest.raises(UserError) as error:
        train_tokeniser(CAPTIONS, small, kind)
    assert f"size {small}" in str(error.value)


@pytest.mark.parametrize("kind", ["bpe", "byte_bpe"])
@pytest.mark.parametrize("captions", [[], [""], ["   ", "\n"]])
def test_no_text_fills_nothing(kind: str, captions: list[str]) -> None:
    with pytest.raises(UserError, match="at most"):
        train_tokeniser(captions, 600, kind)


def test_bad_input_is_told() -> None:
    with pytest.raises(UserError, match="there are bpe and byte_bpe"):
        train_tokeniser(CAPTIONS, 70, "wordpiece")
    bpe = train_tokeniser(CAPTIONS, 70)
    for index in (-1, 70):
        with pytest.raises(UserError, match="0 to 69"):
            bpe.piece(index)
    state = json.loads(bpe.to_json())
    for text in ("", "[]", "{}", json.dumps(state | {"format": 2}), json.dumps(state | {"backend": {}})):
        with pytest.raises(UserError):
            Tokeniser.from_json(text)


def test_training_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, "true"):
        monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
        if value:
            monkeypatch.setenv("TOKENIZERS_PARALLELISM", value)
        train_tokeniser(CAPTIONS, 70)
        assert os.environ.get("TOKENIZERS_PARALLELISM") == value
    monkeypatch.undo()
