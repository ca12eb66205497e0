"""Can this beam line deliver this field?  If not, why."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spotline.beamline import BeamLine
from spotline.beamline.model import IonBeam
from spotline.plan.model import Field, Layer
from spotline.preparation.conversions import focus_of, particles_per_meterset

PARTICLE_TOLERANCE = 1e-3
"""A plan stores spot weights as 32-bit numbers and may be this far (relative) below a minimum."""


def obstacles(field: Field, beamline: BeamLine) -> Iterator[str]:
    """Yield each reason why the beam line cannot deliver the field, with what to do about it."""
    beam = beamline.beam(field.ion.name)
    if beam is None:
        known = ", ".join(beamline.ion_names)
        yield f"{beamline.name} has no {field.ion.name} beam (it has {known}): choose another beam line"
        return
    yield from _gantry_obstacles(field, beamline)
    yield from _passive_obstacles(field, beam, beamline)
    if field.unit == "MU" and beamline.energies[field.ion.name].particles_per_MU is None:
        yield (
            f"PrimaryDosimeterUnit is MU but {beamline.name} has no particles_per_MU for {field.ion.name}: "
            "use the beam line the plan was made for, or export the plan in particles (NP)"
        )
        return
    modulators = sum(element.kind == "range_modulator" for element in field.passive)
    for layer in field.layers:
        where = f"layer {layer.index} ({layer.energy_MeV_u:g} MeV/u)"
        energy = beamline.match_energy(field.ion.name, layer.energy_MeV_u)
        if energy is None:
            listed = beamline.energies[field.ion.name].energy_MeV_u
            nearest = listed[np.argmin(np.abs(listed - layer.energy_MeV_u))]
            yield (
                f"{where}: {beamline.name} has no such NominalBeamEnergy for {field.ion.name} (nearest "
                f"{nearest:g} MeV/u): plan with the energies of the beam line"
            )
            continue
        focus = focus_of(layer, field, beamline)
        with_sizes = _modulators(beam, focus)
        # A number that no focus goes with is told once for the field.
        if modulators not in with_sizes and modulators in _modulators(beam):
            yield (
                f"{where}: ScanSpotTuneID {focus!r}: {beamline.name} knows spot sizes of this focus for "
                f"{_listed(with_sizes)} range modulators only, not for {modulators}: plan with another focus"
            )
        yield from _spot_obstacles(
            where, layer, layer.meterset * particles_per_meterset(field, beamline, energy), beam, beamline
        )


def _spot_obstacles(
    where: str, layer: Layer, particles: np.ndarray, beam: IonBeam, beamline: BeamLine
) -> Iterator[str]:
    geometry = beamline.facts.geometry
    x_mm, y_mm = layer.x_iso_mm, layer.y_iso_mm
    beyond = (np.abs(x_mm) > geometry.field_x_mm / 2) | (np.abs(y_mm) > geometry.field_y_mm / 2)
    if beyond.any():
        spot = int(np.argmax(beyond))
        yield (
            f"{where}: ScanSpotPositionMap has {beyond.sum()} spots outside the {geometry.field_x_mm:g} x "
            f"{geometry.field_y_mm:g} mm field of {beamline.name}, the first is spot "
            f"{layer.file_index[spot]} at ({x_mm[spot]:g}, {y_mm[spot]:g}) mm: plan a smaller field"
        )
    too_few = particles < beam.minimum_particles_per_spot * (1.0 - PARTICLE_TOLERANCE)
    if too_few.any():
        spot = int(np.argmax(too_few))
        yield (
            f"{where}: ScanSpotMetersetWeights has {too_few.sum()} spots with fewer than "
            f"{beam.minimum_particles_per_spot:g} particles, the first is spot {layer.file_index[spot]} with "
            f"{particles[spot]:.6g}: raise the minimum spot weight of the plan"
        )


def _gantry_obstacles(field: Field, beamline: BeamLine) -> Iterator[str]:
    geometry = beamline.facts.geometry
    angle = field.gantry_angle_deg
    if angle is None:
        return
    if geometry.gantry_range_deg is not None:
        low, high = geometry.gantry_range_deg
        if not low <= angle <= high:
            yield (
                f"GantryAngle is {angle:g} deg, beyond {low:g} to {high:g} deg of {beamline.name}: "
                "choose a beam line that reaches it"
            )
        return
    if not any(abs((angle - fixed + 180.0) % 360.0 - 180.0) < 0.05 for fixed in geometry.gantry_angles_deg):
        fixed = ", ".join(f"{a:g}" for a in geometry.gantry_angles_deg)
        yield (
            f"GantryAngle is {angle:g} deg but {beamline.name} is fixed at {fixed} deg: "
            "choose the beam line of that direction"
        )


def _passive_obstacles(field: Field, beam: IonBeam, beamline: BeamLine) -> Iterator[str]:
    elements = beamline.facts.passive_elements
    available = {"range_shifter": elements.range_shifters, "range_modulator": elements.range_modulators}
    for element in field.passive:
        names = available.get(element.kind)
        what = f"{element.kind.replace('_', ' ')} {element.id!r}"
        if names is None:
            yield f"{what}: {beamline.name} has no holder for it: plan without it"
        elif element.id not in names:
            known = ", ".join(names) or "none"
            yield (
                f"{what} is not among those of {beamline.name} ({known}): plan with one of these, "
                "or add it to passive_elements of the beam line"
            )
        elif element.wet_mm is not None and abs(element.wet_mm - names[element.id]) > 0.5:
            yield (
                f"{what} is {element.wet_mm:g} mm of water in the plan but {names[element.id]:g} mm on "
                f"{beamline.name}: plan with that, or correct passive_elements of the beam line"
            )
    known_numbers = _modulators(beam)
    count = sum(element.kind == "range_modulator" for element in field.passive)
    if count not in known_numbers:
        yield (
            f"{count} range modulators: {beamline.name} knows spot sizes for {_listed(known_numbers)} of "
            "them only: plan with as many"
        )


def _modulators(beam: IonBeam, focus: str | None = None) -> set[int]:
    """Numbers of range modulators with which spot sizes are known (of one focus)."""
    return {optics.range_modulators for optics in beam.optics if focus in (None, optics.focus)}


def _listed(numbers: set[int]) -> str:
    return " or ".join(str(number) for number in sorted(numbers))
