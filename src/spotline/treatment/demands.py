"""Can this beam line deliver this plan?  If not, why: all reasons, each with all that it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Integers
from spotline.errors import PlanError
from spotline.machine import BeamLine
from spotline.machine.geometry import current_A
from spotline.machine.model import IonBeam
from spotline.plan.model import Field, Layer, PassiveElement, Plan
from spotline.treatment.conversions import (
    delivered_energy,
    focus_of,
    layers_by_slice,
    particles_per_meterset,
    particles_per_s,
    particles_to_count,
)
from spotline.treatment.options import LARGEST_PAINTINGS, Options
from spotline.wording import figures, layers_named, quoted, several

PARTICLE_TOLERANCE = 1e-3
"""A plan stores spot weights as 32-bit numbers and may be this far (relative) below a minimum."""


def refusal(plan: Plan, beamline: BeamLine, reasons: Iterable[tuple[Field, Sequence[str]]]) -> PlanError:
    """Make one error of all reasons against all fields.

    A reason that several fields share is told once.

    Parameters
    ----------
    plan : Plan
        What was to be delivered.
    beamline : BeamLine
        Where.
    reasons : iterable of (Field, sequence of str)
        What speaks against each field.
    """
    concerned: dict[str, list[Field]] = {}
    for field, against in reasons:
        for reason in against:
            concerned.setdefault(reason, []).append(field)
    shared: dict[str, list[str]] = {}
    for reason, fields in concerned.items():
        names = ", ".join(f"{field.number} ({field.name})" for field in fields)
        shared.setdefault(f"field{'' if len(fields) == 1 else 's'} {names}", []).append(reason)
    return PlanError(
        f"{plan.path}: "
        + "; ".join(
            f"{names} cannot be delivered on {beamline.name}: " + "; ".join(against)
            for names, against in shared.items()
        )
    )


def obstacles(field: Field, beamline: BeamLine, options: Options | None = None) -> Iterator[str]:
    """Yield each reason why the beam line cannot deliver the field, with what to do about it.

    One reason for each kind of fault; it names all layers concerned, counts their spots and quotes the
    worst.  A fault never hides another, as far as the other can be told: what depends on an energy that
    the line does not have is judged by its tables at the planned energy.

    Parameters
    ----------
    field : Field
        What to deliver.
    beamline : BeamLine
        Where.
    options : Options, optional
        How; by default as `Options` has it.
    """
    if beamline.beam(field.ion.name) is not None:
        yield from _energy_obstacles(field, beamline)
    yield from obstacles_other_than_energies(field, beamline, options)


def obstacles_other_than_energies(
    field: Field, beamline: BeamLine, options: Options | None = None
) -> Iterator[str]:
    """Yield the same reasons without those against the energies."""
    beam = beamline.beam(field.ion.name)
    if beam is None:
        known = ", ".join(beamline.ion_names)
        yield f"{beamline.name} has no {field.ion.name} beam (it has {known}): choose another beam line"
    yield from _accelerator_obstacles(beamline)
    yield from _gantry_obstacles(field, beamline)
    yield from _device_obstacles(field, beamline)
    spots = _spots_of(field, beamline)
    yield from _field_size_obstacles(spots, beamline)
    if beam is None:
        return
    yield from _optics_obstacles(field, beam, beamline)
    yield from _reach_obstacles(spots, beamline)
    if not _has_calibration(field, beamline):
        yield (
            f"PrimaryDosimeterUnit is MU but {beamline.name} has no particles_per_MU for {field.ion.name}: "
            "use the beam line the plan was made for, or export the plan in particles (NP)"
        )
        return
    if not field.is_continuation:  # what a stopped delivery left of a spot may be as little as one count
        yield from _particle_obstacles(spots, beam, beamline)
    yield from _spill_obstacles(field, spots, beam, beamline)
    yield from _painting_obstacles(field, spots, beam, options or Options())


class _Spots(NamedTuple):
    """All spots of a field; arrays of shape (n_spots,), NaN for what the line cannot tell."""

    layer: Integers
    number: Integers  # in the file
    x_mm: Floats
    y_mm: Floats
    energy_MeV_u: Floats
    rigidity_T_m: Floats
    particles: Floats
    countable: Floats  # particles for the fewest counts

    def place(self, spot: int) -> str:
        return f"spot {self.number[spot]} of layer {self.layer[spot]}"

    def concerned(self, which: NDArray[np.bool_]) -> str:
        return f"{layers_named(self.layer[which].tolist())}: {several(int(which.sum()), 'spot')}"


def _spots_of(field: Field, beamline: BeamLine) -> _Spots:
    known = beamline.beam(field.ion.name) is not None
    calibrated = known and _has_calibration(field, beamline)

    def column(of_layer: Callable[[Layer], object]) -> Floats:
        parts = [np.broadcast_to(np.asarray(of_layer(layer)), layer.n_spots) for layer in field.layers]
        return np.concatenate(parts) if parts else np.empty(0)

    def energy(layer: Layer) -> float:
        return delivered_energy(layer, field, beamline)

    def particles(layer: Layer) -> Floats | float:
        if not calibrated:
            return np.nan
        return layer.meterset * particles_per_meterset(field, beamline, energy(layer))

    def countable(layer: Layer) -> Floats | float:
        return particles_to_count(layer, field, beamline, energy(layer)) if known else np.nan

    return _Spots(
        layer=column(lambda layer: layer.index).astype(np.int64),
        number=column(lambda layer: layer.file_index).astype(np.int64),
        x_mm=column(lambda layer: layer.x_iso_mm),
        y_mm=column(lambda layer: layer.y_iso_mm),
        energy_MeV_u=column(energy),
        rigidity_T_m=column(lambda layer: field.ion.rigidity_T_m(energy(layer))),
        particles=column(particles),
        countable=column(countable),
    )


def _has_calibration(field: Field, beamline: BeamLine) -> bool:
    return field.unit == "NP" or beamline.energies[field.ion.name].particles_per_MU is not None


def _energy_obstacles(field: Field, beamline: BeamLine) -> Iterator[str]:
    ion = field.ion.name
    unknown = [layer for layer in field.layers if beamline.match_energy(ion, layer.energy_MeV_u) is None]
    if not unknown:
        return
    listed = beamline.energies[ion].energy_MeV_u

    def nearest(layer: Layer) -> float:
        return float(listed[np.argmin(np.abs(listed - layer.energy_MeV_u))])

    worst = max(unknown, key=lambda layer: abs(layer.energy_MeV_u - nearest(layer)))
    furthest = f"worst is layer {worst.index} with {worst.energy_MeV_u:g}, " * (len(unknown) > 1)
    yield (
        f"{layers_named(layer.index for layer in unknown)} "
        f"({figures(layer.energy_MeV_u for layer in unknown)} MeV/u): {beamline.name} has no such "
        f"NominalBeamEnergy for {ion} (its own reach from {listed[0]:g} to {listed[-1]:g}, {furthest}"
        f"nearest {nearest(worst):g}): plan with the energies of the beam line, or retarget the plan to the "
        "nearest ones"
    )


def _field_size_obstacles(spots: _Spots, beamline: BeamLine) -> Iterator[str]:
    geometry = beamline.facts.geometry
    beyond = ~_within_field(spots, beamline)
    if not beyond.any():
        return
    excess_mm = np.maximum(
        np.abs(spots.x_mm) - geometry.field_x_mm / 2, np.abs(spots.y_mm) - geometry.field_y_mm / 2
    )
    worst = int(np.argmax(excess_mm))
    yield (
        f"{spots.concerned(beyond)} of ScanSpotPositionMap outside the {geometry.field_x_mm:g} x "
        f"{geometry.field_y_mm:g} mm field of {beamline.name}, furthest {spots.place(worst)} at "
        f"({spots.x_mm[worst]:g}, {spots.y_mm[worst]:g}) mm: plan a smaller field"
    )


def _within_field(spots: _Spots, beamline: BeamLine) -> NDArray[np.bool_]:
    geometry = beamline.facts.geometry
    inside: NDArray[np.bool_] = (np.abs(spots.x_mm) <= geometry.field_x_mm / 2) & (
        np.abs(spots.y_mm) <= geometry.field_y_mm / 2
    )
    return inside


def _reach_obstacles(spots: _Spots, beamline: BeamLine) -> Iterator[str]:
    """Spots within the field that need more current than a magnet can have."""
    geometry, scanning = beamline.facts.geometry, beamline.facts.scanning
    within = _within_field(spots, beamline)
    for plane, magnet, source_mm, position_mm in (
        ("x", scanning.x, geometry.x_source_to_isocentre_mm, spots.x_mm),
        ("y", scanning.y, geometry.y_source_to_isocentre_mm, spots.y_mm),
    ):
        per_rigidity = current_A(position_mm, source_mm, 1.0, magnet.integral_field_mT_m_per_A)
        current = np.abs(per_rigidity) * spots.rigidity_T_m
        beyond = within & (current > magnet.current_limit_A)
        if beyond.any():
            worst = int(np.argmax(np.where(beyond, current, 0.0)))
            yield (
                f"{spots.concerned(beyond)} of ScanSpotPositionMap beyond the reach of the {plane} magnet of "
                f"{beamline.name} ({magnet.current_limit_A:g} A), furthest {spots.place(worst)} at "
                f"({spots.x_mm[worst]:g}, {spots.y_mm[worst]:g}) mm with {spots.energy_MeV_u[worst]:g} MeV/u "
                f"needs {current[worst]:.1f} A: plan a smaller field"
            )


def _particle_obstacles(spots: _Spots, beam: IonBeam, beamline: BeamLine) -> Iterator[str]:
    too_few = spots.particles < beam.minimum_particles_per_spot * (1.0 - PARTICLE_TOLERANCE)
    if too_few.any():
        worst = int(np.nanargmin(spots.particles))
        yield (
            f"{spots.concerned(too_few)} of ScanSpotMetersetWeights with fewer than "
            f"{beam.minimum_particles_per_spot:g} particles, fewest {spots.particles[worst]:.6g} at "
            f"{spots.place(worst)}: raise the minimum spot weight of the plan"
        )
    uncounted = spots.particles < spots.countable * (1.0 - PARTICLE_TOLERANCE)
    if uncounted.any():
        minimum = beamline.facts.control.minimum_spot_counts
        counts = minimum * spots.particles / spots.countable
        worst = int(np.nanargmin(counts))
        fewest, enough = spots.particles[worst], spots.countable[worst]
        yield (
            f"{spots.concerned(uncounted)} of ScanSpotMetersetWeights with fewer than {minimum} counts in "
            f"the integral chambers of {beamline.name} (control.minimum_spot_counts), fewest "
            f"{counts[worst]:.2g} at {spots.place(worst)} with {fewest:.6g} of {enough:.6g} particles: "
            "raise the minimum spot weight of the plan"
        )


def _spill_obstacles(field: Field, spots: _Spots, beam: IonBeam, beamline: BeamLine) -> Iterator[str]:
    """What no choice of intensity or repainting can bring below the limit."""
    accelerator = beamline.facts.accelerator
    largest = accelerator.spill_limit
    if largest is None:
        return
    slices, needed = [], []
    for energy_MeV_u, _, layers in layers_by_slice(field, beamline):
        slices.append([layer.index for layer in layers])
        particles = float(np.nansum(spots.particles[np.isin(spots.layer, slices[-1])]))
        fastest_per_s = particles_per_s(beam, accelerator.intensity_levels[0], energy_MeV_u, beamline)
        needed.append(accelerator.fewest_spills(particles, fastest_per_s))
    if sum(needed) > largest:
        worst = int(np.argmax(needed))
        yield (
            f"{several(sum(needed), 'spill')} at the highest intensity, most for "
            f"{layers_named(slices[worst])} ({needed[worst]}), but {beamline.name} allows {largest} for a "
            "field (accelerator.largest_spills_per_field): plan fewer particles or several fields"
        )


def _painting_obstacles(field: Field, spots: _Spots, beam: IonBeam, options: Options) -> Iterator[str]:
    """Layers that would be painted more often than makes sense."""
    largest = options.largest_visit_particles
    if largest is not None:
        least = np.fmax(spots.countable, beam.minimum_particles_per_spot)
        paintings = np.fmin(np.ceil(spots.particles / largest - 1e-6), np.floor(spots.particles / least))
        often = paintings > LARGEST_PAINTINGS
        if often.any():
            yield (
                f"{spots.concerned(often)} would be visited more than {LARGEST_PAINTINGS} times with visits "
                f"of {largest:g} particles, most often {spots.place(int(np.nanargmax(paintings)))} "
                f"({np.nanmax(paintings):.0f} times): choose at least "
                f"{np.ceil(np.nanmax(spots.particles) / LARGEST_PAINTINGS):.0f} particles a visit"
            )
    elif options.paintings is None:
        often_painted = [layer for layer in field.layers if layer.paintings > LARGEST_PAINTINGS]
        if often_painted:
            yield (
                f"{layers_named(layer.index for layer in often_painted)}: NumberOfPaintings is "
                f"{figures(layer.paintings for layer in often_painted)}, more than {LARGEST_PAINTINGS}: plan "
                "with fewer, or choose a number of paintings"
            )


def _accelerator_obstacles(beamline: BeamLine) -> Iterator[str]:
    """What the accelerator of the line can and a delivery does not know yet."""
    for problem in beamline.facts.accelerator.undeliverable():
        yield f"{beamline.name}: accelerator.{problem}: choose another beam line"


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


def _device_obstacles(field: Field, beamline: BeamLine) -> Iterator[str]:
    """Devices that the nozzle does not have, or has with another thickness."""
    elements = beamline.facts.passive_elements
    available = {"range_shifter": elements.range_shifters, "range_modulator": elements.range_modulators}
    without_holder = [element for element in field.passive if element.kind not in available]
    if without_holder:
        it = "it" if len(without_holder) == 1 else "them"
        named = ", ".join(_device(element) for element in without_holder)
        yield f"{named}: {beamline.name} has no holder for {it}: plan without {it}"
    for kind, names in available.items():
        unknown = [element for element in field.passive if element.kind == kind and element.id not in names]
        if unknown:
            yield (
                f"{', '.join(_device(element) for element in unknown)} "
                f"{'is' if len(unknown) == 1 else 'are'} not among those of {beamline.name} "
                f"({', '.join(names) or 'none'}): plan {'with these' if names else 'without'}, or add to "
                "passive_elements of the beam line"
            )
    yield from _repeated_devices(field, beamline)
    different = [
        f"{_device(element)} is {element.wet_mm:g} mm of water in the plan but {here_mm:g} mm on "
        f"{beamline.name}"
        for element in field.passive
        if (here_mm := available.get(element.kind, {}).get(element.id)) is not None
        and element.wet_mm is not None
        and abs(element.wet_mm - here_mm) > 0.5
    ]
    if different:
        yield ", ".join(different) + ": plan with that, or correct passive_elements of the beam line"


def _repeated_devices(field: Field, beamline: BeamLine) -> Iterator[str]:
    """Range shifters and ripple filters that a plan wants more than once: a line has each of them once."""
    named = [
        _device(element) for element in field.passive if element.kind in ("range_shifter", "range_modulator")
    ]
    for device in dict.fromkeys(named):
        if named.count(device) > 1:
            yield (
                f"the plan has {device} {named.count(device)} times in the beam, but {beamline.name} has it "
                "once: plan with one, or with others of the beam line"
            )


def _device(element: PassiveElement) -> str:
    return f"{element.kind.replace('_', ' ')} {element.id!r}"


def _optics_obstacles(field: Field, beam: IonBeam, beamline: BeamLine) -> Iterator[str]:
    """Numbers of range modulators with which the line knows no spot sizes."""
    count = sum(element.kind == "range_modulator" for element in field.passive)
    known = {optics.range_modulators for optics in beam.optics}
    if count not in known:
        yield (
            f"{several(count, 'range modulator')}: {beamline.name} knows spot sizes for {_listed(known)} of "
            "them only: plan with as many"
        )
        return
    for focus in beamline.foci(beam.name):
        with_sizes = {optics.range_modulators for optics in beam.optics if optics.focus == focus}
        if count in with_sizes:
            continue
        layers = [layer for layer in field.layers if focus_of(layer, field, beamline) == focus]
        if layers:
            asked = quoted(layer.tune_id for layer in layers)
            yield (
                f"{layers_named(layer.index for layer in layers)}: ScanSpotTuneID {asked}: {beamline.name} "
                f"knows spot sizes of focus {focus!r} for {_listed(with_sizes)} range modulators only, not "
                f"for {count}: plan with another focus"
            )


def _listed(numbers: set[int]) -> str:
    return " or ".join(str(number) for number in sorted(numbers))
