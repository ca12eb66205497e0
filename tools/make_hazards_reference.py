"""Write the bounds of faults as dose, and the open hazards, into the page of hazards.

    python -m tools.make_hazards_reference      # into docs/reference/hazards.md, between its marks

A test fails when they are out of date.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import spotline
from spotline import BeamLine
from spotline.campaign.bounds import bound_of
from spotline.campaign.peak import known_peak_dose_Gy
from spotline.machine.true_line import true_line_of
from spotline.sim.faults import KINDS, Fault
from spotline.treatment.duration import predict_duration
from spotline.treatment.treatment import FieldTreatment

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "hazards.md"
LINE = "cnao-h"
PLANS = ("two_layers_carbon", "uniform_carbon_60mm", "three_layers_proton", "cube_proton_20mm")
MARKS = (
    ("<!-- Open hazards: written by tools/make_hazards_reference.py; do not edit. -->\n", "<!-- End. -->\n"),
    (
        "<!-- Bounds: written by tools/make_hazards_reference.py; do not edit. -->\n",
        "<!-- End of bounds. -->\n",
    ),
)

LIMIT_Gy = 0.25
"""Dose beyond the prescription that IEC 60601-2-64 is quoted with."""
LIMIT_PART = 0.1
"""Part of the planned dose of a spot."""


@dataclass(frozen=True, slots=True)
class Row:
    """Bound of faults in one plan: the spot in which it is most dose.

    Attributes
    ----------
    faults : tuple of str
        Kinds with the same bound.
    particles, dose_Gy : float
        Bound of the spot.
    planned_Gy : float
        What is planned there, of that spot alone.
    largest_percent : float
        Largest bound of a spot in percent of it.
    field_percent : float
    is_open : bool
        Whether the dose is beyond both limits.
    """

    faults: tuple[str, ...]
    particles: float
    dose_Gy: float
    planned_Gy: float
    largest_percent: float
    field_percent: float
    is_open: bool


def strongest(name: str) -> list[Fault]:
    """Faults of a kind with the values at both ends of what is drawn."""
    kind = KINDS[name]
    values = [None] if kind.draws is None else list(kind.draws)
    return [Fault(kind.device, kind.mode, value) for value in values]


def row_of(names: tuple[str, ...], faults: tuple[Fault, ...], field: FieldTreatment, line: BeamLine) -> Row:
    """Work out the bounds of a field with some faults."""
    of_visit = np.concatenate([np.column_stack([s.planned_layer, s.planned_spot]) for s in field.slices])
    _, spot_of_visit = np.unique(of_visit, axis=0, return_inverse=True)
    spot_of_visit = spot_of_visit.reshape(-1)
    n_spots = int(spot_of_visit.max()) + 1
    particles, of_one_Gy = np.zeros(n_spots), np.zeros(n_spots)
    first = 0
    for s in field.slices:
        here = spot_of_visit[first : first + s.n_spots]
        first += s.n_spots
        np.add.at(particles, here, s.particles)
        peak_Gy = known_peak_dose_Gy(line, field.beam.name, s.energy_MeV_u, s.focus, field.passive_elements)
        assert peak_Gy is not None, "the line has libraries and optics"
        of_one_Gy[here] = peak_Gy
    n_spills = max(1, round(predict_duration(field, line).total.spills))
    bound = bound_of(field, true_line_of(line), faults, spot_of_visit, np.ones(n_spots, np.int64), n_spills)
    dose_Gy, planned_Gy = bound.spots * of_one_Gy, particles * of_one_Gy
    worst = int(np.argmax(dose_Gy))
    return Row(
        faults=names,
        particles=float(bound.spots[worst]),
        dose_Gy=float(dose_Gy[worst]),
        planned_Gy=float(planned_Gy[worst]),
        largest_percent=float(100.0 * (bound.spots / particles).max()),
        field_percent=float(100.0 * bound.field / particles.sum()),
        is_open=bool((dose_Gy > np.maximum(LIMIT_Gy, LIMIT_PART * planned_Gy)).any()),
    )


def rows_of(field: FieldTreatment, line: BeamLine) -> list[Row]:
    """Bounds of a field without a fault, and with each kind; kinds with the same bound in one row."""
    rows = [row_of(("without a fault",), (), field, line)]
    by_bound: dict[tuple[float, float], list[tuple[str, Row]]] = {}
    for name in KINDS:
        some = [row_of((name,), (fault,), field, line) for fault in strongest(name)]
        worst = max(some, key=lambda row: row.dose_Gy)
        by_bound.setdefault((round(worst.dose_Gy, 9), round(worst.field_percent, 9)), []).append(
            (name, worst)
        )
    groups = sorted(by_bound.values(), key=lambda group: group[0][1].dose_Gy)
    for group in groups:
        _, row = group[0]
        rows.append(
            Row(
                tuple(name for name, _ in group),
                row.particles,
                row.dose_Gy,
                row.planned_Gy,
                row.largest_percent,
                row.field_percent,
                row.is_open,
            )
        )
    return rows


def _names(row: Row) -> str:
    if len(row.faults) > 6:
        return f"the other {len(row.faults)} kinds"
    return ", ".join(f"`{name}`" if "." in name else name for name in row.faults)


def tables() -> dict[str, list[Row]]:
    """Rows of every plan."""
    line = spotline.load_beamline(LINE)
    found = {}
    for plan in PLANS:
        treatment = spotline.prepare(spotline.read_plan(ROOT / "examples" / f"{plan}.dcm"), line)
        found[plan] = rows_of(treatment.fields[0], line)
    return found


def bounds_text(found: dict[str, list[Row]]) -> str:
    """The table of bounds."""
    lines = [
        "| Plan | fault | particles | dose (Gy) | planned (Gy) | of it (%) | of weakest (%) | field (%) |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for plan, rows in found.items():
        for row in rows:
            dose = f"**{row.dose_Gy:.3f}**" if row.is_open else f"{row.dose_Gy:.3f}"
            lines.append(
                f"| `{plan}` | {_names(row)} | {row.particles:.3g} | {dose} | {row.planned_Gy:.3f} "
                f"| {100.0 * row.dose_Gy / row.planned_Gy:.0f} | {row.largest_percent:.0f} "
                f"| {row.field_percent:.1f} |"
            )
    return "\n".join(lines) + "\n"


def open_text(found: dict[str, list[Row]]) -> str:
    """Faults whose bound is beyond both limits."""
    lines = [
        "| Fault | plan | too many in a spot, at most | as dose (Gy) | planned (Gy) | in field (%) |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    by_fault: dict[str, list[str]] = {}
    for plan, rows in found.items():
        for row in rows:
            if row.is_open:
                by_fault.setdefault(_names(row), []).append(
                    f"| {_names(row)} | `{plan}` | {row.particles:.3g} | **{row.dose_Gy:.2f}** "
                    f"| {row.planned_Gy:.2f} | {row.field_percent:.1f} |"
                )
    lines += [text for some in by_fault.values() for text in some]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page of hazards with both parts as they are now."""
    text, found = PAGE.read_text(encoding="utf-8"), tables()
    for (begin, end), made in zip(MARKS, (open_text(found), bounds_text(found)), strict=True):
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{made}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
