import pytest

from transferbench.report.provenance import Clock, apart, commit, run_seconds, versions


def test_a_run_s_own_time_leaves_out_what_is_kept_for_later_runs() -> None:
    timings = {"start-up": 1.0, "rendering": 20.0, "training": 300.0, "floors": 0.01}
    assert run_seconds(timings) == 301.0
    assert apart(timings) == {"rendering": 20.0} and apart({"training": 300.0}) == {}


def test_the_clock_adds_up_what_it_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 2.0, 10.0, 15.0, 20.0, 21.0])
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    clock = Clock(0.0)
    for name in ("training", "floors"):
        with clock.measure(name):
            pass
    with pytest.raises(ValueError), clock.measure("training"):
        raise ValueError
    assert clock.seconds == {"training": 3.0, "floors": 5.0}
    assert clock.total() == 3.0


def test_where_the_package_comes_from() -> None:
    assert {"transferbench", "python", "torch"} <= set(versions())
    assert commit()
