"""How much beam a field has taken, against what was predicted for what it has delivered.

The prediction (`spotline.treatment.duration`) knows the accelerator and the plan, and no chamber: chambers
that all count too little, whatever the cause, make a field take more spills and more time with beam than it
should.  Where the charge of the ring is read that is found within milliseconds; elsewhere it is found here,
before the next spill.  Decision 0035.
"""

from __future__ import annotations

from spotline.control.memory import END_OF_EXTRACTION, END_SLICE_COMPLETE
from spotline.delivery.headers import beam_on_us
from spotline.machine import BeamLine
from spotline.room import SpillResult
from spotline.treatment.duration import Duration, predict_duration
from spotline.treatment.treatment import FieldTreatment, Slice


class Expenditure:
    """Spills and time with beam of a field since somebody looked at it last.

    Spills that an interlock or an operator ended, or in which the chopper never opened, are left out, with
    what they delivered: they say nothing of how long the beam should have taken.

    Parameters
    ----------
    treatment : FieldTreatment
        The field.
    beamline : BeamLine
        The line.
    """

    def __init__(self, treatment: FieldTreatment, beamline: BeamLine) -> None:
        self._expected: tuple[Duration, ...] = predict_duration(treatment, beamline).slices
        self._factor = beamline.facts.fast_interlocks.spills_factor
        self._spill_s = beamline.facts.accelerator.longest_s
        self.begin_again()

    def begin_again(self) -> None:
        """Count from here on: an operator has looked at what there was."""
        self._spills = self._beam_spills = 0.0

    def take(self, slice_: Slice, result: SpillResult) -> None:
        """Count a spill."""
        beam_on_s = beam_on_us(result.commands) * 1e-6
        if result.end_reason not in (END_OF_EXTRACTION, END_SLICE_COMPLETE) or not beam_on_s > 0.0:
            return
        share = float(result.parts["int1_counts"].sum()) / float(slice_.int1_counts.sum())
        expected = self._expected[slice_.index]
        spills = (result.end_reason == END_OF_EXTRACTION) - self._factor * share * expected.spills
        beam_spills = (beam_on_s - self._factor * share * expected.beam_on_s) / self._spill_s
        # Never below zero: a long time as it should be is no credit for what follows.
        self._spills = max(0.0, self._spills + spills)
        self._beam_spills = max(0.0, self._beam_spills + beam_spills)

    @property
    def excess(self) -> float:
        """Spills, or time with beam in spills, beyond the prediction times its factor; whichever is more."""
        return max(self._spills, self._beam_spills)
