"""Mistakes are found before anything is built, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from transferbench.check import check, check_devices, did_you_mean, fits, problems_of
from transferbench.errors import UserError


class Part:
    def __init__(self, tau: float, layers: int = 3, mode: Literal["a", "b"] = "a", names: Sequence[str] = ()) -> None:
        self.tau = tau


TARGET = f"{__name__}.Part"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())


def _this_module() -> Any:
    import types

    module = types.ModuleType(__name__)
    module.Part = Part  # type: ignore[attr-defined]
    return module


def test_each_problem_gets_a_line() -> None:
    config = {
        "head": {"_target_": TARGET, "taau": 0.1},
        "model": {"_target_": "torch.nn.Linea"},
        "crops": {"deep": [{"_target_": TARGET, "tau": "hot", "layers": 2.5, "mode": "c"}]},
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lrr": 0.1},
    }
    lines = list(problems_of(config))
    assert f"head.taau: {TARGET} takes no 'taau'; did you mean 'tau'?" in lines
    assert f"head: {TARGET} needs 'tau'; set head.tau=..." in lines
    assert any(line.startswith("model._target_: cannot import 'torch.nn.Linea'") for line in lines)
    assert any("crops.deep[0].tau" in line and "float" in line for line in lines)
    assert any("crops.deep[0].layers" in line for line in lines)
    assert any("crops.deep[0].mode" in line and "one of a, b" in line for line in lines)
    assert any("optimizer.lrr" in line and "did you mean 'lr'" in line for line in lines)
    assert len(lines) == 7


def test_check_raises_all_problems_at_once() -> None:
    with pytest.raises(UserError) as caught:
        check({"head": {"_target_": TARGET, "taau": 0.1}, "trainer": {"devices": 1}})
    assert len(str(caught.value).split("\n")) == 5  # task, data, the trainer's target, and both of the head


def test_settings_that_a_dataclass_inherits_from_another_module_have_types() -> None:
    node = {"_target_": "transferbench.transfer.protocol.Protocol", "trials": "hot", "shots": None, "norm": "l3"}
    found = "\n".join(problems_of(node, "transfer"))
    assert "transfer.trials: transferbench.transfer.protocol.Protocol expects" in found
    assert "transfer.shots" in found
    assert "transfer.norm: transferbench.transfer.protocol.Protocol expects one of none, l2, standard" in found


def test_a_right_configuration_has_no_problems() -> None:
    assert not list(problems_of({"x": {"_target_": TARGET, "tau": 1, "names": ["a"], "mode": "b"}, "y": [1, None]}))


def test_unknown_scale_keys_are_named() -> None:
    with pytest.raises(UserError, match=r"scale\.epohcs: no component reads it; did you mean 'epochs'"):
        check({"scale": {"epohcs": 3}}, ["epochs", "lr"])


@pytest.mark.parametrize(
    ("value", "hint", "fitting"),
    [
        (1, int, True), (True, int, False), (1.0, int, False), (1, float, True), ("1", float, False),
        (None, int | None, True), ("x", int | None, False), (["a"], list[str], True), ([1], Sequence[str], False),
        ("ab", Sequence[str], False), ({"a": 1}, Mapping[str, int], True), ({"a": "b"}, dict[str, int], False),
        ("/x", Path, True), (3, Path, False), ({"_target_": "x"}, int, False), (object(), Any, True),
    ],
)  # fmt: skip
def test_plain_values_fit_hints(value: Any, hint: Any, fitting: bool) -> None:
    assert fits(value, hint) is fitting


def test_did_you_mean_is_silent_without_a_near_word() -> None:
    assert did_you_mean("zzz", ["tau"]) == ""


def test_more_devices_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    check_devices({"accelerator": "auto", "devices": 2})
    check_devices({"accelerator": "cpu", "devices": 4})
    check_devices({"accelerator": "auto", "devices": "auto"})
    for wrong in ({"devices": 3}, {"devices": 0}, {"accelerator": "cpu", "devices": 5}, {"devices": [0, 1, 2]}):
        with pytest.raises(UserError, match=r"trainer\.devices"):
            check_devices(wrong)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match="no CUDA device"):
        check_devices({"accelerator": "gpu"})


def test_the_gpu_of_a_mac_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for wrong in ({"accelerator": "auto"}, {"accelerator": "mps"}, {}):
        with pytest.raises(UserError, match=r"MPS.*set trainer\.accelerator=cpu"):
            check_devices(wrong)
    check_devices({"accelerator": "cpu"})
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    check_devices({"accelerator": "auto"})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_devices({"accelerator": "auto"})
