"""Layouts of published weights: from the names in a file to those of a network, and what does not fit."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transferbench.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_COUNTER = ".num_batches_tracked"


@functools.cache
def tables() -> dict[str, Any]:
    """Return the content of ``zoo.toml``: ``layouts``, ``defaults`` and ``models``."""
    return tomllib.loads(Path(__file__).with_name("zoo.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Layout:
    """Where a file keeps the tensors of a network (the head of ``zoo.toml`` explains the fields)."""

    name: str
    within: Sequence[str] = ()
    prefix: str = ""
    beside: Sequence[str] = ()
    rename: Sequence[Sequence[str]] = ()
    source: str = ""

    def names(self, tensors: Mapping[str, Tensor]) -> dict[str, str]:
        """Return the network's name of each tensor by its name in the file; none for what is no part of the network."""
        return {name: self._network_name(name) for name in tensors if not self._is_beside(name)}

    def tensors(self, content: Any) -> dict[str, Tensor]:
        """Return the tensors where this layout looks for them, none where it finds no mapping."""
        for key in self.within:
            content = content.get(key) if isinstance(content, Mapping) else None
        if not isinstance(content, Mapping):
            return {}
        return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}

    def _is_beside(self, name: str) -> bool:
        return any(name.startswith(part) if part.endswith(".") else name == part for part in self.beside)

    def _network_name(self, name: str) -> str:
        if not name.startswith(self.prefix):
            return name
        name = name[len(self.prefix) :]
        for pattern, replacement in self.rename:
            name = re.sub(pattern, replacement, name)
        return name


def layouts() -> dict[str, Layout]:
    """Return the layouts of ``zoo.toml`` by name, in its order."""
    return {name: Layout(name, **row) for name, row in tables()["layouts"].items()}


def layout_of(given: str | Mapping[str, Any]) -> Layout:
    """Return the layout of that name, or the one that a mapping describes.

    Raises:
        UserError: for another name, another key, or a value of another kind.
    """
    known = layouts()
    if isinstance(given, str):
        if given not in known:
            raise UserError(f"model.layout={given}: expected one of {', '.join(known)}, or a mapping")
        return known[given]
    keys = {one.name for one in fields(Layout)} - {"name", "source"}
    if set(given) - keys:
        raise UserError(f"model.layout: {', '.join(map(str, set(given) - keys))} unknown; expected {', '.join(keys)}")
    _check_values(given)
    return Layout("given", **given)


def _check_values(given: Mapping[str, Any]) -> None:
    for key in ("within", "beside", "rename"):
        if not isinstance(given.get(key, []), (list, tuple)):
            raise UserError(f"model.layout.{key}={given[key]}: expected a list, such as {key}: [{given[key]}]")
    for rule in given.get("rename", []):
        try:
            pattern, replacement = rule
            re.sub(pattern, replacement, "")
        except (ValueError, TypeError, IndexError, re.error) as error:
            told = f"model.layout.rename: {rule} ({error}); expected a regular expression and what takes its place"
            raise UserError(f"{told}, such as ['^net\\.', '']") from None


