"""From the instructions of a field to its slices in machine units."""

from __future__ import annotations

import numpy as np

from spotline.machine import BeamLine
from spotline.machine.geometry import current_A, position_at_mm
from spotline.plan.instructions import Instruction
from spotline.plan.model import Field
from spotline.treatment.conversions import particles_per_meterset, particles_per_s
from spotline.treatment.cycle_code import Cycle, encode
from spotline.treatment.treatment import Slice


def make_slice(index: int, instruction: Instruction, field: Field, beamline: BeamLine) -> Slice:
    """Turn one instruction into machine units.

    Counts are left at zero: they come with the gas conditions (`spotline.treatment.counts`).

    Parameters
    ----------
    index : int
        Position of the slice in its field, from 0.
    instruction : Instruction
        What to deliver; energy, focus and intensity are those of the line.
    field : Field
        The planned field.
    beamline : BeamLine
        Where.
    """
    facts, geometry = beamline.facts, beamline.facts.geometry
    beam = beamline.beam(field.ion.name)
    assert beam is not None, "obstacles() refuses ions that the line does not have"
    energy, level = instruction.energy_MeV_u, instruction.intensity_level
    x_mm, y_mm = positions_mm(instruction, field)
    particles = instruction.meterset * particles_per_meterset(field, beamline, energy)
    rigidity_T_m = field.ion.rigidity_T_m(energy)
    x_source, y_source = geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm
    modulators = sum(element.kind == "range_modulator" for element in field.passive)
    size = beamline.spot_size(field.ion.name, energy, instruction.focus, modulators)
    assert size is not None, "obstacles() refuses optics that the line does not have"
    cycle = Cycle(
        charge_number=field.ion.charge_number,
        energy_MeV_u=energy,
        focus=beamline.foci(field.ion.name).index(instruction.focus),
        intensity=facts.accelerator.intensity_levels.index(level),
        line=facts.accelerator.line,
    )
    first = field.layers[instruction.layer[0]]
    zeros = np.zeros(instruction.n_visits, np.int64)
    return Slice(
        index=index,
        energy_MeV_u=energy,
        cycle_code=encode(cycle),
        focus=instruction.focus,
        intensity_level=level,
        particles_per_s=particles_per_s(beam, level, energy, beamline),
        particles=particles,
        planned_layer=instruction.layer,
        planned_spot=instruction.spot,
        painting=instruction.painting,
        x_iso_mm=x_mm,
        y_iso_mm=y_mm,
        int1_counts=zeros,
        int2_counts=zeros,
        x_strip_mm=position_at_mm(facts, facts.monitor("strip_x"), "x", x_mm),
        y_strip_mm=position_at_mm(facts, facts.monitor("strip_y"), "y", y_mm),
        x_pixel_mm=position_at_mm(facts, facts.monitor("pixel"), "x", x_mm),
        y_pixel_mm=position_at_mm(facts, facts.monitor("pixel"), "y", y_mm),
        x_current_A=current_A(x_mm, x_source, rigidity_T_m, facts.scanning.x.integral_field_mT_m_per_A),
        y_current_A=current_A(y_mm, y_source, rigidity_T_m, facts.scanning.y.integral_field_mT_m_per_A),
        beam_off=instruction.beam_off,
        particles_per_count1=np.ones(len(particles)),
        particles_per_count2=np.ones(len(particles)),
        fwhm_x_mm=first.fwhm_x_mm or size.fwhm_x_mm,
        fwhm_y_mm=first.fwhm_y_mm or size.fwhm_y_mm,
        fwhm_box_x_mm=size.fwhm_box_x_mm,
        fwhm_box_y_mm=size.fwhm_box_y_mm,
    )


def positions_mm(instruction: Instruction, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the visits at the isocentre, x and y."""
    x_mm, y_mm = np.empty(instruction.n_visits), np.empty(instruction.n_visits)
    for index in np.unique(instruction.layer):
        layer, here = field.layers[index], instruction.layer == index
        x_mm[here] = layer.x_iso_mm[instruction.spot[here]]
        y_mm[here] = layer.y_iso_mm[instruction.spot[here]]
    return x_mm, y_mm
