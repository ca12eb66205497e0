"""Phantoms: what a beam along the axes crosses is exact, whatever the voxels."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.dose.beam_frame import PARALLEL, beam_frame
from spotline.dose.grid import Grid
from spotline.dose.phantom import (
    Box,
    entrance_mm,
    phantom,
    relative_stopping_power,
    slab_phantom,
    water_phantom,
)
from spotline.dose.water_path import voxel_paths_mm, water_equivalent_path_mm
from spotline.errors import DoseError
from spotline.physics.materials import PMMA, WATER


def test_water_box_begins_at_its_surface():
    box = water_phantom((100.0, 200.0, 80.0), 2.0, surface_mm=(5.0, -60.0, 10.0))
    assert box.grid.lower_mm == (-45.0, -60.0, -30.0)
    assert box.grid.upper_mm == (55.0, 140.0, 50.0)
    paths = voxel_paths_mm(box.rsp, box.grid, beam_frame(0.0), PARALLEL)
    np.testing.assert_allclose(paths[3, :, 5], box.grid.y_mm + 60.0, rtol=1e-6)


@pytest.mark.parametrize("spacing", [1.0, 2.0, 3.0, 0.7])
def test_slabs_of_any_voxels(spacing: float):
    slabs = slab_phantom([(1.0, 20.0), (1.7, 7.3), (0.26, 31.0), (1.0, 50.0)], 30.0, spacing)
    assert water_equivalent_path_mm(
        slabs.rsp, slabs.grid, (0.0, -10.0, 0.0), (0.0, 200.0, 0.0)
    ) == pytest.approx(20.0 + 1.7 * 7.3 + 0.26 * 31.0 + 50.0, rel=1e-6)
    assert water_equivalent_path_mm(
        slabs.rsp, slabs.grid, (0.0, -10.0, 0.0), (0.0, 20.0, 0.0)
    ) == pytest.approx(20.0, rel=0.04)


def test_box_off_centre():
    grid = Grid.covering((-30.0, 0.0, -30.0), (30.0, 60.0, 30.0), 2.0)
    found = phantom(
        grid, [Box((3.0, 10.0, -30.0), (30.0, 19.0, 30.0), 1.8), Box((5.0, 11.0, 0.0), (6.0, 12.0, 1.0), 0.0)]
    )
    through = water_equivalent_path_mm(found.rsp, grid, (20.0, -5.0, -10.0), (20.0, 90.0, -10.0))
    assert through == pytest.approx(60.0 + 0.8 * 9.0, rel=1e-6)
    assert water_equivalent_path_mm(
        found.rsp, grid, (-20.0, -5.0, -10.0), (-20.0, 90.0, -10.0)
    ) == pytest.approx(60.0)
    volume = (found.rsp.sum(dtype=float) * grid.voxel_cm3 - 216.0) * 1e3
    # The small box lies in voxels that are all of the large one, and takes 1.8 from each mm3.
    assert volume == pytest.approx(0.8 * 27.0 * 9.0 * 60.0 - 1.8, rel=1e-5)


def test_entrance():
    grid = Grid.covering((-30.0, 0.0, -30.0), (30.0, 60.0, 30.0), 2.0)
    found = phantom(grid, [Box((-10.0, 20.0, -10.0), (10.0, 40.0, 10.0))], background=0.001)
    np.testing.assert_allclose(entrance_mm(found, (1.0, -100.0, 1.0), (0, 1, 0)), [1.0, 20.0, 1.0], atol=0.03)
    np.testing.assert_allclose(
        entrance_mm(found, (100.0, 30.0, 1.0), (-2, 0, 0)), [10.0, 30.0, 1.0], atol=0.03
    )
    with pytest.raises(DoseError, match="meets nothing"):
        entrance_mm(found, (20.0, -100.0, 1.0), (0, 1, 0))


def test_materials():
    """PMMA: 1.16 to 1.17 in the literature."""
    assert relative_stopping_power(WATER) == 1.0
    assert relative_stopping_power(PMMA) == pytest.approx(1.165, rel=0.01)


def test_what_cannot_be_made():
    grid = Grid.covering((-30.0, 0.0, -30.0), (30.0, 60.0, 30.0), 2.0)
    for box, words in (
        (Box((0, 0, 0), (1, 1, 1), -1.0), "stopping power of -1"),
        (Box((0, 0, 0), (1, 0, 1)), "is empty"),
        (Box((100, 0, 0), (101, 1, 1)), "outside the grid"),
    ):
        with pytest.raises(DoseError, match=words):
            phantom(grid, [box])
    with pytest.raises(DoseError, match="no thickness"):
        slab_phantom([(1.0, 20.0), (1.0, 0.0)], 30.0)
    with pytest.raises(DoseError, match="is empty"):
        water_phantom((0.0, 10.0, 10.0))
