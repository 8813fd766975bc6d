import random

import pytest

from transferbench.text.sides import swap_sides


def three_replacements(text: str) -> str:
    return text.replace("left", "\0").replace("right", "left").replace("\0", "right")


@pytest.mark.parametrize(
    ("text", "swapped", "faithful"),
    [
        ("a man on the left of a dog", "a man on the right of a dog", "a man on the right of a dog"),
        ("a bright kite", "a bright kite", "a bleft kite"),
        ("upright leftover", "upright leftover", "upleft rightover"),
        ("Left, RIGHT; the leftmost one", "Right, LEFT; the rightmost one", "Right, LEFT; the rightmost one"),
        ("left-handed, rightward", "right-handed, leftward", "right-handed, leftward"),
        ("leftright", "leftright", "rightleft"),
        ("a dog", "a dog", "a dog"),
        ("", "", ""),
    ],
)
def test_swaps_by_hand(text: str, swapped: str, faithful: str) -> None:
    assert swap_sides(text) == swapped
    assert swap_sides(text, faithful=True) == faithful


@pytest.mark.parametrize("faithful", [False, True])
def test_twice_is_the_identity(faithful: bool) -> None:
    draw = random.Random(0)
    parts = ["left", "right", "Left", "RIGHT", "LeFt", "le", "ft", "ri", "ght", " ", "-", "most", "wards", "b", "é"]
    for _ in range(3000):
        text = "".join(draw.choices(parts, k=draw.randint(0, 8)))
        assert swap_sides(swap_sides(text, faithful), faithful) == text


def test_faithful_is_three_replacements_through_a_placeholder() -> None:
    draw = random.Random(1)
    for _ in range(3000):
        text = "".join(draw.choices(["left", "right", "le", "ft", "ri", "ght", " "], k=draw.randint(0, 8)))
        assert swap_sides(text, faithful=True) == three_replacements(text)
