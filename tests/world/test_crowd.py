"""Crowds: every object covers its share, is to be seen, and every fact about it is true of the picture's own masks."""

from __future__ import annotations

import colorsys
from functools import cache

import numpy as np
import pytest

from transferbench.nerf.cameras import project
from transferbench.world.colour_words import COLOURS, NAMELESS, SHADES, named, shade_of
from transferbench.world.crowd import Crowd, draw_crowd
from transferbench.world.layout import MARGIN, VISIBLE
from transferbench.world.palette import GAMMA
from transferbench.world.render import render
from transferbench.world.survey import IN_LINE, NEARER, Sighting, fits, relations, survey
from transferbench.world.trace import Grid, rectangles, trace

LEMMAS = ("fox", "mug", "kite", "bus", "owl", "igloo", "scissors", "eagle")
SIZE = 96


@cache
def crowds() -> tuple[tuple[Crowd, tuple[Sighting, ...]], ...]:
    rng = np.random.default_rng(7)
    found = []
    while len(found) < 14:
        crowd = draw_crowd(LEMMAS, rng, SIZE)
        sightings = survey(crowd)
        if sightings and fits(sightings):
            found.append((crowd, sightings))
    return tuple(found)


def test_crowds_have_two_to_four_objects_and_sometimes_twins() -> None:
    numbers = [len(crowd.lemmas) for crowd, _ in crowds()]
    assert set(numbers) <= {2, 3, 4}
    assert len(set(numbers)) > 1
    twins = [len(set(crowd.lemmas)) < len(crowd.lemmas) for crowd, _ in crowds()]
    assert any(twins)
    assert not all(twins)
    assert any(any(crowd.airborne) for crowd, _ in crowds())


def test_objects_cover_a_share_of_the_picture_and_are_visible() -> None:
    for crowd, sightings in crowds():
        taken = np.zeros((SIZE, SIZE), int)
        for index, sighting in enumerate(sightings):
            assert 0.018 <= sighting.share <= 0.15
            taken += sighting.mask
            scene, own = crowd.scene, crowd.owner == index
            alone = type(scene.solids)(*(getattr(scene.solids, n)[own] for n in ("kind", "centre", "size", "rotation")))
            camera = scene.camera
            corners, _ = project(alone.corners(), camera.pose, camera.focal, camera.principal)
            whole = np.isfinite(trace(alone, rectangles(corners), Grid.of(camera)).depth)
            assert not (sighting.mask & ~whole).any()
            assert sighting.mask.sum() >= (VISIBLE - 0.05) * whole.sum()
            edge = max(int(MARGIN * SIZE) - 1, 0)
            assert whole.sum() == whole[edge : SIZE - edge, edge : SIZE - edge].sum()
        assert taken.max() == 1


def test_boxes_bound_masks() -> None:
    for _, sightings in crowds():
        for sighting in sightings:
            left, top, width, height = sighting.box
            assert sighting.mask[top : top + height, left : left + width].sum() == sighting.mask.sum()
            for edge in (sighting.mask[top], sighting.mask[top + height - 1]):
                assert edge.any()
            for edge in (sighting.mask[:, left], sighting.mask[:, left + width - 1]):
                assert edge.any()


def test_masks_are_those_of_the_rendered_picture() -> None:
    for crowd, sightings in crowds()[:5]:
        picture = render(crowd.scene, np.random.default_rng(0))
        together = np.any([sighting.mask for sighting in sightings], axis=0)
        assert (picture.mask != together).mean() < 0.02  # a pixel half covered may fall either way
        for sighting in sightings:
            assert abs(np.median(picture.depth[sighting.mask]) - sighting.depth) < 0.1


