"""Can this beam line deliver this field?  If not, why."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spotline.beamline import BeamLine
from spotline.plan.model import Field, Layer

PARTICLE_TOLERANCE = 1e-3
"""A plan stores spot weights as 32-bit numbers and may be this far (relative) below a minimum."""


def layer_particles(layer: Layer, field: Field, beamline: BeamLine, energy_MeV_u: float) -> np.ndarray:
    """Particles per spot of a layer, from particles or from monitor units."""
    if field.unit == "NP":
        return layer.meterset
    per_MU = beamline.particles_per_MU(field.ion.name, energy_MeV_u)
    assert per_MU is not None, "obstacles() refuses monitor units that the line does not know"
    return layer.meterset * float(per_MU)


def obstacles(field: Field, beamline: BeamLine) -> Iterator[str]:
    """Yield each reason why the beam line cannot deliver the field, with what to do about it."""
    facts, geometry = beamline.facts, beamline.facts.geometry
    beam = beamline.beam(field.ion.name)
    if beam is None:
        known = ", ".join(beamline.ion_names)
        yield f"{beamline.name} has no {field.ion.name} beam (it has {known}): choose another beam line"
        return
    yield from _gantry_obstacles(field, beamline)
    yield from _passive_obstacles(field, beamline)
    if field.unit == "MU" and beamline.energies[field.ion.name].particles_per_MU is None:
        yield (
            f"metersets are in MU but {beamline.name} has no particles_per_MU for {field.ion.name}: "
            "use the beam line the plan was made for, or export the plan in particles (NP)"
        )
        return
    for layer in field.layers:
        where = f"layer {layer.index + 1} ({layer.energy_MeV_u:g} MeV/u)"
        energy = beamline.match_energy(field.ion.name, layer.energy_MeV_u)
        if energy is None:
            listed = beamline.energies[field.ion.name].energy_MeV_u
            nearest = listed[np.argmin(np.abs(listed - layer.energy_MeV_u))]
            yield (
                f"{where}: {beamline.name} has no such {field.ion.name} energy (nearest {nearest:g} MeV/u): "
                "plan with the energies of the beam line"
            )
            continue
        if layer.paintings != 1:
            yield f"{where}: NumberOfPaintings is {layer.paintings}; repainting is not supported: plan with 1"
        beyond = (np.abs(layer.x_iso_mm) > geometry.field_x_mm / 2) | (
            np.abs(layer.y_iso_mm) > geometry.field_y_mm / 2
        )
        if beyond.any():
            spot = int(np.argmax(beyond))
            yield (
                f"{where}: {beyond.sum()} spots outside the {geometry.field_x_mm:g} x {geometry.field_y_mm:g} mm "
                f"field, the first is spot {spot + 1} at ({layer.x_iso_mm[spot]:g}, {layer.y_iso_mm[spot]:g}) mm"
            )
        particles = layer_particles(layer, field, beamline, energy)
        too_few = particles < beam.minimum_particles_per_spot * (1.0 - PARTICLE_TOLERANCE)
        if too_few.any():
            spot = int(np.argmax(too_few))
            yield (
                f"{where}: {too_few.sum()} spots have fewer than {beam.minimum_particles_per_spot:g} particles, "
                f"the first is spot {spot + 1} with {particles[spot]:.6g}: raise the minimum spot weight of the plan"
            )
    if facts.accelerator.spill_length_s <= 0:  # pragma: no cover - the loader refuses it
        yield "spill_length_s must be positive"


def _gantry_obstacles(field: Field, beamline: BeamLine) -> Iterator[str]:
    geometry = beamline.facts.geometry
    angle = field.gantry_angle_deg
    if angle is None:
        return
    if geometry.gantry_range_deg is not None:
        low, high = geometry.gantry_range_deg
        if not low <= angle <= high:
            yield f"gantry angle {angle:g} deg is beyond {low:g} to {high:g} deg of {beamline.name}"
        return
    if not any(abs((angle - fixed + 180.0) % 360.0 - 180.0) < 0.05 for fixed in geometry.gantry_angles_deg):
        fixed = ", ".join(f"{a:g}" for a in geometry.gantry_angles_deg)
        yield (
            f"gantry angle is {angle:g} deg but {beamline.name} is fixed at {fixed} deg: "
            "choose the beam line of that direction"
        )


def _passive_obstacles(field: Field, beamline: BeamLine) -> Iterator[str]:
    elements = beamline.facts.passive_elements
    available = {"range_shifter": elements.range_shifters, "range_modulator": elements.range_modulators}
    for element in field.passive:
        names = available.get(element.kind)
        what = f"{element.kind.replace('_', ' ')} {element.id!r}"
        if names is None:
            yield f"{what}: {beamline.name} has no holder for it: plan without it"
        elif element.id not in names:
            known = ", ".join(names) or "none"
            yield f"{what} is not among those of {beamline.name} ({known})"
        elif element.wet_mm is not None and abs(element.wet_mm - names[element.id]) > 0.5:
            yield (
                f"{what} is {element.wet_mm:g} mm of water in the plan but {names[element.id]:g} mm on "
                f"{beamline.name}"
            )
    foci = {o.range_modulators for o in _optics(field, beamline)}
    count = sum(element.kind == "range_modulator" for element in field.passive)
    if count not in foci:
        known = ", ".join(str(n) for n in sorted(foci))
        yield f"{count} range modulators: {beamline.name} knows spot sizes for {known} of them only"


def _optics(field: Field, beamline: BeamLine) -> tuple[object, ...]:
    beam = beamline.beam(field.ion.name)
    return beam.optics if beam is not None else ()
