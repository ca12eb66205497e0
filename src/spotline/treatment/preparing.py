"""Turn a plan into a treatment for one beam line."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spotline.errors import PlanError
from spotline.machine import BeamLine
from spotline.plan.model import Field, Plan
from spotline.treatment.counts import convert_counts
from spotline.treatment.demands import obstacles, refusal
from spotline.treatment.instructing import Progress, instruct
from spotline.treatment.options import Options, check_options
from spotline.treatment.slices import make_slice
from spotline.treatment.treatment import FieldTreatment, Slice, Treatment
from spotline.wording import several

SAME_SOURCE = 2e-3
"""Relative difference between distances of scanning magnets that count as the same."""


def prepare(
    plan: Plan,
    beamline: BeamLine,
    *,
    field: int | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Treatment:
    """Turn a plan into a treatment for one beam line.

    A plan that carries the instructions of an earlier preparation for the same beam line is prepared
    by them, unless there are `options`.

    Particles are converted to counts for the reference temperature and pressure of the gas; the
    delivery converts them again for those it measures (`convert_counts`).

    Parameters
    ----------
    plan : Plan
        What to deliver.
    beamline : BeamLine
        Where.
    field : int, optional
        Beam number of the only field to prepare; by default all of them.
    options : Options, optional
        Delivery path, intensity, repainting; by default those of `Options`.
    progress : callable, optional
        Told, for each field, how many slices of how many are done.

    Returns
    -------
    Treatment

    Raises
    ------
    OptionError
        If the options contradict each other, or the beam line does not have what they ask for.
    PlanError
        If the beam line cannot deliver a field, or not with these options; the message names all such
        fields and all reasons.
    """
    if options is not None:
        check_options(options, beamline)
    fields = plan.fields if field is None else (plan.field_by_number(field),)
    reasons = [(f, list(obstacles(f, beamline, options or Options()))) for f in fields]
    if any(against for _, against in reasons):
        raise refusal(plan, beamline, reasons)
    prepared = [_prepare_field(plan, f, beamline, options, progress) for f in fields]
    reasons = [(f.field, list(_spill_obstacles(f, beamline))) for f in prepared]
    if any(against for _, against in reasons):
        raise refusal(plan, beamline, reasons)
    return Treatment(plan, beamline, tuple(prepared))


def _prepare_field(
    plan: Plan, field: Field, beamline: BeamLine, options: Options | None, progress: Progress | None
) -> FieldTreatment:
    beam = beamline.beam(field.ion.name)
    assert beam is not None, "obstacles() refuses ions that the line does not have"
    warnings = [*plan.remarks, *field.notes, *_geometry_warnings(field, beamline)]
    warnings += _tune_warnings(field, beamline)
    made_for = plan.prepared_for
    if field.instructions and options is None and made_for is not None:
        if made_for.beamline_sha256 == beamline.sha256:
            instructions = field.instructions
            _check_instructions(plan, field, beamline)
        else:
            warnings.append(
                f"the instructions in the plan are for {made_for.beamline} version "
                f"{made_for.beamline_version}, which is not this beam line: preparing anew"
            )
            instructions = instruct(field, beamline, Options(), progress)
    else:
        instructions = instruct(field, beamline, options or Options(), progress)
    slices = tuple(make_slice(i, instruction, field, beamline) for i, instruction in enumerate(instructions))
    warnings.extend(_short_spot_warnings(slices, beamline))
    if not beamline.facts.accelerator.pulse_particles(1.0):
        warnings.append(NO_WITNESS.format(beamline.name))
    treatment = FieldTreatment(
        field=field,
        beam=beam,
        passive_elements=tuple(element.id for element in field.passive),
        instructions=instructions,
        slices=slices,
        gas_factors=(1.0,) * len(beamline.facts.boxes),
        warnings=tuple(dict.fromkeys(warnings)),
    )
    return convert_counts(treatment, treatment.gas_factors, beamline)


NO_WITNESS = (
    "{} reads no charge of a ring (accelerator.ring_pulse_share): if all chambers count too little at once, "
    "that is noticed by the number of spills and the time with beam alone, after spills with too much dose"
)
"""Warning where nothing outside of the nozzle sees the beam (decisions 0034 and 0035)."""


def _check_instructions(plan: Plan, field: Field, beamline: BeamLine) -> None:
    """Refuse instructions that ask for what the beam line they name does not have."""
    ion = field.ion.name
    modulators = sum(element.kind == "range_modulator" for element in field.passive)
    for index, asked in enumerate(field.instructions):
        known = (
            asked.focus in beamline.foci(ion)
            and asked.intensity_level in beamline.facts.accelerator.intensity_levels
            and beamline.match_energy(ion, asked.energy_MeV_u) == asked.energy_MeV_u
            and beamline.spot_size(ion, asked.energy_MeV_u, asked.focus, modulators) is not None
        )
        if not known:
            raise PlanError(
                f"{plan.path}: field {field.number} ({field.name}), slice {index}: its instructions ask for "
                f"{asked.energy_MeV_u:g} MeV/u, focus {asked.focus!r}, intensity {asked.intensity_level:g}, "
                f"which {beamline.name} does not have: prepare the plan of the planning system again"
            )


def _spill_obstacles(field: FieldTreatment, beamline: BeamLine) -> Iterator[str]:
    """More spills than the line allows, by the intensities and the repainting that were chosen."""
    accelerator = beamline.facts.accelerator
    largest = accelerator.spill_limit
    needed = sum(accelerator.fewest_spills(float(s.particles.sum()), s.particles_per_s) for s in field.slices)
    if largest is not None and needed > largest:
        levels = ", ".join(f"{level:g}" for level in sorted({s.intensity_level for s in field.slices}))
        yield (
            f"{several(needed, 'spill')} for {several(len(field.slices), 'slice')} at intensity {levels}, "
            f"but {beamline.name} allows {largest} for a field (accelerator.largest_spills_per_field): "
            "choose a higher intensity or fewer paintings, or raise the smallest spots of the plan"
        )


def _geometry_warnings(field: Field, beamline: BeamLine) -> Iterator[str]:
    """Differences between the machine of the plan and the beam line that do not forbid delivery."""
    if field.machine and field.machine.casefold() != beamline.name.casefold():
        yield f"TreatmentMachineName is {field.machine!r} in the plan; it is delivered on {beamline.name}"
    planned_mm = field.source_axis_distances_mm
    geometry = beamline.facts.geometry
    here_mm = geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm
    if planned_mm is None or all(
        abs(one - other) <= SAME_SOURCE * other for one, other in zip(planned_mm, here_mm, strict=True)
    ):
        return
    named = (f"{x_mm:g}, {y_mm:g} mm" for x_mm, y_mm in (planned_mm, here_mm))
    yield (
        f"VirtualSourceAxisDistances is {next(named)} in the plan, but the scanning magnets of "
        f"{beamline.name} are {next(named)} from the isocentre: spots are where the plan has them at the "
        "isocentre only"
        f"{_off_axis(field, planned_mm, here_mm)}"
    )


def _off_axis(field: Field, planned_mm: tuple[float, float], here_mm: tuple[float, float]) -> str:
    """How far spots are off where the plan has them, away from the isocentre."""
    if min(planned_mm) <= 0.0:
        return ""
    off_mm = max(
        float(np.max(np.abs(position_mm), initial=0.0)) * 100.0 * abs(1.0 / one - 1.0 / other)
        for layer in field.layers
        for position_mm, one, other in zip((layer.x_iso_mm, layer.y_iso_mm), planned_mm, here_mm, strict=True)
    )
    return f", and up to {off_mm:.2g} mm off 100 mm before or behind it"


def _tune_warnings(field: Field, beamline: BeamLine) -> Iterator[str]:
    foci = beamline.foci(field.ion.name)
    for layer in field.layers:
        if layer.tune_id and layer.tune_id not in foci:
            yield (
                f"ScanSpotTuneID {layer.tune_id!r} is not a focus of {beamline.name} ({', '.join(foci)}): "
                f"using {foci[0]!r}"
            )


def _short_spot_warnings(slices: tuple[Slice, ...], beamline: BeamLine) -> Iterator[str]:
    limit_us = beamline.facts.control.minimum_spot_time_us
    for slice_ in slices:
        shortest_us = float(slice_.particles.min()) / slice_.particles_per_s * 1e6
        if shortest_us < limit_us:
            yield (
                f"slice {slice_.index}: the smallest spot lasts {shortest_us:.0f} us at an intensity of "
                f"{slice_.intensity_level:.0%}, less than the {limit_us:g} us of minimum_spot_time_us"
            )
