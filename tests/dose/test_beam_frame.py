"""Frames of beams, against cases worked by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.dicom.dose import read_dose
from spotline.dicom.ion_plan import read_ion_plan
from spotline.dose.beam_frame import (
    PARALLEL,
    PATIENT_AXES,
    VirtualSources,
    at_isocentre_mm,
    beam_frame,
    frame_of_field,
    spot_rays,
)
from spotline.errors import DoseError
from spotline.planning.trip98 import read_rst

# In patient coordinates: x to the left of the patient, y to the back, z to the head.
LEFT, RIGHT = (1, 0, 0), (-1, 0, 0)
BACK, FRONT = (0, 1, 0), (0, -1, 0)
HEAD, FEET = (0, 0, 1), (0, 0, -1)

# Gantry, patient support, position: where the beam comes from, and where x and y of the spots point.
BY_HAND = [
    (0, 0, "HFS", FRONT, LEFT, HEAD),
    (90, 0, "HFS", LEFT, BACK, HEAD),  # from the left of the supine patient; x of the gantry is down
    (180, 0, "HFS", BACK, RIGHT, HEAD),
    (270, 0, "HFS", RIGHT, FRONT, HEAD),
    (0, 0, "HFP", BACK, RIGHT, HEAD),
    (90, 0, "HFP", RIGHT, FRONT, HEAD),
    (0, 0, "FFS", FRONT, RIGHT, FEET),
    (90, 0, "FFS", RIGHT, BACK, FEET),
    (0, 0, "FFP", BACK, LEFT, FEET),
    (90, 0, "FFP", LEFT, FRONT, FEET),
    (0, 0, "HFDL", RIGHT, FRONT, HEAD),  # left side down: the beam from above enters on the right
    (0, 0, "HFDR", LEFT, BACK, HEAD),
    (0, 0, "FFDL", RIGHT, BACK, FEET),
    (0, 0, "FFDR", LEFT, FRONT, FEET),
    # The patient support turns counter-clockwise, so the head goes from the gantry to the left of who faces
    # it, and the feet to the right, from where the beam at 90 degrees comes.
    (90, 90, "HFS", FEET, BACK, LEFT),
    (90, 270, "HFS", HEAD, BACK, RIGHT),
    (0, 90, "HFS", FRONT, FEET, LEFT),
    (90, 180, "HFS", RIGHT, BACK, FEET),
]


@pytest.mark.parametrize(("gantry", "support", "position", "source", "x", "y"), BY_HAND)
def test_by_hand(gantry: float, support: float, position: str, source: tuple, x: tuple, y: tuple):
    frame = beam_frame(gantry, support, (10.0, -20.0, 30.0), position)
    assert frame.axes == (x, y, source)
    # A point 100 mm towards the source.
    point = np.add((10.0, -20.0, 30.0), np.multiply(source, 100.0))
    np.testing.assert_array_equal(frame.to_beam_mm(point), [0.0, 0.0, 100.0])


def test_oblique_gantry_by_hand():
    """At 30 degrees the source stands 30 degrees from above to the left of a supine patient."""
    frame = beam_frame(30.0)
    np.testing.assert_allclose(frame.to_patient_mm([0.0, 0.0, 1000.0]), [500.0, -866.0254, 0.0], atol=1e-3)
    np.testing.assert_allclose(frame.to_patient_mm([100.0, 0.0, 0.0]), [86.60254, 50.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(frame.direction, [-0.5, 0.8660254, 0.0], atol=1e-7)


@given(
    st.floats(-360.0, 720.0),
    st.floats(-180.0, 360.0),
    st.sampled_from(sorted(PATIENT_AXES)),
    st.lists(st.floats(-500.0, 500.0), min_size=3, max_size=3),
)
def test_frames_are_rotations(gantry: float, support: float, position: str, point: list[float]):
    frame = beam_frame(gantry, support, (1.0, 2.0, 3.0), position)
    np.testing.assert_allclose(frame.matrix @ frame.matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame.matrix) == pytest.approx(1.0)
    np.testing.assert_allclose(frame.to_patient_mm(frame.to_beam_mm(point)), point, atol=1e-9)


def test_rays_pass_both_magnets():
    sources = VirtualSources(6200.0, 5500.0)
    points, directions = spot_rays([100.0, 0.0], [-80.0, 0.0], sources)
    np.testing.assert_array_equal(points, [[100.0, -80.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0)
    at_x_magnet = points[0] - directions[0] * (6200.0 / -directions[0, 2])
    assert at_x_magnet[0] == pytest.approx(0.0, abs=1e-9)
    assert at_x_magnet[2] == pytest.approx(6200.0)
    at_y_magnet = points[0] - directions[0] * (5500.0 / -directions[0, 2])
    assert at_y_magnet[1] == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_array_equal(directions[1], [0.0, 0.0, -1.0])
    # 620 mm below the isocentre x has grown by a tenth.
    below = points[0] + directions[0] * (620.0 / -directions[0, 2])
    assert below[0] == pytest.approx(110.0)
    assert below[1] == pytest.approx(-80.0 * (1.0 + 620.0 / 5500.0))


@pytest.mark.parametrize("sources", [VirtualSources(2000.0, 2560.0), PARALLEL])
def test_back_to_the_isocentre(sources: VirtualSources):
    points, directions = spot_rays([[30.0, -40.0]], [[5.0], [7.0]], sources)
    for distance in (-500.0, 0.0, 300.0):
        x, y = at_isocentre_mm(points + distance * directions, sources)
        np.testing.assert_allclose(x, [[30.0, -40.0]] * 2)
        np.testing.assert_allclose(y, [[5.0, 5.0], [7.0, 7.0]])


def test_field_that_does_not_say_where_it_is(shared_plans: Path):
    """TRiP98 has angles of its own convention, and no isocentre."""
    field = read_rst(shared_plans / "trip98" / "tst003012.rst").fields[0]
    with pytest.raises(DoseError, match="has no GantryAngle"):
        frame_of_field(field)
    with pytest.raises(DoseError, match="has no IsocenterPosition"):
        frame_of_field(replace(field, gantry_angle_deg=90.0))
    frame = frame_of_field(replace(field, gantry_angle_deg=90.0), isocentre_mm=(128.0, 128.0, 150.0))
    assert frame == beam_frame(90.0, 0.0, (128.0, 128.0, 150.0))


def test_what_no_beam_is():
    with pytest.raises(DoseError, match="'HFX'"):
        beam_frame(0.0, patient_position="HFX")
    with pytest.raises(DoseError, match="gantry nan"):
        beam_frame(np.nan)
    with pytest.raises(DoseError, match="2100 mm above"):
        at_isocentre_mm([0.0, 0.0, 2100.0], VirtualSources(2000.0, 2560.0))


def test_opposed_fields_of_a_real_plan(shared_plans: Path):
    """RayStation: the dose of each field lies about the mean of its spots in the isocentre plane.

    The plan has gantry 90 and 270, but field 1 of the dose file enters from the front and field 2 from the
    back: the dose belongs to gantry 0 and 180.  That the spots are so well found there shows axes and senses.
    """
    folder = shared_plans / "dcpt"
    plan = read_ion_plan(folder / "raystation_ramp_full_plan.dcm")
    for field in plan.fields:
        dose = read_dose(folder / f"raystation_ramp_full_dose_field{field.number}.dcm")
        assert field.gantry_angle_deg in (90.0, 270.0)
        turned = replace(field, gantry_angle_deg=field.gantry_angle_deg - 90.0)
        frame = frame_of_field(turned, plan.identity["PatientPosition"])
        points = frame.to_beam_mm(dose.grid.points_mm())
        depth_Gy = [
            float(dose.dose_Gy[np.abs(points[..., 2] - z_mm) < 1.5].mean())
            for z_mm in (90.0, 40.0, -40.0, -90.0)
        ]
        assert depth_Gy[1] > depth_Gy[0] > depth_Gy[2] > 100.0 * depth_Gy[3]
        weight = np.where(np.abs(points[..., 2]) < 1.5, dose.dose_Gy, 0.0)
        meterset = np.concatenate([layer.meterset for layer in field.layers])
        for axis, name in enumerate(("x_iso_mm", "y_iso_mm")):
            spots = np.concatenate([getattr(layer, name) for layer in field.layers])
            expected = float(np.average(spots, weights=meterset))
            assert np.average(points[..., axis], weights=weight) == pytest.approx(expected, abs=0.05)
            assert abs(expected) > 0.2  # or the sense of an axis would not show


def test_isocentre_of_a_real_plan_lies_in_its_target(shared_plans: Path):
    plan = read_ion_plan(shared_plans / "cubes" / "carbon_cube_15cm_plan.dcm")
    dose = read_dose(shared_plans / "cubes" / "carbon_cube_15cm_dose.dcm")
    field = plan.fields[0]
    frame = frame_of_field(field, plan.identity["PatientPosition"])
    points = frame.to_beam_mm(dose.grid.points_mm())
    inside = np.all(np.abs(points) < 27.0, axis=-1)
    assert dose.dose_Gy[inside].min() > 1.9
    behind = (points[..., 2] < -36.0) & np.all(np.abs(points[..., :2]) < 27.0, axis=-1)
    assert dose.dose_Gy[behind].max() < 0.7  # fragments
