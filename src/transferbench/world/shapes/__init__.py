"""The shapes of the world's leaf concepts: each lemma's builder draws one exemplar from a NumPy generator.

A module describes a family of concepts and holds ``SHAPES``, a mapping from lemma to builder; this package merges them.
"""

from transferbench.world.parts import Builder
from transferbench.world.shapes import (
    arthropods,
    birds,
    buildings,
    carnivores,
    containers,
    craft,
    devices,
    dishes,
    fish,
    fruit,
    furnishings,
    garments,
    instruments,
    mammals,
    molluscs,
    plants,
    playthings,
    reptiles,
    ruminants,
    structures,
    tools,
    ungulates,
    vegetables,
    vehicles,
    waterbirds,
)

SHAPES: dict[str, Builder] = {
    **carnivores.SHAPES,
    **ungulates.SHAPES,
    **ruminants.SHAPES,
    **mammals.SHAPES,
    **waterbirds.SHAPES,
    **birds.SHAPES,
    **reptiles.SHAPES,
    **fish.SHAPES,
    **arthropods.SHAPES,
    **molluscs.SHAPES,
    **plants.SHAPES,
    **fruit.SHAPES,
    **vegetables.SHAPES,
    **dishes.SHAPES,
    **vehicles.SHAPES,
    **craft.SHAPES,
    **buildings.SHAPES,
    **structures.SHAPES,
    **furnishings.SHAPES,
    **containers.SHAPES,
    **tools.SHAPES,
    **instruments.SHAPES,
    **devices.SHAPES,
    **playthings.SHAPES,
    **garments.SHAPES,
}
"""Every leaf concept's builder, by lemma."""
