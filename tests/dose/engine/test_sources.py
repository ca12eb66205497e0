"""Where beams come from: records, fractions, continuations, and what is not known of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import spotline
from spotline.dose.engine.sources import beams_of
from spotline.errors import DoseError
from spotline.record.model import Record
from tests.lines.facts import with_facts

LINE = spotline.load_beamline("cnao-h")


FIRST = {"plan_uid": "1.2.3", "plan_sha256": "5" * 64, "number": 1}
"""What the first continuation of a plan says that it continues."""


def changed(record: Record, **header: Any) -> Record:
    field = record.fields[0]
    return replace(record, fields=(replace(field, header={**field.header, **header}),))


def test_a_treatment_has_a_plan_only(treatment: spotline.Treatment):
    found = beams_of(treatment, LINE)
    assert list(found.beams) == ["planned"]
    assert (found.fractions, found.notes) == (1, ())
    with pytest.raises(DoseError, match="nothing was delivered yet"):
        beams_of(treatment, LINE, of=["measured"])


def test_a_simulated_record_has_everything(record: Record):
    found = beams_of(record, LINE)
    assert list(found.beams) == ["planned", "measured", "true"]
    without = replace(record, fields=(replace(record.fields[0], truth=None),))
    assert list(beams_of([record, without], LINE).beams) == ["planned", "measured"]
    with pytest.raises(DoseError, match="no simulation made it"):
        beams_of(without, LINE, of=["true"])


def test_records_are_fractions(record: Record):
    found = beams_of([record, record, record], LINE)
    assert found.fractions == 3
    assert [len(group) for group in found.beams.values()] == [3, 3, 3]


def test_records_of_several_plans_are_no_fractions_of_one(record: Record):
    found = beams_of([record, changed(record, plan_label="BOOST")], LINE)
    assert found.fractions == 1
    assert any("2 plans (TWOLAYERS, BOOST)" in note for note in found.notes)


def test_fields_in_records_of_their_own_are_one_fraction(record: Record):
    other = replace(record, fields=(replace(record.fields[0], number=2),))
    assert beams_of([record, other], LINE).fractions == 1


def test_a_continuation_is_part_of_the_fraction_and_of_the_plan(record: Record):
    found = beams_of([record, changed(record, continues=FIRST)], LINE)
    assert found.fractions == 1
    assert [len(group) for group in found.beams.values()] == [1, 2, 2]
    assert any("continuations belong to the fraction" in note for note in found.notes)
    alone = beams_of(changed(record, continues=FIRST), LINE)
    assert len(alone.beams["planned"]) == 1


def test_what_speaks_against_a_record_is_told(record: Record):
    field = record.fields[0]
    spots = field.spots.copy()
    spots["x_mm"][0] = np.nan
    field = replace(
        field, spots=spots, header={**field.header, "status": "interlock", "beamline_sha256": "0"}
    )
    notes = beams_of(replace(record, fields=(field,)), LINE).notes
    for words in ("not delivered whole (interlock; ", "1 spots have no measured position", "another version"):
        assert any(words in note for note in notes), words


def test_an_isocentre_that_is_not_known_is_asked_for(record: Record):
    unknown = changed(record, isocentre_mm=None)
    with pytest.raises(DoseError, match="does not say where its isocentre lies; give the plan"):
        beams_of(unknown, LINE)
    old = replace(record.fields[0], header={**record.fields[0].header})
    del old.header["isocentre_mm"]
    found = beams_of(replace(record, fields=(old,)), LINE, isocentres_mm={1: (1.0, 2.0, 3.0)})
    assert found.beams["measured"][0].isocentre_mm == (1.0, 2.0, 3.0)


def test_a_fixed_line_has_one_angle_and_a_gantry_many(record: Record):
    unknown = changed(record, gantry_angle_deg=None)
    found = beams_of(unknown, LINE)
    assert found.beams["planned"][0].gantry_deg == 90.0
    assert any("no gantry angle" in note for note in found.notes)
    both = with_facts(LINE, {"geometry.gantry_angles_deg": (0.0, 90.0)})
    with pytest.raises(DoseError, match="more than one"):
        beams_of(unknown, both)


def test_what_is_not_there_is_refused(record: Record):
    for arguments, message in (
        ({"fields": [7]}, "no field 7"),
        ({"of": []}, "dose of nothing"),
        ({"of": ["wanted"]}, "dose of wanted"),
    ):
        with pytest.raises(DoseError, match=message):
            beams_of(record, LINE, **arguments)
    with pytest.raises(DoseError, match="no record"):
        beams_of([], LINE)
    with pytest.raises(DoseError, match="no field was delivered"):
        beams_of(replace(record, fields=()), LINE)
