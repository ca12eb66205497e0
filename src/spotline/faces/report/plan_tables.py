"""The tables of a plan: what an overview says, as rows of text, for a page or for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spotline.faces.report import words
from spotline.faces.report.tables import Pairs, Table
from spotline.plan.model import Field, PassiveElement
from spotline.planning.overview import FieldOverview, LayerOverview, PlanOverview, SliceOverview
from spotline.wording import ranges, several


@dataclass(frozen=True, slots=True)
class Notation:
    """How numbers are written.

    Attributes
    ----------
    figure : callable
        Writes particles or monitor units.
    seconds : callable
        Writes a time.
    to : str
        Between the ends of a range.
    minus : str
        Before negative numbers.
    nothing : str
        Where there is no number.
    cycle_codes : bool
        Whether there is room for cycle-codes as numbers, beside the words.
    """

    figure: Callable[[float], str]
    seconds: Callable[[float], str]
    to: str
    minus: str
    nothing: str
    cycle_codes: bool

    def reach(self, ends: tuple[float, float]) -> str:
        """Write a range of positions."""
        low, high = (f"{round(end, 1) + 0.0:g}".replace("-", self.minus) for end in ends)
        return low if low == high else f"{low}{self.to}{high}"

    def number(self, value: float | None, digits: int) -> str:
        """Write a number that may be missing."""
        return self.nothing if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


PAGE = Notation(
    words.power, lambda s: words.seconds(s, 1), " … ", "\N{MINUS SIGN}", words.NOTHING, cycle_codes=True
)
TERMINAL = Notation(
    lambda value: f"{value:.4g}", lambda s: _plain_seconds(s), "..", "-", "-", cycle_codes=False
)


def _plain_seconds(value: float) -> str:
    minutes, rest = divmod(round(value), 60)
    return f"{value:.1f} s" + (f" ({minutes} min {rest} s)" if minutes else "")


def title_of(view: PlanOverview) -> str:
    """Return the label of the plan, or the name of its file."""
    return view.plan.label or view.plan.path.name


def status_of(view: PlanOverview, field: FieldOverview) -> tuple[str, str] | None:
    """Say whether the beam line can deliver a field, and of which kind that is; None without a line."""
    if view.beamline is None:
        return None
    if field.problems:
        reasons = several(len(field.problems), "reason")
        return f"Cannot be delivered on {view.beamline.name}: {reasons}", "bad"
    return f"Can be delivered on {view.beamline.name}", "good"


def plan_facts(view: PlanOverview) -> Pairs:
    """Return whose plan it is and where it comes from, as far as it says."""
    plan, line = view.plan, view.beamline
    identity = plan.identity
    made_for = plan.prepared_for
    pairs = [
        ("File", f"{plan.path.name} ({plan.format})"),
        ("Plan name", identity.get("RTPlanName")),
        ("Patient", _joined(identity, "PatientID", "PatientName", "PatientBirthDate", "PatientSex")),
        ("Study", identity.get("StudyID")),
        ("Date", _joined(identity, "RTPlanDate", "RTPlanTime")),
        ("Intent, approval", _joined(identity, "PlanIntent", "ApprovalStatus")),
        ("Fractions", str(plan.fractions_planned)),
        *((key, text) for key, text in identity.items() if key.startswith("TRiP98")),
        ("UID", identity.get("SOPInstanceUID")),
        ("Prepared for", f"{made_for.beamline}, version {made_for.beamline_version}" if made_for else None),
        ("Beam line", f"{line.name}, version {line.facts.version}" if line else None),
    ]
    return [(name, value) for name, value in pairs if value]


def _joined(identity: dict[str, str], *keywords: str) -> str:
    return ", ".join(identity[keyword] for keyword in keywords if identity.get(keyword))


def field_facts(field: FieldOverview) -> Pairs:
    """Return what a field asks for besides its spots."""
    planned = field.field
    tunes = {layer.tune_id for layer in field.layers}
    paintings = {layer.paintings for layer in field.layers}
    snout_mm = planned.snout_position_mm
    pairs = [
        ("Ion", f"{planned.ion.name} ({planned.ion.symbol})"),
        ("Unit", "particles (NP)" if planned.unit == "NP" else "monitor units (MU)"),
        ("Machine", planned.machine),
        ("Angles", _angles(planned)),
        ("Isocentre", _isocentre(planned)),
        ("Passive elements", ", ".join(_passive(e) for e in planned.passive) or "none"),
        ("Snout position", f"{snout_mm:g} mm" if snout_mm is not None else ""),
        ("Delivery type", planned.delivery_type if planned.delivery_type != "TREATMENT" else ""),
        ("Tune", next(iter(tunes)) if len(tunes) == 1 else ""),
        ("Paintings", str(next(iter(paintings))) if len(paintings) == 1 else ""),
    ]
    return [(name, value) for name, value in pairs if value]


def _angles(field: Field) -> str:
    angles = (("gantry", field.gantry_angle_deg), ("patient support", field.patient_support_angle_deg))
    return ", ".join(f"{name} {angle:g}°" for name, angle in angles if angle is not None)


def _isocentre(field: Field) -> str:
    if field.isocentre_mm is None:
        return ""
    return ", ".join(f"{coordinate:g}" for coordinate in field.isocentre_mm) + " mm"


def _passive(element: PassiveElement) -> str:
    thickness = f", {element.wet_mm:g} mm of water" if element.wet_mm is not None else ""
    return f"{element.kind.replace('_', ' ')} {element.id}{thickness}"


def totals(field: FieldOverview, notation: Notation) -> Pairs:
    """Return the sums over a field, and what its delivery will take as far as that is known."""
    planned, layers, slices = field.field, field.layers, field.slices
    energies = [layer.energy_MeV_u for layer in layers]
    if not layers:
        return [("Layers", "0")]
    smallest, largest = min(layer.smallest for layer in layers), max(layer.largest for layer in layers)
    pairs = [
        ("Layers", f"{len(layers)}, {_energies(energies)} MeV/u"),
        ("Spots", str(planned.n_spots)),
        (_unit(planned), notation.figure(planned.meterset)),
    ]
    if planned.unit != "NP" and field.particles is not None:
        pairs.append(("Particles", notation.figure(field.particles)))
    pairs.append(("Weakest, strongest spot", f"{notation.figure(smallest)}, {notation.figure(largest)}"))
    if not slices:
        return pairs
    levels = sorted({slice_.intensity_level for slice_ in slices}, reverse=True)
    how = "by the instructions in the plan" if field.follows_plan else "prepared for this overview"
    pairs += [
        ("Delivery", how),
        ("Slices, visits", f"{len(slices)}, {sum(slice_.visits for slice_ in slices)}"),
        ("Intensity", ", ".join(f"{100 * level:g} %" for level in levels)),
        ("Beam-off jumps", str(sum(slice_.beam_off_jumps for slice_ in slices))),
    ]
    if field.spills is not None and field.beam_on_s is not None and field.treatment_s is not None:
        pairs += [
            ("Expected spills", f"{field.spills:.1f}"),
            ("Expected beam on", notation.seconds(field.beam_on_s)),
            ("Expected treatment", notation.seconds(field.treatment_s)),
        ]
    return pairs


def _energies(energies_MeV_u: list[float]) -> str:
    low, high = min(energies_MeV_u), max(energies_MeV_u)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _unit(field: Field) -> str:
    return "Particles" if field.unit == "NP" else field.unit


def field_table(view: PlanOverview, notation: Notation) -> Table:
    """Return one row for each field, and their sum."""
    fields = view.fields
    rows = [_field_row(f"{f.field.number} {f.field.name}", f.field.ion.name, [f], notation) for f in fields]
    if len({f.field.unit for f in fields}) == 1:
        rows.append(_field_row("All", "", fields, notation))
    heads = ("Field", "Ion", "Layers", "Spots", "Meterset", "Problems", "Beam on (s)", "Treatment (s)")
    shown = [True] * 5 + [view.beamline is not None, *[any(f.slices and f.spills for f in fields)] * 2]
    return Table(_kept(heads, shown), (0, 1), [_kept(row, shown) for row in rows])


def _field_row(name: str, ion: str, fields: Sequence[FieldOverview], notation: Notation) -> tuple[str, ...]:
    units = {f.field.unit for f in fields}
    unit = "" if units == {"NP"} else " MU"
    return (
        name,
        ion,
        str(sum(len(f.layers) for f in fields)),
        str(sum(f.field.n_spots for f in fields)),
        notation.figure(sum(f.field.meterset for f in fields)) + unit,
        str(sum(len(f.problems) for f in fields)),
        notation.number(_all_of([f.beam_on_s for f in fields]), 1),
        notation.number(_all_of([f.treatment_s for f in fields]), 1),
    )


def _all_of(values: list[float | None]) -> float | None:
    return None if None in values else math.fsum(value for value in values if value is not None)


def _kept(cells: tuple[str, ...], shown: list[bool]) -> tuple[str, ...]:
    return tuple(cell for cell, kept in zip(cells, shown, strict=True) if kept)


def layer_table(field: FieldOverview, notation: Notation) -> Table:
    """Return one row for each layer; what is the same in all of them is among the facts of the field."""
    layers, figure, number = field.layers, notation.figure, notation.number

    def known(name: str) -> bool:
        return any(getattr(layer, name) is not None for layer in layers)

    def differs(name: str) -> bool:
        return len({getattr(layer, name) for layer in layers}) > 1

    columns: list[tuple[str, bool, Callable[[LayerOverview], str]]] = [
        ("Layer", True, lambda layer: str(layer.index)),
        ("MeV/u", True, lambda layer: f"{layer.energy_MeV_u:.2f}"),
        ("Range (mm)", known("range_mm"), lambda layer: number(layer.range_mm, 1)),
        ("Spots", True, lambda layer: str(layer.n_spots)),
        (_unit(field.field), True, lambda layer: figure(layer.meterset)),
        (
            "Particles",
            field.field.unit != "NP" and known("particles"),
            lambda layer: notation.nothing if layer.particles is None else figure(layer.particles),
        ),
        ("Weakest spot", True, lambda layer: figure(layer.smallest)),
        ("Strongest spot", True, lambda layer: figure(layer.largest)),
        ("x (mm)", True, lambda layer: notation.reach(layer.x_iso_mm)),
        ("y (mm)", True, lambda layer: notation.reach(layer.y_iso_mm)),
        ("Spacing (mm)", known("spacing_mm"), lambda layer: number(layer.spacing_mm, 2)),
        ("Tune", differs("tune_id"), lambda layer: layer.tune_id or notation.nothing),
        ("Paintings", differs("paintings"), lambda layer: str(layer.paintings)),
    ]
    shown = [(head, cell) for head, wanted, cell in columns if wanted]
    heads = tuple(head for head, _ in shown)
    text = (heads.index("Tune"),) if "Tune" in heads else ()
    return Table(heads, text, [tuple(cell(layer) for _, cell in shown) for layer in layers])


def slice_table(field: FieldOverview, notation: Notation) -> Table:
    """Return one row for each slice."""
    slices, number = field.slices, notation.number
    by_code = all(slice_.asks_for for slice_ in slices)
    timed = all(slice_.treatment_s is not None for slice_ in slices)
    several_layers = any(slice_.layers != (slice_.index,) for slice_ in slices)
    repainted = any(slice_.paintings > 1 for slice_ in slices)
    columns: list[tuple[str, bool, Callable[[SliceOverview], str]]] = [
        ("Slice", True, lambda s: str(s.index)),
        ("Layers", several_layers, lambda s: ranges(s.layers)),
        ("MeV/u", not by_code, lambda s: f"{s.energy_MeV_u:.2f}"),
        ("Focus", not by_code, lambda s: s.focus),
        ("Intensity", not by_code, lambda s: f"{100 * s.intensity_level:g} %"),
        ("Visits", True, lambda s: str(s.visits)),
        ("Paintings", repainted, lambda s: str(s.paintings)),
        (_unit(field.field), True, lambda s: notation.figure(s.meterset)),
        ("Beam-off jumps", True, lambda s: str(s.beam_off_jumps)),
        ("Spills", timed, lambda s: number(s.spills, 1)),
        ("Beam on (s)", timed, lambda s: number(s.beam_on_s, 2)),
        ("Time (s)", timed, lambda s: number(s.treatment_s, 1)),
        ("Code (hex)", by_code and notation.cycle_codes, lambda s: f"{s.cycle_code:X}"),
        ("Cycle-code asks for", by_code, lambda s: s.asks_for),
    ]
    shown = [(head, cell) for head, wanted, cell in columns if wanted]
    heads = tuple(head for head, _ in shown)
    text = tuple(heads.index(head) for head in ("Layers", "Focus", "Cycle-code asks for") if head in heads)
    return Table(heads, text, [tuple(cell(slice_) for _, cell in shown) for slice_ in slices])
