"""The tables of a report: what a record says, as rows of text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spotline.control.interlocks import PAUSE
from spotline.faces.report import words
from spotline.faces.report.quantities import (
    PARTICLE_TOLERANCE_percent,
    POSITION_TOLERANCE_mm,
    cause_in_words,
    particle_deviation_percent,
    position_deviation_mm,
    quotient,
    spread,
    stop_of,
)
from spotline.faces.report.words import number, percent, plain, power, seconds
from spotline.record.model import FieldRecord, Record
from spotline.record.prescribed import prescribed_spots
from spotline.units import FWHM_PER_SIGMA

Pairs = list[tuple[str, str]]
"""Names and values."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a report: the heads of the columns, which of them are text, and the rows."""

    heads: tuple[str, ...]
    text: tuple[int, ...]
    rows: list[tuple[str, ...]]


def label_of(record: Record) -> str:
    """Return the label of the plan."""
    if record.fields:
        return plain(record.fields[0].facts.plan_label)
    return plain(record.summary.get("plan_label"))


def status_of_record(record: Record) -> tuple[str, str]:
    """Return the status of the whole delivery in words, and its kind."""
    if not record.fields:
        return "No field was delivered", "unknown"
    for field in record.fields:
        text, kind = status_of(field)
        if kind != "good":
            return (f"Field {field.number}: {text}" if len(record.fields) > 1 else text), kind
    if record.summary.get("status", "complete") != "complete":
        return "Not all fields of the plan were delivered", "bad"
    return (
        "All fields delivered whole" if len(record.fields) > 1 else status_of(record.fields[0])[0]
    ), "good"


def status_of(field: FieldRecord) -> tuple[str, str]:
    """Return the status of a field in words, and its kind."""
    text, kind = words.status(field.outcome.status)
    stop = stop_of(field)
    if kind == "bad" and stop is not None:
        text += f": {cause_in_words(int(stop['cause']))}, at {number(float(stop['time_us']) / 1e6, 3)} s"
    pauses = int((field.interlocks["action"] == PAUSE).sum())
    if pauses:
        text += f"; {pauses} {'pause' if pauses == 1 else 'pauses'}"
    return text, kind


def provenance(record: Record) -> Pairs:
    """Return where the delivery comes from: facts that all fields share."""
    head = {**record.summary, **record.fields[0].header} if record.fields else record.summary
    version = head.get("beamline_version")
    return [
        ("Plan label", plain(head.get("plan_label"))),
        ("Beam line", plain(head.get("beamline")) + (f", version {version}" if version else "")),
        ("Started", words.moment(head.get("started"))),
        ("Seed", plain(head.get("seed"))),
        ("SHA-256 of the plan", words.short_hash(head.get("plan_sha256"))),
        ("SHA-256 of the beam line", words.short_hash(head.get("beamline_sha256"))),
        ("Wall-clock time", seconds(_summary_number(record, "wall_s"))),
        ("Beam time over computing time", number(_summary_number(record, "realtime_factor"), 1)),
        ("Versions", plain(head.get("versions"))),
    ]


def _summary_number(record: Record, key: str) -> float:
    value = record.summary.get(key)
    return float(value) if isinstance(value, (int, float)) else np.nan


def overview(record: Record) -> Table:
    """Return one row for each field."""
    rows: list[tuple[str, ...]] = []
    for field in record.fields:
        spots = field.spots
        particles = spread(particle_deviation_percent(spots[spots["complete"]]), PARTICLE_TOLERANCE_percent)
        rows.append(
            (
                f"{field.number} {field.name}",
                plain(field.facts.ion),
                status_of(field)[0],
                f"{_count(int(spots['complete'].sum()))} of {_count(_planned_spots(field))}",
                percent(quotient(spots["particles"].sum(), _planned_particles(field)).item()),
                percent(particles.within),
                str(len(field.spills)),
                number(_treatment_s(field), 1),
            )
        )
    heads = ("Field", "Ion", "Status", "Spots", "Particles", "Spots within 1 %", "Spills", "Time (s)")
    return Table(heads, (0, 1, 2), rows)


def _count(n: int) -> str:
    return number(n, 0)


def _planned_spots(field: FieldRecord) -> int:
    planned = field.facts.spots_planned
    return int(field.slices["spots_planned"].sum()) if planned is None else planned


def _planned_particles(field: FieldRecord) -> float:
    planned = field.facts.particles_planned
    return float(field.slices["particles_planned"].sum()) if planned is None else planned


def _treatment_s(field: FieldRecord) -> float:
    return float(field.spills["end_us"].max()) / 1e6 if len(field.spills) else np.nan


def facts(field: FieldRecord) -> Pairs:
    """Return what the field was, apart from how it went."""
    told = field.facts
    angles = [
        f"{name} {angle_deg:g}°"
        for name, angle_deg in (
            ("gantry", told.gantry_angle_deg),
            ("patient support", told.patient_support_angle_deg),
        )
        if angle_deg is not None
    ]
    return [
        ("Ion", plain(told.ion)),
        ("Focus", plain(list(dict.fromkeys(told.focus)))),
        ("Passive elements", plain(told.passive_elements) if told.passive_elements else "none"),
        ("Angles", ", ".join(angles) or words.NOTHING),
        ("Gas density factors", plain(told.gas_factors or None)),
        ("Unit of the plan", plain(told.unit)),
        ("Started", words.moment(field.outcome.started)),
    ]


