"""Sentences that a class's name is put into, so that a text encoder can tell images of it without training."""

from __future__ import annotations

from pathlib import Path

from transferbench.errors import UserError

SETS = Path(__file__).with_name("prompt_sets")
"""A file a set, named by it, a template a line.

``photo`` is the one of CLIP's paper (arXiv:2103.00020, section 3.1.4); ``clip_short`` are the seven that CLIP's authors
chose one by one out of their 80 for ImageNet (the notebook on prompts beside their code).
"""
GAP = "{}"
"""Where the name goes, once in a template."""


def prompt_sets() -> tuple[str, ...]:
    """Return the names of the sets that come with the package."""
    return tuple(sorted(file.stem for file in SETS.glob("*.txt")))


def read_prompts(name_or_file: str) -> tuple[str, ...]:
    """Return the templates of a set that comes with the package, or of a file with a template a line.

    Blank lines are passed over.

    Raises:
        UserError: there is neither such a set nor such a file, it cannot be read or holds no template, or a line has no
            ``{}`` or several.
    """
    known = prompt_sets()
    file = SETS / f"{name_or_file}.txt" if name_or_file in known else Path(name_or_file).expanduser()
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else "no such set, and no file to read"
        raise UserError(
            f"prompts {name_or_file!r}: {why}; expected {' or '.join(known)}, or a text file with a template a line, "
            f"such as 'a photo of a {GAP}.'"
        ) from error
    for number, line in enumerate(lines, 1):
        if line.strip() and line.count(GAP) != 1:
            raise UserError(
                f"{file}, line {number}: {line.strip()[:80]!r} has {line.count(GAP)} times {GAP}; expected it once, "
                "where the name of the class goes"
            )
    templates = tuple(line.strip() for line in lines if line.strip())
    if not templates:
        raise UserError(f"{file}: no template there; expected one a line, such as 'a photo of a {GAP}.'")
    return templates


def first_name(name: str) -> str:
    """Return the first of the names of a class, with blanks: "fire truck" of "fire_truck" and "fire truck, engine".

    Empty where there is no name at all.
    """
    names = (" ".join(one.replace("_", " ").split()) for one in name.split(","))
    return next(filter(None, names), "")


def fill(template: str, name: str) -> str:
    """Return ``template`` with the first name of a class in its gap; the article before it stays as it is."""
    return template.replace(GAP, first_name(name))
