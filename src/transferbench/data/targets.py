"""Read the target data sets of transfer by name: what is missing is listed, what differs from its publication is told.

``target_table`` says what each set is; the readers stand beside this module, one a format.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from transferbench.data import cog
from transferbench.data.image_set import Splits
from transferbench.data.target_check import differences, one_class_only
from transferbench.data.target_table import GROUPS, TARGETS, Metric, Solver
from transferbench.errors import UserError

log = logging.getLogger(__name__)

Missing = Literal["error", "skip"]

NAMED = 3
"""How many missing files of a set are named; the others are counted."""


@dataclass(frozen=True)
class Target:
    """A data set to transfer to, and how it is evaluated in the published protocol."""

    splits: Splits
    solver: Solver
    metric: Metric


def read_targets(
    names: Sequence[str], root: Path | str | None, strict: bool = True, missing: Missing = "error", seed: int = 0
) -> dict[str, Target]:
    """Read data sets by name, each with its official split; only lists are read, no image is decoded.

    Args:
        names: of ``TARGETS`` or ``GROUPS``; a set named twice is read once.
        root: the folder below which they lie; None is enough for those that come with a library.
        strict: whether a set that differs from its publication is an error; else it is a warning.
        missing: what to do about sets that are not there: ``error`` or ``skip``.
        seed: of the splits that have to be drawn (``Published.drawn``).

    Raises:
        UserError: a name is unknown; sets are missing (all of them are told, and what to fetch); a set is damaged, has
            one class only, has a class with fewer images than its split needs, or differs from its publication.
    """
    if missing not in get_args(Missing):
        raise UserError(f"transfer.missing={missing}: expected one of {', '.join(get_args(Missing))}")
    chosen = expand_names(names)
    folder = None if root is None else Path(root).expanduser()
    absent = missing_targets(chosen, folder)
    if absent and missing == "error":
        raise UserError(_missing_message(absent, folder))
    if absent:
        log.warning("data sets that are not there are left out of the evaluation: %s", ", ".join(absent))
    read: dict[str, Target] = {}
    problems: list[str] = []
    try:
        for name in chosen:
            if name not in absent:
                try:
                    read[name] = _read(name, folder, strict, seed)
                except UserError as error:
                    problems.append(str(error))
    finally:
        cog.forget_split()
    if problems:
        raise UserError("\n".join(problems))
    return read


def expand_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of sets, groups replaced by their sets, each once; raises ``UserError`` for unknown names."""
    if isinstance(names, str):
        raise UserError(f"transfer.datasets={names}: expected a list, such as transfer.datasets=[{names}]")
    unknown = [str(name) for name in names if name not in TARGETS and name not in GROUPS]
    if unknown:
        raise UserError("\n".join(map(_unknown, unknown)))
    return tuple(dict.fromkeys(set_ for name in names for set_ in GROUPS.get(name, (name,))))


def missing_targets(names: Sequence[str], root: Path | str | None) -> dict[str, str]:
    """Return, for each of the sets ``names`` that is not below ``root``, what is not there and what to do about it."""
    told = {}
    for name in names:
        published = TARGETS[name]
        if published.folder is None:
            continue
        if root is None:
            told[name] = published.fetch.replace("{folder}", f"ROOT/{published.folder}".rstrip("/"))
            continue
        folder = Path(root).expanduser() / published.folder
        lacking = [need for need in published.needs if not any((folder / way).exists() for way in need.split("|"))]
        if lacking:
            named = ", ".join(str(folder / need).replace("|", " or ") for need in lacking[:NAMED])
            more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
            told[name] = f"{named}{more} not found; {published.fetch.replace('{folder}', str(folder))}"
    return told


def _read(name: str, root: Path | None, strict: bool, seed: int) -> Target:
    """Read one set that is there, check it against its publication, and tell the differences."""
    published = TARGETS[name]
    arguments = {"seed": seed} if published.drawn else {}
    try:
        if published.folder is None or root is None:
            splits = published.read(**arguments)
        else:
            splits = published.read(root / published.folder, **arguments)
    except UserError as error:  # the readers serve training, too, and name its setting
        raise UserError(f"{name}: {error}".replace("data.root=", "transfer.root=")) from None
    if complaint := one_class_only(splits):
        raise UserError(f"{name}: {complaint}; expected at least two classes with images.")
    if found := differences(splits, published, TARGETS):
        message = f"{name} is not as published: {'; '.join(found)}"
        if strict:
            raise UserError(f"{message}. Complete it, or set transfer.strict=false to go on with it as it is.")
        log.warning("%s", message)
    return Target(splits, published.solver, published.metric)


def _missing_message(absent: Mapping[str, str], root: Path | None) -> str:
    sets = "1 data set is" if len(absent) == 1 else f"{len(absent)} data sets are"
    where = "not there, for transfer.root is not set" if root is None else f"not below transfer.root={root}"
    lines = [f"{sets} {where}:", *(f"  {name}: {told}" for name, told in absent.items())]
    last = "Fetch what you want, leave the others out of transfer.datasets, or set transfer.missing=skip."
    return "\n".join([*lines, last if root else f"Set transfer.root=ROOT to the folder that holds them. {last}"])


def _unknown(name: str) -> str:
    known = [*TARGETS, *GROUPS]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"expected some of {', '.join(known)}"
    return f"transfer.datasets has {name!r}, which is no data set; {hint}"
