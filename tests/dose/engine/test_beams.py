"""Beams of plans and of records: particles and positions, prescribed, measured and true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import spotline
from spotline.dose.engine.beams import (
    FieldBeams,
    beams_of_record,
    beams_of_treatment,
    measured_places_mm,
    together,
)
from spotline.errors import DoseError
from spotline.record.model import Record


@pytest.fixture(scope="module")
def planned(treatment: spotline.Treatment) -> FieldBeams:
    return beams_of_treatment(treatment)[0]


def test_beams_of_a_plan(planned: FieldBeams, treatment: spotline.Treatment):
    field = treatment.fields[0]
    assert planned.ion.name == "carbon"
    assert planned.isocentre_mm == field.field.isocentre_mm
    assert planned.particles == pytest.approx(field.particles)
    assert [layer.energy_MeV_u for layer in planned.layers] == [s.energy_MeV_u for s in field.slices]
    first = planned.layers[0].spots
    assert len(first.x_mm) == 64
    np.testing.assert_allclose(first.sigma_x_mm * 2.35482, field.slices[0].fwhm_x_mm, rtol=1e-5)


def test_what_a_record_prescribes_is_the_plan(planned: FieldBeams, record: Record):
    again = beams_of_record(record.fields[0], "planned")
    for name in (
        "number",
        "name",
        "ion",
        "passive_elements",
        "gantry_deg",
        "patient_support_deg",
        "isocentre_mm",
    ):
        assert getattr(again, name) == getattr(planned, name), name
    for one, other in zip(again.layers, planned.layers, strict=True):
        assert (one.slice, one.energy_MeV_u, one.focus) == (other.slice, other.energy_MeV_u, other.focus)
        for a, b in zip(
            (one.spots.x_mm, one.spots.particles), (other.spots.x_mm, other.spots.particles), strict=True
        ):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("what", ["measured", "true"])
def test_what_was_delivered(planned: FieldBeams, record: Record, what: str):
    beams = beams_of_record(record.fields[0], what)  # type: ignore[arg-type]
    assert beams.particles == pytest.approx(planned.particles, rel=0.01)
    for layer, before in zip(beams.layers, planned.layers, strict=True):
        assert len(layer.spots.x_mm) == len(before.spots.x_mm)
        assert np.abs(layer.spots.x_mm - before.spots.x_mm).max() < 1.0
        assert np.all(layer.spots.particles > 0.0)
    table = record.fields[0].spots if what == "measured" else record.fields[0].truth
    assert table is not None
    assert beams.particles == pytest.approx(table["particles"].sum())


def test_a_spot_without_a_position_lies_beside_its_neighbours(planned: FieldBeams, record: Record):
    field = record.fields[0]
    spots = field.spots.copy()
    here = spots["slice"] == spots["slice"][3]
    spots["position_valid"][here] = True
    spots["x_mm"][here] = spots["x_planned_mm"][here] + 0.25
    spots["x_mm"][3] = np.nan
    beams = beams_of_record(replace(field, spots=spots), "measured")
    at = int(spots["spot"][3])
    assert beams.layers[0].spots.x_mm[3] == pytest.approx(planned.layers[0].spots.x_mm[at] + 0.25, abs=1e-6)


PRESCRIBED_mm = np.array([-6.0, -3.0, 0.0, 3.0, 6.0])


def test_strips_with_most_counts_give_way_to_centres_of_gravity():
    measured = np.array([-5.9, -4.6, 0.3, np.nan, 8.0])
    valid = np.array([True, False, True, False, False])
    places = measured_places_mm(measured, valid, PRESCRIBED_mm)
    np.testing.assert_allclose(places, [-5.9, -2.8, 0.3, 3.2, 6.2])


def test_strips_alone_tell_where_a_slice_lies():
    """No spot has a centre of gravity, and the beam is aside: the mean of the strips shows it."""
    measured = np.array([-5.0, -1.0, np.nan, 5.0, 7.0])
    places = measured_places_mm(measured, np.zeros(5, dtype=bool), PRESCRIBED_mm)
    np.testing.assert_allclose(places, PRESCRIBED_mm + 1.5)


def test_nothing_measured_is_taken_where_it_was_prescribed():
    places = measured_places_mm(np.full(5, np.nan), np.zeros(5, dtype=bool), PRESCRIBED_mm)
    np.testing.assert_array_equal(places, PRESCRIBED_mm)


def test_no_truth_without_a_simulation(record: Record):
    with pytest.raises(DoseError, match="no simulation made it"):
        beams_of_record(replace(record.fields[0], truth=None), "true")


def test_isocentre_can_be_given(record: Record):
    assert beams_of_record(record.fields[0], "planned", (1.0, 2.0, 3.0)).isocentre_mm == (1.0, 2.0, 3.0)


def test_layers_of_all_fields(planned: FieldBeams):
    assert [(f.number, layer.slice) for f, layer in together([planned, planned])] == [(1, 0), (1, 1)] * 2


def test_how_the_patient_lies_goes_with_plan_and_record(planned: FieldBeams, record: Record):
    (field,) = record.fields
    assert field.facts.patient_position == planned.patient_position == "HFS"
    assert beams_of_record(field, "measured").patient_position == "HFS"
