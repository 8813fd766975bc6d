import itertools

import pytest
import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.text.decoding import Step, beam_search, nucleus

START, END = 0, 1


def chain(vocabulary: int, seed: int, images: int = 1) -> tuple[Step, Tensor]:
    """A model whose next token hangs on the image, the position and the last token: (step, its log-probabilities)."""
    table = torch.randn(images, 8, vocabulary, vocabulary, generator=torch.Generator().manual_seed(seed)) * 2
    table = table.log_softmax(-1)

    def step(prefixes: Tensor) -> Tensor:
        image = torch.arange(images).repeat_interleave(len(prefixes) // images)
        return table[image, prefixes.shape[1] - 1, prefixes[:, -1]]

    return step, table


def all_captions(table: Tensor, length: int) -> dict[tuple[int, ...], float]:
    """Every caption without repeats, ended or of full length, filled with end tokens, with its log-probability."""
    scores = {}
    vocabulary = table.shape[-1]
    for tokens in itertools.product(range(vocabulary), repeat=length):
        ended = tokens.index(END) if END in tokens else length
        said = tokens[: ended + 1]
        if any(t != END for t in tokens[ended:]) or any(a == b for a, b in itertools.pairwise((START, *said))):
            continue
        pairs = itertools.pairwise((START, *said))
        scores[tokens] = sum(float(table[place, a, b]) for place, (a, b) in enumerate(pairs))
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_beams_wide_enough_find_the_best_captions_of_each_image(seed: int) -> None:
    step, table = chain(4, seed, images=2)
    found = beam_search(step, torch.tensor([START, START]), END, beams=64, per_beam=4, length=3)
    for image in range(2):
        expected = sorted(all_captions(table[image], 3).items(), key=lambda one: -one[1])[:5]
        steps = found.tokens.shape[-1]
        assert [tuple(row) for row in found.tokens[image, :5].tolist()] == [tokens[:steps] for tokens, _ in expected]
        torch.testing.assert_close(found.scores[image, :5], torch.tensor([score for _, score in expected]))


def naive_beams(table: Tensor, beams: int, per_beam: int, length: int) -> list[tuple[float, list[int]]]:
    """The search written out with lists, one image."""
    kept: list[tuple[float, list[int]]] = [(0.0, [START])]
    for time in range(length):
        if all(tokens[-1] == END for _, tokens in kept):
            break
        offers = []
        for score, tokens in kept:
            if tokens[-1] == END:
                offers.append((score, [*tokens, END]))
                continue
            row = table[time, tokens[-1]].clone()
            row[tokens[-1]] = -10_000
            for token in row.argsort(descending=True)[: per_beam if time else beams].tolist():
                offers.append((score + float(row[token]), [*tokens, token]))
        kept = sorted(offers, key=lambda one: -one[0])[:beams]
    return [(score, tokens[1:]) for score, tokens in kept]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("beams", "per_beam"), [(1, 1), (3, 2), (5, 2), (4, 9)])
def test_agrees_with_the_search_written_out(seed: int, beams: int, per_beam: int) -> None:
    step, table = chain(9, seed, images=3)
    found = beam_search(step, torch.full((3,), START), END, beams, per_beam, length=7)
    steps = found.tokens.shape[-1]
    for image in range(3):
        naive = naive_beams(table[image], beams, per_beam, 7)
        assert [tokens + [END] * (steps - len(tokens)) for _, tokens in naive] == found.tokens[image].tolist()
        torch.testing.assert_close(found.scores[image], torch.tensor([score for score, _ in naive]))


def test_images_do_not_see_each_other() -> None:
    step, table = chain(9, 3, images=4)
    together = beam_search(step, torch.full((4,), START), END, length=7)
    for image in range(4):
        own = table[image]
        alone = beam_search(lambda p, own=own: own[p.shape[1] - 1, p[:, -1]], torch.tensor([START]), END, length=7)
        steps = alone.tokens.shape[-1]
        assert torch.equal(alone.tokens[0], together.tokens[image, :, :steps])
        assert (together.tokens[image, :, steps:] == END).all()