@dataclass(frozen=True)
class Fit:
    """How the tensors of a file meet those of a network under one layout."""

    layout: Layout
    tensors: dict[str, Tensor]
    """What is to be loaded, by the network's names."""
    missing: list[str]
    """Names of the network."""
    unexpected: list[str]
    """Names in the file."""
    unlike: list[str]
    """Phrases about tensors of another shape or kind."""

    @property
    def differences(self) -> int:
        """The number of tensors that differ."""
        return len(self.missing) + len(self.unexpected) + len(self.unlike)

    def told(self) -> str:
        """Return what differs, at most five of each sort."""
        sorts = (("missing", self.missing), ("unexpected", self.unexpected), ("another shape", self.unlike))
        return "; ".join(f"{sort}: {_shortened(names)}" for sort, names in sorts if names)


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def fit(net: nn.Module, content: Any, layout: Layout, dropped: Collection[str] = ()) -> Fit | None:
    """Compare a file with a network; None where the layout finds no tensors in it.

    Args:
        net: the network, without its classifier.
        content: of the file, nested mappings.
        layout: where the tensors are.
        dropped: names of the network's classifier, which are left out where the file has them.
    """
    found = layout.tensors(content)
    if not found:
        return None
    own = net.state_dict()
    kept: dict[str, Tensor] = {}
    unexpected = []
    for source, name in layout.names(found).items():
        if name in own and name not in kept:
            kept[name] = found[source]
        elif name not in dropped:
            unexpected.append(source)
    if not any(name.endswith(_COUNTER) for name in kept):  # files from before torch 0.4.1 have none at all
        kept |= {name: torch.zeros_like(value) for name, value in own.items() if name.endswith(_COUNTER)}
    missing = [name for name in own if name not in kept]
    return Fit(layout, kept, missing, unexpected, list(_unlike(own, kept)))


def _unlike(own: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> Iterator[str]:
    for name, value in own.items():
        if name not in kept:
            continue
        if kept[name].shape != value.shape:
            yield f"{name} is {tuple(kept[name].shape)}, not {tuple(value.shape)}"
        elif kept[name].is_floating_point() != value.is_floating_point():
            yield f"{name} is {kept[name].dtype}, not {value.dtype}"


def load_into(
    net: nn.Module,
    content: Any,
    source: str,
    *,
    usual: Sequence[str] = (),
    given: str | Mapping[str, Any] | None = None,
    dropped: Collection[str] = (),
) -> str:
    """Load the tensors of a file into ``net``, all of them and nothing else; return the name of the layout.

    Args:
        net: the network, without its classifier.
        content: of the file, as ``read_weights`` returns it.
        source: the file, for messages.
        usual: names of layouts to try first: the first that fits is taken.
        given: the layout to take, by name or described; None to try the usual ones, then all others.
        dropped: names of the network's classifier.

    Raises:
        UserError: nothing fits, with the keys that differ under the nearest layout; or two unusual layouts fit with
            different tensors.
    """
    first = [layout_of(given)] if given is not None else [layout_of(name) for name in usual]
    fits = [one for layout in first if (one := fit(net, content, layout, dropped))]
    best = next((one for one in fits if not one.differences), None)
    if best is None and given is None:
        others = [layout for layout in layouts().values() if layout not in first]
        tried = [one for layout in others if (one := fit(net, content, layout, dropped))]
        best = _only_one([one for one in tried if not one.differences], source)
        fits += tried
    if best is None:
        raise UserError(_misfit(fits, content, source, first))
    net.load_state_dict(best.tensors)
    return best.layout.name


def _only_one(fits: Sequence[Fit], source: str) -> Fit | None:
    """Return the fit there is; several are one where they take the same tensors."""
    taken = {
        frozenset((name, id(value)) for name, value in one.tensors.items() if not name.endswith(_COUNTER)): one
        for one in reversed(fits)
    }
    if len(taken) > 1:
        names = ", ".join(one.layout.name for one in fits)
        raise UserError(f"{source} fits in several ways; choose model.layout=, one of {names}")
    return next(iter(taken.values()), None)


def _misfit(fits: Sequence[Fit], content: Any, source: str, first: Sequence[Layout]) -> str:
    if not fits:
        held = _shortened([str(key) for key in content]) if isinstance(content, Mapping) else type(content).__name__
        inside = "/".join(first[0].within) if len(first) == 1 else ""
        where = f"layout {first[0].name} looks for them in {inside}" if inside else "no layout finds any"
        return f"{source} has no tensors of a network: {where}; at its top it has {held or 'nothing'}"
    nearest = min(fits, key=lambda one: one.differences)
    return f"{source} does not fit this network (layout {nearest.layout.name}, the nearest): {nearest.told()}"
