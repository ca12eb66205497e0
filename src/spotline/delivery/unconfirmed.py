"""How far behind the recovery journal may be, in counts: stated here, and nowhere else.

The journal is brought up to date every ``control.recovery_period_us``.  If the process that does so dies,
the beam goes on until the fast control misses the confirmation: so many counts of INT1 it delivers without.
"""

from __future__ import annotations

import math

import numpy as np

from spotline.machine.model import BeamLineFile, IonBeam
from spotline.treatment.treatment import Slice


def allowed_unconfirmed_counts(facts: BeamLineFile, slice_: Slice) -> int:
    """Counts of INT1 without confirmation at which the fast control pauses the beam.

    ``recovery_credit`` times what the nominal intensity of the slice makes in ``recovery_period_us``.

    Parameters
    ----------
    facts : BeamLineFile
        The beam line.
    slice_ : Slice
        With its conversion to counts.
    """
    control = facts.control
    particles = control.recovery_credit * slice_.particles_per_s * control.recovery_period_us * 1e-6
    return math.ceil(particles / float(np.mean(slice_.particles_per_count1)))


def largest_unconfirmed_counts(facts: BeamLineFile, beam: IonBeam, slice_: Slice) -> int:
    """Most counts of INT1 that may follow the last entry of the journal: the U of the documents.

    Those that are allowed, and what passes at the largest intensity that is no interlock until the fast
    control has looked (a scan period), the chopper has closed, and the chambers have been read out.

    Parameters
    ----------
    facts : BeamLineFile
        The beam line.
    beam : IonBeam
        The ion species.
    slice_ : Slice
        With its conversion to counts.
    """
    control, chopper = facts.control, facts.chopper
    late_us = control.scan_period_us + chopper.off_delay_us + chopper.off_ramp_us + control.collection_time_us
    fewest = float(np.min(slice_.particles_per_count1))
    late = math.ceil(beam.largest_intensity_per_s * late_us * 1e-6 / fewest)
    return allowed_unconfirmed_counts(facts, slice_) + late
