"""Test images with the training images nearest to them, so that a report can show what a representation finds alike."""

from __future__ import annotations

from dataclasses import dataclass

from transferbench.data.image_set import ImageSet, Splits
from transferbench.features.extract import Features, evenly_spaced
from transferbench.features.store import StoredFeatures
from transferbench.probes.knn import nearest

QUERIES = 6
NEIGHBOURS = 5


@dataclass(frozen=True)
class Picture:
    """Where a picture stands: its position and name in its image set, and the name of its class."""

    position: int
    name: str
    label: str


@dataclass(frozen=True)
class Neighbours:
    """A test picture of the set ``dataset`` and the training pictures nearest to it by cosine, nearest first."""

    dataset: str
    query: Picture
    nearest: tuple[Picture, ...]


def _picture(images: ImageSet, features: Features | StoredFeatures, row: int) -> Picture:
    position = int(features.positions[row])
    return Picture(position, images.name(position), images.classes[int(features.y[row])])


def find_neighbours(
    dataset: str,
    splits: Splits,
    train: Features | StoredFeatures,
    test: Features | StoredFeatures,
    queries: int = QUERIES,
    count: int = NEIGHBOURS,
) -> tuple[Neighbours, ...]:
    """Return the ``count`` nearest training pictures of up to ``queries`` test pictures spread over the test set.

    ``train`` and ``test`` are the features of ``splits``. The same test pictures are chosen for every representation.
    """
    rows = evenly_spaced(len(test.y), queries)
    _, found = nearest(train.x, test.x[rows], count)
    return tuple(
        Neighbours(
            dataset,
            _picture(splits.test, test, int(row)),
            tuple(_picture(splits.train, train, int(near)) for near in best),
        )
        for row, best in zip(rows, found)
    )
