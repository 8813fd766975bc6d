"""Which concepts may stand in a level: the filters of ImageNet-CoG (ICCV 2021), each a setting, each counted.

The order matters and reproduces the published choice: what is seen, what lies above it, whole sub-trees, what has a
narrower concept in the source (before any is lost for want of images), too few images, choices made by hand.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from transferbench.concepts.wordnet import WordNet
from transferbench.errors import UserError

PERSON = "n00007846"


@dataclass(frozen=True)
class Rules:
    """The filters.

    Attributes:
        drop_seen_ancestors: drop what lies above a seen concept; what lies below one stays.
        drop_subtrees: drop these concepts and all below them.
        leaves_only: drop what has another concept of the source below it.
        min_images: drop what has fewer images.
        drop: drop these, chosen by hand.
    """

    drop_seen_ancestors: bool = True
    drop_subtrees: Sequence[str] = (PERSON,)
    leaves_only: bool = True
    min_images: int = 782
    drop: Collection[str] = ()


@dataclass(frozen=True)
class Step:
    """A filter that was applied: its short key, what it keeps in words, and the wnids that are left, sorted."""

    key: str
    rule: str
    left: tuple[str, ...]


def select(wordnet: WordNet, images: Mapping[str, int], seen: Collection[str], rules: Rules) -> list[Step]:
    """Apply the filters to the concepts of a source.

    Args:
        wordnet: the taxonomy.
        images: the number of images of every concept of the source, by wnid.
        seen: wnids of the seen concepts.
        rules: the filters.

    Returns:
        the source itself and then what each filter left, those that are switched off left out.

    Raises:
        UserError: a wnid is not in ``wordnet``.
    """
    chosen = set(seen)
    steps = [Step("source", "concepts of the source", tuple(sorted(images)))]

    def keep(key: str, rule: str, dropped: Collection[str]) -> None:
        steps.append(Step(key, rule, tuple(wnid for wnid in steps[-1].left if wnid not in dropped)))

    keep("unseen", "not among the seen concepts", chosen)
    if rules.drop_seen_ancestors:
        keep("not_above_seen", "not above a seen concept", _above(wordnet, chosen))
    if rules.drop_subtrees:
        roots = set(rules.drop_subtrees)
        below = {wnid for wnid in steps[-1].left if not roots.isdisjoint({wnid, *wordnet.ancestors(wnid)})}
        names = " or ".join(f"{wordnet.names(root)[0]} ({root})" for root in rules.drop_subtrees)
        keep("not_in_subtree", f"not at or below {names}", below)
    if rules.leaves_only:
        keep("leaves", "without a narrower concept in the source", _above(wordnet, images))
    if rules.min_images > 0:
        few = {wnid for wnid, count in images.items() if count < rules.min_images}
        keep("enough_images", f"at least {rules.min_images} images", few)
    if rules.drop:
        keep("not_dropped", "not in the drop-list", set(rules.drop))
    return steps


def check_enough(steps: Sequence[Step], levels: int, per_level: int) -> None:
    """See that enough concepts are left for the levels.

    Raises:
        UserError: there are not; names the filter after which they became too few.
    """
    needed = levels * per_level
    if len(steps[-1].left) >= needed:
        return
    wanted = f"expected at least {needed} ({levels} levels of {per_level}); ask for fewer, or loosen a filter"
    if len(steps[0].left) < needed:
        raise UserError(f"levels: found {len(steps[0].left)} concepts in the source, {wanted}")
    before, after = next(pair for pair in pairwise(steps) if len(pair[1].left) < needed)
    raise UserError(
        f"levels: found {len(after.left)} concepts after the filter '{after.rule}' "
        f"({len(before.left)} before it), {wanted}"
    )


def _above(wordnet: WordNet, wnids: Collection[str]) -> set[str]:
    return set().union(*(wordnet.ancestors(wnid) for wnid in wnids))
