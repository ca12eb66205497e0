"""Image, calibration and structures put together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.dicom.ct import read_ct
from spotline.dicom.structures import read_structures
from spotline.dose.beam_frame import VirtualSources, beam_frame
from spotline.dose.calibration import nominal_calibration
from spotline.dose.ct import CtImage
from spotline.dose.grid import Grid
from spotline.dose.patient import check_frame, coarsened, patient
from spotline.dose.structures import Contour, Structure, StructureSet
from spotline.dose.water_path import voxel_paths_mm
from spotline.errors import DoseError

GRID = Grid.covering((-20.0, -20.0, -6.0), (20.0, 20.0, 6.0), 2.0)
CT = CtImage(GRID, np.zeros(GRID.shape), "1.2.3.5", "HFS")


def block(number: int, name: str, half: float, kind: str = "", rsp: float | None = None) -> Structure:
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    return Structure(number, name, kind, tuple(Contour(z, corners) for z in (-4.0, 0.0, 4.0)), rsp)


SET = StructureSet(
    (block(1, "Body", 16.0, "EXTERNAL"), block(2, "Gel", 8.0, rsp=1.1), block(3, "Screw", 2.0)),
    {},
    "1.2.3.5",
    notes=("structure 4 (Wire) is left out: it has no contours",),
)


def test_what_is_set_and_told():
    found = patient(CT, nominal_calibration(), SET, {"screw": 3.13}, outside_is_air=True)
    middle = found.rsp[3, 10]
    np.testing.assert_allclose(
        middle, [0] * 2 + [1] * 4 + [1.1] * 3 + [3.13] * 2 + [1.1] * 3 + [1] * 4 + [0] * 2, rtol=1e-6
    )
    assert [note.split(" (")[0] for note in found.notes] == [
        "stopping power of Gel",
        "stopping power of Screw",
        "stopping power of the space outside the body",
        "structure 4",
    ]


def test_image_alone():
    np.testing.assert_array_equal(patient(CT, nominal_calibration()).rsp, 1.0)


def test_larger_voxels_keep_the_whole_patient():
    fine = patient(CT, nominal_calibration(), SET, {"screw": 3.13}, outside_is_air=True)
    coarse = coarsened(fine, 5.0)
    assert coarse.grid.lower_mm == GRID.lower_mm
    assert coarse.grid.counts == (8, 8, 3)
    assert coarse.notes == fine.notes
    mass, coarse_mass = (one.rsp.sum(dtype=float) * one.grid.voxel_cm3 for one in (fine, coarse))
    assert coarse_mass == pytest.approx(mass, rel=1e-6)
    assert coarsened(fine, 1.0).grid.same_as(GRID)


def test_what_does_not_belong_together():
    other = StructureSet(SET.structures, {}, "1.2.3.6")
    with pytest.raises(DoseError, match="different frames of reference"):
        patient(CT, nominal_calibration(), other)
    with pytest.raises(DoseError, match="no structure is named 'Nail'"):
        patient(CT, nominal_calibration(), SET, {"Nail": 2.0})
    with pytest.raises(DoseError, match="there are none"):
        patient(CT, nominal_calibration(), overrides={"Screw": 2.0})
    with pytest.raises(DoseError, match="none is of type EXTERNAL"):
        patient(CT, nominal_calibration(), StructureSet(SET.structures[1:], {}), outside_is_air=True)
    check_frame("", "phantom", "1.2.3.5", "dose")


def test_head_phantom(shared_plans: Path):
    """Through the middle of the head from the front to the back: 138 mm of body, with a cavity of 25 mm."""
    ct = read_ct(shared_plans / "headphantom")
    (path,) = (shared_plans / "headphantom").glob("RS.*.dcm")
    found = patient(ct, nominal_calibration(), read_structures(path), outside_is_air=True)
    assert found.frame_of_reference_uid == ct.frame_of_reference_uid
    line = Grid((0.0, -315.0, 0.0), (1.0, 2.0, 1.0), (1, 140, 1))
    depth = voxel_paths_mm(found.rsp, found.grid, beam_frame(0.0), VirtualSources(2000.0, 2560.0), line)[
        0, :, 0
    ]
    assert np.all(np.diff(depth) >= 0.0)
    assert depth[0] == 0.0
    assert 113.0 < depth[-1] < 138.0
