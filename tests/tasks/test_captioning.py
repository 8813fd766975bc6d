"""Captions that a head writes, and their examination."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from transferbench.data.captions import CaptionRecords
from transferbench.data.evaluation import CentreCrop
from transferbench.data.image_set import ArrayImages
from transferbench.heads.virtex import virtex
from transferbench.tasks import captioning
from transferbench.tasks.captioning import (
    can_write,
    examine_captioning,
    sample_captions,
    search_captions,
)
from transferbench.tasks.examination import HeldOut
from transferbench.text.cider import cider
from transferbench.text.tokeniser import Tokeniser, train_tokeniser

TEXTS = [
    "a red box", "two blue balls", "a man's hat", "the dog runs", "one green tree", "a cat sleeps", "an old red bus",
]  # fmt: skip
OTHERS = ["boxes of wood", "some toys", "a brown hat", "dogs", "leaves on a tree", "cats", "a bus stop"]
LENGTH = 24


@pytest.fixture(scope="module")
def tokeniser() -> Tokeniser:
    return train_tokeniser(TEXTS, 45)


class Speller:
    """Writes the caption whose number the map holds, 0.9 of the probability a token, and the rest evenly."""

    def __init__(self, tokeniser: Tokeniser, texts: list[str]) -> None:
        rows = [[*tokeniser.encode(text).ids, tokeniser.end] for text in texts]
        self.rows = torch.tensor([row + [tokeniser.end] * (LENGTH - len(row)) for row in rows])
        self.size = tokeniser.size
        self.calls: list[int] = []
        self.starts: list[int] = []

    def log_probabilities(self, maps: Tensor, prefixes: Tensor) -> Tensor:
        image = maps[:, 0, 0, 0].long().repeat_interleave(len(prefixes) // len(maps))
        self.calls.append(len(maps))
        self.starts.append(int(prefixes[0, 0]))
        chances = torch.full((len(prefixes), self.size), 0.1 / (self.size - 1))
        return chances.scatter(1, self.rows[image, prefixes.shape[1] - 1, None], 0.9).log()


def write_captions(*given: Any, **options: Any) -> list[str]:
    return [found.captions[0] for found in search_captions(*given, **options)]


def numbered(count: int) -> Tensor:
    """Maps (count, 1, 1, 1) that hold their own number."""
    return torch.arange(count, dtype=torch.float32).view(-1, 1, 1, 1)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_captions_of_a_speller_come_out_however_they_are_batched(tokeniser: Tokeniser, batch: int) -> None:
    head = Speller(tokeniser, TEXTS)
    assert write_captions(head, numbered(7), tokeniser, LENGTH, batch=batch) == TEXTS
    assert set(head.calls) == {min(batch, 7), 7 % batch or min(batch, 7)}
    drawn = sample_captions(head, numbered(7), tokeniser, LENGTH, torch.Generator(), p=0.8, batch=batch)
    assert drawn == TEXTS
    assert write_captions(head, numbered(0), tokeniser, LENGTH) == []


def test_the_longest_caption_counts_its_start_and_end(tokeniser: Tokeniser) -> None:
    head = Speller(tokeniser, TEXTS)
    ids = tokeniser.encode(TEXTS[0]).ids
    exact = len(ids) + 2
    assert write_captions(head, numbered(1), tokeniser, exact) == TEXTS[:1]
    assert write_captions(head, numbered(1), tokeniser, exact - 2) == [tokeniser.decode(ids[:-1])]


@pytest.mark.parametrize("faithful", [False, True])
def test_the_start_token_is_left_out_only_when_asked(tokeniser: Tokeniser, faithful: bool) -> None:
    head = Speller(tokeniser, TEXTS)
    write_captions(head, numbered(1), tokeniser, 5, faithful=faithful)
    first, *later = [start == tokeniser.start for start in head.starts]
    assert first
    assert len(later) == 3
    assert set(later) == {not faithful}


def every_caption(table: Tensor, tokeniser: Tokeniser, steps: int) -> dict[str, float]:
    """The best log-probability of every text that ``steps`` tokens can spell, none following itself."""
    best: dict[str, float] = {}
    for tokens in itertools.product(range(tokeniser.size), repeat=steps):
        ended = tokens.index(tokeniser.end) if tokeniser.end in tokens else steps
        pairs = list(itertools.pairwise((tokeniser.start, *tokens[: ended + 1])))
        if any(t != tokeniser.end for t in tokens[ended:]) or any(a == b for a, b in pairs):
            continue
        text = tokeniser.decode(tokens)
        best[text] = max(
            best.get(text, -torch.inf), sum(float(table[place, a, b]) for place, (a, b) in enumerate(pairs))
        )
    return best


def test_wide_beams_find_the_best_texts_of_all_each_once() -> None:
    small = train_tokeniser(["a b", "b a"], 8)
    table = (2 * torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))).log_softmax(-1)

    class Table:
        def log_probabilities(self, maps: Tensor, prefixes: Tensor) -> Tensor:
            image = maps[:, 0, 0, 0].long().repeat_interleave(len(prefixes) // len(maps))
            return table[image, prefixes.shape[1] - 1, prefixes[:, -1]]

    found = search_captions(Table(), numbered(2), small, 4, beams=512, per_beam=8)
    for image, written in enumerate(found):
        expected = sorted(every_caption(table[image], small, 3).items(), key=lambda one: -one[1])
        assert len(written.captions) == len(set(written.captions))
        assert written.captions[:10] == [text for text, _ in expected[:10]]
        assert written.scores[:10] == pytest.approx([score for _, score in expected[:10]], abs=1e-4)


def test_drawn_captions_hang_on_the_generator_alone(tokeniser: Tokeniser) -> None:
    head, maps = Speller(tokeniser, TEXTS), numbered(7)

    def drawn(seed: int) -> list[str]:
        return sample_captions(head, maps, tokeniser, LENGTH, torch.Generator().manual_seed(seed), p=1.0)

    torch.manual_seed(1)
    first = drawn(5)
    torch.manual_seed(2)
    assert drawn(5) == first
    assert drawn(6) != first


def real_head(tokeniser: Tokeniser, pretext: str) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"width": 4, "tokens": tokeniser.size, "mask": tokeniser.mask}
    textual = "transdec_postnorm::L1_H32_A2_F64"
    return virtex(textual=textual, pretext=pretext, length=LENGTH, dropout=0.0, **sizes)


@pytest.mark.parametrize("pretext", ["captioning", "bicaptioning"])
def test_a_head_that_learned_two_captions_writes_them(tokeniser: Tokeniser, pretext: str) -> None:
    from transferbench.text.batch import CaptionBatch

    head, maps = real_head(tokeniser, pretext), torch.randn(2, 4, 2, 2)
    rows = [[tokeniser.start, *tokeniser.encode(text).ids, tokeniser.end] for text in TEXTS[:2]]
    tokens = torch.tensor([row + [tokeniser.pad] * (LENGTH - len(row)) for row in rows])
    empty = torch.zeros(2, 0)
    text = CaptionBatch(tokens, torch.full_like(tokens, -1), torch.full_like(tokens, -1), empty, torch.arange(2))
    optimizer = torch.optim.AdamW(head.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(head(maps, text).values())).sum().backward()
        optimizer.step()
    head.eval()
    assert write_captions(head, maps, tokeniser, LENGTH) == TEXTS[:2]
    assert write_captions(head, maps.flip(0), tokeniser, LENGTH, batch=1) == TEXTS[1::-1]
    assert sample_captions(head, maps, tokeniser, LENGTH, torch.Generator(), p=0.1) == TEXTS[:2]


def test_a_head_that_fills_gaps_cannot_write(tokeniser: Tokeniser) -> None:
    assert can_write(real_head(tokeniser, "captioning"))
    assert not can_write(real_head(tokeniser, "masked_lm"))
    assert not can_write(nn.Linear(1, 1))
    assert not can_write(None)


@pytest.fixture
def data(tokeniser: Tokeniser) -> Any:
    """Seven held-out images of as many colours, with two references each; the third of eight was not readable."""
    captions = [(other, text.capitalize() + ".") for text, other in zip(TEXTS, OTHERS)]
    captions.insert(2, ("never seen",))
    pixels = np.arange(8, dtype=np.uint8)[:, None, None, None].repeat(12, 1).repeat(10, 2).repeat(3, 3)
    images = ArrayImages(pixels, np.arange(8), ())
    records = CaptionRecords(images, tuple(captions), tuple(range(8)))
    return SimpleNamespace(test_records=records, tokeniser=tokeniser, length=LENGTH, centre=CentreCrop(8, 8))


HELD = HeldOut(numbered(7), [0, 1, 3, 4, 5, 6, 7])


def test_the_examination_against_cider_by_hand(
    data: Any, tokeniser: Tokeniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(captioning.JAR, raising=False)
    references = [data.test_records.captions[row] for row in HELD.rows]
    examined = examine_captioning(Speller(tokeniser, TEXTS), data, HELD, "cpu")
    found, shown = examined.metrics, examined.written
    assert found["captions/cider"] == pytest.approx(cider(TEXTS, references))
    assert found["captions/cider"] > 4  # half of the references are said word by word
    assert found["captions/cider_shuffled"] == pytest.approx(cider([TEXTS[6], *TEXTS[:6]], references))
    assert found["captions/cider_shuffled"] < 0.1 * found["captions/cider"]
    assert 0 < found["captions/cider_nucleus"] <= found["captions/cider"] + 1e-9
    assert found["captions/distinct"] == 1
    assert "captions/spice" not in found
    assert "SPICE_JAR" in examined.facts[1]
    assert [one["reference"] for one in shown] == [OTHERS[i] for i in (0, 1, 2, 4, 5, 6)]  # not that of the unreadable
    assert [one["captions"][0] for one in shown] == [TEXTS[i] for i in (0, 1, 2, 4, 5, 6)]
    assert [int(one["picture"].mean()) for one in shown] == [0, 1, 3, 5, 6, 7]
    assert all(one["picture"].shape == (8, 8, 3) and one["picture"].dtype == np.uint8 for one in shown)
    assert all(1 <= len(one["captions"]) <= 3 and isinstance(one["sampled"], str) for one in shown)


def test_a_head_that_always_says_the_same_is_no_better_than_chance(data: Any, tokeniser: Tokeniser) -> None:
    examined = examine_captioning(Speller(tokeniser, TEXTS[:1] * 7), data, HELD, "cpu")
    assert examined.metrics["captions/distinct"] == pytest.approx(1 / 7)
    assert examined.metrics["captions/cider"] == examined.metrics["captions/cider_shuffled"]


def test_spice_where_it_is_and_a_sentence_where_it_is_not(
    data: Any, tokeniser: Tokeniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = Speller(tokeniser, TEXTS)
    monkeypatch.setenv(captioning.JAR, "/nowhere/spice-1.0.jar")
    examined = examine_captioning(head, data, HELD, "cpu")
    assert "captions/spice" not in examined.metrics
    assert examined.facts[1].startswith("SPICE was not measured: ")

    def fake(candidates: list[str], references: list[tuple[str, ...]], jar: str) -> Any:
        assert candidates == TEXTS
        assert references[2] == data.test_records.captions[3]
        assert jar == "/nowhere/spice-1.0.jar"
        return np.array([0.0, 0.5, 1.0, 0.5])

    monkeypatch.setattr(captioning, "spice", fake)
    examined = examine_captioning(head, data, HELD, "cpu")
    assert examined.metrics["captions/spice"] == 0.5
    assert len(examined.facts) == 1
