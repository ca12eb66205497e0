"""Turn a plan into a treatment for one beam line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby

import numpy as np

from spotline.beamline import BeamLine
from spotline.beamline.geometry import current_A, project_to_chamber_mm
from spotline.errors import PlanError
from spotline.plan.model import Field, Layer, Plan
from spotline.preparation.counts import convert_counts
from spotline.preparation.cycle_code import Cycle, encode
from spotline.preparation.demands import focus_of, layer_particles, obstacles
from spotline.preparation.treatment import FieldTreatment, Floats, Slice, Treatment

_SHOWN = 4  # obstacles of a field that a message spells out


def prepare(plan: Plan, beamline: BeamLine, *, field: int | None = None) -> Treatment:
    """Turn a plan into a treatment for one beam line.

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

    Returns
    -------
    Treatment

    Raises
    ------
    PlanError
        If the beam line cannot deliver a field; the message names the field and the reasons.
    """
    fields = plan.fields if field is None else (plan.field_by_number(field),)
    return Treatment(plan, beamline, tuple(_prepare_field(plan, f, beamline) for f in fields))


def _prepare_field(plan: Plan, field: Field, beamline: BeamLine) -> FieldTreatment:
    reasons = list(obstacles(field, beamline))
    if reasons:
        more = f" (and {len(reasons) - _SHOWN} more of the kind)" if len(reasons) > _SHOWN else ""
        raise PlanError(
            f"{plan.path}: field {field.number} ({field.name}) cannot be delivered on {beamline.name}: "
            + "; ".join(reasons[:_SHOWN])
            + more
        )
    beam = beamline.beam(field.ion.name)
    assert beam is not None, "obstacles() refuses ions that the line does not have"
    warnings: list[str] = []
    groups = _layers_by_spill(field, beamline)
    slices = tuple(
        _prepare_slice(index, field, energy, focus, layers, beamline, warnings)
        for index, (energy, focus, layers) in enumerate(groups)
    )
    treatment = FieldTreatment(
        field=field,
        beam=beam,
        passive_elements=tuple(element.id for element in field.passive),
        slices=slices,
        gas_factor=1.0,
        warnings=tuple(dict.fromkeys(warnings)),
    )
    chambers = beamline.facts.chambers
    return convert_counts(
        treatment, chambers.reference_temperature_C, chambers.reference_pressure_Pa, beamline
    )


def _layers_by_spill(field: Field, beamline: BeamLine) -> Iterator[tuple[float, str, list[Layer]]]:
    """Join neighbouring layers of one energy and focus: a slice is what one kind of spill delivers."""

    def delivered(layer: Layer) -> tuple[float, str]:
        energy = beamline.match_energy(field.ion.name, layer.energy_MeV_u)
        assert energy is not None, "obstacles() refuses energies that the line does not have"
        return energy, focus_of(layer, field, beamline)

    for (energy, focus), layers in groupby(field.layers, key=delivered):
        yield energy, focus, list(layers)


def _prepare_slice(
    index: int,
    field: Field,
    energy: float,
    focus: str,
    layers: list[Layer],
    beamline: BeamLine,
    warnings: list[str],
) -> Slice:
    facts, geometry = beamline.facts, beamline.facts.geometry
    beam = beamline.beam(field.ion.name)
    assert beam is not None
    x_mm = np.concatenate([layer.x_iso_mm for layer in layers])
    y_mm = np.concatenate([layer.y_iso_mm for layer in layers])
    particles = np.concatenate([layer_particles(layer, field, beamline, energy) for layer in layers])
    rigidity_T_m = field.ion.rigidity_T_m(energy)
    x_source, y_source = geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm

    foci = beamline.foci(field.ion.name)
    warnings.extend(
        f"ScanSpotTuneID {layer.tune_id!r} is not a focus of {beamline.name} ({', '.join(foci)}): "
        f"using {focus!r}"
        for layer in layers
        if layer.tune_id and layer.tune_id not in foci
    )
    modulators = sum(element.kind == "range_modulator" for element in field.passive)
    size = beamline.spot_size(field.ion.name, energy, focus, modulators)
    assert size is not None, "obstacles() refuses optics that the line does not have"
    level_index = _intensity(particles, beamline, beam.full_intensity_per_s)
    level = facts.accelerator.intensity_levels[level_index]
    shortest_us = float(particles.min()) / (beam.full_intensity_per_s * level) * 1e6
    if shortest_us < facts.control.minimum_spot_time_us:
        warnings.append(
            f"slice {index}: the smallest spot lasts {shortest_us:.0f} us at the lowest intensity, less than "
            f"the {facts.control.minimum_spot_time_us:g} us of minimum_spot_time_us"
        )
    jump_mm = np.hypot(np.diff(x_mm, prepend=x_mm[0]), np.diff(y_mm, prepend=y_mm[0]))
    zeros = np.zeros(len(particles), np.int64)
    return Slice(
        index=index,
        energy_MeV_u=energy,
        cycle_code=encode(Cycle(field.ion.charge_number, energy, foci.index(focus), level_index)),
        focus=focus,
        intensity_level=level,
        particles_per_s=beam.full_intensity_per_s * level,
        particles=particles,
        planned_layer=np.concatenate([np.full(layer.n_spots, layer.index) for layer in layers]),
        planned_spot=np.concatenate([np.arange(layer.n_spots) for layer in layers]),
        x_iso_mm=x_mm,
        y_iso_mm=y_mm,
        int1_counts=zeros,
        int2_counts=zeros,
        x_strip_mm=project_to_chamber_mm(x_mm, x_source, geometry.strip_x_to_isocentre_mm),
        y_strip_mm=project_to_chamber_mm(y_mm, y_source, geometry.strip_y_to_isocentre_mm),
        x_pixel_mm=project_to_chamber_mm(x_mm, x_source, geometry.pixel_to_isocentre_mm),
        y_pixel_mm=project_to_chamber_mm(y_mm, y_source, geometry.pixel_to_isocentre_mm),
        x_current_A=current_A(x_mm, x_source, rigidity_T_m, facts.scanning.x.integral_field_mT_m_per_A),
        y_current_A=current_A(y_mm, y_source, rigidity_T_m, facts.scanning.y.integral_field_mT_m_per_A),
        beam_off=jump_mm > facts.control.beam_off_jump_mm,
        particles_per_count1=np.ones(len(particles)),
        particles_per_count2=np.ones(len(particles)),
        fwhm_x_mm=layers[0].fwhm_x_mm or size.fwhm_x_mm,
        fwhm_y_mm=layers[0].fwhm_y_mm or size.fwhm_y_mm,
        spills=_spills(float(particles.sum()), beam.full_intensity_per_s * level, beamline),
    )


def _intensity(particles: Floats, beamline: BeamLine, full_per_s: float) -> int:
    """Index of the highest intensity at which no spot is shorter than the control can handle."""
    levels = beamline.facts.accelerator.intensity_levels
    shortest_us = beamline.facts.control.minimum_spot_time_us
    for index, level in enumerate(levels):
        if float(particles.min()) / (full_per_s * level) * 1e6 >= shortest_us:
            return index
    return len(levels) - 1


def _spills(particles: float, per_s: float, beamline: BeamLine) -> int:
    """Spills that these particles are expected to need."""
    accelerator = beamline.facts.accelerator
    flat_s = accelerator.spill_length_s - (accelerator.spill_rise_s + accelerator.spill_fall_s) / 2
    return max(1, math.ceil(particles / (per_s * flat_s)))
