"""How far levels agree with published ones, and what the published ones must have left out by hand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from transferbench.errors import UserError


@dataclass(frozen=True)
class Agreement:
    """One level beside the published one.

    Attributes:
        level: its number, 1 the closest.
        common: concepts in both.
        missing: published concepts that ours lacks, sorted; ``filtered`` of them were no candidates.
        extra: concepts of ours that the published level lacks, sorted; each is one of the following.
        tied: those as similar as the most or the least similar published concept: the order of a tie is chance.
        left_out: those within the published range: left out there by hand.
        beyond: those outside of the published range: our cut lies elsewhere.
        filtered: see ``missing``.
    """

    level: int
    common: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    tied: int
    left_out: int
    beyond: int
    filtered: int


def compare_levels(
    levels: Mapping[int, Collection[str]], published: Mapping[int, Collection[str]], similarity: Mapping[str, float]
) -> list[Agreement]:
    """Compare the levels that are published.

    Args:
        levels: wnids of each level.
        published: the same, of some or all of these levels.
        similarity: to the seen concepts, of every candidate: all concepts of ``levels``, and published ones unless the
            filters dropped them.

    Raises:
        UserError: a published level that we have not, or one without a single candidate.
    """
    found = []
    for level, theirs in published.items():
        if level not in levels:
            raise UserError(f"level {level} is published, but there are {len(levels)} levels here; set task.levels")
        known = [similarity[wnid] for wnid in theirs if wnid in similarity]
        if not known:
            raise UserError(f"published level {level}: all its {len(theirs)} concepts are dropped by the filters")
        extra = sorted(set(levels[level]).difference(theirs))
        values = np.array([similarity[wnid] for wnid in extra])
        low, high = min(known), max(known)
        found.append(
            Agreement(
                level=level,
                common=len(set(theirs).intersection(levels[level])),
                missing=tuple(sorted(set(theirs).difference(levels[level]))),
                extra=tuple(extra),
                tied=int(np.sum((values == low) | (values == high))),
                left_out=int(np.sum((values > low) & (values < high))),
                beyond=int(np.sum((values < low) | (values > high))),
                filtered=len(theirs) - len(known),
            )
        )
    return found


def left_out(published: Mapping[int, Sequence[str]], similarity: Mapping[str, float]) -> list[str]:
    """Candidates that lie within the range of a published level and in none: choices made by hand there, sorted."""
    chosen = {wnid for wnids in published.values() for wnid in wnids}
    ranges = []
    for wnids in published.values():
        known = [similarity[wnid] for wnid in wnids if wnid in similarity]
        ranges.append((min(known, default=0.0), max(known, default=0.0)))
    return sorted(
        wnid
        for wnid, value in similarity.items()
        if wnid not in chosen and any(low < value < high for low, high in ranges)
    )
