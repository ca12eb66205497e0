"""Faults whose effect on dose is known before the delivery: predicted and found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

import spotline
from spotline.arrays import Booleans
from spotline.dose.engine.beams import FieldBeams, beams_of_record, beams_of_treatment
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.engine.reconstruct import reconstruct
from spotline.dose.evaluation.gamma import gamma_index
from spotline.dose.grid import DoseGrid
from spotline.machine.geometry import isocentre_per
from spotline.machine.true_line import true_line_of
from spotline.physics.materials import WATER
from spotline.physics.stopping import mass_stopping_power_MeV_cm2_per_g
from spotline.record.positions import or_nan
from spotline.treatment.monitors import isocentre_per_chamber
from spotline.units import FWHM_PER_SIGMA
from verification.figures import Figure, figure, table
from verification.page import fill, say

Change = Callable[[FieldBeams], FieldBeams]

SEED = 1
GAIN = 1.02
PRESSURE_Pa = 400.0
OFFSET_mm = 0.8
SHIFT_mm = 1.0
WIDER = 1.5
ENERGY = 1.01
STOP_IN_SPILL, STOP_AT_us = 8, 200_000
EARLY_us = -10_000_000
"""Before the field, and so before the first reading of the slow control."""
AXIS_mm = 6.0
"""Half width of the column in which depths are looked at."""


WHAT: tuple[Literal["measured", "true"], ...] = ("measured", "true")


@dataclass(frozen=True, slots=True)
class Agreement:
    """A delivered dose against the planned one.

    Attributes
    ----------
    what : str
        The case, and how often it was delivered.
    of : str
        ``"measured"`` or ``"true"``.
    mean, mean_size, worst : float
        Of the local difference in the voxels of the target, in percent: with its sign, without, the largest.
    within : float
        Part of these voxels within 1 %, in percent.
    d95, d2 : float
        Difference of these doses, in percent of the planned ones.
    gamma : tuple of float
        Pass rates at 1 %/1 mm and 2 %/2 mm above a tenth of the maximum, in percent.
    """

    what: str
    of: str
    mean: float
    mean_size: float
    worst: float
    within: float
    d95: float
    d2: float
    gamma: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is looked at in a dose.

    Attributes
    ----------
    mean_Gy : float
        In the target.
    x_mm : float
        Centroid of the dose in x.
    width_mm : float
        Standard deviation of the dose in x, in the depths of the target.
    end_mm : float
        Depth behind the isocentre at which dose on the axis falls to 80 % of that in the target.
    """

    mean_Gy: float
    x_mm: float
    width_mm: float
    end_mm: float


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault, why its effect is known, and what it should do to the beams of the sound delivery."""

    name: str
    faults: tuple[spotline.Fault, ...]
    why: str
    measured: Change
    true: Change
    patient: Change | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Differences to the delivery without the fault: as predicted, and as found."""

    name: str
    of: str
    predicted: Seen
    found: Seen
    gamma_percent: float


@dataclass(frozen=True, slots=True)
class Results:
    """All that the page shows."""

    faults: list[Found]
    whys: list[tuple[str, str]]
    blind: list[tuple[str, Seen]]
    stopped: list[tuple[str, Agreement]]
    left_out: tuple[int, int, float]


def same(beams: FieldBeams) -> FieldBeams:
    """No change."""
    return beams


def changed(
    particles: float = 1.0, x_mm: float = 0.0, energy: float = 1.0
) -> Callable[[FieldBeams], FieldBeams]:
    """Particles times a factor, positions moved, energies times a factor."""

    def change(beams: FieldBeams) -> FieldBeams:
        layers = []
        for layer in beams.layers:
            s = layer.spots
            spots = replace(s, x_mm=s.x_mm + x_mm, particles=s.particles * particles)
            layers.append(replace(layer, spots=spots, energy_MeV_u=layer.energy_MeV_u * energy))
        return replace(beams, layers=tuple(layers))

    return change


def wider(line: spotline.BeamLine) -> Callable[[FieldBeams], FieldBeams]:
    """Spots that are wider at the chambers by a factor."""
    scale = isocentre_per_chamber(line.facts)
    k = or_nan(scale.strip_x), or_nan(scale.strip_y)

    def change(beams: FieldBeams) -> FieldBeams:
        filters = sum(name in line.facts.passive_elements.range_modulators for name in beams.passive_elements)
        layers = []
        for layer in beams.layers:
            size = line.spot_size(beams.ion.name, layer.energy_MeV_u, layer.focus, filters)
            assert size is not None, "it was delivered"
            s = layer.spots
            more_x, more_y = (
                (WIDER**2 - 1.0) * (factor * box_mm / FWHM_PER_SIGMA) ** 2
                for factor, box_mm in zip(k, (size.fwhm_box_x_mm, size.fwhm_box_y_mm), strict=True)
            )
            spots = replace(
                s,
                sigma_x_mm=np.sqrt(s.sigma_x_mm**2 + more_x),
                sigma_y_mm=np.sqrt(s.sigma_y_mm**2 + more_y),
            )
            layers.append(replace(layer, spots=spots))
        return replace(beams, layers=tuple(layers))

    return change


