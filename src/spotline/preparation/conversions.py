"""What a plan means on a beam line: its energies, optics, metersets and smallest spots."""

from __future__ import annotations

import numpy as np

from spotline.beamline import BeamLine
from spotline.plan.model import Field, Layer
from spotline.preparation.treatment import Floats


def particles_per_meterset(field: Field, beamline: BeamLine, energy_MeV_u: float) -> float:
    """Particles per unit of the field: 1 for particles, else the calibration of the line for an MU."""
    if field.unit == "NP":
        return 1.0
    per_MU = beamline.particles_per_MU(field.ion.name, energy_MeV_u)
    assert per_MU is not None, "obstacles() refuses monitor units that the line does not know"
    return float(per_MU)


def minimum_particles(layer: Layer, field: Field, beamline: BeamLine, energy_MeV_u: float) -> Floats:
    """Fewest particles that a visit to each spot of a layer may deliver, shape (n_spots,).

    The least that the line allows for the ion, or what makes ``minimum_spot_counts`` at reference gas
    conditions, whichever is more.
    """
    beam = beamline.beam(field.ion.name)
    assert beam is not None, "obstacles() refuses ions that the line does not have"
    calibration = beamline.facts.calibration
    per_count = float(beamline.particles_per_count(field.ion.name, energy_MeV_u))
    gain = np.minimum(
        beamline.int1_gain(layer.x_iso_mm, layer.y_iso_mm) * calibration.int1_daily_factor,
        beamline.int2_gain(layer.x_iso_mm, layer.y_iso_mm) * calibration.int2_daily_factor,
    )
    counted: Floats = beamline.facts.control.minimum_spot_counts * per_count / gain
    return np.maximum(beam.minimum_particles_per_spot, counted)


def focus_of(layer: Layer, field: Field, beamline: BeamLine) -> str:
    """Optics of a layer: the tune of the plan if the line has one of that name, else its default."""
    foci = beamline.foci(field.ion.name)
    return layer.tune_id if layer.tune_id in foci else foci[0]
