"""Find every mistake in a resolved configuration before anything is built."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from transferbench.build import locate
from transferbench.errors import UserError

GIVEN: Mapping[str, tuple[str, ...]] = {
    "task": ("backbone", "head"),
    "head": ("width", "classes", "tokens", "labels", "clusters", "pad", "start", "end", "mask"),
    "logger": ("folder", "config", "step"),
}
"""Arguments that ``run`` adds to a part with ``_partial_: true``."""


def check(config: Mapping[str, Any], scale_keys: Sequence[str] = ()) -> None:
    """Check that no part is missing, and targets, their keywords and simple types over the whole of ``config``.

    Raises:
        UserError: with one line for each problem found.
    """
    parts = (*_missing_parts(config), *problems_of(config), *_scale_problems(config.get("scale"), scale_keys))
    problems = list(dict.fromkeys(parts))
    if problems:
        raise UserError("\n".join(problems))


def _missing_parts(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each part that is left out, or is no part, and that a run cannot do without."""
    if not 0 <= int(config.get("seed") or 0) < 2**32:
        yield f"seed={config['seed']}: expected a whole number from 0 to 4294967295"
    for group in _needed_groups(config):
        if config.get(group) is None:
            yield f"{group} is left out; choose {group}=..."
    groups = ("task", "data", "trainer", "model", "head", "transfer", "logger")
    parts = {group: config.get(group) for group in groups}
    callbacks = config.get("callbacks")
    if isinstance(callbacks, Mapping):
        parts |= {f"callbacks.{name}": node for name, node in callbacks.items()}
    elif callbacks:
        yield f"callbacks is {callbacks!r}; expected parts by name, each with _target_"
    for path, node in parts.items():
        if node is not None and not (isinstance(node, Mapping) and "_target_" in node):
            yield f"{path} has no _target_; choose one of its options, or name a class"
    for name, node in parts.items():
        if name in GIVEN and isinstance(node, Mapping) and node.get("_partial_"):
            yield from _unfilled(node, name, GIVEN[name])
    yield from _parts_the_task_needs(config)


def _needed_groups(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the groups a run cannot do without: a job brings what it works on, a frozen model may name data sets."""
    task, transfer = config.get("task"), config.get("transfer")
    try:
        target = locate(str(task["_target_"])) if isinstance(task, Mapping) else None
    except (UserError, KeyError):
        target = None  # said of the target itself
    if hasattr(target, "carry_out"):
        return ("task",)
    if (
        not hasattr(target, "training_step")
        and isinstance(transfer, Mapping)
        and (transfer.get("datasets") or transfer.get("folders"))
    ):
        return ("task", "trainer", "transfer")
    return ("task", "data", "trainer")


def _unfilled(node: Mapping[str, Any], path: str, given: Sequence[str]) -> Iterator[str]:
    """Yield one sentence for each argument that neither ``node`` nor ``run`` gives to a part."""
    try:
        accepted = inspect.signature(locate(str(node.get("_target_")))).parameters
    except (UserError, TypeError, ValueError):
        return  # said of the target itself
    for key, parameter in accepted.items():
        named = parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
        if named and parameter.default is parameter.empty and key not in {*node, *given}:
            yield f"{path}: {node['_target_']} needs {key!r}; set {path}.{key}=..."


def _parts_the_task_needs(config: Mapping[str, Any]) -> Iterator[str]:
    task = config.get("task")
    if not isinstance(task, Mapping) or "_target_" not in task:
        return
    try:
        hints = hints_of(locate(str(task["_target_"])))
    except UserError:
        return  # said of the target itself
    for argument, group in (("backbone", "model"), ("head", "head")):
        if argument in hints and not config.get(group) and not fits(None, hints[argument]):
            yield f"{group} is left out, but {task['_target_']} needs one; choose {group}=..."


def problems_of(node: Any, path: str = "") -> Iterator[str]:
    """Yield one sentence for each problem at or below ``node``, which stands at the dotted ``path``."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from problems_of(item, f"{path}[{index}]")
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        yield from _target_problems(node, path)
    for key, value in node.items():
        yield from problems_of(value, f"{path}.{key}" if path else str(key))


def _target_problems(node: Mapping[str, Any], path: str) -> Iterator[str]:
    try:
        target = locate(str(node["_target_"]))
    except UserError as error:
        yield f"{path}._target_: {error}"
        return
    name = f"{node['_target_']}"
    try:
        signatures = [inspect.signature(one).parameters for one in handed_to(target)]
    except (TypeError, ValueError):
        yield f"{path}._target_: the arguments of {node['_target_']} cannot be read; name a class or function in Python"
        return
    hints = hints_of(target)
    accepted = {key for signature in signatures for key in signature if key != "self"}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signatures[-1].values())
    given = {str(key): value for key, value in node.items() if key not in {"_target_", "_partial_"}}
    for key, value in given.items():
        if key not in accepted and not open_ended:
            yield f"{path}.{key}: {name} takes no {key!r}{did_you_mean(key, accepted)}"
        elif key in hints and not fits(value, hints[key]):
            yield f"{path}.{key}: {name} expects {_readable(hints[key])}, found {value!r}"
    if not node.get("_partial_"):
        yield from _unfilled(node, path, ())


