import pytest

from transferbench.concepts.selection import Rules, check_enough, select
from transferbench.concepts.wordnet import open_wordnet
from transferbench.errors import UserError

TREE = {
    "entity": [],
    "person": ["entity"],
    "painter": ["person"],
    "animal": ["entity"],
    "dog": ["animal"],
    "pug": ["dog"],
    "cat": ["animal"],
    "tabby": ["cat"],
    "tiger_cat": ["cat"],
}


@pytest.fixture
def tree(tmp_path, write_nouns):
    ids = write_nouns(tmp_path, TREE)
    return open_wordnet(tmp_path), ids


def left(tree, rules, images=None, seen=("dog",)):
    wordnet, ids = tree
    names = {wnid: key for key, wnid in ids.items()}
    counts = {ids[key]: count for key, count in (images or dict.fromkeys(TREE, 100)).items()}
    steps = select(wordnet, counts, [ids[key] for key in seen], rules)
    return {step.key: {names[wnid] for wnid in step.left} for step in steps}


def test_each_filter_and_its_order(tree):
    ids = tree[1]
    images = dict.fromkeys(TREE, 100) | {"tabby": 10}
    found = left(tree, Rules(drop_subtrees=[ids["person"]], min_images=50, drop={ids["tiger_cat"]}), images)
    assert found["source"] == set(TREE)
    assert found["unseen"] == set(TREE) - {"dog"}
    assert found["not_above_seen"] == {"person", "painter", "pug", "cat", "tabby", "tiger_cat"}  # pug lies below
    assert found["not_in_subtree"] == {"pug", "cat", "tabby", "tiger_cat"}
    assert found["leaves"] == {"pug", "tabby", "tiger_cat"}  # cat has two below, of which one has too few images
    assert found["enough_images"] == {"pug", "tiger_cat"}
    assert found["not_dropped"] == {"pug"}


def test_a_filter_that_is_off_is_no_step(tree):
    rules = Rules(drop_seen_ancestors=False, drop_subtrees=(), leaves_only=False, min_images=0)
    assert list(left(tree, rules)) == ["source", "unseen"]


def test_a_leaf_is_one_of_the_source(tree):
    """Narrower concepts that the source does not have do not count."""
    assert left(tree, Rules(drop_subtrees=(), min_images=0), {"cat": 1, "animal": 1})["leaves"] == {"cat"}


def test_a_concept_above_dropped_ones_is_no_leaf(tree):
    rules = Rules(drop_seen_ancestors=False, drop_subtrees=(), min_images=0)
    assert left(tree, rules, seen=("tabby", "tiger_cat"))["leaves"] == {"painter", "pug"}


def test_too_few_names_the_filter(tree):
    wordnet, ids = tree
    images = dict.fromkeys(ids.values(), 100)
    steps = select(wordnet, images, [ids["dog"]], Rules(drop_subtrees=[ids["person"]], min_images=200))
    message = (
        r"found 3 concepts after the filter 'without a narrower concept in the source' \(4 before it\), "
        r"expected at least 4 \(2 levels of 2\); ask for fewer, or loosen a filter"
    )
    check_enough(steps[:5], 1, 3)
    with pytest.raises(UserError, match=message):
        check_enough(steps, 2, 2)
    with pytest.raises(UserError, match="found 9 concepts in the source, expected at least 10"):
        check_enough(steps, 5, 2)
    assert steps[3].rule == f"not at or below person ({ids['person']})"


def test_imagenet21k(wordnet, imagenet, imagenet21k, cog_levels):
    """The counts that the published choice went through, and that it lies within what is left."""
    steps = select(wordnet, imagenet21k, imagenet, Rules())
    assert [len(step.left) for step in steps] == [21_841, 20_842, 20_081, 17_254, 14_248, 5_216]
    assert set().union(*cog_levels.values()) <= set(steps[-1].left)
