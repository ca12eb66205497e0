"""Turn a plan into a treatment for one beam line."""

from __future__ import annotations

from collections.abc import Iterator

from spotline.beamline import BeamLine
from spotline.errors import PlanError
from spotline.plan.model import Field, Plan
from spotline.preparation.counts import convert_counts
from spotline.preparation.demands import obstacles
from spotline.preparation.instructing import instruct
from spotline.preparation.options import Options
from spotline.preparation.slices import make_slice
from spotline.preparation.treatment import FieldTreatment, Slice, Treatment


def prepare(
    plan: Plan, beamline: BeamLine, *, field: int | None = None, options: Options | None = None
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

    Returns
    -------
    Treatment

    Raises
    ------
    PlanError
        If the beam line cannot deliver a field, or not with these options; the message names the field
        and all reasons.
    """
    fields = plan.fields if field is None else (plan.field_by_number(field),)
    return Treatment(plan, beamline, tuple(_prepare_field(plan, f, beamline, options) for f in fields))


def _prepare_field(plan: Plan, field: Field, beamline: BeamLine, options: Options | None) -> FieldTreatment:
    reasons = list(obstacles(field, beamline))
    if reasons:
        raise PlanError(
            f"{plan.path}: field {field.number} ({field.name}) cannot be delivered on {beamline.name}: "
            + "; ".join(reasons)
        )
    beam = beamline.beam(field.ion.name)
    assert beam is not None, "obstacles() refuses ions that the line does not have"
    warnings = list(_tune_warnings(field, beamline))
    made_for = plan.prepared_for
    if field.instructions and options is None and made_for is not None:
        if made_for.beamline_sha256 == beamline.sha256:
            instructions = field.instructions
        else:
            warnings.append(
                f"the instructions in the plan are for {made_for.beamline} version "
                f"{made_for.beamline_version}, which is not this beam line: preparing anew"
            )
            instructions = instruct(field, beamline, Options())
    else:
        instructions = instruct(field, beamline, options or Options())
    slices = tuple(make_slice(i, instruction, field, beamline) for i, instruction in enumerate(instructions))
    warnings.extend(_short_spot_warnings(slices, beamline))
    treatment = FieldTreatment(
        field=field,
        beam=beam,
        passive_elements=tuple(element.id for element in field.passive),
        instructions=instructions,
        slices=slices,
        gas_factor=1.0,
        warnings=tuple(dict.fromkeys(warnings)),
    )
    chambers = beamline.facts.chambers
    return convert_counts(
        treatment, chambers.reference_temperature_C, chambers.reference_pressure_Pa, beamline
    )


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
