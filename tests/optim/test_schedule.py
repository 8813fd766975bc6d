import numpy as np
import pytest

from transferbench.errors import UserError
from transferbench.optim.schedule import scaled_lr, warmup_cosine, warmup_cosine_squared


def test_toy_schedule():
    wanted = [0, 0.05, 0.1, 0.1, 0.09698466, 0.08830234, 0.07500025]
    wanted += [0.05868282, 0.04131818, 0.02500075, 0.01169866, 0.00301634]
    np.testing.assert_allclose(warmup_cosine(0.1, 1e-6, 12, 3), wanted, atol=5e-9)


def test_published_schedule():
    """ImageNet-1K on 4 devices with 64 images each: 5,004 steps an epoch, 100 epochs, 10 of warm-up."""
    rates = warmup_cosine(scaled_lr(0.1, 256), 1e-6, 500_400, 50_040)
    assert len(rates) == 500_400
    assert rates[0] == 0
    assert rates[1] == pytest.approx(1.998441e-6, rel=1e-6)
    assert rates[50_039] == rates[50_040] == 0.1
    assert rates[275_220] == pytest.approx(0.0500005, rel=1e-9)
    assert rates[-1] == pytest.approx(1.0000012e-6, rel=1e-8)


def test_no_warmup_starts_at_the_peak():
    assert warmup_cosine(0.1, 0.0, 4, 0).tolist() == pytest.approx([0.1, 0.0853553391, 0.05, 0.0146446609])


def test_warmup_alone():
    assert warmup_cosine(0.1, 0.0, 3, 3).tolist() == pytest.approx([0, 0.05, 0.1])


def test_a_warmup_longer_than_the_run_is_refused():
    with pytest.raises(UserError, match="warm-up of 13 steps in a run of 12"):
        warmup_cosine(0.1, 0.0, 12, 13)


def test_linear_scaling():
    assert scaled_lr(0.1, 1024) == pytest.approx(0.4)
    assert scaled_lr(0.1, 64) == pytest.approx(0.025)


def test_the_squared_cosine_of_virtex() -> None:
    factors = warmup_cosine_squared(500_000, 10_000)
    wanted = {0: 0, 5_000: 0.5, 10_000: 1, 132_500: 0.853553, 255_000: 0.5, 377_500: 0.146447}
    assert {step: round(float(factors[step]), 6) for step in wanted} == wanted
    assert factors[-1] < 1e-9
    assert warmup_cosine_squared(3, 3).tolist() == pytest.approx([0, 1 / 3, 2 / 3])
    with pytest.raises(UserError, match="warm-up"):
        warmup_cosine_squared(3, 4)
