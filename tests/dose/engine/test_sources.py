"""Where beams come from: records, fractions, continuations, and what is not known of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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


def on_day(record: Record, day: int) -> Record:
    """The same delivered on another day."""
    return changed(record, started=f"2027-03-{day:02d}T12:00:00")


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
    assert list(beams_of([record, on_day(without, 2)], LINE).beams) == ["planned", "measured"]
    with pytest.raises(DoseError, match="no simulation made it"):
        beams_of(without, LINE, of=["true"])


def test_records_are_fractions(record: Record):
    found = beams_of([record, on_day(record, 2), on_day(record, 3)], LINE)
    assert found.fractions == 3
    assert [len(group) for group in found.beams.values()] == [3, 3, 3]


def test_fractions_that_are_alike(record: Record, treatment: spotline.Treatment):
    for source in (record, treatment):
        once, found = beams_of(source, LINE), beams_of(source, LINE, fractions=5)
        assert found.fractions == 5
        assert any("taken 5 times" in note for note in found.notes)
        for what, (one,) in once.beams.items():
            (many,) = found.beams[what]
            assert many.particles == pytest.approx(5 * one.particles)
    assert beams_of([record, on_day(record, 2)], LINE, fractions=5).fractions == 10
    with pytest.raises(DoseError, match="0 is none"):
        beams_of(record, LINE, fractions=0)


def test_a_delivery_is_added_once(record: Record, tmp_path: Path):
    """Whatever its folder is called: another path, a link, or a copy."""
    link = tmp_path / "link"
    link.symlink_to(record.path, target_is_directory=True)
    for path in (record.path, link, tmp_path / "copy"):
        with pytest.raises(DoseError, match=r"is the same delivery as .* --fractions"):
            beams_of([record, on_day(record, 2), replace(record, path=path)], LINE)
    # A record that does not say when it began is known by its folder.
    silent = changed(record, started="")
    with pytest.raises(DoseError, match="is the same delivery"):
        beams_of([silent, replace(silent, path=link)], LINE)
    assert beams_of([silent, replace(silent, path=tmp_path)], LINE).fractions == 2


def test_a_remainder_is_added_once(record: Record):
    """As often as something was left at most."""

    def stopped(day: int) -> Record:
        return replace(on_day(record, day), summary={**record.summary, "status": "interlock"})

    sha256 = record.fields[0].facts.plan_sha256
    rest = changed(record, continues={**FIRST, "plan_sha256": sha256}, plan_sha256="c")
    again = on_day(rest, 4)
    for whole in ([stopped(1)], [stopped(1), on_day(record, 2)], []):
        beams_of([*whole, rest], LINE)
        with pytest.raises(DoseError, match=r"continuation 1 of the plan .* was delivered 2 times"):
            beams_of([*whole, rest, again], LINE)
    assert beams_of([stopped(1), stopped(2), rest, again], LINE).fractions == 2


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
    # Both have the same name, so that it is not the name that tells them apart.
    (other,) = (note for note in notes if "another version" in note)
    version = LINE.facts.version
    assert f"({LINE.name}, version {version}, SHA-256 0) than" in other
    assert other.endswith(f"({LINE.name}, version {version}, {LINE.sha256[:12]})")


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