def faster(beams: FieldBeams) -> FieldBeams:
    """As many more particles as ions of the wrong energy make fewer counts, at the recorded energy."""
    layers = []
    for layer in beams.layers:
        right, wrong = (
            float(mass_stopping_power_MeV_cm2_per_g(beams.ion, layer.energy_MeV_u * factor, WATER))
            for factor in (1.0, ENERGY)
        )
        particles = layer.spots.particles * (right / wrong)
        layers.append(replace(layer, spots=replace(layer.spots, particles=particles)))
    return replace(beams, layers=tuple(layers))


def cases(line: spotline.BeamLine) -> list[Injected]:
    """All faults."""
    geometry, gas = line.facts.geometry, true_line_of(line).simulation.gas
    source_mm = geometry.x_source_to_isocentre_mm
    strips = line.facts.monitor("strip_x")
    assert strips is not None
    to_isocentre = isocentre_per(source_mm, strips.distance_mm)
    fault = spotline.Fault
    return [
        Injected(
            f"INT1 and INT2 count {GAIN:g} times",
            tuple(fault(device, "gain", value=GAIN) for device in ("int1", "int2")),
            f"""Spots end when INT1 has its counts, which fewer ions now make: 1/{GAIN:g} of them. The two
            chambers agree, so no interlock sees it, and what is measured is what was asked for.""",
            same,
            changed(particles=1.0 / GAIN),
        ),
        Injected(
            f"both pressure sensors show {PRESSURE_Pa:g} Pa too much",
            tuple(
                fault(f"sensor_pressure{box}", "offset", value=PRESSURE_Pa, at_us=EARLY_us) for box in (1, 2)
            ),
            f"""More gas is believed to make more counts per ion, so more counts are asked for: by the offset
            over the pressure, {gas.pressure_Pa:g} Pa. It is below the limits, and the measurement believes it
            too.""",
            same,
            changed(particles=1.0 + PRESSURE_Pa / gas.pressure_Pa),
        ),
        Injected(
            f"strips in x are off by {OFFSET_mm:g} mm",
            (fault("strip_x", "offset", value=OFFSET_mm),),
            f"""The feedback moves the beam until the strips see it where it should be: by the offset, times
            {to_isocentre:.3f} from the chamber to the isocentre, to the other side. It begins anew with every
            spill and corrects by three tenths each time that it has counts for a position, so the first
            spots of a spill still lie where they should, and are measured beside it. Predicted is a spill
            without end; the measured and the true place differ by the offset, whatever the feedback does.""",
            same,
            changed(x_mm=-OFFSET_mm * to_isocentre),
        ),
        Injected(
            f"the beam is off by {SHIFT_mm:g} mm in x",
            (fault("beam", "shift_x", value=SHIFT_mm),),
            """The strips see it, and the feedback takes it back, but for the first spots of a spill: those
            are displaced, and measured there.""",
            same,
            same,
        ),
        Injected(
            f"the beam is {WIDER:g} times as wide",
            (fault("beam", "wide", value=WIDER),),
            """The strips measure it: at the chambers spots are as much wider, and at the isocentre by as
            much in quadrature, projected there. Layers in which no spot has counts enough for a width keep
            the planned one, so that what is found is less than predicted: by the part of the particles that
            lies in those, three tenths in such cubes.""",
            wider(line),
            wider(line),
        ),
        Injected(
            f"{ENERGY:g} times the energy with the right cycle-code",
            (fault("beam", "energy", value=ENERGY),),
            """Faster ions ionise less, so more of them make the counts: as many times more as their stopping
            power is lower. Magnets bend them less, which the feedback takes back as far as above. Nothing in
            the nozzle tells energy itself: neither dose shows how deep the beam goes. A third of a percent
            more than predicted is not resolved.""",
            same,
            faster,
            changed(energy=ENERGY),
        ),
    ]


