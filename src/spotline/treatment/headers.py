"""What the files of a treatment say of their field: one schema for preparation and delivery.

Keys that both write stand in `TreatmentHeader`; `PreparationHeader` and `DeliveryHeader` add what only one of
them knows.  Required is what a file is no use without; what else a record of an earlier version may lack has
a default, and keys that are not here are passed over.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from spotline.plan.model import Continues

Point = tuple[float, float, float]


class TreatmentHeader(Struct, frozen=True, kw_only=True):
    """Facts of a field in every treatment file and slice file.

    Attributes
    ----------
    number, name : int, str
        Of the field, as in the plan.
    plan_sha256, beamline_sha256 : str
        Hashes of what the treatment was made from.
    ion, beamline, beamline_version, plan_label : str
    passive_elements : tuple of str
        That are mounted.
    gas_factors : tuple of float or UNSET
        Density of the gas in each box at the conversion to counts; not there before it.
    """

    number: int
    name: str
    plan_sha256: str
    beamline_sha256: str
    ion: str = ""
    beamline: str = ""
    beamline_version: str = ""
    plan_label: str = ""
    passive_elements: tuple[str, ...] = ()
    gas_factors: tuple[float, ...] | UnsetType = UNSET


class PreparationHeader(TreatmentHeader, frozen=True, kw_only=True):
    """Facts of a field in the files of a preparation.

    Attributes
    ----------
    spots, slices : int
        How many there are.
    particles : float
    temperature_C, pressure_Pa : float
        Of the gas that the counts are for.
    """

    spots: int
    particles: float
    slices: int
    temperature_C: float
    pressure_Pa: float


class LineGeometry(Struct, frozen=True, kw_only=True):
    """Geometry of the line that delivers.

    Attributes
    ----------
    gantry_angles_deg : tuple of float
        That it has.
    source_to_isocentre_mm : tuple of two floats
        Horizontal and vertical.
    """

    gantry_angles_deg: tuple[float, ...] = ()
    source_to_isocentre_mm: tuple[float, float] | None = None


class IsocentrePerChamber(Struct, frozen=True, kw_only=True):
    """Factors from a position at a chamber to that at the isocentre; None if the line lacks the chamber."""

    strip_x: float | None
    strip_y: float | None
    pixel_x: float | None
    pixel_y: float | None


class RecordedMonitor(Struct, frozen=True, kw_only=True):
    """A monitor of the line that delivered, as in its file.

    Attributes
    ----------
    name, kind : str
    plane : str or None
        That the strips of a strip chamber measure.
    box : str
    distance_mm : float
        From the isocentre.
    role : str or None
        Of the control law.
    iso_per_mm : float or None
        Position at the isocentre per position at a strip chamber.
    """

    name: str
    kind: str
    plane: str | None
    box: str
    distance_mm: float
    role: str | None
    iso_per_mm: float | None


class MountedElement(Struct, frozen=True, kw_only=True):
    """A passive element as the beam line knows it.

    Attributes
    ----------
    name : str
        As in plans.
    kind : str
        ``range_shifter`` or ``range_modulator``.
    material : str
        What its thickness is told in: ``water`` where a line knows the water-equivalent thickness only.
    thickness_mm : float
        Of that material; of a ripple filter the mean.
    water_equivalent_mm : float or None
        Water-equivalent thickness; None in files from before it was told.
    """

    name: str
    kind: str
    material: str = "water"
    thickness_mm: float
    water_equivalent_mm: float | None = None


class DeliveryHeader(TreatmentHeader, frozen=True, kw_only=True):
    """Facts of a field in the treatment file of a delivery.

    Attributes
    ----------
    seed : int or None
        Of the simulated room.
    charge_number, mass_number : int or None
        Of the ion.
    continues : Continues or None
        What is continued, if the plan is a continuation.
    line_geometry : LineGeometry
    versions : dict of str to str
        Of what took part.
    focus : tuple of str
        Of each slice.
    gantry_angle_deg, patient_support_angle_deg : float or None
    isocentre_mm : tuple of three floats or None
        In patient coordinates.
    patient_position : str
        How the patient lies for this field, as the plan says; empty if it does not, or in earlier records.
    unit : str
        Of the meterset of the plan.
    spots_planned, particles_planned : int, float or None
    particles_per_s_full : float or None
        At full intensity.
    meterset_per_particle : tuple of float
        Of each slice.
    particles_per_count : tuple of float
        Of INT1, the mean of each slice.
    warnings : tuple of str
        Of the preparation.
    iso_per_chamber : IsocentrePerChamber or None
    mounted_elements : tuple of MountedElement
        Material and thickness of `passive_elements`; empty in records before format 3.
    monitors : tuple of RecordedMonitor
        Of the line; empty in records of earlier versions.
    """

    seed: int | None
    charge_number: int | None = None
    mass_number: int | None = None
    continues: Continues | None = None
    line_geometry: LineGeometry | None = None
    versions: dict[str, str] = {}
    focus: tuple[str, ...] = ()
    gantry_angle_deg: float | None = None
    patient_support_angle_deg: float | None = None
    isocentre_mm: Point | None = None
    patient_position: str = ""
    unit: str = ""
    spots_planned: int | None = None
    particles_planned: float | None = None
    particles_per_s_full: float | None = None
    meterset_per_particle: tuple[float, ...] = ()
    particles_per_count: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    iso_per_chamber: IsocentrePerChamber | None = None
    mounted_elements: tuple[MountedElement, ...] = ()
    monitors: tuple[RecordedMonitor, ...] = ()
