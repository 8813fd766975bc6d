"""The body plan that four-legged mammals share: trunk, legs, neck, head, and where to fasten the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transferbench.world.parts import Part, Vector, box, cone, ellipsoid, mirrored
from transferbench.world.shapes.fitting import placed


@dataclass(frozen=True)
class Head:
    """A head in its own frame: the skull is a ball of radius about 1 at the origin, the muzzle points to +x.

    ``muzzle`` is the x of the muzzle's tip, ``base`` and ``tip`` its radii, ``drop`` how far the tip lies below.
    """

    width: float = 0.85
    height: float = 0.9
    muzzle: float = 1.7
    base: float = 0.65
    tip: float = 0.4
    drop: float = 0.35
    eye: float = 0.2
    nose: float = 0.22
    slot: str = "main"
    muzzle_slot: str = "main"

    def parts(self) -> list[Part]:
        """Return skull, muzzle, nose and eyes."""
        end = (self.muzzle, 0.0, -self.drop)
        face = [
            ellipsoid((0, 0, 0), (1.0, self.width, self.height), self.slot),
            cone((0.35, 0, -0.2), end, self.base, self.tip, self.muzzle_slot),
            ellipsoid(end, (self.tip * 0.8, self.tip, self.tip), self.muzzle_slot),
        ]
        if self.nose:
            face.append(ellipsoid((self.muzzle + self.tip * 0.6, 0, self.tip * 0.4 - self.drop), self.nose, "dark"))
        return face + mirrored([ellipsoid((0.62, self.width * 0.72, 0.36), self.eye, "dark")])


@dataclass(frozen=True)
class Body:
    """A built trunk with its legs and neck: what species fasten heads, tails and coats to."""

    parts: list[Part]
    head_at: Vector
    head_pitch: float
    head_scale: float
    neck_at: Vector
    tail_at: Vector
    back: float

    def on_head(self, parts: list[Part]) -> list[Part]:
        """Return ``parts``, given in the head's frame, where the head is."""
        return placed(parts, self.head_at, self.head_scale, y=self.head_pitch)

    def along_neck(self, share: float, off: float) -> Vector:
        """Return the point at ``share`` of the neck's length, ``off`` units off its axis on the nape's side."""
        root, top = np.array(self.neck_at), np.array(self.head_at)
        axis = (top - root) / np.linalg.norm(top - root)
        x, y, z = (root + share * (top - root) + off * np.array([-axis[2], 0.0, axis[0]])).tolist()
        return x, y, z


@dataclass(frozen=True)
class Quadruped:
    """Proportions of a four-legged body; the trunk runs from the hips to the shoulders, ``length`` units apart.

    ``chest``, ``waist`` and ``rump`` are the trunk's radii; ``neck_angle`` and ``head_pitch`` are degrees above and
    below the horizontal; ``stride`` is the largest swing of a leg in degrees; ``hock`` bends the hind legs back.
    """

    length: float = 1.0
    chest: float = 0.26
    waist: float = 0.22
    rump: float = 0.24
    width: float = 0.8
    leg: float = 0.55
    thigh: float = 0.1
    shin: float = 0.06
    foot: float = 0.08
    hock: float = 0.06
    stride: float = 22.0
    neck: float = 0.35
    neck_angle: float = 50.0
    neck_base: float = 0.17
    neck_top: float = 0.12
    head: float = 0.17
    head_pitch: float = 15.0
    nod: float = 14.0
    coat: str = "main"
    shin_slot: str = "main"
    foot_slot: str = "dark"
    hooved: bool = True

    def build(self, rng: np.random.Generator) -> Body:
        """Return the body in a pose drawn from ``rng``: legs mid-step, neck raised or lowered."""
        half, height = self.length / 2, self.leg + self.rump * 0.75
        lift = np.radians(self.neck_angle + rng.uniform(-self.nod, self.nod))
        root = (half + self.chest * 0.25, 0.0, height + self.chest * 0.35)
        top = (root[0] + self.neck * float(np.cos(lift)), 0.0, root[2] + self.neck * float(np.sin(lift)))
        parts = [*self._trunk(half, height), cone(root, top, self.neck_base, self.neck_top, self.coat)]
        parts += self._legs(rng, half, height)
        pitch = self.head_pitch + float(rng.uniform(-self.nod, self.nod))
        tail = (-half - self.rump * 0.85, 0.0, height + self.rump * 0.35)
        return Body(parts, top, pitch, self.head, root, tail, height + max(self.chest, self.waist, self.rump))

    def _trunk(self, half: float, height: float) -> list[Part]:
        across = self.width
        return [
            ellipsoid((half, 0, height), (self.chest, self.chest * across, self.chest), self.coat),
            ellipsoid((0, 0, height), (half * 1.25, self.waist * across, self.waist), self.coat),
            ellipsoid((-half, 0, height), (self.rump, self.rump * across, self.rump), self.coat),
        ]

    def _legs(self, rng: np.random.Generator, half: float, height: float) -> list[Part]:
        phase, legs = rng.uniform(0, 2 * np.pi), []
        for x, side, turn in ((half, 1, 0.0), (half, -1, np.pi), (-half, 1, np.pi), (-half, -1, 0.0)):
            swing = np.radians(self.stride) * float(np.sin(phase + turn))
            y = side * self.width * (self.chest if x > 0 else self.rump) * 0.62
            bend = -self.hock if x < 0 else self.hock * 0.4
            knee = (x + self.leg * 0.45 * float(np.sin(swing)) - bend * 0.6, y, self.leg * 0.52)
            toe = (knee[0] + self.leg * 0.5 * float(np.sin(swing)) + bend * 0.5, y, self.foot * 0.5)
            legs += [
                cone((x, y, height - 0.05), knee, self.thigh, self.shin * 1.1, self.coat),
                cone(knee, toe, self.shin * 1.1, self.shin, self.shin_slot),
                self._foot(toe),
            ]
        return legs

    def _foot(self, at: Vector) -> Part:
        if self.hooved:
            size = (self.foot, self.foot, self.foot * 0.75)
            return box((at[0] + self.foot * 0.2, at[1], size[2]), size, self.foot_slot)
        return ellipsoid(
            (at[0] + self.foot * 0.5, at[1], self.foot * 0.5), (self.foot * 1.5, self.foot, self.foot * 0.8)
        )
