"""The shapes of the world's leaf concepts: each lemma's builder draws one exemplar from a NumPy generator.

A module describes a family of concepts and holds ``SHAPES``, a mapping from lemma to builder; this package merges them.
"""

from transferbench.world.parts import Builder
from transferbench.world.shapes import (
    arthropods,
    birds,
    carnivores,
    fish,
    food,
    mammals,
    molluscs,
    plants,
    reptiles,
    ungulates,
)

SHAPES: dict[str, Builder] = {
    **carnivores.SHAPES,
    **ungulates.SHAPES,
    **mammals.SHAPES,
    **birds.SHAPES,
    **reptiles.SHAPES,
    **fish.SHAPES,
    **arthropods.SHAPES,
    **molluscs.SHAPES,
    **plants.SHAPES,
    **food.SHAPES,
}
"""Every leaf concept's builder, by lemma."""
