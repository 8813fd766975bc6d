"""Draws of pixels: what they show, where they come from, and what they follow from."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from transferbench.data.scenes.rays import Draw, PixelDraws
from transferbench.data.scenes.scene import Scene
from transferbench.errors import UserError

FRAMES, HEIGHT, WIDTH = 5, 8, 10
TRAIN = (0, 2, 3)


def scene(channels: int = 3, **changed) -> Scene:
    """Every pixel's colour tells its frame, row and column."""
    frames, rows, columns = np.meshgrid(*(np.arange(n) for n in (FRAMES, HEIGHT, WIDTH)), indexing="ij")
    images = np.stack([frames, rows, columns, 255 * (rows < 3)][:channels], -1).astype(np.uint8)
    given = {"name": "made", "names": tuple("abcde"), "images": images, "train": TRAIN, "test": (1, 4)}
    cameras = {
        "poses": np.repeat(np.eye(4)[None], FRAMES, 0),
        "intrinsics": np.tile([9.0, 9, 5, 4], (FRAMES, 1)),
        "distortion": np.zeros((FRAMES, 6)),
    }
    return Scene(**{**given, **cameras, **changed})


def half_ignored() -> np.ndarray:
    """The right half of all frames, all of frame 2, and all but a corner of frame 3."""
    ignored = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    ignored[:, :, 5:], ignored[2] = True, True
    ignored[3, 1:] = True
    return ignored


def draws(made: Scene | None = None, steps: int = 6, seed: int = 0, rank: int = 0, **how) -> PixelDraws:
    return PixelDraws(scene() if made is None else made, Draw(**{"rays": 500, **how}), steps, seed, rank)


def test_pixels_are_those_of_the_training_frames() -> None:
    frames, rows, columns, colours = draws().batch(0)
    assert torch.equal(torch.stack([frames, rows, columns], 1), colours.long())
    assert colours.dtype == torch.uint8 and set(frames.tolist()) == set(TRAIN)
    counts = torch.bincount(torch.cat([draws().batch(step).rows for step in range(20)]), minlength=HEIGHT)
    assert len(counts) == HEIGHT and counts.float().std() / counts.float().mean() < 0.1
    assert draws(scene(4)).batch(0).colours.shape == (500, 4)


def test_a_batch_follows_from_the_seed_the_step_and_the_rank_alone() -> None:
    first = draws().batch(3)
    torch.manual_seed(99)
    assert all(torch.equal(a, b) for a, b in zip(first, draws(steps=50).batch(3)))
    for other in (draws(seed=1).batch(3), draws(rank=1).batch(3), draws().batch(4)):
        assert not torch.equal(first.rows, other.rows)


def test_epochs_go_on_where_the_last_one_ended_and_can_be_taken_up_in_their_middle() -> None:
    whole = draws(steps=4)
    batches = [*whole, *whole]
    assert len(whole) == 4 and len(batches) == 8
    for step, batch in enumerate(batches):
        assert torch.equal(batch.columns, draws().batch(step).columns)
    again = draws(steps=4)
    again.epoch, again.skip = 1, 3
    assert torch.equal(next(iter(again)).columns, batches[7].columns)
    assert len(list(again)) == 4, "the next epoch is whole"


def test_one_image_a_step() -> None:
    made = draws(one_image=True, steps=300)
    chosen = [batch.frames.unique().tolist() for batch in made]
    assert all(len(frames) == 1 for frames in chosen)
    counts = np.bincount([frame for (frame,) in chosen], minlength=FRAMES)
    assert counts.nonzero()[0].tolist() == list(TRAIN) and counts[list(TRAIN)].min() > 75
    assert len(made.batch(0).rows.unique()) == HEIGHT


@pytest.mark.parametrize("one_image", [True, False])
def test_the_first_steps_look_at_the_middle(one_image: bool) -> None:
    made = draws(precrop_steps=2, one_image=one_image)
    for step, expected in ((1, (range(2, 6), range(2, 7))), (2, (range(HEIGHT), range(WIDTH)))):
        batch = made.batch(step)
        assert set(batch.rows.tolist()) == set(expected[0]) and set(batch.columns.tolist()) == set(expected[1])
        assert torch.equal(torch.stack(batch[:3], 1), batch.colours.long())
    assert set(draws(precrop_steps=1, precrop=1e-3).batch(0).rows.tolist()) == {3}


@pytest.mark.parametrize("one_image", [True, False])
@pytest.mark.parametrize("precrop_steps", [0, 99])
def test_pixels_that_are_to_be_left_out_are_never_drawn(one_image: bool, precrop_steps: int) -> None:
    ignored = half_ignored()
    made = draws(scene(ignored=ignored), one_image=one_image, precrop_steps=precrop_steps)
    seen = {place for batch in islice(iter(made), 6) for place in zip(*(part.tolist() for part in batch[:3]))}
    usable = set(zip(*(axis.tolist() for axis in np.nonzero(~ignored))))
    wanted = {place for place in usable if place[0] in TRAIN}
    if precrop_steps:
        wanted = {(frame, row, column) for frame, row, column in wanted if 2 <= row < 6 and 2 <= column < 7}
    assert seen == wanted


def test_masks_that_leave_nothing() -> None:
    with pytest.raises(UserError, match="the masks leave no pixel to fit"):
        draws(scene(ignored=np.ones((FRAMES, HEIGHT, WIDTH), bool)))
    border = np.ones((FRAMES, HEIGHT, WIDTH), bool)
    border[:, 0] = False
    draws(scene(ignored=border))
    with pytest.raises(UserError, match=r"in the middle; set scale\.precrop_steps=0"):
        draws(scene(ignored=border), precrop_steps=1)


@pytest.mark.parametrize("one_image", [True, False])
def test_more_of_what_shows_something(one_image: bool) -> None:
    made = draws(scene(4), opaque=0.5, one_image=one_image)
    for batch in islice(iter(made), 4):
        shown = (batch.colours[:, 3] > 0).float().mean()
        assert 0.6 < shown < 0.78, "half of them, and 3 in 8 of the others"
        assert torch.equal(torch.stack(batch[:3], 1), batch.colours[:, :3].long())
        assert len(batch.frames.unique()) == (1 if one_image else 3)
    assert len(draws(scene(3), opaque=0.5).batch(0).rows) == 500
    images = scene(4).images.copy()
    images[3, ..., 3] = 0
    bare = draws(scene(4, images=images, ignored=half_ignored() * (np.arange(5) == 2)[:, None, None]), opaque=0.9)
    assert set(bare.batch(0).frames.tolist()) == {0, 3} and len(bare.batch(0).rows) == 500


@pytest.mark.parametrize("how", [{"rays": 0}, {"precrop": 0}, {"precrop": 1.5}, {"opaque": 1}, {"opaque": -0.1}])
def test_draws_that_make_no_sense(how: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"expected one ray or more.*set scale\.rays"):
        Draw(**{"rays": 8, **how})
