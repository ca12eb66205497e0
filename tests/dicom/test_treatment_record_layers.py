"""Control points list what was delivered of each layer, spot by spot and visit by visit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from spotline.dicom.treatment_record import read_treatment_record, write_treatment_record
from spotline.plan import Plan
from spotline.units import FWHM_PER_SIGMA
from tests.dicom.delivered import REORDERED, STOP, TWO_MORE, SPOT_us, field_record
from tests.dicom.plans import layer, with_field
from tests.dicom.written import points_of, session_beam, values, written


def test_control_points_follow_the_layers(plan: Plan):
    record = field_record(plan)
    points = points_of(written(record, plan))
    assert [point.ReferencedControlPointIndex for point in points] == [0, 1, 2, 3, 4, 5]
    assert [point.NominalBeamEnergy for point in points] == [221.45, 221.45, 219.0, 219.0, 216.5, 216.5]
    assert [point.NumberOfScanSpotPositions for point in points] == [4, 4, 1, 1, 3, 3]
    assert [point.NumberOfPaintings for point in points] == [1] * 6  # although the plan wants 2 once
    assert [values(point, "ScanningSpotSize") for point in points[::2]] == [
        [6.0, 6.5],
        [7.0, 7.5],
        [8.0, 8.5],
    ]
    assert {point.ScanSpotTuneID for point in points} == {"small"}
    assert [point.SpecifiedMeterset for point in points] == [0, 206000, 206000, 256000, 256000, 409000]
    for planned, first, second in zip(plan.fields[0].layers, points[0::2], points[1::2], strict=True):
        x_mm, y_mm = planned.x_iso_mm + 0.25, planned.y_iso_mm - 0.125
        assert values(first, "ScanSpotPositionMap") == np.column_stack([x_mm, y_mm]).ravel().tolist()
        assert first.ScanSpotPositionMap == second.ScanSpotPositionMap
        rows = record.spots[record.spots["planned_layer"] == planned.index][::-1]
        np.testing.assert_allclose(
            values(first, "ScanSpotMetersetsDelivered"), rows["particles"].astype(np.float32), rtol=0
        )
        assert not any(values(second, "ScanSpotMetersetsDelivered"))
        step = second.DeliveredMeterset - first.DeliveredMeterset
        assert float(step) == pytest.approx(sum(values(first, "ScanSpotMetersetsDelivered")), rel=1e-12)
        assert values(first, "ScanSpotTimeOffset") == [SPOT_us * i for i in range(planned.n_spots)]
        assert "ScanSpotTimeOffset" not in second
        for point in (first, second):
            assert point.ScanSpotReordered == "NO"
            assert "ScanSpotPrescribedIndices" not in point
            assert "ScanSpotSizesDelivered" not in point  # none was measured


def test_times_of_control_points_count_from_the_start(plan: Plan):
    points = points_of(written(field_record(plan), plan))
    # Started half a second before midnight; the first spot came after a second.
    assert [(p.TreatmentControlPointDate, p.TreatmentControlPointTime) for p in points[:3]] == [
        ("20270305", "000000.500000"),
        ("20270305", "000000.502799"),
        ("20270305", "000002.502800"),
    ]


def test_reordered_spots(plan: Plan):
    points = points_of(written(field_record(plan, spots=REORDERED), plan))
    for point in points[:2]:
        assert point.ScanSpotReordered == "YES"
        assert list(point.ScanSpotPrescribedIndices) == [3, 2, 4, 1]  # from 1: PS3.3, Table C.8.8.26-1
    assert values(points[0], "ScanSpotPositionMap")[0::2] == [1.25, -0.75, 3.25, -2.75]
    assert [point.ScanSpotReordered for point in points[2:]] == ["NO"] * 4


def test_missing_spots_count_as_reordered(plan: Plan):
    spots = [(0, 0), (0, 2), *REORDERED[4:]]
    point = points_of(written(field_record(plan, spots=spots), plan))[0]
    assert (point.NumberOfScanSpotPositions, point.ScanSpotReordered) == (2, "YES")
    assert list(point.ScanSpotPrescribedIndices) == [1, 3]


def test_repainted_spots_are_listed_visit_by_visit(plan: Plan, tmp_path: Path):
    """Each painting is recorded, which is reordering even in the order of the plan (C.8.8.26.2.6)."""
    painting = [(0, spot) for spot in range(4)]
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, visits=[painting * 3, *TWO_MORE], error=0.0), plan, path)
    points = points_of(dcmread(path))
    assert [point.NumberOfPaintings for point in points[::2]] == [3, 1, 1]
    assert [point.NumberOfScanSpotPositions for point in points[::2]] == [12, 1, 3]
    assert [point.ScanSpotReordered for point in points[::2]] == ["YES", "NO", "NO"]
    assert list(points[0].ScanSpotPrescribedIndices) == [1, 2, 3, 4] * 3
    thirds = (plan.fields[0].layers[0].meterset / 3).astype(np.float32)
    assert values(points[0], "ScanSpotMetersetsDelivered") == thirds.tolist() * 3
    assert points[1].DeliveredMeterset == pytest.approx(points[1].SpecifiedMeterset, rel=1e-7)
    (field,) = read_treatment_record(path).fields
    assert field.control_points[0].prescribed_index is not None
    assert field.control_points[0].prescribed_index.tolist() == [0, 1, 2, 3] * 3


def test_volumetric_repainting_stays_with_the_layers(plan: Plan, tmp_path: Path):
    """Slices of several energies come between two paintings of a layer; a weak spot is visited once."""
    visits = [
        *([(0, 1), (0, 0), (0, 3), (0, 2)], [(1, 0)], [(2, 2), (2, 0)]),
        *([(0, 0), (0, 3), (0, 2)], [(1, 0)], [(2, 1), (2, 0), (2, 2)]),
    ]
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, visits=visits, unmeasured=[(0, 3)]), plan, path)
    (field,) = read_treatment_record(path).fields
    listed = [point.prescribed_index for point in field.control_points[::2]]
    assert [index.tolist() for index in listed if index is not None] == [
        [1, 0, 3, 2, 0, 3, 2],
        [0, 0],
        [2, 0, 1, 0, 2],
    ]
    assert [point.NumberOfPaintings for point in points_of(dcmread(path))[::2]] == [2, 2, 2]
    assert field.control_points[0].measured.tolist() == [True, True, False, True, True, False, True]
    for point, planned in zip(field.control_points[::2], plan.fields[0].layers, strict=True):
        assert point.meterset.sum() == pytest.approx(planned.meterset.sum(), rel=1e-3)
        assert point.prescribed_index is not None
        np.testing.assert_array_equal(point.x_iso_mm[point.measured] - 0.25,
                                      planned.x_iso_mm[point.prescribed_index][point.measured])  # fmt: skip
    # Slices are two seconds apart; each spot begins when the one before has ended.
    assert field.control_points[0].time_offset_us is not None
    assert field.control_points[0].time_offset_us.tolist() == [
        *(0, SPOT_us, 2 * SPOT_us, 3 * SPOT_us),
        *(6_000_000 + position * SPOT_us for position in (7, 8, 9)),
    ]
    points = points_of(dcmread(path))
    assert [values(point, "ScanningSpotSize") for point in points[::2]] == [
        [6.0, 6.5], [7.0, 7.5], [8.0, 8.5]
    ]  # fmt: skip


def test_interrupted_repainting(plan: Plan):
    """What was not delivered is not listed: only the indices tell which visits there were."""
    painting = [[(0, spot) for spot in range(4)], *TWO_MORE]
    record = field_record(plan, visits=painting * 2, n_delivered=10, interlocks=[STOP])
    points = points_of(written(record, plan))
    assert [point.NumberOfScanSpotPositions for point in points[::2]] == [6, 1, 3]
    assert list(points[0].ScanSpotPrescribedIndices) == [1, 2, 3, 4, 1, 2]
    assert [point.ScanSpotReordered for point in points[::2]] == ["YES", "NO", "NO"]
    assert [point.NumberOfPaintings for point in points[::2]] == [2, 2, 2]
    beam = session_beam(written(record, plan))
    assert 0.5 < beam.DeliveredPrimaryMeterset / beam.SpecifiedPrimaryMeterset < 0.7


def test_layer_that_is_not_in_the_treatment(plan: Plan):
    """A treatment need not have every layer of the plan; nothing of it was to be delivered."""
    record = field_record(plan, visits=[[(0, 0), (0, 1), (0, 2), (0, 3)]])
    points = points_of(written(record, plan))
    assert [values(point, "ScanSpotMetersetsDelivered") for point in points[2::2]] == [[0.0], [0.0] * 3]
    assert values(points[2], "ScanningSpotSize") == pytest.approx([6.1, 6.6])  # of the plan
    assert "ScanningSpotSize" not in points[4]


def test_indices_are_those_of_the_file(plan: Plan):
    # The file of the plan has spots of weight zero, which the layer leaves out.
    gaps = dataclasses.replace(plan.fields[0].layers[0], spot_index=np.array([1, 2, 5, 9]))
    changed = with_field(plan, layers=(gaps,))
    point = points_of(written(field_record(changed), changed))[0]
    assert point.ScanSpotReordered == "YES"
    assert list(point.ScanSpotPrescribedIndices) == [2, 3, 6, 10]
    nothing = points_of(written(field_record(changed, spots=[]), changed))[0]
    assert list(nothing.ScanSpotPrescribedIndices) == [2, 3, 6, 10]


def test_layers_that_were_never_reached(plan: Plan):
    points = points_of(written(field_record(plan, spots=REORDERED[:4], interlocks=[STOP]), plan))
    end = points[1]
    for point in points[2:]:
        assert point.DeliveredMeterset == end.DeliveredMeterset
        assert (point.TreatmentControlPointDate, point.TreatmentControlPointTime) == (
            end.TreatmentControlPointDate,
            end.TreatmentControlPointTime,
        )
        assert not any(values(point, "ScanSpotMetersetsDelivered"))
        assert "ScanSpotTimeOffset" not in point
    x_mm = plan.fields[0].layers[2].x_iso_mm
    assert values(points[4], "ScanSpotPositionMap")[0::2] == x_mm.tolist()


def test_nothing_was_delivered(plan: Plan, tmp_path: Path):
    record = field_record(plan, spots=[], interlocks=[STOP])
    write_treatment_record(record, plan, tmp_path / "record.dcm")
    (field,) = read_treatment_record(tmp_path / "record.dcm").fields
    assert (field.n_delivered, field.meterset, field.termination) == (0, 0.0, "MACHINE")
    assert [point.n_spots for point in field.control_points] == [4, 4, 1, 1, 3, 3]


def test_unmeasured_positions(plan: Plan, tmp_path: Path):
    record = field_record(plan, unmeasured=[(0, 3), (2, 0), (2, 2)])
    path = tmp_path / "record.dcm"
    write_treatment_record(record, plan, path)
    dataset = dcmread(path)
    assert session_beam(dataset).BeamDescription.startswith("The positions of 3 of 8 delivered spots")
    first = points_of(dataset)[0]
    planned = plan.fields[0].layers[0]
    # Only x was not measured.
    assert values(first, "ScanSpotPositionMap")[6:] == [planned.x_iso_mm[3], planned.y_iso_mm[3] - 0.125]
    points = read_treatment_record(path).fields[0].control_points
    assert [point.measured.tolist() for point in points[0::2]] == [
        [True, True, True, False],
        [True],
        [False, True, False],
    ]


def test_slices_of_several_layers(plan: Plan):
    first, second, third = plan.fields[0].layers
    same = dataclasses.replace(second, energy_MeV_u=221.45)
    changed = with_field(plan, layers=(first, same, third))
    # The spots of the first two layers are mixed within their slice.
    spots = [(0, 0), (1, 0), (0, 1), (0, 2), (0, 3), (2, 0)]
    record = field_record(changed, spots=spots, slices=[[0, 1], [2]])
    points = points_of(written(record, changed))
    assert [point.NumberOfScanSpotPositions for point in points] == [4, 4, 1, 1, 1, 1]
    assert [values(point, "ScanningSpotSize")[0] for point in points] == [6.0, 6.0, 6.0, 6.0, 7.0, 7.0]
    assert values(points[0], "ScanSpotTimeOffset") == [0.0, 2 * SPOT_us, 3 * SPOT_us, 4 * SPOT_us]
    assert points[0].ScanSpotReordered == "NO"
    assert points[2].TreatmentControlPointTime == "000000.500700"


def test_plan_with_one_control_point_per_layer(plan: Plan, tmp_path: Path):
    chain = (dataclasses.replace(layer, control_point=layer.index) for layer in plan.fields[0].layers)
    changed = with_field(plan, layers=tuple(chain))
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(changed), changed, path)
    (field,) = read_treatment_record(path).fields
    assert [point.index for point in field.control_points] == [0, 1, 2, 3]
    assert [point.n_delivered for point in field.control_points] == [4, 1, 3, 0]


def test_large_layer(plan: Plan, tmp_path: Path):
    n_spots = 9000
    changed = with_field(plan, layers=(layer(0, 200.0, n_spots),))
    spots = [(0, spot) for spot in reversed(range(n_spots))]
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(changed, spots=spots), changed, path)
    (field,) = read_treatment_record(path).fields
    point = field.control_points[0]
    assert point.n_delivered == n_spots
    assert point.prescribed_index is not None
    assert point.prescribed_index.tolist() == list(reversed(range(n_spots)))


def test_sizes_of_spots_as_they_were_measured(plan: Plan, tmp_path: Path):
    """Those of the strips; a spot without has that of its slice, and a layer without any has none."""
    record = field_record(plan)
    rows = record.spots
    first = rows["planned_layer"] == 0
    rows["sigma_x_mm"][first] = 2.5 + 0.1 * rows["planned_spot"][first]
    rows["sigma_y_mm"][first] = 3.5
    rows["width_valid"][first] = rows["planned_spot"][first] != 2
    record.slices["sigma_x_mm"][0], record.slices["sigma_y_mm"][0] = 2.0, 3.0
    path = tmp_path / "record.dcm"
    write_treatment_record(record, plan, path)
    points = points_of(dcmread(path))
    assert values(points[0], "ScanningSpotSize") == [6.0, 6.5]  # as planned
    (field,) = read_treatment_record(path).fields
    sizes_mm = field.control_points[0].sizes_mm
    assert sizes_mm is not None
    expected_mm = np.array([[2.5, 3.5], [2.6, 3.5], [2.0, 3.0], [2.8, 3.5]]) * FWHM_PER_SIGMA
    np.testing.assert_allclose(sizes_mm, expected_mm, rtol=1e-6)
    assert field.control_points[2].sizes_mm is None
