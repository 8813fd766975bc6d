"""Plain configuration to objects: ``_target_`` names a callable, its other keys are the arguments."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

from transferbench.errors import UserError

NETWORK_TARGETS = ("transferbench.models.", "transferbench.heads.")
"""What a checkpoint may name: building anything else from a file would let the file run code."""


def locate(path: str) -> Callable[..., Any]:
    """Import the callable at a full dotted path.

    Raises:
        UserError: nothing callable stands there.
    """
    module, _, attribute = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise UserError(f"cannot import {path!r} ({error}); _target_ takes a full dotted path") from error
    if not callable(found):
        raise UserError(f"{path!r} is not callable; _target_ names a class or a function")
    return found  # type: ignore[no-any-return]


def build(node: Any, allowed: Sequence[str] | None = None) -> Any:
    """Build what ``node`` describes: mappings with ``_target_`` become calls, all else is rebuilt as it is.

    ``_partial_: true`` gives a ``functools.partial`` that waits for the missing arguments. With ``allowed``, a target
    outside these prefixes is refused.

    Raises:
        UserError: a target cannot be imported or is not allowed.
    """
    if isinstance(node, list):
        return [build(item, allowed) for item in node]
    if not isinstance(node, dict):
        return node
    values = {key: build(value, allowed) for key, value in node.items() if key not in {"_target_", "_partial_"}}
    if "_target_" not in node:
        return values
    target = str(node["_target_"])
    if allowed is not None and not target.startswith(tuple(allowed)):
        raise UserError(f"{target!r} is refused: this file may only name {', '.join(allowed)}*; pass trusted=[...]")
    called = locate(target)
    return functools.partial(called, **values) if node.get("_partial_") else called(**values)
