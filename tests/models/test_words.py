"""Texts become what the head makes of them in training."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from transferbench.data.caption_encoder import CaptionEncoder
from transferbench.errors import UserError
from transferbench.heads.contrastive import ContrastiveHead, clip_head
from transferbench.models.text_encoder import TextEncoder
from transferbench.models.words import Words
from transferbench.text.tokeniser import Tokeniser, train_tokeniser
from transferbench.text.vocabulary import ConceptVocabulary

TEXTS = ["a red ball", "a box", "a ball on a box beside another red ball", ""]


@pytest.fixture(scope="module")
def tokeniser() -> Tokeniser:
    return train_tokeniser(TEXTS, 28)


def head(tokeniser: Tokeniser) -> ContrastiveHead:
    torch.manual_seed(0)
    text = TextEncoder(tokeniser.size, width=8, layers=1, heads=2, length=9, embedding=6)
    return clip_head(width=8, tokens=tokeniser.size, text=text)


def kept(tokeniser: Tokeniser) -> dict[str, Any]:
    concepts = ConceptVocabulary(("ball", "red"), ("noun", "adjective"), {"ball": 0, "balls": 0, "red": 1})
    return {"tokeniser": tokeniser.to_json(), "length": 9, "vocabulary": concepts.to_dict()}


def test_texts_are_embedded_as_captions_are(tokeniser: Tokeniser) -> None:
    contrastive = head(tokeniser).train()
    words = Words(contrastive, kept(tokeniser))
    encoder = CaptionEncoder(tokeniser, ConceptVocabulary((), (), ()), 9)
    rows = torch.stack([encoder(text, torch.zeros(0), -1).tokens for text in TEXTS])
    assert torch.tensor([words.tokens(text) for text in TEXTS]).equal(rows)
    assert (rows[2] != tokeniser.end).all() and rows[2, -1] != tokeniser.pad, "one of them is cut"
    found = words(TEXTS)
    torch.testing.assert_close(found, contrastive.embed_text(rows).detach())
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    assert not contrastive.training and not found.requires_grad


def test_what_no_caption_held_is_not_known(tokeniser: Tokeniser) -> None:
    words = Words(head(tokeniser), kept(tokeniser))
    assert words.knows("Blue Balls") and not any(map(words.knows, ("blue box", "ballroom", "\u72d0", "")))


def test_a_checkpoint_without_a_tokeniser_reads_no_words(tokeniser: Tokeniser) -> None:
    with pytest.raises(UserError, match="no tokeniser and no length and no vocabulary"):
        Words(head(tokeniser), {})
