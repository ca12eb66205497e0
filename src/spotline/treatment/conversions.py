"""What a plan means on a beam line: its energies, optics, metersets, smallest spots and intensities."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from spotline.arrays import Floats
from spotline.machine import BeamLine
from spotline.machine.model import IonBeam
from spotline.plan.model import Field, Layer


def particles_per_meterset(field: Field, beamline: BeamLine, energy_MeV_u: float) -> float:
    """Particles per unit of the field: 1 for particles, else the calibration of the line for an MU."""
    if field.unit == "NP":
        return 1.0
    per_MU = beamline.particles_per_MU(field.ion.name, energy_MeV_u)
    assert per_MU is not None, "obstacles() refuses monitor units that the line does not know"
    return float(per_MU)


def particles_to_count(layer: Layer, field: Field, beamline: BeamLine, energy_MeV_u: float) -> Floats:
    """Particles that make ``minimum_spot_counts`` at each spot of a layer, shape (n_spots,).

    At reference gas conditions, in the integral chamber that counts less there; NaN outside the table of
    energies.
    """
    calibration = beamline.facts.calibration
    per_count = float(beamline.particles_per_count(field.ion.name, energy_MeV_u))
    gain = np.minimum(
        beamline.int1_gain(layer.x_iso_mm, layer.y_iso_mm) * calibration.int1_daily_factor,
        beamline.int2_gain(layer.x_iso_mm, layer.y_iso_mm) * calibration.int2_daily_factor,
    )
    particles: Floats = beamline.facts.control.minimum_spot_counts * per_count / gain
    return particles


def minimum_particles(layer: Layer, field: Field, beamline: BeamLine, energy_MeV_u: float) -> Floats:
    """Fewest particles that a visit to each spot of a layer may deliver, shape (n_spots,).

    The least that the line allows for the ion, or what makes ``minimum_spot_counts``, whichever is more.
    """
    beam = beamline.beam(field.ion.name)
    assert beam is not None, "obstacles() refuses ions that the line does not have"
    return np.maximum(
        beam.minimum_particles_per_spot, particles_to_count(layer, field, beamline, energy_MeV_u)
    )


def focus_of(layer: Layer, field: Field, beamline: BeamLine) -> str:
    """Optics of a layer: the tune of the plan if the line has one of that name, else its default."""
    foci = beamline.foci(field.ion.name)
    return layer.tune_id if layer.tune_id in foci else foci[0]


def delivered_energy(layer: Layer, field: Field, beamline: BeamLine) -> float:
    """Energy that the line delivers for a layer; the planned one if it has none for it."""
    energy = beamline.match_energy(field.ion.name, layer.energy_MeV_u)
    return layer.energy_MeV_u if energy is None else energy


def layers_by_slice(field: Field, beamline: BeamLine) -> Iterator[tuple[float, str, list[Layer]]]:
    """Join neighbouring layers of one energy and focus: a slice is what one kind of spill delivers.

    Yields
    ------
    energy_MeV_u : float
        As delivered.
    focus : str
        As delivered.
    layers : list of Layer
        In the order of the plan.
    """

    def delivered(layer: Layer) -> tuple[float, str]:
        return delivered_energy(layer, field, beamline), focus_of(layer, field, beamline)

    for (energy, focus), layers in groupby(field.layers, key=delivered):
        yield energy, focus, list(layers)


def particles_per_s(beam: IonBeam, level: float, energy_MeV_u: float, beamline: BeamLine) -> float:
    """Intensity of a beam at an intensity level and an energy."""
    share = beamline.facts.accelerator.intensity_share(energy_MeV_u)
    return beam.full_intensity_per_s * level * share
