"""The person who wears the camera: two arms that enter the picture from below and move in the camera's frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.world.colour_words import shade_of
from transferbench.world.parts import Colour, Part, Vector, ellipsoid, limb
from transferbench.world.props import plain_finish
from transferbench.world.solids import Floats, Solids, solids_of
from transferbench.world.surface import Finish

# Points in the camera's frame: x to the right, y up, the view along -z; units of about 30 cm.
SHOULDER = np.array([0.5, -0.8, -0.15])
REST = np.array([0.3, -0.33, -1.15])  # of the right hand
SWAY = np.array([0.13, 0.1, 0.14])  # how far a hand at rest wanders
BESIDE = np.array([0.13, 0.0, 0.0])  # from what a hand holds to the hand
PALM, FINGER, FOREARM = 0.085, 0.026, 0.075  # radii
SKINS: tuple[Colour, ...] = ((0.93, 0.75, 0.64), (0.8, 0.58, 0.44), (0.55, 0.36, 0.26), (0.36, 0.23, 0.17))
SLEEVES = ("red", "green", "blue", "purple", "grey", "orange")


@dataclass(frozen=True)
class Person:
    """``skin`` and ``sleeve`` are sRGB; ``pace`` (2, 3), radians a frame, and ``phase`` (2, 3) of how hands wander."""

    skin: Colour
    sleeve: Colour
    pace: NDArray[np.float64]
    phase: NDArray[np.float64]

    def solids(self, time: float, pose: NDArray[np.float64], reach: float, point: Floats) -> tuple[Solids, Finish]:
        """Return the arms in the world at a time, as a camera of ``pose`` carries them, and their finish.

        The right hand has gone the share ``reach`` of the way from its rest to ``point`` (3,) in the world.
        """
        parts = []
        for hand, side in enumerate((1.0, -1.0)):
            sway = SWAY * np.sin(self.pace[hand] * time + self.phase[hand])
            palm = (REST + sway) * [side, 1, 1]
            if side > 0 and reach > 0:
                wanted = (np.asarray(point) - pose[:3, 3]) @ pose[:3, :3]
                back = SHOULDER - wanted
                palm = palm + reach * (wanted + back / np.linalg.norm(back) * 0.16 + BESIDE - palm)
            parts += _arm(SHOULDER * [side, 1, 1], palm, side)
        colours = [self.skin if part.slot == "skin" else self.sleeve for part in parts]
        turn, shift = pose[:3, :3].astype(np.float32), pose[:3, 3].astype(np.float32)
        return solids_of(parts).moved(turn, shift), plain_finish(colours)


def draw_person(rng: np.random.Generator) -> Person:
    """Return a person of random looks and movements."""
    return Person(
        skin=SKINS[int(rng.integers(len(SKINS)))],
        sleeve=shade_of(SLEEVES[int(rng.integers(len(SLEEVES)))], rng),
        pace=rng.uniform(0.08, 0.3, (2, 3)),
        phase=rng.uniform(0, 2 * np.pi, (2, 3)),
    )


def _arm(shoulder: Floats, palm: Floats, side: float) -> list[Part]:
    """Return the parts of an arm: a sleeve from the shoulder over the elbow to the wrist, the palm and five fingers."""
    elbow = (shoulder + palm) / 2 + np.array([0.16 * side, -0.2, 0.0])
    along = (palm - elbow) / np.linalg.norm(palm - elbow)
    across = np.cross(along, [0.0, 1.0, 0.0])
    across /= np.linalg.norm(across)
    up = np.cross(across, along)
    cuff, wrist = palm - 0.3 * along, palm - 0.06 * along
    parts = limb([_point(shoulder), _point(elbow), _point(cuff)], 0.11, 0.085, "sleeve")
    parts += limb([_point(cuff), _point(wrist)], FOREARM * 0.9, FOREARM * 0.8, "skin")
    parts.append(ellipsoid(_point(palm), PALM, "skin"))
    for place in (-1.5, -0.5, 0.5, 1.5):
        knuckle = palm + 0.045 * place * across + 0.05 * along + 0.03 * up
        middle = knuckle + 0.08 * along + 0.01 * place * across
        tip = middle + 0.06 * along - 0.05 * up
        parts += limb([_point(knuckle), _point(middle), _point(tip)], FINGER, None, "skin")
    thumb = palm - 0.075 * side * across + 0.02 * along
    parts += limb([_point(thumb), _point(thumb + 0.09 * along - 0.03 * side * across)], FINGER * 1.1, None, "skin")
    return parts


def _point(place: Floats) -> Vector:
    return float(place[0]), float(place[1]), float(place[2])
