"""A record says which interlocks there were, what came of them, and how the field ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES
from spotline.dicom.treatment_record import read_treatment_record, write_treatment_record
from spotline.plan import Plan
from tests.dicom.delivered import INTERRUPTED, STOP, TRIP, field_record
from tests.dicom.written import points_of, session_beam, written


def test_interrupted_field(plan: Plan):
    after = (*TRIP[:1], STOP[1] + 1, *TRIP[2:])  # does not end what is stopped already
    record = field_record(plan, spots=INTERRUPTED, interlocks=[STOP, after])
    dataset = written(record, plan)
    beam, points = session_beam(dataset), points_of(dataset)
    assert beam.TreatmentTerminationStatus == "MACHINE"
    assert beam.TreatmentTerminationDescription.startswith("gas temperature BOX1: value 41.5 C, limit 40 C;")
    assert (
        points[4].NumberOfScanSpotPositions,
        list(np.atleast_1d(points[4].ScanSpotPrescribedIndices)),
    ) == (1, [1])
    delivered = float(beam.DeliveredPrimaryMeterset)
    assert delivered == float(points[-1].DeliveredMeterset) < beam.SpecifiedPrimaryMeterset
    assert points[-1].SpecifiedMeterset == beam.SpecifiedPrimaryMeterset


def test_interlocks(plan: Plan, tmp_path: Path):
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, interlocks=[STOP, TRIP], status="complete"), plan, path)
    first, second = session_beam(dcmread(path)).InterlockSequence
    assert first.InterlockDateTime == "20270305000002.641592"
    assert first.InterlockDescription == (
        "position x: value 2.625 mm, limit 2 mm; spill 2, slice 0, spot 1; pause of the spill"
    )
    assert first.InterlockOriginDescription == "fast control"
    (code,) = first.InterlockCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("130825", "DCM")
    (own,) = code.EquivalentCodeSequence
    assert (own.CodeValue, own.CodingSchemeDesignator, own.CodeMeaning) == ("4", "99SPOTLINE", "position x")
    assert first.InterlockResolutionCodeSequence[0].CodeMeaning == "Interlock Resolved"
    assert len(first.InterlockResolutionUserSequence) == 0
    (code,) = second.InterlockCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("20", "99SPOTLINE")
    assert second.InterlockResolutionCodeSequence[0].CodeMeaning == "Treatment Terminated"
    # A pause, or a warning before the beam, does not end a field that was completed.
    (field,) = read_treatment_record(path).fields
    assert field.termination == "NORMAL"
    assert [interlock.cause for interlock in field.interlocks] == [4, 20]
    assert field.interlocks[0].time is not None
    assert field.interlocks[0].time.isoformat() == "2027-03-05T00:00:02.641592+01:00"
    assert field.interlocks[0].resolution == "Interlock Resolved"


def test_last_pause_of_an_interrupted_field_ended_it(plan: Plan):
    record = field_record(plan, spots=INTERRUPTED, interlocks=[TRIP, TRIP])
    resolutions = [
        item.InterlockResolutionCodeSequence[0].CodeMeaning
        for item in session_beam(written(record, plan)).InterlockSequence
    ]
    assert resolutions == ["Interlock Resolved", "Treatment Terminated"]


def test_what_an_operator_has_reset_is_resolved(plan: Plan):
    """The first stop was reset; the operator then stopped the treatment."""
    operator = (interlocks.OPERATOR, STOP[1] + 1_000_000, *STOP[2:])
    reset = {"identity": "L. Meitner", "reason": "tested", "time_us": STOP[1], "released": []}
    register = {"latched": [], "resets": [reset]}
    record = field_record(plan, spots=INTERRUPTED, interlocks=[TRIP, STOP, operator], register=register)
    beam = session_beam(written(record, plan))
    resolutions = [item.InterlockResolutionCodeSequence[0].CodeMeaning for item in beam.InterlockSequence]
    assert resolutions == ["Interlock Resolved", "Interlock Resolved", "Treatment Terminated"]
    assert beam.TreatmentTerminationStatus == "OPERATOR"
    assert beam.TreatmentTerminationDescription.startswith("operator: ")
    whole = field_record(plan, interlocks=[STOP], status="complete", register=register)
    (item,) = session_beam(written(whole, plan)).InterlockSequence
    assert item.InterlockResolutionCodeSequence[0].CodeMeaning == "Interlock Resolved"
    # A pause goes on by itself; nobody has resolved what ended the field.
    paused, stopped, ended = (item.InterlockResolutionUserSequence for item in beam.InterlockSequence)
    assert (len(paused), len(ended)) == (0, 0)
    (user,) = stopped
    (code,) = user.PersonIdentificationCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == (
        "L. Meitner",
        "99SPOTLINE_USER",
        "L. Meitner",
    )


def test_who_reset_which_interlock(plan: Plan):
    """The first who did after it came; a long name is a long code."""
    later = (STOP[0], STOP[1] + 10, *STOP[2:])
    resets = [
        {"identity": name, "reason": "tested", "time_us": time_us, "released": []}
        for name, time_us in (("L. Meitner", STOP[1]), ("Otto\\Robert^Frisch of Vienna", STOP[1] + 20))
    ]
    record = field_record(plan, interlocks=[STOP, later], register={"latched": [], "resets": resets})
    users = [
        item.InterlockResolutionUserSequence[0].PersonIdentificationCodeSequence[0]
        for item in session_beam(written(record, plan)).InterlockSequence
    ]
    assert [user.CodeMeaning for user in users] == ["L. Meitner", "Otto Robert Frisch of Vienna"]
    assert ("CodeValue" in users[0], "LongCodeValue" in users[0]) == (True, False)
    assert ("CodeValue" in users[1], users[1].LongCodeValue) == (False, "Otto Robert Frisch of Vienna")


def test_who_reset_pauses_in_vain(plan: Plan):
    """They are latched when there were too many in a row; the pauses before went on by themselves."""
    later = (TRIP[0], TRIP[1] + 10, *TRIP[2:])
    released = {"cause": later[0], "value": 1.0, "limit": 1.0, "time_us": later[1], "spill": 1}
    reset = {"identity": "L. Meitner", "reason": "tested", "time_us": later[1] + 1, "released": [released]}
    record = field_record(
        plan, interlocks=[TRIP, later], status="complete", register={"latched": [], "resets": [reset]}
    )
    before, last = (
        item.InterlockResolutionUserSequence for item in session_beam(written(record, plan)).InterlockSequence
    )
    assert not before
    assert last[0].PersonIdentificationCodeSequence[0].CodeMeaning == "L. Meitner"


def test_fraction_and_operators(plan: Plan):
    sessions = [
        {"operator": name, "reason": "repaired", "resumed": None, "spill": 2}
        for name in ("Meitner^L.", "A. Physicist", "Strange=Name^with\\parts")
    ]
    record = field_record(plan, fraction=7, operator="A. Physicist", sessions=sessions)
    dataset = written(record, plan)
    assert session_beam(dataset).CurrentFractionNumber == 7
    assert [str(name) for name in dataset.OperatorsName] == [
        "A. Physicist^",
        "Meitner^L.",
        "Strange Name^with parts",
    ]


def test_nobody_said_who(plan: Plan):
    dataset = written(field_record(plan), plan)
    assert not dataset.OperatorsName
    assert session_beam(dataset).CurrentFractionNumber == 1


@pytest.mark.parametrize("cause", [*CAUSES, 99])
def test_every_cause_is_read_back(cause: int, plan: Plan, tmp_path: Path):
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, interlocks=[(cause, *TRIP[1:])]), plan, path)
    (interlock,) = read_treatment_record(path).fields[0].interlocks
    assert interlock.cause == cause
    name = CAUSES[cause].name if cause in CAUSES else "unknown cause 99"
    assert interlock.description.startswith(f"{name}: value")
