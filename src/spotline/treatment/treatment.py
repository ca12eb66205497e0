"""A treatment: a plan in the machine's own units, ready to be delivered.

`prepare` makes it; the room and the control law read it.  Nothing here can change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Integers
from spotline.machine.load import BeamLine
from spotline.machine.model import IonBeam
from spotline.plan.instructions import Instruction, PreparedFor
from spotline.plan.model import Field, Plan


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Spots of one energy in machine units (the paper's ``sld`` file).

    All arrays have shape (n_spots,) and are in delivery order.  With repainting a spot here is one visit
    to a planned spot, and the same planned spot comes several times.

    Attributes
    ----------
    index : int
        Position of the slice in its field, from 0.
    energy_MeV_u : float
        Energy that the accelerator is asked for.
    cycle_code : int
        What the accelerator is asked for, as a bit field (`spotline.treatment.cycle_code`).
    focus : str
        Optics that the accelerator is asked for.
    intensity_level : float
        Fraction of the full intensity of the ion.
    particles_per_s : float
        Intensity that this level means.
    particles : ndarray
        Prescribed particles.
    planned_layer, planned_spot : ndarray of int
        Index of the layer in the plan's field, and of the spot in that layer (as kept in the plan).
    painting : ndarray of int
        Which painting of the planned layer the spot belongs to, from 0.
    x_iso_mm, y_iso_mm : ndarray
        Prescribed position at the isocentre.
    int1_counts, int2_counts : ndarray of int
        Prescribed counts of the two integral chambers.
    x_strip_mm, y_strip_mm : ndarray
        Where the centre of the beam should cross StripX and StripY.
    x_pixel_mm, y_pixel_mm : ndarray
        Where it should cross the pixel chamber.
    x_current_A, y_current_A : ndarray
        Magnet currents that bring it there.
    beam_off : ndarray of bool
        Whether the beam is switched off on the way to this spot.
    particles_per_count1, particles_per_count2 : ndarray
        Particles per count of INT1 and INT2 at the spot, with gas and gain corrections.
    fwhm_x_mm, fwhm_y_mm : float
        Spot size in air at the isocentre (of the plan; of the beam line if the plan has none).
    fwhm_box_x_mm, fwhm_box_y_mm : float
        Spot size at the chambers that the beam line expects; NaN in files that were written without.
    """

    index: int
    energy_MeV_u: float
    cycle_code: int
    focus: str
    intensity_level: float
    particles_per_s: float
    particles: Floats
    planned_layer: Integers
    planned_spot: Integers
    painting: Integers
    x_iso_mm: Floats
    y_iso_mm: Floats
    int1_counts: Integers
    int2_counts: Integers
    x_strip_mm: Floats
    y_strip_mm: Floats
    x_pixel_mm: Floats
    y_pixel_mm: Floats
    x_current_A: Floats
    y_current_A: Floats
    beam_off: NDArray[np.bool_]
    particles_per_count1: Floats
    particles_per_count2: Floats
    fwhm_x_mm: float
    fwhm_y_mm: float
    fwhm_box_x_mm: float = math.nan
    fwhm_box_y_mm: float = math.nan

    @property
    def n_spots(self) -> int:
        """Number of spots."""
        return len(self.particles)


@dataclass(frozen=True, slots=True, eq=False)
class FieldTreatment:
    """One field, ready to be delivered.

    Attributes
    ----------
    field : Field
        The planned field it was made from.
    beam : IonBeam
        The ion species of the beam line that delivers it.
    passive_elements : tuple of str
        Names of what must be mounted in the nozzle.
    instructions : tuple of Instruction
        What the slices were made from, one per slice, in terms of the plan.
    slices : tuple of Slice
        In delivery order.
    gas_factors : tuple of float
        Gas density of BOX1 and of BOX2 relative to the reference, as used for the counts.
    warnings : tuple of str
        What the user should know although the field can be delivered.
    """

    field: Field
    beam: IonBeam
    passive_elements: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    slices: tuple[Slice, ...]
    gas_factors: tuple[float, ...]
    warnings: tuple[str, ...] = ()

    @property
    def n_spots(self) -> int:
        """Number of spots in all slices."""
        return sum(s.n_spots for s in self.slices)

    @property
    def particles(self) -> float:
        """Prescribed particles in all slices."""
        return float(sum(s.particles.sum() for s in self.slices))


@dataclass(frozen=True, slots=True, eq=False)
class Treatment:
    """A plan prepared for one beam line."""

    plan: Plan
    beamline: BeamLine
    fields: tuple[FieldTreatment, ...]

    @property
    def extended_plan(self) -> Plan:
        """The plan with the instructions of the prepared fields in it.

        Preparing that for the same beam line gives the same treatment.  Fields that were not prepared keep
        the instructions that they already have for this beam line.
        """
        before = self.plan.prepared_for
        made_for = PreparedFor(
            beamline=self.beamline.name,
            beamline_version=self.beamline.facts.version,
            beamline_sha256=self.beamline.sha256,
            plan_uid=before.plan_uid if before else self.plan.identity.get("SOPInstanceUID", ""),
            plan_sha256=before.plan_sha256 if before else self.plan.sha256,
        )
        is_same_line = before is not None and before.beamline_sha256 == self.beamline.sha256
        instructions = {f.number: f.instructions if is_same_line else () for f in self.plan.fields}
        instructions |= {f.field.number: f.instructions for f in self.fields}
        fields = tuple(replace(f, instructions=instructions[f.number]) for f in self.plan.fields)
        return replace(self.plan, fields=fields, prepared_for=made_for)
