"""What there is to say about a picture: its objects with their nouns, fitting adjectives, verbs and relations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from transferbench.world.nouns import Noun
from transferbench.world.survey import Sighting, relations
from transferbench.world.taxonomy import read_taxonomy

FLYERS = ("eagle", "butterfly", "airplane", "helicopter", "kite")
# What things on the ground do, by what they are; OTHERS also lie where they are flat.
POSTURES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("snake", "crocodile", "starfish", "octopus", "whale"), ("lie", "rest")),
    "animal": ("stand", "rest"),
    "plant": ("stand", "grow"),
    **dict.fromkeys(("vehicle", "structure", "furnishing"), ("stand", "rest")),
}
OTHERS = ("stand", "rest", "sit")
FLAT = 1.9  # times as wide as high in the picture: it lies
SYNONYMS = {"small": ("small", "small", "little"), "large": ("large", "large", "big")}
SPOKEN = {"colour": 0.8, "pattern": 0.85, "shiny": 0.5, "size": 0.4}  # probability that an adjective that fits is said


@dataclass(frozen=True)
class View:
    """The objects of a picture and their nouns, in one order, and the generator that chooses the words."""

    sightings: tuple[Sighting, ...]
    nouns: tuple[Noun, ...]
    rng: np.random.Generator

    def pick(self, words: Sequence[str]) -> str:
        """Return one of ``words``."""
        return words[int(self.rng.integers(len(words)))]

    def some(self) -> int:
        """Return the place of one object."""
        return int(self.rng.integers(len(self.sightings)))

    def unique(self, place: int) -> bool:
        """Tell whether no other object of the picture has the same noun."""
        return self.nouns.count(self.nouns[place]) == 1

    def looks(self, place: int, always: bool = False) -> list[str]:
        """Return adjectives that fit an object, some of them, or at least one if there is one and ``always``."""
        one = self.sightings[place]
        kinds = {"size": one.size, "shiny": "shiny" if one.shiny else "", "pattern": one.pattern, "colour": one.colour}
        fitting = {kind: self.pick(SYNONYMS.get(word, (word,))) for kind, word in kinds.items() if word}
        said = [word for kind, word in fitting.items() if self.rng.random() < SPOKEN[kind]]
        return said or (list(fitting.values())[-1:] if always else [])

    def one(self, place: int) -> str:
        """Return an object with its indefinite article: "a red fox"."""
        return self.nouns[place].one(self.looks(place))

    def verb(self, place: int, ending: str = "s") -> str:
        """Return what an object does: "stands", "stand" with an empty ``ending``, "standing" with "ing"."""
        one = self.sightings[place]
        if one.airborne:
            verb = self.pick(("fly", "hover") if one.lemma in FLYERS else ("float", "hover"))
        elif (verbs := postures()[one.lemma]) == OTHERS and one.box[2] > FLAT * one.box[3]:
            verb = "lie"
        else:
            verb = self.pick(verbs)
        return {"flys": "flies", "lieing": "lying", "siting": "sitting"}.get(verb + ending, verb + ending)

    def relation(self) -> tuple[int, str, int] | None:
        """Return a random true relation of one object to another; None where there is none."""
        places = range(len(self.sightings))
        pairs = [(a, b) for a in places for b in places if a != b and self.nouns[a] != self.nouns[b]]
        found = [(a, word, b) for a, b in pairs for word in relations(self.sightings[a], self.sightings[b])]
        return found[int(self.rng.integers(len(found)))] if found else None

    def twins(self) -> tuple[int, int] | None:
        """Return two objects of one concept, of which the picture has no third; None where there are none."""
        for place, noun in enumerate(self.nouns):
            if self.nouns.count(noun) == 2:
                return place, self.nouns.index(noun, place + 1)
        return None


@cache
def postures() -> dict[str, tuple[str, ...]]:
    """Return the postures of each concept: its own ones, or those of the nearest concept above it that has some."""
    found: dict[str, tuple[str, ...]] = {}
    for concept in read_taxonomy():  # parents stand before their children
        found[concept.lemma] = POSTURES.get(concept.lemma, found.get(concept.parent or "", OTHERS))
    return found