def deliver_all(
    treatment: spotline.Treatment,
    patient: Patient,
    target: Booleans,
    judge: Callable[[DoseGrid, DoseGrid], Agreement],
) -> Results:
    """Deliver with each fault, compute, and predict."""
    line = treatment.beamline
    engine = DoseEngine(line, patient, patient.grid)

    def dose(beams: FieldBeams) -> DoseGrid:
        engine.add([beams])
        return DoseGrid(patient.grid, engine.take()[0].astype(np.float32))

    def seen(grid: DoseGrid) -> Seen:
        return look(grid, target)

    def deliver(folder: Path, faults: tuple[spotline.Fault, ...] = ()) -> spotline.Record:
        return spotline.deliver(treatment, folder, seed=SEED, faults=faults, documents=False)

    injected, found, blind = cases(line), [], []
    with tempfile.TemporaryDirectory() as name:
        sound = deliver(Path(name) / "sound")
        (field,) = sound.fields
        beams = {what: beams_of_record(field, what) for what in WHAT}
    reference = {what: seen(dose(one)) for what, one in beams.items()}
    for one in injected:
        say(f"{one.name} ...")
        with tempfile.TemporaryDirectory() as name:
            record = deliver(Path(name) / "record", one.faults)
            if record.summary["status"] != "complete":
                raise SystemExit(f"{one.name}: stopped by {record.summary['interlocks']}")
            doses = reconstruct(record, line, patient, patient.grid).doses
        for what, change in zip(WHAT, (one.measured, one.true), strict=True):
            predicted = dose(change(beams[what]))
            actual = doses[what].physical
            rate = gamma_index(predicted, actual, dose_percent=1.0, distance_mm=1.0).pass_rate
            found.append(
                Found(
                    one.name,
                    what,
                    minus(seen(predicted), reference[what]),
                    minus(seen(actual), reference[what]),
                    100.0 * rate,
                )
            )
            say(str(found[-1]))
        if one.patient is not None:
            blind.append((one.name, minus(seen(dose(one.patient(beams["true"]))), reference["true"])))
    stopped, left_out = stop_and_go_on(treatment, patient, dose, judge, deliver)
    return Results(found, [(one.name, one.why) for one in injected], blind, stopped, left_out)


def stop_and_go_on(
    treatment: spotline.Treatment,
    patient: Patient,
    dose: Callable[[FieldBeams], DoseGrid],
    judge: Callable[[DoseGrid, DoseGrid], Agreement],
    deliver: Callable[[Path, tuple[spotline.Fault, ...]], spotline.Record],
) -> tuple[list[tuple[str, Agreement]], tuple[int, int, float]]:
    """Stop a delivery, predict what is missing from the spots that it completed, and deliver the rest."""
    say("stopped and continued ...")
    line = treatment.beamline
    (planned,) = beams_of_treatment(treatment)
    with tempfile.TemporaryDirectory() as name:
        fault = spotline.Fault("operator", "stop", spill=STOP_IN_SPILL, at_us=STOP_AT_us)
        first = deliver(Path(name) / "first", (fault,))
        rest = spotline.prepare(spotline.continuation_plan(first, treatment.plan), line)
        second = spotline.deliver(rest, Path(name) / "second", seed=SEED + 1, documents=False)
        if second.summary["status"] != "complete":
            raise SystemExit(f"continuation: stopped by {second.summary['interlocks']}")
        alone = reconstruct(first, line, patient, patient.grid).doses
        both = reconstruct([first, second], line, patient, patient.grid).doses
        (field,) = first.fields
        spots = field.spots[field.spots["complete"]]
    done = []
    for layer in planned.layers:
        kept = spots["spot"][spots["slice"] == layer.slice]
        some = Spots(*(getattr(layer.spots, part)[kept] for part in Spots.__slots__))
        done.append(replace(layer, spots=some))
    predicted = dose(replace(planned, layers=tuple(done)))
    whole = both["planned"].physical
    rows = [
        (
            f"first record, {what}, against what it completed of the plan",
            judge(predicted, alone[what].physical),
        )
        for what in WHAT
    ]
    rows += [
        (f"both records, {what}, against the whole plan", judge(whole, both[what].physical)) for what in WHAT
    ]
    say(str(rows))
    missing = 1.0 - float(sum(layer.spots.particles.sum() for layer in done)) / planned.particles
    return rows, (len(spots), len(field.visits), missing)


