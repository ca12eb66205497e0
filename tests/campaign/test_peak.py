"""Dose of a particle at the Bragg peak, against the dose engine."""

from __future__ import annotations

import numpy as np
import pytest

import spotline
from spotline import BeamLine
from spotline.campaign.peak import known_peak_dose_Gy, peak_dose_Gy
from spotline.dose.engine.reconstruct import reconstruct
from spotline.machine.library.modifiers import in_beam
from spotline.machine.library.store import load_library
from tests.lines.facts import with_facts
from tests.treatment.plans import field, layer, plan_of


def test_against_the_engine(line: BeamLine):
    """One spot into water whose surface is so far before the isocentre that the peak lies there."""
    treatment = spotline.prepare(plan_of(field(layer([0.0], 0.0, 1e6))), line)
    (one,) = treatment.fields
    slice_ = one.slices[0]
    expected = 1e6 * peak_dose_Gy(
        line, one.beam.name, slice_.energy_MeV_u, slice_.focus, one.passive_elements
    )
    entry = load_library(line, "carbon").entry(slice_.energy_MeV_u)
    entry = entry.with_thickness(in_beam(line, "carbon"))
    peak = entry.ranges()
    phantom = spotline.water_phantom(treatment, peak.peak_mm, 0.5)
    dose = reconstruct(treatment, line, phantom, phantom.grid).doses["planned"].physical.dose_Gy
    # The middles of voxels miss the peak by a little.
    middles_mm = np.arange(0.25, peak.peak_mm + 10.0, 0.5)
    expected *= float(entry.dose_MeV_cm2_g(middles_mm).max()) / peak.peak_MeV_cm2_g
    assert float(np.max(dose)) == pytest.approx(expected, rel=0.03)


def test_a_line_without_a_library_has_none(line: BeamLine):
    without = with_facts(line, {"ions.carbon.library": None})
    assert known_peak_dose_Gy(without, "carbon", 221.45, "", ()) is None
