"""A plan of one field on a phantom: spots, and with what beam they are delivered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spotline.arrays import Floats
from spotline.errors import OptionError
from spotline.machine import BeamLine
from spotline.physics.ions import IONS, Ion
from spotline.plan.model import Field, Layer, PassiveElement, Plan
from spotline.treatment.demands import obstacles, refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """With what beam a field is delivered.

    Attributes
    ----------
    ion : str
        Name of the ion, such as ``"carbon"``.
    beamline : BeamLine or None
        Where.  Energies must then be among those of the line, machine name and angle come from it, and a
        field that it cannot deliver is refused.
    focus : str or None
        Optics, written as Scan Spot Tune ID; by default the first of the beam line that knows spot sizes
        with these range modulators, or none.
    range_modulators : tuple of str
        Names of the ripple filters in the beam.
    gantry_angle_deg : float or None
        IEC 61217 gantry angle; by default the first of the beam line, or 0.
    label, name : str or None
        RT Plan Label, at most 16 characters, and Beam Name; by default they say what the field is.
    path : Path or None
        File that the plan is for, for messages; by default it is named as the plan.
    """

    ion: str
    beamline: BeamLine | None = None
    focus: str | None = None
    range_modulators: tuple[str, ...] = ()
    gantry_angle_deg: float | None = None
    label: str | None = None
    name: str | None = None
    path: Path | None = None


def phantom_plan(
    setup: Setup, label: str, name: str, layers: Iterable[tuple[float, Floats, Floats, Floats]]
) -> Plan:
    """Make a plan of one field on a phantom from spots, and refuse it if the beam line cannot deliver it.

    Parameters
    ----------
    setup : Setup
        The beam.
    label, name : str
        What the plan and the field are called unless `setup` says otherwise.
    layers : iterable of (float, ndarray, ndarray, ndarray)
        Energy in MeV/u, x and y at the isocentre in mm, and particles of every spot.

    Raises
    ------
    PlanError
        If the beam line cannot deliver the field; the message has all reasons.
    """
    ion, beamline = ion_of(setup), setup.beamline
    focus = focus_of(setup)
    made = tuple(
        Layer(
            index=index,
            energy_MeV_u=energy,
            x_iso_mm=x_iso_mm,
            y_iso_mm=y_iso_mm,
            meterset=particles,
            tune_id=focus,
            control_point=2 * index,
        )
        for index, (energy, x_iso_mm, y_iso_mm, particles) in enumerate(layers)
    )
    field = Field(
        number=1,
        name=name if setup.name is None else setup.name,
        ion=ion,
        unit="NP",
        layers=made,
        passive=_modulators(setup),
        gantry_angle_deg=_gantry_angle_deg(setup),
        patient_support_angle_deg=0.0,
        isocentre_mm=(0.0, 0.0, 0.0),
        machine=beamline.name if beamline is not None else "",
    )
    label = label if setup.label is None else setup.label
    plan = Plan(
        label=label,
        fields=(field,),
        path=Path(f"{label.lower()}.dcm") if setup.path is None else setup.path,
        sha256="",
        format="DICOM RT Ion Plan",
        identity={"PatientName": "WATER^PHANTOM", "PatientID": "WATER_PHANTOM", "PlanIntent": "MACHINE_QA"},
    )
    if beamline is not None:
        reasons = list(obstacles(field, beamline))
        if reasons:
            raise refusal(plan, beamline, [(field, reasons)])
    return plan


def ion_of(setup: Setup) -> Ion:
    """Return the ion of a beam.

    Raises
    ------
    OptionError
        If it is not known.
    """
    if setup.ion not in IONS:
        raise OptionError(f"ion {setup.ion!r} is not known: choose one of {', '.join(IONS)}")
    return IONS[setup.ion]


def focus_of(setup: Setup) -> str:
    """Return the optics of a field: what was asked for, or what the line has spot sizes for."""
    line = setup.beamline
    beam = line.beam(setup.ion) if line is not None else None
    if line is None or beam is None:
        return setup.focus or ""
    foci = line.foci(beam.name)
    if setup.focus is None:
        known = [o.focus for o in beam.optics if o.range_modulators == len(setup.range_modulators)]
        return (*known, *foci)[0]
    if setup.focus not in foci:  # a treatment plan would get the default focus and a warning
        raise OptionError(
            f"focus {setup.focus!r} is not known to {line.name} for {beam.name}: choose one of "
            f"{', '.join(foci)}"
        )
    return setup.focus


def _gantry_angle_deg(setup: Setup) -> float:
    angle = setup.gantry_angle_deg
    if angle is not None:
        if not 0.0 <= angle <= 360.0:
            raise OptionError(f"gantry angle is {angle:g} deg: give 0 to 360")
        return angle
    if setup.beamline is None:
        return 0.0
    geometry = setup.beamline.facts.geometry
    if geometry.gantry_range_deg is not None:
        low, high = geometry.gantry_range_deg
        return 0.0 if low <= 0.0 <= high else low
    return geometry.gantry_angles_deg[0]


def _modulators(setup: Setup) -> tuple[PassiveElement, ...]:
    names = setup.range_modulators
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"range modulator {', '.join(twice)} is given more than once: give it once")
    return tuple(
        PassiveElement("range_modulator", name, "FIXED", number=number)
        for number, name in enumerate(names, start=1)
    )