def figures_of_merit(field: FieldRecord) -> Pairs:
    """Return the figures of merit of a field."""
    spots = field.spots
    whole = spots[spots["complete"]]
    particles = spread(particle_deviation_percent(whole), PARTICLE_TOLERANCE_percent)
    dx_mm, dy_mm = position_deviation_mm(spots)
    x, y = (spread(d, POSITION_TOLERANCE_mm) for d in (dx_mm, dy_mm))
    distance = spread(np.hypot(dx_mm, dy_mm), POSITION_TOLERANCE_mm)
    planned, measured = _planned_particles(field), float(spots["particles"].sum())
    return [
        (
            "Spots delivered",
            f"{_count(len(whole))} of {_count(_planned_spots(field))} ({len(spots) - len(whole)} in part)",
        ),
        ("Particles planned", power(planned)),
        (
            "Particles measured",
            f"{power(measured)} ({percent(quotient(measured, planned).item(), 2)} of the plan)",
        ),
        ("Spots within ±1 % of their particles", percent(particles.within)),
        *_repainted(field),
        ("Particle deviation, mean ± sd", _mean_and_sd(particles.mean, particles.sd, "%")),
        ("Position deviation dX, mean ± sd", _mean_and_sd(x.mean, x.sd, "mm")),
        ("Position deviation dY, mean ± sd", _mean_and_sd(y.mean, y.sd, "mm")),
        ("Position rms, in the plane", f"{number(distance.rms, 3)} mm" if distance.n else words.NOTHING),
        ("Spots without a valid position", str(len(spots) - distance.n)),
        ("Spills", str(len(field.spills))),
        ("Beam on", seconds(float(field.spills["beam_on_us"].sum()) / 1e6)),
        ("Treatment time", seconds(_treatment_s(field))),
        ("Interlocks", _interlocks_in_words(field)),
    ]


def _repainted(field: FieldRecord) -> Pairs:
    """Return how the spots of the plan fared, if some were visited more than once."""
    spots = prescribed_spots(field)
    if not (spots["visits_planned"] > 1).any():
        return []
    whole = spots[spots["complete"]]
    particles = spread(particle_deviation_percent(whole), PARTICLE_TOLERANCE_percent)
    return [
        ("Repainted: spots of the plan delivered", f"{_count(len(whole))} of {_count(len(spots))}"),
        ("Spots of the plan within ±1 %, visits together", percent(particles.within)),
    ]


def _mean_and_sd(mean: float, sd: float, unit: str) -> str:
    if not np.isfinite(mean):
        return words.NOTHING
    return f"{number(mean, 3, sign=True)} ± {number(sd, 3)} {unit}"


def _interlocks_in_words(field: FieldRecord) -> str:
    stops = int((field.interlocks["action"] != PAUSE).sum())
    pauses = len(field.interlocks) - stops
    if not len(field.interlocks):
        return "none"
    return f"{stops} {'stop' if stops == 1 else 'stops'}, {pauses} {'pause' if pauses == 1 else 'pauses'}"


def interlock_table(field: FieldRecord) -> Table:
    """Return one row for each interlock."""
    heads = (
        "Cause",
        "What should have held",
        "Time (s)",
        "Spill",
        "Slice",
        "Spot",
        "Value",
        "Limit",
        "Unit",
        "Action",
    )
    rows = [
        (
            cause_in_words(int(row["cause"])),
            words.condition_of(int(row["cause"])),
            number(row["time_us"] / 1e6, 6),
            *(str(row[name]) if row[name] >= 0 else words.NOTHING for name in ("spill", "slice", "spot")),
            power(float(row["value"])),
            power(float(row["limit"])),
            words.unit_of(int(row["cause"])),
            words.action(int(row["action"])),
        )
        for row in field.interlocks
    ]
    return Table(heads, (0, 1, 8, 9), rows)


def slice_table(field: FieldRecord) -> Table:
    """Return one row for each slice, delivered or not."""
    heads = (
        "Slice",
        "Energy (MeV/u)",
        "Cycle-code (hex)",
        "Intensity level",
        "Spots planned",
        "Spots delivered",
        "Particles planned",
        "Particles measured",
        "Deviation (%)",
        "Spills",
        "FWHM x × y (mm)",
        "FWHM measured (mm)",
        "Wider by (%)",
    )
    rows: list[tuple[str, ...]] = [
        (
            str(row["slice"]),
            number(float(row["energy_MeV_u"])),
            f"{int(row['cycle_code']):X}",
            f"{row['intensity_level']:g}",
            str(row["spots_planned"]),
            str(row["spots_delivered"]),
            power(float(row["particles_planned"])),
            power(float(row["particles"])),
            number(100 * (quotient(row["particles"], row["particles_planned"]).item() - 1), 2, sign=True),
            str(row["spills"]),
            f"{number(float(row['fwhm_x_mm']), 1)} × {number(float(row['fwhm_y_mm']), 1)}",
            _both(_measured_fwhm_mm(row), 2),
            _both(_wider_percent(row), 1, sign=True),
        )
        for row in field.slices
    ]
    return Table(heads, (), rows)


def _measured_fwhm_mm(row: np.void) -> tuple[float, float]:
    x_mm, y_mm = (float(row[f"sigma_{plane}_mm"]) * FWHM_PER_SIGMA for plane in "xy")
    return (x_mm, y_mm) if min(x_mm, y_mm) > 0.0 else (np.nan, np.nan)


def _wider_percent(row: np.void) -> tuple[float, float]:
    """By how much the spots of a slice are wider than expected, in x and y."""
    x_mm, y_mm = _measured_fwhm_mm(row)
    return (
        100 * (quotient(x_mm, float(row["fwhm_x_mm"])).item() - 1),
        100 * (quotient(y_mm, float(row["fwhm_y_mm"])).item() - 1),
    )


def _both(values: tuple[float, float], digits: int, *, sign: bool = False) -> str:
    """Values of x and y; nothing was measured if neither is a number."""
    if not any(np.isfinite(values)):
        return number(np.nan)
    return " × ".join(number(value, digits, sign=sign) for value in values)
