import math

import pytest
import torch
from torch import Tensor

from transferbench.text.masking import (
    fill_gaps,
    first_pieces,
    mask_every_word,
    mask_for_language,
    mask_one_word,
    mask_virtex,
)

MASK, SIZE = 3, 50


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def captions(rows: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Random captions of words of one to three pieces: start, pieces, end, padding; some cut, some without concept."""
    draw = seeded(seed)
    tokens = torch.zeros(rows, length, dtype=torch.int64)
    words, concepts = torch.full_like(tokens, -1), torch.full_like(tokens, -1)
    for row in range(rows):
        ids, places, owners = [1], [-1], [-1]
        for word in range(int(torch.randint(8, (), generator=draw))):
            concept = int(torch.randint(-4, 5, (), generator=draw).clamp(min=-1))
            for _ in range(1 + int(torch.randint(3, (), generator=draw))):
                ids.append(int(torch.randint(4, SIZE, (), generator=draw)))
                places.append(word)
                owners.append(concept)
        ids, places, owners = [*ids, 2], [*places, -1], [*owners, -1]
        end = min(length, len(ids))
        for tensor, values in ((tokens, ids), (words, places), (concepts, owners)):
            tensor[row, :end] = torch.tensor(values[:end])
    return tokens, words, concepts


def words_of(words: Tensor, concepts: Tensor) -> list[tuple[list[int], int]]:
    """The positions and the concept of each maskable word of one caption."""
    found: dict[int, tuple[list[int], int]] = {}
    for position, (word, concept) in enumerate(zip(words.tolist(), concepts.tolist())):
        if word >= 0 and concept >= 0:
            found.setdefault(word, ([], concept))[0].append(position)
    return list(found.values())


@pytest.mark.parametrize("seed", range(5))
def test_one_word_is_hidden_with_all_its_pieces_and_nothing_else(seed: int) -> None:
    tokens, words, concepts = captions(60, 12, seed)
    before = tokens.clone()
    masked = mask_one_word(tokens, words, concepts, MASK, seeded(seed))
    assert torch.equal(tokens, before)
    for row in range(60):
        choices = words_of(words[row], concepts[row])
        hidden = (masked.tokens[row] != tokens[row]).nonzero()[:, 0].tolist()
        assert bool(masked.valid[row]) == bool(choices)
        if not choices:
            assert (hidden, int(masked.position[row]), int(masked.target[row])) == ([], -1, -1)
            continue
        assert (hidden, int(masked.target[row])) in choices
        assert int(masked.position[row]) == hidden[0]
        assert (masked.tokens[row, hidden] == MASK).all()


def test_words_not_pieces_are_drawn_uniformly() -> None:
    tokens = torch.tensor([[1, 10, 11, 12, 20, 30, 2, 0]])
    words = torch.tensor([[-1, 0, 0, 0, 1, 2, -1, -1]])
    concepts = torch.tensor([[-1, 5, 5, 5, -1, 6, -1, -1]])
    rows = 4000
    masked = mask_one_word(*(t.expand(rows, -1) for t in (tokens, words, concepts)), MASK, seeded())
    share = float((masked.target == 5).double().mean())
    assert abs(share - 0.5) < 4 * 0.5 / math.sqrt(rows)


def test_the_same_word_twice_is_hidden_once() -> None:
    tokens = torch.tensor([[1, 10, 10, 2]])
    masked = mask_one_word(tokens, torch.tensor([[-1, 0, 1, -1]]), torch.tensor([[-1, 4, 4, -1]]), MASK, seeded())
    assert (masked.tokens == MASK).sum() == 1


def test_the_generator_decides() -> None:
    batch = captions(50, 12)
    first, again, other = (mask_one_word(*batch, MASK, seeded(s)).tokens for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("seed", range(3))
def test_every_word_has_a_row_of_its_own(seed: int) -> None:
    tokens, words, concepts = captions(30, 12, seed)
    masked = mask_every_word(tokens, words, concepts, MASK)
    expected = [(row, *one) for row in range(30) for one in words_of(words[row], concepts[row])]
    assert len(masked.row) == len(expected) == int(first_pieces(words, concepts).sum())
    for i, (row, positions, concept) in enumerate(expected):
        naive = tokens[row].clone()
        naive[positions] = MASK
        assert torch.equal(masked.tokens[i], naive)
        assert (int(masked.row[i]), int(masked.position[i]), int(masked.target[i])) == (row, positions[0], concept)
        assert int(masked.span[i]) == len(positions)


def test_captions_without_a_concept_give_no_row() -> None:
    tokens = torch.tensor([[1, 2, 0], [1, 9, 2]])
    none = torch.full_like(tokens, -1)
    assert mask_every_word(tokens, torch.tensor([[-1, -1, -1], [-1, 0, -1]]), none, MASK).tokens.shape == (0, 3)
    assert mask_one_word(tokens[:0], none[:0], none[:0], MASK).tokens.shape == (0, 3)


def test_bert_hides_four_fifths_of_a_share_and_asks_for_all_of_it() -> None:
    tokens = torch.full((200, 102), 7)
    tokens[:, 0], tokens[:, -1] = 1, 2
    maskable = tokens == 7
    seen, targets = mask_for_language(tokens, maskable, MASK, 1_000_000, 0.15, seeded())
    chosen = targets >= 0
    assert not chosen[~maskable].any()
    assert torch.equal(targets[chosen], tokens[chosen])
    assert torch.equal(seen[~chosen], tokens[~chosen])
    count = int(chosen.sum())
    shares = [float(kind[chosen].double().mean()) for kind in (seen == MASK, seen == 7)]
    assert abs(count / 20_000 - 0.15) < 4 * math.sqrt(0.15 * 0.85 / 20_000)
    for share, wanted in zip(shares, (0.8, 0.1)):
        assert abs(share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / count)


def test_bert_chooses_at_least_one_token_where_there_is_one() -> None:
    tokens = torch.tensor([[1, 8, 9, 2], [1, 2, 0, 0]]).repeat(100, 1)
    _, targets = mask_for_language(tokens, tokens > 3, MASK, SIZE, 1e-9, seeded())
    assert ((targets >= 0).sum(1) == torch.tensor([1, 0]).repeat(100)).all()


@pytest.mark.parametrize(("n", "drawn"), [(0, 0), (1, 1), (6, 1), (7, 2), (13, 2), (14, 3), (20, 3), (21, 4), (28, 5)])
def test_virtex_draws_a_fixed_number_of_inner_tokens(n: int, drawn: int) -> None:
    tokens = torch.zeros(50, 40, dtype=torch.int64)
    tokens[:, 0], tokens[:, 1 : n + 1], tokens[:, n + 1] = 1, 9, 2
    seen, targets = mask_virtex(tokens, torch.full((50,), n + 2), MASK, SIZE, hidden_share=1.0, generator=seeded())
    assert ((seen == MASK).sum(1) == drawn).all()
    assert torch.equal(targets >= 0, seen == MASK)
    assert (targets[targets >= 0] == 9).all()


def test_virtex_counts_as_python_does_for_any_length() -> None:
    lengths = torch.arange(2, 402)
    tokens = torch.full((400, 401), 9)
    seen, _ = mask_virtex(tokens, lengths, MASK, SIZE, hidden_share=1.0, generator=seeded())
    assert (seen == MASK).sum(1).tolist() == [math.ceil(round(0.15 * n, 9)) for n in range(400)]


@pytest.mark.parametrize("seed", range(3))
def test_virtex_asks_only_for_what_it_hid(seed: int) -> None:
    tokens, words, _ = captions(200, 14, seed)
    lengths = (tokens != 0).sum(1)
    seen, targets = mask_virtex(tokens, lengths, MASK, SIZE, generator=seeded(seed))
    asked = targets >= 0
    assert (seen[asked] == MASK).all()
    assert torch.equal(targets[asked], tokens[asked])
    inner = (torch.arange(14) > 0) & (torch.arange(14) < lengths[:, None] - 1)
    assert not asked[~inner].any()
    assert torch.equal(seen[~inner], tokens[~inner])
    one = (inner.sum(1) > 0) & (inner.sum(1) <= 6)
    assert (asked.sum(1)[one] == 1).all()  # one alone is always hidden
    assert (words[:, 1:][asked[:, 1:]] >= 0).all()


def test_virtex_shares_are_85_10_5() -> None:
    rows, n = 1000, 40
    tokens = torch.full((rows, n + 2), 9)
    seen, targets = mask_virtex(tokens, torch.full((rows,), n + 2), MASK, 1_000_000, generator=seeded())
    total = rows * 6  # ceil(0.15 * 40) of each
    hidden = int((targets >= 0).sum())
    replaced = int(((seen != 9) & (targets < 0)).sum())
    for count, wanted in ((hidden, 0.85), (replaced, 0.10)):
        assert abs(count / total - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / total)


def test_virtex_draws_every_inner_position_alike() -> None:
    rows, n = 4000, 10
    tokens = torch.full((rows, n + 2), 9)
    seen, _ = mask_virtex(tokens, torch.full((rows,), n + 2), MASK, SIZE, hidden_share=1.0, generator=seeded())
    share = (seen == MASK).double().mean(0)[1:-1]
    assert (share - 0.2).abs().max() < 5 * math.sqrt(0.2 * 0.8 / rows)


def test_gaps_are_filled_as_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    words = [[7], [8, 9, 10], [11, 12]]
    pieces = torch.tensor([[*w, *[-1] * (3 - len(w))] for w in words])
    for _ in range(20):
        count = int(torch.randint(2, 6, (), generator=generator))
        caption = [1, *torch.randint(20, 30, (count,), generator=generator).tolist(), 2]
        begin = int(torch.randint(1, count + 1, (), generator=generator))
        span = int(torch.randint(1, count + 2 - begin, (), generator=generator))
        padded = torch.tensor([caption + [0] * (8 - len(caption))])
        found = fill_gaps(padded, torch.tensor([begin]), torch.tensor([span]), pieces, 0)
        for k, word in enumerate(words):
            filled = (caption[:begin] + word + caption[begin + span :])[:8]
            assert found[0, k].tolist() == filled + [0] * (8 - len(filled))
