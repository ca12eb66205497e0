"""Voxels for the transport: turned into the beam, and back."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.dose.beam_frame import PARALLEL, beam_frame
from spotline.dose.calibration import StoppingPower
from spotline.dose.grid import Grid
from spotline.dose.phantom import Box, phantom
from spotline.dose.voxels import from_voxels, to_voxels
from spotline.dose.water_path import voxel_paths_mm
from spotline.errors import DoseError
from spotline.physics.ions import PROTON
from spotline.physics.materials import WATER
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.stopping import RangeEnergy
from spotline.physics.transport.run import TransportPhysics, simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan

GRID = Grid((-10.0, 5.0, 100.0), (2.0, 2.5, 3.0), (6, 5, 4))
POWER = StoppingPower(GRID, np.random.default_rng(4).random(GRID.shape))


@pytest.mark.parametrize(
    ("gantry", "support", "position"),
    [(0, 0, "HFS"), (90, 0, "HFS"), (180, 0, "FFP"), (270, 0, "HFP"), (90, 90, "HFS"), (0, 270, "HFDL")],
)
def test_voxels_in_the_beam(gantry: float, support: float, position: str):
    """The water above each voxel of the transport is the path that is traced in the patient."""
    frame = beam_frame(gantry, support, (1.0, 2.0, 3.0), position)
    arrays = to_voxels(POWER, frame).arrays
    above = (np.cumsum(arrays.density_g_cm3, axis=2) - 0.5 * arrays.density_g_cm3) * np.diff(arrays.z_mm)
    traced = voxel_paths_mm(POWER.rsp, GRID, frame, PARALLEL)
    np.testing.assert_allclose(from_voxels(above, GRID, frame), traced, rtol=1e-5)
    # A voxel in the patient and in the beam.
    centres = [0.5 * (edges[1:] + edges[:-1]) for edges in (arrays.x_mm, arrays.y_mm, arrays.z_mm)]
    x, y, z = frame.to_beam_mm(GRID.points_mm()[1, 2, 3])
    index = tuple(int(np.argmin(np.abs(c - p))) for c, p in zip(centres, (x, y, -z), strict=True))
    assert [c[i] for c, i in zip(centres, index, strict=True)] == pytest.approx([x, y, -z])
    assert arrays.density_g_cm3[index] == POWER.rsp[1, 2, 3]


@pytest.mark.parametrize("x_mm", [-20.0, 20.0])
def test_range_behind_a_slab_off_centre(x_mm: float):
    """Protons of 100 MeV beside and through 20 mm of 1.7 end at the water-equivalent depth of their range.

    The depth of 80 % behind the peak is the mean range, which detours make shorter than the CSDA range.
    """
    lateral_mm = 80.0 / 41.0
    grid = Grid.covering((-40.0, 0.0, -40.0), (40.0, 100.0, 40.0), (lateral_mm, 1.0, lateral_mm))
    slab = phantom(grid, [Box((0.0, 20.0, -40.0), (40.0, 40.0, 40.0), 1.7)])
    frame = beam_frame(0.0, 0.0, (x_mm, 0.0, 0.0))
    tally = simulate(
        pencil_source(PROTON, 100.0, phase_space=PhaseSpace(2.0, 0.0)),
        to_voxels(slab, frame),
        TallyPlan(grid.edges_mm(1), voxels=True),
        primaries=640,
        seed=1,
        threads=1,
        physics=TransportPhysics(reactions=False),
    )
    by_depth = from_voxels(tally.voxel_MeV, grid, frame).sum(axis=(0, 2))
    peak = int(by_depth.argmax())
    falling = by_depth[peak:][::-1]
    y_mm = np.interp(0.8 * by_depth[peak], falling, grid.y_mm[peak:][::-1])
    paths = voxel_paths_mm(slab.rsp, grid, frame, PARALLEL)
    column = paths[20, :, int(np.argmin(np.abs(grid.x_mm - x_mm)))]
    depth_mm = float(np.interp(y_mm, grid.y_mm, column))
    assert depth_mm == pytest.approx(float(RangeEnergy(PROTON, WATER).range_mm(100.0)), abs=1.0)


def test_oblique_beams_are_refused():
    with pytest.raises(DoseError, match="multiples of 90"):
        to_voxels(POWER, beam_frame(30.0))


def test_scores_of_another_grid():
    with pytest.raises(DoseError, match="scores"):
        from_voxels(np.zeros((3, 3, 3)), GRID, beam_frame(0.0))