def sighted(box: tuple[int, int, int, int], depth: float, airborne: bool = False) -> Sighting:
    mask = np.zeros((100, 100), np.bool_)
    mask[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = True
    return Sighting("fox", airborne, mask, box, depth, "", "", "", False)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (sighted((10, 50, 20, 20), 4.0), sighted((60, 50, 20, 20), 4.0), ("left",)),
        (sighted((60, 50, 20, 20), 4.0), sighted((10, 50, 20, 20), 4.0), ("right",)),
        (sighted((40, 60, 20, 20), 3.0), sighted((42, 40, 20, 20), 4.0), ("front",)),
        (sighted((42, 40, 20, 20), 4.0), sighted((40, 60, 20, 20), 3.0), ("behind",)),
        (sighted((40, 60, 20, 20), 3.9), sighted((42, 40, 20, 20), 4.0), ()),  # hardly nearer
        (sighted((40, 10, 20, 20), 4.0, True), sighted((42, 50, 20, 20), 4.0), ("above",)),
        (sighted((42, 50, 20, 20), 4.0), sighted((40, 10, 20, 20), 4.0, True), ("below",)),
        (sighted((40, 40, 20, 20), 4.0, True), sighted((42, 50, 20, 20), 4.0), ()),  # overlapping in height
        (sighted((10, 50, 30, 20), 4.0), sighted((30, 50, 30, 20), 4.0), ()),  # overlapping across
    ],
)
def test_relations(one: Sighting, other: Sighting, expected: tuple[str, ...]) -> None:
    assert relations(one, other) == expected


def test_relations_of_pictures_hold_in_pixels_and_agree_with_their_opposites() -> None:
    opposite = dict(zip(("left", "right", "front", "behind", "above", "below"), ("right", "left", "behind", "front")))
    opposite |= {"above": "below", "below": "above"}
    seen = set()
    for _, sightings in crowds():
        for one in sightings:
            for other in sightings:
                if one is other:
                    continue
                rows, columns = np.nonzero(one.mask)
                other_rows, other_columns = np.nonzero(other.mask)
                for relation in relations(one, other):
                    seen.add(relation)
                    assert opposite[relation] in relations(other, one)
                    if relation == "left":
                        assert columns.mean() < other_columns.mean()
                    if relation == "front":
                        assert one.depth < other.depth - NEARER
                        assert rows.max() > other_rows.max()
                    if relation == "above":
                        assert rows.max() < other_rows.min()
                    if relation in ("front", "above"):
                        common = np.intersect1d(columns, other_columns)
                        assert len(common) > 0.5 * IN_LINE * min(len(set(columns)), len(set(other_columns)))
    assert seen >= {"left", "right", "front", "behind"}


def test_a_named_colour_is_that_of_most_of_what_is_seen() -> None:
    checked = 0
    for crowd, sightings in crowds():
        finish = crowd.scene.finish
        camera = crowd.scene.camera
        corners, _ = project(crowd.scene.solids.corners(), camera.pose, camera.focal, camera.principal)
        part = trace(crowd.scene.solids, rectangles(corners), Grid.of(camera)).part
        for sighting in sightings:
            seen = part[sighting.mask]
            if sighting.colour and (finish.pattern[seen] == 0).all():
                words = named(finish.colours[seen, 0].T ** (1 / GAMMA))
                assert (words == COLOURS.index(sighting.colour)).mean() >= 0.6
                checked += 1
    assert checked > 5


def test_shades_have_their_names() -> None:
    rng = np.random.default_rng(0)
    for index, name in enumerate(SHADES):
        shades = np.array([shade_of(name, rng) for _ in range(200)]).T
        assert (named(shades) == index).all(), name


def test_shades_between_names_have_none() -> None:
    between = np.array([colorsys.hsv_to_rgb(*hsv) for hsv in ((180 / 360, 0.9, 0.8), (70 / 360, 0.9, 0.8))]).T
    assert named(between).tolist() == [NAMELESS, NAMELESS]
    assert named(np.array([[0.7, 0.55, 0.4]]).T).tolist() == [NAMELESS]  # tan


def test_crowds_depend_on_the_generator_alone() -> None:
    first, again = (draw_crowd(LEMMAS, np.random.default_rng(3), SIZE) for _ in range(2))
    other = draw_crowd(LEMMAS, np.random.default_rng(4), SIZE)
    assert first.lemmas == again.lemmas
    np.testing.assert_array_equal(first.scene.solids.centre, again.scene.solids.centre)
    assert first.scene.solids.centre.shape != other.scene.solids.centre.shape


def test_one_concept_makes_twins() -> None:
    crowd = draw_crowd(("mug",), np.random.default_rng(0), SIZE)
    assert crowd.lemmas == ("mug", "mug")
