"""What is told of how the patient lies."""

from __future__ import annotations

from spotline.dose.engine.beams import FieldBeams
from spotline.dose.evaluation.patients import _positions_note
from spotline.physics.ions import PROTON


def beams(number: int, position: str) -> FieldBeams:
    return FieldBeams(number, "one", PROTON, (), 0.0, 0.0, (0.0, 0.0, 0.0), (), position)


def test_fields_of_several_positions_are_told_apart():
    several = [beams(1, "HFS"), beams(2, "HFP"), beams(3, ""), beams(2, "HFP")]
    assert _positions_note("HFS", "HFS", several) == [
        "the patient is treated in several positions, as the plan says: HFS (fields 1, 3), HFP (field 2)"
    ]


def test_another_position_than_scanned_is_told_of_the_fields_that_are_taken():
    said = "the patient was scanned HFS and is treated HFP, as the plan says"
    assert _positions_note("HFS", "HFS", [beams(2, "HFP")]) == [said]
    assert _positions_note("HFS", "HFP", [beams(2, "")]) == [said]
    assert _positions_note("HFS", "HFP", [beams(1, "HFS")]) == []
    assert _positions_note("", "HFS", [beams(2, "HFP")]) == []
