"""What ``preparation.json`` says, as types; ``docs/reference/preparation-files.md`` explains every key."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from spotline.treatment.options import Options
from spotline.treatment.retarget import LayerChange


class PathFigures(Struct, frozen=True, kw_only=True):
    """Magnet moves of a slice, and how far they go."""

    time_us: float
    travel_mm: float
    jumps: int


class PreparedSlice(Struct, frozen=True, kw_only=True):
    """A slice as it was prepared.

    Attributes
    ----------
    index : int
    cycle_code : str
        In hexadecimal.
    order : str
        ``planned`` or ``shortest``.
    path, planned_path : PathFigures
        As it will be delivered, and in the order of the plan.
    predicted_spills, predicted_treatment_s, ... : float
        As of `spotline.treatment.duration.Duration`.
    """

    index: int
    energy_MeV_u: float
    focus: str
    intensity_level: float
    cycle_code: str
    cycle_code_in_words: str
    layers: tuple[int, ...]
    paintings: tuple[int, ...]
    visits: int
    particles: float
    smallest_visit_particles: float
    shortest_visit_us: float
    order: str
    path: PathFigures
    planned_path: PathFigures
    beam_off_jumps: int
    predicted_spills: float
    predicted_treatment_s: float
    predicted_beam_on_s: float
    predicted_transit_s: float
    predicted_ramp_s: float
    predicted_pause_s: float
    predicted_gap_s: float


class PreparedField(Struct, frozen=True, kw_only=True):
    """A field as it was prepared.

    Attributes
    ----------
    number, name : int, str
        As in the plan.
    folder : str
        Its name in the folder of the preparation.
    visits, paintings : int
        Of its spots.
    predicted_spills, predicted_treatment_s, ... : float
        As of `spotline.treatment.duration.Duration`.
    """

    number: int
    name: str
    folder: str
    ion: str
    passive_elements: tuple[str, ...]
    spots: int
    visits: int
    paintings: int
    particles: float
    predicted_spills: float
    predicted_treatment_s: float
    predicted_beam_on_s: float
    predicted_transit_s: float
    predicted_ramp_s: float
    predicted_pause_s: float
    predicted_gap_s: float
    beam_off_jumps: int
    slices: tuple[PreparedSlice, ...]


class PreparationFile(Struct, frozen=True, kw_only=True):
    """Content of ``preparation.json``.

    Attributes
    ----------
    format, version : str, int
        Of the file.
    options : Options or str
        What was asked for; ``as in the plan`` if the treatment follows its instructions.
    retargeted : tuple of LayerChange or None
        What was changed in the plan for the beam line; None if nobody asked.
    files : dict of str to str or UNSET
        SHA-256 of every other file of the folder; not known before they are written.
    """

    format: str
    version: int
    plan: str
    plan_label: str
    plan_sha256: str
    beamline: str
    beamline_version: str
    beamline_sha256: str
    options: Options | str
    retargeted: tuple[LayerChange, ...] | None
    predicted_beam_on_s: float
    predicted_treatment_s: float
    predicted_spills: float
    spots: int
    visits: int
    particles: float
    warnings: tuple[str, ...]
    fields: tuple[PreparedField, ...]
    files: dict[str, str] | UnsetType = UNSET
