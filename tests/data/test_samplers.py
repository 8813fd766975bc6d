import pytest
from torch.utils.data.distributed import DistributedSampler

from transferbench.data.samplers import PADDING, EvaluationShare, TrainingShare


@pytest.mark.parametrize(("length", "world"), [(10, 1), (10, 3), (12, 4), (5, 4)])
def test_training_shares_are_disjoint_and_equally_long(length: int, world: int) -> None:
    shares = [list(TrainingShare(length, 7, rank, world)) for rank in range(world)]
    assert {len(share) for share in shares} == {length // world}
    assert len(TrainingShare(length, 7, 0, world)) == length // world
    drawn = [index for share in shares for index, _ in share]
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(range(length))
    if world == 1:
        assert set(drawn) == set(range(length))


def test_training_order_follows_from_seed_and_epoch() -> None:
    sampler = TrainingShare(100, seed=1)
    first = list(sampler)
    assert list(sampler) == first == list(TrainingShare(100, seed=1))
    sampler.set_epoch(1)
    second = list(sampler)
    other = TrainingShare(100, seed=2)
    orders = [[index for index, _ in share] for share in (first, second, list(other))]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders[0] != list(range(100))
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_seeds_belong_to_the_image_and_the_epoch_whatever_the_rank() -> None:
    alone = dict(TrainingShare(50, seed=3))
    shared = dict(pair for rank in range(3) for pair in TrainingShare(50, 3, rank, 3))
    assert shared.items() <= alone.items()
    assert len(set(alone.values())) == 50
    later = TrainingShare(50, seed=3)
    later.set_epoch(1)
    assert all(alone[index] != seed for index, seed in later)


@pytest.mark.parametrize(("length", "world"), [(10, 1), (10, 3), (12, 4), (2, 4)])
def test_evaluation_shares_hold_each_image_once(length: int, world: int) -> None:
    shares = [list(EvaluationShare(length, rank, world)) for rank in range(world)]
    assert {len(share) for share in shares} == {-(-length // world)} == {len(EvaluationShare(length, 0, world))}
    assert sorted(index for share in shares for index in share if index != PADDING) == list(range(length))
    assert all(index == PADDING or index % world == rank for rank, share in enumerate(shares) for index in share)


def test_lightning_leaves_them_in_place() -> None:
    assert isinstance(TrainingShare(4), DistributedSampler)
    assert isinstance(EvaluationShare(4), DistributedSampler)


def test_reference_counts() -> None:
    """ImageNet-1K on 4 devices with batches of 64: 320,291 images a rank, 5,004 batches, 782 of validation."""
    assert len(TrainingShare(1_281_167, world=4)) // 64 == 5004
    assert -(-len(EvaluationShare(50_000)) // 64) == 782