def test_a_token_never_follows_itself_and_the_search_stops_at_the_end() -> None:
    def stutter(prefixes: Tensor) -> Tensor:
        return torch.tensor([-9.0, -5.0, -0.1, -0.5, -2.0]).expand(len(prefixes), -1)

    found = beam_search(stutter, torch.tensor([START]), END, beams=3, length=6)
    assert found.tokens[0, 0].tolist() == [2, 3, 2, 3, 2, 3]

    calls = []

    def over(prefixes: Tensor) -> Tensor:
        calls.append(prefixes.shape)
        return torch.tensor([-9.0, -0.1, -3.0]).expand(len(prefixes), -1)

    assert beam_search(over, torch.tensor([START, START]), END, beams=1).tokens.tolist() == [[[END]], [[END]]]
    assert calls == [(2, 1)]


@pytest.mark.parametrize("faithful", [False, True])
def test_faithful_calls_lack_the_start_after_the_first(faithful: bool) -> None:
    seen = []

    def step(prefixes: Tensor) -> Tensor:
        seen.append(prefixes.clone())
        return torch.tensor([-9.0, -8.0, -1.0, -2.0, -3.0]).expand(len(prefixes), -1)

    beam_search(step, torch.tensor([START, START]), END, beams=2, length=3, faithful=faithful)
    assert [tuple(prefix.shape) for prefix in seen] == [(2, 1), (4, 1 if faithful else 2), (4, 2 if faithful else 3)]
    assert all((prefix[:, 0] == START).all() != faithful for prefix in seen[1:])


def test_fewer_captions_than_beams_are_told_by_their_score() -> None:
    def only_end(prefixes: Tensor) -> Tensor:
        return torch.tensor([-torch.inf, 0.0]).expand(len(prefixes), -1)

    found = beam_search(only_end, torch.tensor([START]), END, beams=5, length=2)
    assert found.tokens[0, 0].tolist()[0] == END
    assert found.scores[0, 0] == 0
    assert (found.scores[0, 1:] <= -10_000).all()


@pytest.mark.parametrize("wrong", [{"beams": 0}, {"per_beam": 0}, {"length": 0}])
def test_numbers_below_one_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match="expected 1 or more"):
        beam_search(chain(4, 0)[0], torch.tensor([START]), END, **wrong)


def test_nucleus_draws_only_from_the_fewest_that_reach_p_in_their_proportions() -> None:
    chances = torch.tensor([0.05, 0.25, 0.1, 0.6])

    def step(prefixes: Tensor) -> Tensor:
        return chances.log().expand(len(prefixes), -1)

    start = torch.full((6000,), START)
    drawn = nucleus(step, start, END, p=0.8, length=1, generator=torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn[:, 0], minlength=4) / 6000
    assert shares[0] == shares[2] == 0
    assert abs(float(shares[3]) - 0.6 / 0.85) < 4 * 0.5 / 6000**0.5
    assert set(nucleus(step, start, END, p=0.5, length=1)[:, 0].tolist()) == {3}
    assert set(nucleus(step, start, END, p=1.0, length=1)[:, 0].tolist()) == {0, 1, 2, 3}


def test_nucleus_keeps_the_start_and_fills_with_ends() -> None:
    step, _ = chain(5, 1)
    seen = []

    def watched(prefixes: Tensor) -> Tensor:
        seen.append(prefixes[:, 0].clone())
        return step(prefixes)

    start = torch.full((50,), START)
    drawn, again = (nucleus(watched, start, END, length=8, generator=torch.Generator().manual_seed(3)) for _ in "ab")
    assert torch.equal(drawn, again)
    assert all((first == START).all() for first in seen)
    for row in drawn.tolist():
        if END in row:
            assert set(row[row.index(END) :]) == {END}


@pytest.mark.parametrize("wrong", [{"p": 0.0}, {"p": 1.1}, {"length": 0}])
def test_nucleus_refuses_numbers_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="expected 0 < p <= 1"):
        nucleus(chain(4, 0)[0], torch.tensor([START]), END, **wrong)  # type: ignore[arg-type]
