"""What the safety interlock system finds after a spill: in the record, its documents and the replay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread

from spotline import BeamLine, open_record, replay, resume
from spotline.sim.faults import Fault
from tests.delivery.deliveries import PROTON, causes, deliver

LEAK = Fault("chopper", "leak", 0.003, at_us=-1000)


def test_beam_when_off_after_a_spill_stops_the_treatment(line: BeamLine, tmp_path: Path):
    record = deliver(PROTON, line, tmp_path / "out", seed=1, faults=(LEAK,), raw=True)
    (field,) = record.fields
    assert record.summary["status"] == "interlock"
    assert causes(record) == [("beam when off", "stop")]
    assert (record.summary["spills"], len(field.spills)) == (1, 1), "no spill is asked for any more"
    (row,) = field.interlocks
    # All spots of the slice were complete; the beam was found in the rest of the extraction.
    assert field.spots["complete"].sum() == 49
    assert field.spills["beam_on_us"][0] + 4_500_000 < row["time_us"] < 6_000_000
    assert row["value"] == row["limit"] == 5.0
    assert [r.differences for r in replay(record.path)] == [()]
    (interlock,) = dcmread(field.path / "record.dcm").TreatmentSessionIonBeamSequence[0].InterlockSequence
    assert "beam when off" in interlock.InterlockDescription.lower()
    # The truth has what came until the accelerator ended the extraction.
    assert field.truth is not None
    last = field.truth[np.flatnonzero(field.truth["spot"] == 48)[0]]
    planned = field.spots["particles_planned"][48]
    assert last["particles"] > planned + 5 * 1e4


def test_a_treatment_that_was_stopped_so_goes_on_after_a_reset(line: BeamLine, tmp_path: Path):
    deliver(PROTON, line, tmp_path / "out", seed=1, faults=(LEAK,), documents=False)
    went_on = resume(tmp_path / "out", operator="A", reason="chopper repaired", documents=False)
    assert went_on.summary["status"] == "complete"
    assert open_record(tmp_path / "out").summary["spills"] == 3