def look(dose: DoseGrid, target: Booleans) -> Seen:
    """Look at a dose; the beam comes along y, and the isocentre is 0."""
    grid, values = dose.grid, dose.dose_Gy.astype(float)
    deep = target.any(axis=(0, 2))
    across = values[:, deep, :].sum(axis=(0, 1))
    x_mm = float(np.sum(across * grid.x_mm) / across.sum())
    column = np.ix_(np.abs(grid.z_mm) <= AXIS_mm, np.ones(len(grid.y_mm), bool), np.abs(grid.x_mm) <= AXIS_mm)
    on_axis = values[column].mean(axis=(0, 2))
    mean_Gy = float(values[target].mean())
    level = 0.8 * float(on_axis[deep].mean())
    last = int(np.flatnonzero(on_axis >= level)[-1])
    step = (on_axis[last] - level) / (on_axis[last] - on_axis[last + 1])
    return Seen(
        mean_Gy,
        x_mm,
        float(np.sqrt(np.sum(across * (grid.x_mm - x_mm) ** 2) / across.sum())),
        float(grid.y_mm[last] + step * (grid.y_mm[last + 1] - grid.y_mm[last])),
    )


def minus(one: Seen, other: Seen) -> Seen:
    """Difference; that of the mean dose in percent."""
    return Seen(
        100.0 * (one.mean_Gy / other.mean_Gy - 1.0),
        one.x_mm - other.x_mm,
        one.width_mm - other.width_mm,
        one.end_mm - other.end_mm,
    )


WHY_NOT_ZERO = """Measured dose is within 1 % of the plan in every voxel. Weak spots, of fewer than 200 counts
(protons) or 50 (carbon), have no centre of gravity: they lie beside their neighbours that have one, or if
none has, where the strips see the whole slice. A spot of the cubes of 60 mm has 75 counts (carbon) or 150
(protons) on average, so many are that weak. True dose is within 1 % in every voxel of the cubes of protons
and in all but one in a thousand of carbon, and lower by some tenths of a percent: the room has INT1 count
0.2 % too much, as a chamber may within its repeatability; what its map of gains lacks and what leaves the
target because spots do not lie exactly where they should is the rest. The delay of the chopper, and the beam
on the way between two spots, are counted for the spot that they go to, which gets so much less: nothing of it
adds up. A few voxels of the true dose of DCPT miss 1 %, which is not resolved."""


def reasons(whys: list[tuple[str, str]]) -> str:
    """Why the effects are known, as a list."""
    return fill("\n".join(f"* *{name}*: {' '.join(why.split())}" for name, why in whys))


def sections(results: Results) -> list[str]:
    """Parts of the page."""
    rows = [
        (
            one.name,
            one.of,
            *(
                Figure(f"{predicted:+.2f} / {found:+.2f}", found, reference=predicted)
                for predicted, found in (
                    (getattr(one.predicted, name), getattr(one.found, name))
                    for name in ("mean_Gy", "x_mm", "width_mm", "end_mm")
                )
            ),
            figure(one.gamma_percent, ".2f"),
        )
        for one in results.faults
    ]
    heads = ("Fault", "dose", "mean dose (%)", "place in x (mm)", "width in x (mm)", "end (mm)")
    done, all_, missing = results.left_out
    stopped = [
        (
            name,
            figure(one.mean, "+.2f"),
            figure(one.mean_size, ".2f"),
            figure(one.worst, ".2f"),
            figure(one.gamma[0], ".2f"),
            figure(one.gamma[1], ".2f"),
        )
        for name, one in results.stopped
    ]
    return [
        "## With a fault",
        fill(
            f"""The proton cube of 30 mm, seed {SEED}, with a fault from its first spill on to its end.
            Predicted is the dose of the spots of the *same delivery without the fault*, changed as the fault
            should change them. Both are given as differences to the delivery without the fault, *predicted /
            found*: mean dose in the target; centroid and standard deviation of the dose in x; depth at which
            it falls to 80 %. Gamma holds the whole doses against each other, found against predicted."""
        ),
        table((*heads, "gamma 1 %/1 mm (%)"), rows),
        reasons(results.whys),
        fill(
            """One of these faults changes the dose of the patient and neither of ours, since records do not
            hold the energy, also not the true one. What the patient gets, by the engine with other energies,
            as a difference to the delivery without the fault:"""
        ),
        table(
            ("Fault", *heads[2:]),
            [
                (
                    name,
                    figure(one.mean_Gy, "+.2f"),
                    figure(one.x_mm, "+.2f"),
                    figure(one.width_mm, "+.2f"),
                    figure(one.end_mm, "+.2f"),
                )
                for name, one in results.blind
            ],
        ),
        "## Stopped, and continued",
        fill(
            f"""The operator stops the same cube in spill {STOP_IN_SPILL}: {done} of {all_} spots are
            complete, and {100.0 * missing:.1f} % of the particles are missing with those that are not. The
            plan of what is left is delivered with another seed. Local differences in the target; gamma as
            above."""
        ),
        table(
            ("Dose", "mean (%)", "mean size (%)", "worst voxel (%)", "gamma 1 %/1 mm (%)", "2 %/2 mm (%)"),
            stopped,
        ),
    ]
