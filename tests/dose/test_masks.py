"""Masks, against areas and volumes that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.dose import masks
from spotline.dose.grid import Grid
from spotline.dose.masks import mask_of
from spotline.dose.planes import Slab, area_mm2
from spotline.dose.structures import Contour, Structure, StructureSet
from spotline.errors import DoseError

pytestmark = pytest.mark.kernel

GRID = Grid.covering((-30.0, -30.0, -30.0), (30.0, 30.0, 30.0), (2.0, 2.5, 3.0))


def box(x0: float, x1: float, y0: float, y1: float, z: float = 0.0) -> Contour:
    return Contour(z, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))


def circle(radius: float, z: float = 0.0, corners: int = 720, centre: tuple = (0.0, 0.0)) -> Contour:
    phi = np.linspace(0.0, 2.0 * math.pi, corners, endpoint=False)
    return Contour(z, np.stack([np.cos(phi), np.sin(phi)], axis=1) * radius + centre)


def plane_share(contours: tuple[Contour, ...], grid: Grid) -> tuple[int, np.ndarray]:
    return masks.plane_share(Slab(0.0, 1.0, tuple((one,) for one in contours)), grid)


def structure(*contours: Contour) -> Structure:
    return Structure(1, "PTV", "PTV", contours)


def overlap_1d(edges: np.ndarray, lower: float, upper: float) -> np.ndarray:
    return np.clip(np.minimum(edges[1:], upper) - np.maximum(edges[:-1], lower), 0.0, None) / np.diff(edges)


def test_box_has_exact_shares():
    """From x -7.3 to 11.2, y -4.9375 to 8.125 (on the 16ths of a row), three planes about 0."""
    mask = mask_of(structure(*[box(-7.3, 11.2, -4.84375, 8.28125, z) for z in (-4.0, 0.0, 4.0)]), GRID)
    expected = (
        overlap_1d(GRID.edges_mm(2), -6.0, 6.0)[:, None, None]
        * overlap_1d(GRID.edges_mm(1), -4.84375, 8.28125)[:, None]
        * overlap_1d(GRID.edges_mm(0), -7.3, 11.2)
    )
    np.testing.assert_allclose(mask.share, expected, atol=0.5 / 16)
    assert mask.volume_cm3 == pytest.approx(18.5 * 13.125 * 12.0 * 1e-3, rel=0.006)
    assert mask.contour_cm3 == pytest.approx(18.5 * 13.125 * 12.0 * 1e-3)
    # Away from the lines' own rounding all is exact.
    inside = (expected > 0.0) & (overlap_1d(GRID.edges_mm(1), -4.84375, 8.28125)[:, None] == 1.0)
    np.testing.assert_allclose(mask.share[inside], expected[inside], rtol=1e-6)


@given(st.floats(3.0, 25.0), st.floats(-4.0, 4.0), st.floats(-4.0, 4.0))
def test_circles_keep_their_area(radius: float, x: float, y: float):
    contour = circle(radius, centre=(x, y))
    _, share = plane_share((contour,), GRID)
    # Lines through the voxels miss some of the rim, which is more of a small circle.
    assert share.sum(dtype=float) * 5.0 == pytest.approx(area_mm2((contour,)), rel=max(0.003, 0.018 / radius))
    assert area_mm2((contour,)) == pytest.approx(math.pi * radius**2, rel=1e-4)


def test_a_sphere():
    radius = 20.0
    planes = np.arange(-19.5, 20.0, 1.0)
    sphere = structure(*[circle(math.sqrt(radius**2 - z**2), z) for z in planes])
    mask = mask_of(sphere, GRID)
    assert mask.volume_cm3 == pytest.approx(4.0 / 3.0 * math.pi * 8.0, rel=0.002)
    assert mask.notes == ()


def test_rings_islands_and_keyholes():
    """A hole is a second contour, an island a third; a hole may also hang on a channel of no width."""
    ring = (circle(20.0), circle(10.0, centre=(2.0, 1.0)), circle(4.0, centre=(2.0, 1.0)))
    _, share = plane_share(ring, GRID)
    area = math.pi * (400.0 - 100.0 + 16.0)
    assert area_mm2(ring) == pytest.approx(area, rel=1e-3)
    assert share.sum(dtype=float) * 5.0 == pytest.approx(area, rel=0.003)
    outer, inner = circle(20.0).xy_mm, circle(10.0).xy_mm[::-1]
    keyhole = np.concatenate([outer, outer[:1], np.roll(inner, 1, axis=0), np.roll(inner, 1, axis=0)[:1]])
    _, share = plane_share((Contour(0.0, keyhole),), GRID)
    assert share.sum(dtype=float) * 5.0 == pytest.approx(math.pi * 300.0, rel=0.003)
    assert share.max() <= 1.0


def test_two_structures_that_touch_fill_the_voxels_between():
    left = mask_of(structure(*[box(-10.0, 0.7, -5.0, 5.0, z) for z in (-3.0, 0.0, 3.0)]), GRID)
    right = mask_of(structure(*[box(0.7, 10.0, -5.0, 5.0, z) for z in (-3.0, 0.0, 3.0)]), GRID)
    both = mask_of(structure(*[box(-10.0, 10.0, -5.0, 5.0, z) for z in (-3.0, 0.0, 3.0)]), GRID)
    np.testing.assert_allclose(left.share + right.share, both.share, atol=1e-6)


@pytest.mark.parametrize(
    ("planes", "extent"),
    [
        ([0.0], 3.0),  # a plane alone is as thick as the voxels
        ([0.0, 2.0], 4.0),
        ([-6.0, -4.0, -2.0, 8.0, 10.0], 10.0),  # two pieces
        ([-2.0, 0.0, 2.0, 4.5, 7.0], 9.0 + 2.25),  # no gap yet
    ],
)
def test_planes_are_slabs(planes: list[float], extent: float):
    found = mask_of(structure(*[box(-10.0, 10.0, -10.0, 10.0, z) for z in planes]), GRID)
    assert found.volume_cm3 == pytest.approx(0.4 * extent, rel=1e-5)
    assert found.contour_cm3 == pytest.approx(0.4 * extent)


def test_partly_outside_is_told():
    mask = mask_of(structure(*[box(20.0, 40.0, -5.0, 5.0, z) for z in (0.0, 3.0)]), GRID)
    assert mask.volume_cm3 == pytest.approx(0.6)
    assert mask.notes == ("50.0 % of structure PTV (1.2 cm3) is outside the grid",)
    assert mask.outside_cm3 == pytest.approx(0.6)
    assert mask_of(structure(box(0.0, 10.0, -5.0, 5.0, 0.0)), GRID).outside_cm3 == 0.0


LEVELS = (-9.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0)


def prism(*boxes: tuple[float, float, float, float], levels: tuple[float, ...] = LEVELS) -> list[Contour]:
    return [box(*one, z) for one in boxes for z in levels]


def turned(contour: Contour, start: int, sense: int) -> Contour:
    return Contour(contour.z_mm, np.roll(contour.xy_mm, start, axis=0)[::sense])


@pytest.mark.parametrize("start, sense", [(0, 1), (1, 1), (2, -1)])
def test_the_same_contour_twice_counts_once(start: int, sense: int):
    """20 x 20 mm and seven planes of 3 mm are 8.4 cm3, also if corners begin elsewhere or run backwards."""
    drawn = prism((-10.0, 10.0, -10.0, 10.0))
    once = mask_of(structure(*drawn), GRID)
    assert (once.volume_cm3, once.notes) == (pytest.approx(8.4, rel=1e-5), ())
    one = mask_of(structure(*drawn, turned(drawn[3], start, sense)), GRID)
    np.testing.assert_array_equal(one.share, once.share)
    assert one.contour_cm3 == pytest.approx(8.4)
    assert one.notes == ("structure PTV: a contour is there twice; it counts once",)
    every = mask_of(structure(*drawn, *[turned(contour, start, sense) for contour in drawn]), GRID)
    np.testing.assert_array_equal(every.share, once.share)
    assert every.notes == ("structure PTV: 7 contours are there twice; they count once",)


def test_the_same_contour_with_other_corners_counts_once():
    drawn = prism((-10.0, 10.0, -10.0, 10.0))
    more = [Contour(one.z_mm, np.insert(one.xy_mm, 1, [3.0, -10.0], axis=0)) for one in drawn]
    found = mask_of(structure(*drawn, *more), GRID)
    assert found.volume_cm3 == pytest.approx(8.4, rel=1e-5)
    assert found.notes == ("structure PTV: 7 contours are there twice; they count once",)


def test_contours_that_overlap_are_united():
    """30 x 20 mm together, of which 10 x 20 mm are in both; a hole and a part beside them stay."""
    pair = ((-15.0, 5.0, -10.0, 10.0), (-5.0, 15.0, -10.0, 10.0))
    found = mask_of(structure(*prism(*pair)), GRID)
    assert found.volume_cm3 == pytest.approx(12.6, rel=1e-5)
    assert found.contour_cm3 == pytest.approx(12.6, rel=1e-5)
    assert found.notes == (
        (
            "structure PTV: contours overlap in 7 of 7 planes (z = -9, -6, -3, ... mm); they are united, no "
            "hole is taken where they overlap"
        ),
    )
    whole = mask_of(structure(*prism((-15.0, 15.0, -10.0, 10.0))), GRID)
    np.testing.assert_allclose(found.share, whole.share, atol=1e-6)
    # The hole lies in both, and is drawn before, between and after them.
    hole, island = (-3.0, 3.0, -5.0, 5.0), (20.0, 25.0, -5.0, 5.0)
    for order in ((hole, *pair, island), (pair[0], hole, island, pair[1]), (*pair, island, hole)):
        mixed = mask_of(structure(*prism(*order)), GRID)
        assert mixed.volume_cm3 == pytest.approx(12.6 + (50.0 - 60.0) * 21e-3, rel=1e-5)
        assert mixed.contour_cm3 == pytest.approx(mixed.volume_cm3, rel=1e-3)


def test_a_contour_may_join_two_that_lie_apart():
    row = ((-20.0, -5.0, -10.0, 10.0), (5.0, 20.0, -10.0, 10.0), (-10.0, 10.0, -10.0, 10.0))
    assert mask_of(structure(*prism(*row)), GRID).volume_cm3 == pytest.approx(40.0 * 20.0 * 21e-3, rel=1e-5)


def test_overlaps_of_xor_contours_are_outside_as_their_type_says():
    pair = prism((-15.0, 5.0, -10.0, 10.0), (-5.0, 15.0, -10.0, 10.0))
    found = mask_of(structure(*[Contour(one.z_mm, one.xy_mm, is_xor=True) for one in pair]), GRID)
    assert found.volume_cm3 == pytest.approx(20.0 * 20.0 * 21e-3, rel=1e-5)


def test_contours_that_touch_stay_holes_and_neighbours():
    """Rounding makes edges cross by a little: neither a neighbour nor a hole is an overlap for that."""
    beside = prism((-10.0, 0.01, -10.0, 10.0), (0.0, 10.0, -10.0, 10.0))
    found = mask_of(structure(*beside), GRID)
    assert (found.volume_cm3, found.notes) == (pytest.approx(8.4, rel=2e-3), ())
    hole = prism((-10.0, 10.0, -10.0, 10.0), (-10.01, 5.0, -5.0, 5.0))
    found = mask_of(structure(*hole), GRID)
    assert (found.volume_cm3, found.notes) == (pytest.approx((400.0 - 150.0) * 21e-3, rel=2e-3), ())


@pytest.mark.parametrize("shift_mm", [0.02, 0.05, -0.08])
def test_parts_whose_planes_differ_by_hundredths_of_a_millimetre(shift_mm: float):
    left = prism((-20.0, -10.0, -10.0, 10.0))
    right = prism((10.0, 20.0, -10.0, 10.0), levels=tuple(z + shift_mm for z in LEVELS))
    found = mask_of(structure(*left, *right), GRID)
    assert (found.volume_cm3, found.notes) == (pytest.approx(8.4, rel=2e-3), ())


def test_a_volume_that_areas_times_spacing_do_not_make_is_told():
    """Planes every 3 mm and one 4.4 mm further, which is no gap yet: its slab is thicker than the others."""
    uneven = prism((-10.0, 10.0, -10.0, 10.0), levels=(-6.0, -3.0, 0.0, 4.4))
    found = mask_of(structure(*uneven), GRID)
    assert found.volume_cm3 == pytest.approx(0.4 * 13.4, rel=1e-4)
    (note,) = found.notes
    assert note.startswith(
        "structure PTV: its volume is 5.36 cm3, but the areas of its contours times their "
    )
    assert "spacing, 3 mm, make 4.8 cm3" in note
    # An eight, whose halves have the same sense on paper and the opposite as a polygon.
    eight = [
        Contour(z, np.array([[-10.0, -10.0], [10.0, 10.0], [10.0, -10.0], [-10.0, 10.0]])) for z in LEVELS
    ]
    (note,) = mask_of(structure(*eight, *prism((15.0, 25.0, -10.0, 10.0))), GRID).notes
    assert "its volume is 8.4 cm3" in note
    assert "make 4.2 cm3" in note


def test_contours_without_volume_are_refused():
    with pytest.raises(DoseError, match="structure PTV: its contours enclose no volume"):
        mask_of(structure(*[box(5.0, 5.0, -5.0, 5.0, z) for z in (0.0, 3.0)]), GRID)


@pytest.mark.parametrize(
    "contours",
    [
        [box(31.0, 40.0, -5.0, 5.0, z) for z in (0.0, 3.0)],
        [box(0.0, 10.0, -50.0, -40.0, z) for z in (0.0, 3.0)],
        [box(0.0, 10.0, -5.0, 5.0, z) for z in (100.0, 103.0)],
    ],
)
def test_wholly_outside_is_refused(contours: list[Contour]):
    with pytest.raises(DoseError, match=r"structure PTV: no part .* \(grid -30 to 30\)"):
        mask_of(structure(*contours), GRID)


@given(st.lists(st.tuples(st.floats(-40.0, 40.0), st.floats(-40.0, 40.0)), min_size=3, max_size=12))
def test_any_polygon_gives_shares(corners: list[tuple[float, float]]):
    _, share = plane_share((Contour(0.0, np.array(corners)),), GRID)
    assert np.all((share >= -1e-6) & (share <= 1.0 + 1e-6))


def test_names():
    found = StructureSet((structure(box(0, 1, 0, 1)), structure(box(0, 1, 0, 1))), {})
    with pytest.raises(DoseError, match="2 structures are named 'ptv'"):
        found.named("ptv")
    with pytest.raises(DoseError, match="no structure is named 'CTV'; use one of: PTV, PTV"):
        found.named("CTV")


def test_names_that_differ_in_capitals():
    found = StructureSet(
        tuple(Structure(n, name, "", ()) for n, name in enumerate(("Ptv", "PTV", "GTV"))), {}
    )
    assert (found.named("PTV").number, found.named("Ptv").number, found.named("gtv").number) == (1, 0, 2)
    with pytest.raises(DoseError, match="2 structures are named 'ptv'; use one of: Ptv, PTV, GTV"):
        found.named("ptv")
