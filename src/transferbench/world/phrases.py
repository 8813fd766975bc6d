"""Captions of what a picture shows, in many wordings: one object, several, their number, their places, their looks.

A pattern is a function that returns a sentence about a view, or None where it has nothing true to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from transferbench.world.nouns import noun_of
from transferbench.world.survey import Sighting
from transferbench.world.view import View

# How a relation of survey.RELATIONS is said.
PREPOSITIONS: Mapping[str, tuple[str, ...]] = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "front": ("in front of",),
    "behind": ("behind",),
    "above": ("above",),
    "below": ("below",),
}
OF_IT = {word: f"{forms[0]} it" for word, forms in PREPOSITIONS.items()}
PICTURES = ("picture", "photo", "image")
THIRDS = (0.33, 0.67)  # of the picture's width: its left and its right side lie beyond
TRIES = 60  # patterns drawn for one caption that is not there yet


def where(view: View, place: int) -> str:
    """Return where an object is: on the ground or above it, or on one side of the picture."""
    one = view.sightings[place]
    middle = (one.box[0] + one.box[2] / 2) / one.mask.shape[1]
    if view.rng.random() < 0.6 or THIRDS[0] <= middle <= THIRDS[1]:
        return "above the ground" if one.airborne else "on the ground"
    return f"on the {'left' if middle < THIRDS[0] else 'right'} side of the {view.pick(PICTURES)}"


def acting(view: View) -> str:
    """A red fox stands on the ground."""
    place = view.some()
    return f"{view.one(place)} {view.verb(place)} {where(view, place)}"


def pictured(view: View) -> str:
    """A photo of a red fox."""
    return f"{view.pick(('a', 'this is a'))} {view.pick(('picture', 'photo'))} of {view.one(view.some())}"


def existing(view: View) -> str:
    """There is a red fox in the picture."""
    place = view.some()
    return f"there is {view.one(place)} {view.pick((f'in the {view.pick(PICTURES)}', where(view, place)))}"


def showing(view: View) -> str | None:
    """The image shows a red fox and a mug."""
    if not (two := _two(view)):
        return None
    first, second = two
    return f"the {view.pick(PICTURES)} shows {view.one(first)} and {view.one(second)}"


def listed(view: View) -> str:
    """A red fox, a mug and a tree."""
    order = view.rng.permutation(len(view.sightings))
    if view.twins():
        order = order[:1]
    *before, last = [view.one(int(place)) for place in order]
    opening = view.pick(("", "", "a picture of ", "we see "))
    return opening + (f"{', '.join(before)} and {last}" if before else last)


def related(view: View) -> str | None:
    """A red fox stands to the left of a mug."""
    if not (found := view.relation()):
        return None
    one, word, other = found
    verb = view.pick((view.verb(one), view.verb(one), "is"))
    return f"{view.one(one)} {verb} {view.pick(PREPOSITIONS[word])} {view.one(other)}"


def related_picture(view: View) -> str | None:
    """A red fox in front of a mug."""
    if not (found := view.relation()):
        return None
    one, word, other = found
    opening = view.pick(("", "there is ", "a photo of "))
    return f"{opening}{view.one(one)} {view.pick(PREPOSITIONS[word])} {view.one(other)}"


def inverted(view: View) -> str | None:
    """Behind a mug stands a red fox."""
    if not (found := view.relation()):
        return None
    one, word, other = found
    preposition = PREPOSITIONS[word][0]
    return f"{preposition} {view.one(other)} {view.verb(one)} {view.one(one)}"


def accompanied(view: View) -> str | None:
    """A mug with a red fox behind it."""
    if not (found := view.relation()):
        return None
    one, word, other = found
    return f"{view.one(other)} with {view.one(one)} {OF_IT[word]}"


def busy(view: View) -> str | None:
    """A red fox standing behind a mug."""
    if not (found := view.relation()):
        return None
    one, word, other = found
    return f"{view.one(one)} {view.verb(one, 'ing')} {PREPOSITIONS[word][0]} {view.one(other)}"


def predicated(view: View) -> str | None:
    """The fox behind the mug is red."""
    if not (found := view.relation()):
        return None
    one, word, other = found
    if not (view.unique(one) and view.unique(other) and (looks := view.looks(one, always=True))):
        return None
    noun = view.nouns[one]
    subject = f"the {noun.name} {PREPOSITIONS[word][0]} the {view.nouns[other].name}"
    return f"{subject} {'are' if noun.many else 'is'} {_joined(looks)}"


def described(view: View) -> str | None:
    """The fox on the ground is small and red."""
    place = view.some()
    if not view.unique(place) or not (looks := view.looks(place, always=True)):
        return None
    noun = view.nouns[place]
    middle = view.pick(("", f" in the {view.pick(PICTURES)}", f" {where(view, place)}"))
    return f"the {noun.name}{middle} {'are' if noun.many else 'is'} {_joined(looks)}"


def that_is(view: View) -> str | None:
    """A fox that is red rests on the ground."""
    place = view.some()
    if not (looks := view.looks(place, always=True)):
        return None
    return f"{view.nouns[place].one()} that is {_joined(looks)} {view.verb(place)} {where(view, place)}"


def counted(view: View) -> str | None:
    """Two red foxes stand on the ground."""
    if not (twins := view.twins()):
        return None
    number = view.nouns[twins[0]].several("two", _shared(view, twins))
    if (verb := _shared_verb(view, twins)) is None or view.rng.random() < 0.4:
        return view.pick((f"there are {number} in the {view.pick(PICTURES)}", f"a picture of {number}", number))
    place = "above the ground" if view.sightings[twins[0]].airborne else "on the ground"
    return f"{number} {verb} {place}"


def counted_among(view: View) -> str | None:
    """Two foxes and a mug."""
    if not (twins := view.twins()) or len(view.sightings) < 3:
        return None
    others = [view.one(place) for place in range(len(view.sightings)) if place not in twins]
    parts = [view.nouns[twins[0]].several("two", _shared(view, twins)), *others]
    if view.rng.random() < 0.5:
        parts = [*parts[1:], parts[0]]
    return f"{view.pick(('', 'a photo of '))}{', '.join(parts[:-1])} and {parts[-1]}"


def compared(view: View) -> str | None:
    """One fox is red and the other is blue."""
    if not (twins := view.twins()) or view.nouns[twins[0]].measure:
        return None
    first, second = (view.sightings[place].colour for place in twins)
    if not first or not second or first == second:
        return None
    return f"one {view.nouns[twins[0]].name} is {first} and the other is {second}"


PATTERNS: tuple[Callable[[View], str | None], ...] = (
    acting,
    pictured,
    existing,
    showing,
    listed,
    related,
    related,
    related_picture,
    related_picture,
    inverted,
    accompanied,
    busy,
    predicated,
    described,
    that_is,
    counted,
    counted,
    counted_among,
    compared,
)


def captions(
    sightings: Sequence[Sighting],
    names: Mapping[str, str],
    count: int,
    rng: np.random.Generator,
    unseen: Collection[str] = (),
) -> tuple[str, ...]:
    """Return ``count`` captions of a picture, different from each other as far as there are that many things to say.

    ``names`` holds the readable name of each lemma, ``unseen`` the names that no caption may contain.
    """
    nouns = tuple(noun_of(names[sighting.lemma], unseen) for sighting in sightings)
    view = View(tuple(sightings), nouns, rng)
    said: list[str] = []
    for tried in range(TRIES * count):
        if len(said) == count:
            break
        sentence = PATTERNS[int(rng.integers(len(PATTERNS)))](view)
        if (
            sentence
            and (sentence := f"{sentence[0].upper()}{sentence[1:]}.")
            and (sentence not in said or tried > TRIES * count // 2)
        ):
            said.append(sentence)
    return tuple(said)


def _two(view: View) -> tuple[int, int] | None:
    """Return two objects of different concepts; None where the picture shows one concept alone."""
    first, *others = (int(place) for place in view.rng.permutation(len(view.sightings)))
    different = [place for place in others if view.nouns[place] != view.nouns[first]]
    return (first, different[0]) if different else None


def _joined(looks: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(looks[:-1]), looks[-1]]))


def _shared(view: View, twins: tuple[int, int]) -> list[str]:
    """Return adjectives that fit both objects."""
    first, second = (view.sightings[place].adjectives for place in twins)
    return [word for word in first if word in second and view.rng.random() < 0.8]


def _shared_verb(view: View, twins: tuple[int, int]) -> str | None:
    """Return what both objects do; None where one lies and the other does not."""
    verbs = [view.verb(place, "") for place in twins]
    return verbs[0] if (verbs[0] == "lie") == (verbs[1] == "lie") else None