def handed_to(target: Any) -> list[Any]:
    """Return the callables whose arguments ``target`` takes: itself, or a class's constructor and, as long as each of
    them hands further keywords on (``**options``), those of its bases.
    """
    if not inspect.isclass(target):
        return [target]
    own = [vars(owner)["__init__"] for owner in target.__mro__ if "__init__" in vars(owner)]
    if dataclasses.is_dataclass(target) or not all(map(inspect.isfunction, own[:1])):
        return [target]
    found = []
    for constructor in filter(inspect.isfunction, own):
        found.append(constructor)
        if not constructor.__code__.co_flags & inspect.CO_VARKEYWORDS:
            break
    return found


def hints_of(target: Any) -> dict[str, Any]:
    """Return the resolved type hints of a callable's arguments, none where they cannot be resolved."""
    hints: dict[str, Any] = {}
    for function in handed_to(target):  # the class itself where it is a dataclass: its bases' names are resolved there
        try:
            hints = typing.get_type_hints(function) | hints
        except (NameError, TypeError, AttributeError):
            continue
    return hints


def fits(value: Any, hint: Any) -> bool:
    """Tell whether a plain value can be meant for ``hint``; hints beyond plain types accept everything."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return hint in {Any, object, type(None)} or type(None) in arguments or isinstance(hint, typing.TypeVar)
    if origin in {typing.Union, types.UnionType}:
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if isinstance(value, dict) and "_target_" in value:
        return hint not in {int, float, bool, str}
    if origin is Callable:
        return False
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if hint is type(None):
        return False
    return _fits_container(value, origin or hint, arguments)


def _fits_container(value: Any, origin: Any, arguments: tuple[Any, ...]) -> bool:
    if not inspect.isclass(origin) or origin is object:
        return True
    if issubclass(origin, (list, tuple)) or origin in {typing.Sequence, Sequence}:
        inner = arguments[0] if arguments else Any
        return isinstance(value, (list, tuple)) and all(fits(item, inner) for item in value)
    if issubclass(origin, Mapping):
        inner = arguments[1] if len(arguments) == 2 else Any
        return isinstance(value, Mapping) and all(fits(item, inner) for item in value.values())
    if issubclass(origin, os.PathLike):
        return isinstance(value, str)
    return True


def _readable(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    return hint.__name__ if inspect.isclass(hint) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known word nearest to ``word``, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _scale_problems(scale: Any, known: Sequence[str]) -> Iterator[str]:
    if isinstance(scale, Mapping) and known:
        for key in scale:
            if key not in known:
                yield f"scale.{key}: no component reads it{did_you_mean(str(key), known)}"


def check_devices(trainer: Mapping[str, Any]) -> None:
    """Refuse more devices than the machine has, and those that lack what is needed.

    Raises:
        UserError: ``trainer.devices`` or ``trainer.accelerator`` names what is not there, or would be a Mac's GPU.
    """
    import torch

    accelerator, devices = trainer.get("accelerator", "auto"), trainer.get("devices", 1)
    cuda = torch.cuda.device_count()
    if accelerator in {"gpu", "cuda"} and cuda == 0:
        raise UserError(
            f"trainer.accelerator={accelerator}: this machine has no CUDA device; set trainer.accelerator=cpu"
        )
    if accelerator == "mps" or (accelerator == "auto" and cuda == 0 and torch.backends.mps.is_available()):
        raise UserError(
            f"trainer.accelerator={accelerator}: a Mac's GPU (MPS) has no float64 numbers, which evaluation and scenes "
            "need; set trainer.accelerator=cpu"
        )
    on_cuda = accelerator in {"gpu", "cuda"} or (accelerator == "auto" and cuda > 0)
    available, kind = (cuda, "CUDA device(s)") if on_cuda else (os.cpu_count() or 1, "CPU core(s)")
    wanted = len(devices) if isinstance(devices, list) else devices
    if isinstance(wanted, int) and (wanted > available or wanted == 0):
        raise UserError(
            f"trainer.devices={wanted}: this machine has {available} {kind}; set trainer.devices={available}"
        )
